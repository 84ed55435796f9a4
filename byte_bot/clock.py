"""Wall time, from one injected place.

Durations and deadlines use the event loop's clock (``loop.time()``, ``asyncio.timeout``). Wall time (what a human
reads, what goes into a ``timestamptz``) comes from a :class:`Clock`. Nothing else in ``byte_bot`` reads a clock, so
a loop with virtual time and a clock made from it move the whole bot.

The wall clock may be wrong, and may jump (NTP, a hand, a resumed machine). So nothing that the bot promises waits for it; and where
something is deleted for its age, :class:`AgeClock` does not believe a jump.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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


class AgeClock:
    """Wall time for what is kept until a certain age, over other machines and restarts too, so by dates.

    How it works. Beside the wall clock it reckons: the wall clock as it was when this one was first asked, and the seconds that the loop
    has counted since. What begins to age is dated by the later of the two, and an age is told by the earlier: a clock that jumps
    can make something live longer, never shorter. Left out: a clock that is wrong already then.

    Args:
        clock: wall time.
        elapsed: seconds of a clock that does not jump (``loop.time``).
    """

    def __init__(self, clock: Clock, elapsed: Callable[[], float]) -> None:
        self._clock = clock
        self._elapsed = elapsed
        #: The wall time at zero elapsed seconds; None: not asked yet.
        self._zero_unix_s: float | None = None

    def earliest_s(self) -> int:
        """The time by which to tell an age, in whole Unix seconds."""
        return int(min(self._clock.unix(), self._reckoned_s()))

    def latest_s(self) -> int:
        """The time by which to date what begins to age."""
        return int(max(self._clock.unix(), self._reckoned_s()))

    def _reckoned_s(self) -> float:
        elapsed_s = self._elapsed()
        if self._zero_unix_s is None:
            self._zero_unix_s = self._clock.unix() - elapsed_s
        return self._zero_unix_s + elapsed_s


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
