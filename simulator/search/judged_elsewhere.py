"""Nights judged in another process, so that one that never ends, or takes its process with it, costs no more than itself.

How it works. What is left of a night when something is taken away was never played before: it may hang. So whoever makes nights small has
them judged where the nights of the search are played too (`workers.py`), with the same limit of real time. A night whose process is lost is
a crash of its own sort, which fails like no other night: whoever looks for another failure leaves it aside.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.search.outcome import Outcome, failure_of_lost, judge
from simulator.search.plan import SearchPlan
from simulator.search.shrink import Judge
from simulator.workers import Elsewhere, WorkerLostError


class JudgedElsewhere:
    """A judge of nights.

    Args:
        elsewhere: where they are played.
        judge_night: plays a night there and judges it; must be importable.

    Raises:
        WorkerStartError: when called, if no process can be started.
    """

    def __init__(self, elsewhere: Elsewhere, judge_night: Judge = judge) -> None:
        self._elsewhere = elsewhere
        self._judge_night = judge_night
        self._asked = 0

    def __call__(self, plan: SearchPlan) -> Outcome:
        """What came out of a night."""
        # The number stands for a seed: after every few of them the process collects what nights have left.
        self._asked += 1
        try:
            return self._elsewhere.ask(_Night(plan, self._judge_night), self._asked).get()
        except WorkerLostError as error:
            return Outcome(plan, failure_of_lost(error), "")


@dataclass(frozen=True, eq=False)
class _Night:
    """Plays one night, whatever the number."""

    plan: SearchPlan
    judge_night: Judge

    def __call__(self, _number: int) -> Outcome:
        return self.judge_night(self.plan)
