"""Virtual instants are exact, ordered, and never before the deadline that was asked for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.loop import new_loop
from simulator.timers import Timers, microseconds
from simulator.virtual_loop import VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = new_loop()
    yield loop
    loop.close()


def timer(loop: asyncio.AbstractEventLoop, when_s: float) -> asyncio.TimerHandle:
    return asyncio.TimerHandle(when_s, print, (), loop)


@pytest.mark.parametrize(
    ("when_s", "expected_us"),
    [
        (0.0, 0),
        (0.3, 300_000),
        (0.1 + 0.2, 300_000),  # 0.30000000000000004
        (1.0000004, 1_000_001),
        (1.00000001, 1_000_000),  # a tenth of the noise limit
        (604_800.123456, 604_800_123_456),
        (math.inf, 2**62),
    ],
)
def test_seconds_are_rounded_up_unless_it_is_float_noise(when_s: float, expected_us: int) -> None:
    """A deadline is never early by more than float noise, and noise adds no microsecond."""
    assert microseconds(when_s) == expected_us


@given(st.lists(st.integers(0, 50), max_size=40))
def test_due_timers_come_by_instant_and_then_in_order_of_creation(instants: list[int]) -> None:
    """Ties are first in, first out, which asyncio leaves open."""
    loop = new_loop()
    timers = Timers()
    made = [timer(loop, instant) for instant in instants]
    for entry in made:
        timers.add(entry)
    taken: list[int] = []
    while (next_us := timers.next_us()) is not None:
        if next_us > timers.now_us:
            timers.advance(next_us)
        taken += [next(i for i, entry in enumerate(made) if entry is due) for due in timers.take_due()]
    assert taken == sorted(range(len(made)), key=lambda index: (instants[index], index))
    loop.close()


def test_the_clock_reads_at_least_the_deadline_it_has_reached(loop: VirtualLoop) -> None:
    """A `while time() < deadline` ends although the deadline lies a rounding error past the microsecond."""
    timers = Timers()
    deadline = 0.1 + 0.2
    timers.add(timer(loop, deadline))
    timers.advance(300_000)
    assert timers.now_s < deadline
    assert len(timers.take_due()) == 1
    assert timers.now_s == deadline
    assert timers.now_us == 300_000


def test_cancelled_timers_never_fire_and_are_swept_out(loop: VirtualLoop) -> None:
    """A timeout that is armed and cancelled for each message must not grow the heap."""
    timers = Timers()
    for _ in range(1_000):
        entry = timer(loop, 60.0)
        timers.add(entry)
        entry.cancel()
        timers.note_cancelled()
    timers.add(timer(loop, 61.0))
    assert timers.next_us() == 61_000_000
    assert len(timers._heap) == 1


def test_a_timer_at_infinity_keeps_nothing_alive(loop: VirtualLoop) -> None:
    """`asyncio.timeout(math.inf)` is not a reason to wait."""
    timers = Timers()
    timers.add(timer(loop, math.inf))
    assert timers.next_us() is None


def test_removing_the_dead_returns_them(loop: VirtualLoop) -> None:
    """What is taken out must be kept by somebody, or its finalisers run."""
    timers = Timers()
    dead, alive = timer(loop, 1.0), timer(loop, 2.0)
    timers.add(dead)
    timers.add(alive)
    assert timers.remove(lambda entry: entry is dead) == [dead]
    assert timers.next_us() == 2_000_000
    timers.clear()
    assert timers.next_us() is None
