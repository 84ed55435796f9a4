"""Nights are judged in another process, and one that is lost is an outcome."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TypeVar

from simulator.search.judged_elsewhere import JudgedElsewhere
from simulator.search.outcome import Outcome, Verdict
from simulator.search.plan import SearchPlan, draw_night
from simulator.workers import COLLECT_EVERY, NightLimitError
from tests.simulator.search.nights import Answered, SameProcess, good, plan

T = TypeVar("T")


class Travelled(SameProcess):
    """What it is asked to play has come the way to another process."""

    def ask(self, play: Callable[[int], T], seed: int) -> Answered[T]:
        """A copy of it."""
        copy: Callable[[int], T] = pickle.loads(pickle.dumps(play))
        return super().ask(copy, seed)


def judged_well(night: SearchPlan) -> Outcome:
    """Nothing failed in it."""
    return Outcome(night, None, "well")


def endless(night: SearchPlan) -> Outcome:
    """A night that is cut off."""
    raise NightLimitError("did not end within 120 s of wall time")


def test_a_night_travels_to_another_process() -> None:
    """With all that a seed draws."""
    outcome = JudgedElsewhere(Travelled(), judged_well)(draw_night(1))
    assert outcome == Outcome(draw_night(1), None, "well")


def test_a_night_that_is_cut_off_is_a_crash() -> None:
    """By the limit, and of this night."""
    outcome = JudgedElsewhere(SameProcess(), endless)(plan(3))
    assert outcome.plan == plan(3) and outcome.lost and outcome.verdict is Verdict.CRASH
    assert [failure.invariant for failure in outcome.failures] == ["NightLimit"]


def test_the_process_collects_now_and_then() -> None:
    """All nights of one shrink have the same seed; the process goes by their number."""
    process = SameProcess()
    judged = JudgedElsewhere(process, lambda night: good(night.seed))
    for _ in range(COLLECT_EVERY):
        judged(plan(1))
    assert process.asked == list(range(1, COLLECT_EVERY + 1))
