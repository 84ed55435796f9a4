"""Wall time, from one injected place.

Durations and deadlines use the event loop's clock (``loop.time()``, ``asyncio.timeout``). Wall time (what a human
reads, what goes into a ``timestamptz``) comes from a :class:`Clock`. Nothing else in ``byte_bot`` reads a clock, so
a loop with virtual time and a clock made from it move the whole bot.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
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
    whole = int(unix_s // 1)
    micros = round((unix_s - whole) * 1e6)
    if micros == 1_000_000:
        whole, micros = whole + 1, 0
    return f"{_iso_second(whole)}.{micros:06d}+00:00"


@lru_cache(maxsize=64)
def _iso_second(unix_s: int) -> str:
    # Every line of chat has a time, and those of one second begin alike; ``isoformat`` takes seven times as long.
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
