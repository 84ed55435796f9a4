"""How long this process itself was late: the error of a clock that shares a busy machine with what it measures.

While a measurement is under way a timer fires every `BEAT_S`. If it fires late, the loop was held up for that long: by other
programs, by garbage collection, by the fake database's own work. What arrived meanwhile was seen late, and `stalled_s` says by
how much at most. So a reply's latency less the stalls within it never blames a bot for the machine of its judge, and a bot
that is slow by itself stays slow: stalls are subtracted, measurements never left out.

Left out: stalls of the other process, which look like slowness from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

BEAT_S = 0.002
# epoll waits in whole milliseconds, rounded up, so a timer is up to 1 ms late on an idle machine. Less than this is no stall.
STALL_MIN_S = 0.002


class Timers(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], object]) -> object: ...


class StallMeter:
    """Adds up the stalls while it beats; it beats as long as `wanted` says so, from each `start` on."""

    def __init__(self, timers: Timers, wanted: Callable[[], bool]) -> None:
        self._timers = timers
        self._wanted = wanted
        self._total_s = 0.0
        self._due_s: float | None = None

    def start(self) -> None:
        """Begin to beat; nothing happens if it does already."""
        if self._due_s is None:
            self._schedule()

    def stalled_s(self) -> float:
        """Seconds of stalls so far, one that is just ending included; the difference of two readings is what counts."""
        return self._total_s + self._late_s()

    def _late_s(self) -> float:
        late_s = 0.0 if self._due_s is None else self._timers.time() - self._due_s
        return late_s if late_s > STALL_MIN_S else 0.0

    def _schedule(self) -> None:
        self._due_s = self._timers.time() + BEAT_S
        self._timers.call_at(self._due_s, self._beat)

    def _beat(self) -> None:
        self._total_s += self._late_s()
        self._due_s = None
        if self._wanted():
            self._schedule()
