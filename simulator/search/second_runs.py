"""Some seeds are played twice: two runs of one must be the same run, to the microsecond.

How it works. Every :data:`EVERY`-th seed is given to another process as soon as its outcome is here, and the hashes of the two
traces are compared when the second is through, which nobody waits for meanwhile. Where they differ both runs are made once more with
every event kept, in other processes too, since a night that does not end would hold the search up. The first event in which they part is
the failure's words, its kind the failure's place. A second run whose process is lost is a crash of the night; if that happens only while
the difference is looked for, there is a difference all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from simulator.replay import decoded, explain
from simulator.search.outcome import SAME_RUN, Failure, Outcome, Verdict, failure_of_lost
from simulator.trace import difference_of
from simulator.workers import Elsewhere, Pending, WorkerLostError, WorkerStartError

#: One in so many is played twice: 5 %.
EVERY: Final = 20
#: The place of a difference that was not found.
UNEXPLAINED: Final = "unexplained"

Judge = Callable[[int], Outcome]
JudgeTraced = Callable[[int], tuple[Outcome, tuple[str, ...]]]


class SecondRuns:
    """See the module's docstring.

    Args:
        elsewhere: where the second runs are made.
        first: where a first run is made once more.
        judge, traced: play a seed; the latter keeps the events.
    """

    def __init__(self, elsewhere: Elsewhere, first: Elsewhere, judge: Judge, traced: JudgeTraced) -> None:
        self._elsewhere = elsewhere
        self._first = first
        self._judge = judge
        self._traced = traced
        self._pending: list[tuple[Outcome, Pending[Outcome]]] = []
        #: How many seeds were played twice, and compared.
        self.compared = 0

    def offer(self, outcome: Outcome) -> None:
        """A night is through: play it again, if it is one of those."""
        if outcome.plan.seed % EVERY == 0 and not outcome.lost:
            self._pending.append((outcome, self._elsewhere.ask(self._judge, outcome.plan.seed)))

    def differing(self, *, wait: bool = False) -> Iterator[Outcome]:
        """The nights whose second run is through and was another; with ``wait`` of all that were offered."""
        waiting, self._pending = self._pending, []
        for first, pending in waiting:
            if not wait and not pending.ready():
                self._pending.append((first, pending))
                continue
            try:
                second = pending.get()
            except WorkerLostError as error:
                yield replace(first, failure=failure_of_lost(error, "its second run: "))
                continue
            self.compared += 1
            if (first.trace_hash, first.failure) != (second.trace_hash, second.failure):
                yield replace(first, failure=self._parted(first, second))

    def _parted(self, first: Outcome, second: Outcome) -> Failure:
        seed = first.plan.seed
        traces = f"two runs had the traces {first.trace_hash} and {second.trace_hash}"
        try:
            _, here = self._first.ask(self._traced, seed).get()
            _, there = self._elsewhere.ask(self._traced, seed).get()
        except (WorkerLostError, WorkerStartError) as error:
            told = f"{traces}; where they part could not be found: {error}"
            return Failure(Verdict.NONDETERMINISM, SAME_RUN, UNEXPLAINED, told)
        difference = difference_of(here, there)
        if difference is None:
            told = f"{traces}; two more runs of it were equal"
            return Failure(Verdict.NONDETERMINISM, SAME_RUN, "once", told)
        line = difference.left or difference.right
        assert line is not None, "where traces differ one of them has an event"
        return Failure(
            Verdict.NONDETERMINISM, SAME_RUN, decoded(line)[1], explain(difference, "first", "second")
        )
