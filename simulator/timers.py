"""Virtual time and the timers that wait in it.

How it works. Time is an integer of microseconds, so that instants can be compared and hashed; timers are kept in a heap by
(microsecond, number), so those of one instant fire in the order in which they were made (asyncio leaves it open).
Seconds are what asyncio speaks: a deadline is rounded *up* to a microsecond unless what exceeds it is float noise. The clock
in seconds never reads less than the deadline that it has just reached, so `while time() < deadline: sleep(deadline - time())`
ends, however the deadline was computed.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

US_PER_S = 1_000_000
# What a deadline may exceed a whole microsecond by and still mean that microsecond. At 10^6 simulated seconds a float
# second is exact to 10^-4 us, so even a thousand additions stay below it.
_NOISE_US = 0.1
# A timer at infinity (asyncio.timeout(math.inf)) never fires and never keeps a world alive.
_NEVER_US = 2**62
# Cancelled timers are swept out when they are more than half of at least this many (asyncio's own numbers).
_SWEEP_MIN = 100

_Entry = tuple[int, int, asyncio.TimerHandle]


@dataclass(frozen=True)
class Limits:
    """Where a world that never ends is stopped with `RunawayError`."""

    virtual_s_max: float = 7 * 86_400.0  # longer than any scenario; an idle world gets there in seconds
    iterations_max: int = 100_000_000  # some minutes of real time
    iterations_per_instant_max: int = 1_000_000  # a loop that never awaits anything that takes time


class Timers:
    """The virtual clock, starting at 0, and the heap of timers."""

    def __init__(self) -> None:
        self.now_us = 0
        self.now_s = 0.0
        self._heap: list[_Entry] = []
        self._numbers = 0
        self._cancelled = 0

    def add(self, timer: asyncio.TimerHandle) -> None:
        """Take in a timer whose `when` is in virtual seconds."""
        self._numbers += 1
        heapq.heappush(self._heap, (microseconds(timer._when), self._numbers, timer))  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]

    @property
    def mark(self) -> tuple[int, int]:
        """How many timers were made so far, and how many wait: if both are what they were, none has fired."""
        return self._numbers, len(self._heap)

    def note_cancelled(self) -> None:
        """Count a timer that was cancelled while it waited."""
        self._cancelled += 1

    def next_us(self) -> int | None:
        """Return the instant of the next live timer in microseconds, or None if none will ever fire."""
        heap = self._heap
        if len(heap) > _SWEEP_MIN and self._cancelled * 2 > len(heap):
            self.remove(lambda timer: False)
            heap = self._heap
        while heap and heap[0][2]._cancelled:
            self._pop()
        return heap[0][0] if heap and heap[0][0] < _NEVER_US else None

    def advance(self, when_us: int) -> None:
        """Set the clock to a later instant in microseconds."""
        assert when_us > self.now_us, f"virtual time must not go from {self.now_us} us to {when_us} us"
        self.now_us = when_us
        when_s = when_us / US_PER_S
        if when_s > self.now_s:
            self.now_s = when_s

    def take_due(self) -> Sequence[asyncio.TimerHandle]:
        """Take out the timers whose instant has come, in order."""
        heap, now_us = self._heap, self.now_us
        if not heap or heap[0][0] > now_us:
            return ()  # as in most iterations
        due: list[asyncio.TimerHandle] = []
        while heap and heap[0][0] <= now_us:
            timer = self._pop()
            if not timer._cancelled:
                when_s: float = timer._when  # type: ignore[attr-defined]
                if when_s > self.now_s:
                    self.now_s = when_s
                due.append(timer)
        return due

    def remove(self, is_dead: Callable[[asyncio.TimerHandle], bool]) -> list[asyncio.TimerHandle]:
        """Take out cancelled timers, and those for which `is_dead` holds; returns the latter."""
        alive: list[_Entry] = []
        dead: list[asyncio.TimerHandle] = []
        for entry in self._heap:
            timer = entry[2]
            if timer.cancelled() or is_dead(timer):
                timer._scheduled = False  # type: ignore[attr-defined]
                if not timer.cancelled():
                    dead.append(timer)
            else:
                alive.append(entry)
        heapq.heapify(alive)
        self._heap = alive
        self._cancelled = 0
        return dead

    def clear(self) -> None:
        """Forget every timer; the loop is being closed."""
        self._heap.clear()

    def _pop(self) -> asyncio.TimerHandle:
        timer = heapq.heappop(self._heap)[2]
        timer._scheduled = False  # type: ignore[attr-defined]
        if timer._cancelled:
            self._cancelled -= 1
        return timer


def microseconds(when_s: float) -> int:
    """Round seconds up to a whole microsecond, without taking float noise for a later one."""
    scaled = when_s * US_PER_S
    if scaled >= _NEVER_US:
        return _NEVER_US
    nearest = math.floor(scaled + 0.5)
    return nearest + 1 if scaled - nearest > _NOISE_US else nearest
