"""A failing night becomes a small one that fails in the same way: the one that a human reads.

How it works. :func:`shrink` has the night judged again and again, each time with a little less in it (`reductions.py`), and keeps whatever still
breaks the same invariant with the same verdict; the place may be another one. That is the one that the night broke first, or whichever of those
that it broke was chosen. First the crowds are written down line by line, then all
reductions are gone through until none of them finds anything more, or time or tries are used up, or Ctrl-C ends it with the smallest so
far. No night is judged twice. Time is asked between two judgements, so the same failing night gives the same small one, unless the time
runs out first; tries are counted too, for a bound that is the same on every machine. A night whose process is lost
(`judged_elsewhere.py`) is none that fails in the same way; if no process can be started any more, that ends it as time does.

Why not Hypothesis, which shrinks well (a planted race in a virtual-time world to three messages in 12 s): it shrinks what its own strategies
drew. A seed of the search is drawn from the seed tree, and would have to be drawn anew from a choice tape: another night, and the tape of one that
draws whole crowds is no shorter than the crowd. Leaving one choice out moves all later ones, so that everybody else says something else; leaving one
line out here changes nothing but that line. It does not know that cutting a night's time first makes each later try cheaper. And it is a
library for tests, which whoever searches need not have.

What it leaves out: nights whose two runs differ, since a judgement of one run does not show it again (``byte-sim replay --compare`` does).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.errors import SimulatorError
from simulator.search.outcome import LOST, Failure, Outcome
from simulator.search.plan import SearchPlan
from simulator.search.reductions import REDUCTIONS, lines_of, spoken
from simulator.spelling import did_you_mean
from simulator.workers import WorkerStartError

#: Seconds of real time. Chosen: a typical failure takes a third of it, and people wait for a minute.
BUDGET_S: Final = 50.0
#: Nights that are judged for one shrink; what takes longer is stuck among nights that fail now and then.
TRIES_MAX: Final = 2_000
#: Seconds between two lines of progress.
PROGRESS_S: Final = 2.0

Judge = Callable[[SearchPlan], Outcome]


class NothingToShrinkError(SimulatorError):
    """The night cannot be shrunk: it does not fail, or not in a way that one run shows; the message says which."""


@dataclass(frozen=True)
class Size:
    """How much there is in a night."""

    channels: int
    messages: int
    faults: int
    duration_s: float

    def __str__(self) -> str:
        counted = (
            _counted(self.channels, "channel"),
            _counted(self.messages, "message"),
            _counted(self.faults, "fault"),
            f"{self.duration_s:g} s",
        )
        return ", ".join(counted)


@dataclass(frozen=True)
class Shrunk:
    """What came out: the small night, how it fails, and what it took."""

    plan: SearchPlan
    failure: Failure
    before: Size
    after: Size
    tries: int
    took_s: float
    #: False if time, tries, Ctrl-C or a want of processes ended it: there may be a smaller night.
    finished: bool
    #: True if Ctrl-C did.
    interrupted: bool = False

    def summary(self) -> str:
        """Two lines for people."""
        end = "" if self.finished else ", stopped there"
        return (
            f"{self.failure.verdict} {self.failure.invariant}: {self.failure.words}\n"
            f"from {self.before} to {self.after} ({self.tries} tries, {self.took_s:.0f} s{end})"
        )


def size_of(plan: SearchPlan) -> Size:
    """How much there is in a night."""
    scenario = plan.scenario
    return Size(
        len(scenario.channels), len(lines_of(spoken(plan))), len(scenario.faults), scenario.duration_s
    )


def shrink(
    outcome: Outcome,
    judge: Judge,
    *,
    unix_s: Callable[[], float],
    budget_s: float = BUDGET_S,
    tries_max: int = TRIES_MAX,
    say: Callable[[str], None] = lambda words: None,
    invariant: str = "",
) -> Shrunk:
    """Make a failing night small.

    Args:
        outcome: of the night, which failed.
        judge: plays a night and judges it; as the one that found the failure, or the failure will not be found again.
        unix_s: real time in seconds.
        budget_s: seconds after which no further night is judged.
        tries_max: how many nights are judged at most.
        say: told now and then how far it is.
        invariant: which of the broken ones goes on being broken; "": the first.

    Raises:
        NothingToShrinkError: the night does not fail, not by this invariant, does not fail again, or its process was lost.
        WorkerStartError: no process can be started before it has failed again; later the smallest so far is returned.
        KeyboardInterrupt: Ctrl-C before it has failed again; later the smallest so far is returned.
    """
    if outcome.failure is None:
        raise NothingToShrinkError("the night keeps every promise: there is nothing to shrink")
    goal = chosen_failure(outcome, invariant)
    if goal is None:
        broken = [one.invariant for one in outcome.failures]
        meant = did_you_mean(invariant, broken)
        raise NothingToShrinkError(
            f"the night does not break {invariant!r};{meant} what it breaks: {', '.join(broken)}"
        )
    if goal.invariant in LOST:
        raise NothingToShrinkError(
            f"{goal.words}; a night that ends so is not made small, since each try would take as long or do as much harm"
        )
    search = _Search(outcome.plan, goal, judge, unix_s, budget_s, tries_max, say)
    return search.run()


def chosen_failure(outcome: Outcome, invariant: str) -> Failure | None:
    """The failure by this invariant ("": the first one), or None if the night has none."""
    wanted = (one for one in outcome.failures if invariant in ("", one.invariant))
    return next(wanted, None)


class _Spent(Exception):
    """Time or tries are used up."""


class _Search:
    """One shrink: what was asked, and the smallest failing night so far."""

    def __init__(
        self,
        first: SearchPlan,
        goal: Failure,
        judge: Judge,
        unix_s: Callable[[], float],
        budget_s: float,
        tries_max: int,
        say: Callable[[str], None],
    ) -> None:
        self._first = first
        self._best, self._failure = first, goal
        self._goal = (goal.verdict, goal.invariant)
        self._judge = judge
        self._unix_s = unix_s
        self._budget_s = budget_s
        self._tries_max = tries_max
        self._say = say
        self._began_s = self._told_s = unix_s()
        self._asked: set[str] = set()
        self._tries = 0
        self._again = False

    def run(self) -> Shrunk:
        finished, interrupted = True, False
        try:
            if not self._fails(self._first):
                raise NothingToShrinkError(
                    f"played again, the night does not fail with {self._goal[1]} ({self._goal[0]}): either it was judged with "
                    "another bot, or its runs differ, which `byte-sim replay … --compare` shows"
                )
            # If the night written down does not fail, whole crowds are left out instead of lines.
            self._fails(spoken(self._first))
            self._reduce()
        except _Spent:
            finished = False
        except WorkerStartError:
            if not self._again:
                raise
            finished = False
        except KeyboardInterrupt:
            # What was found so far is small already; before the first night has failed again nothing was.
            if not self._again:
                raise
            finished, interrupted = False, True
        return Shrunk(
            self._best,
            self._failure,
            size_of(self._first),
            size_of(self._best),
            self._tries,
            self._unix_s() - self._began_s,
            finished,
            interrupted,
        )

    def _reduce(self) -> None:
        while True:
            before = self._best
            for reduction in REDUCTIONS:
                reduction(self._best, self._fails)
            if self._best == before:
                return

    def _fails(self, plan: SearchPlan) -> bool:
        """Whether this night is one more that fails as the first one did; if so, it is the best so far.

        A night that was asked about before is none: if it failed, the best so far is smaller.
        """
        # Not the plan itself: a scenario's settings may be a dict, which has no hash. Its repr says all that is in it.
        key = repr(plan)
        if key in self._asked:
            return False
        self._asked.add(key)
        return self._ask(plan)

    def _ask(self, plan: SearchPlan) -> bool:
        now_s = self._unix_s()
        # The first one is always asked: without it nothing is known.
        if self._tries and (now_s - self._began_s >= self._budget_s or self._tries >= self._tries_max):
            raise _Spent
        self._tries += 1
        outcome = self._judge(plan)
        # An invariant that is broken first by chance is left aside: others may be broken as well.
        failure = next((one for one in outcome.failures if (one.verdict, one.invariant) == self._goal), None)
        if failure is None:
            return False
        self._best, self._failure, self._again = plan, failure, True
        if now_s - self._told_s >= PROGRESS_S:
            self._told_s = now_s
            self._say(f"shrinking: {size_of(plan)} ({self._tries} tries, {now_s - self._began_s:.0f} s)")
        return True


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
