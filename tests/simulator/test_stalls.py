"""Stalls of the measuring process, on a clock moved by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.stalls import BEAT_S, STALL_MIN_S, StallMeter


class ByHand:
    """An event loop whose time a test moves; a timer fires when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timer: tuple[float, Callable[[], object]] | None = None

    def time(self) -> float:
        return self.now_s

    def call_at(self, when: float, callback: Callable[[], object]) -> None:
        assert self.timer is None, "one timer at a time"
        self.timer = (when, callback)

    def fire(self, late_s: float = 0.0) -> None:
        """Let the timer fire, this late."""
        assert self.timer is not None
        when, callback = self.timer
        self.timer, self.now_s = None, when + late_s
        callback()


def test_a_timer_in_time_is_no_stall() -> None:
    """What a timer is late on an idle machine counts for nothing."""
    loop = ByHand()
    meter = StallMeter(loop, lambda: True)
    meter.start()
    for _ in range(10):
        loop.fire(STALL_MIN_S / 2)
    assert meter.stalled_s() == 0.0


def test_a_late_timer_counts_for_all_its_lateness() -> None:
    """Two stalls add up."""
    loop = ByHand()
    meter = StallMeter(loop, lambda: True)
    meter.start()
    loop.fire(0.010)
    loop.fire()
    loop.fire(0.005)
    assert meter.stalled_s() == pytest.approx(0.015)


def test_a_stall_counts_before_its_timer_fires() -> None:
    """A reply may be read in the very turn of the loop in which the late timer has not fired yet."""
    loop = ByHand()
    meter = StallMeter(loop, lambda: True)
    meter.start()
    loop.now_s = BEAT_S + 0.030
    assert meter.stalled_s() == pytest.approx(0.030)
    loop.fire(0.030)
    assert meter.stalled_s() == pytest.approx(0.030)


def test_it_beats_only_while_it_is_wanted() -> None:
    """Without a measurement under way no timer runs, and time that passes is no stall."""
    loop, wanted = ByHand(), [True]
    meter = StallMeter(loop, lambda: wanted[0])
    meter.start()
    meter.start()
    wanted[0] = False
    loop.fire()
    assert loop.timer is None
    loop.now_s += 60.0
    assert meter.stalled_s() == 0.0
    meter.start()
    assert loop.timer is not None
