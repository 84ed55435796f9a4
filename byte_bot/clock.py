"""Wall time, from one injected place.

Durations and deadlines use the event loop's clock (``loop.time()``, ``asyncio.timeout``). Wall time (what a human
reads, what goes into a ``timestamptz``) comes from a :class:`Clock`. Nothing else in ``byte_bot`` reads a clock, so
a loop with virtual time and a clock made from it move the whole bot.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of wall time."""

    def unix(self) -> float:
        """Seconds since 1970-01-01 UTC, as a float."""
        ...


class SystemClock:
    """The machine's clock. The only place in ``byte_bot`` that reads it."""

    def unix(self) -> float:
        """Seconds since 1970-01-01 UTC, from the operating system."""
        return time.time()


def iso_utc(unix_s: float) -> str:
    """``unix_s`` (seconds since 1970) as ISO 8601 in UTC with microseconds, as PostgreSQL's timestamptz reads it."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds")
