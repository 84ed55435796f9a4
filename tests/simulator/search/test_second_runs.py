"""One seed in twenty is played twice, and a run that differs is a failure that says where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from simulator.search.outcome import Outcome, Verdict, lost_seed
from simulator.search.second_runs import EVERY, SAME_RUN, UNEXPLAINED, JudgeTraced, SecondRuns
from simulator.workers import NightLimitError, WorkerDiedError, WorkerStartError
from tests.simulator.search.nights import SameProcess, bad, good

LINES = (
    '[1000000,"chat",{"channel":"lobby","login":"mod","text":"!ping"}]',
    '[2000000,"irc_in",{"connection":1,"line":"x"}]',
)
OTHER = (LINES[0], '[2000000,"irc_in",{"connection":1,"line":"y"}]')


class Twice:
    """Says something else each time it is asked for the events of a seed."""

    def __init__(self, *runs: tuple[str, ...]) -> None:
        self._runs = list(runs)

    def __call__(self, seed: int) -> tuple[Outcome, tuple[str, ...]]:
        """The next run's."""
        return good(seed), self._runs.pop(0)


def differing(first: Outcome, judge: Callable[[int], Outcome], traced: JudgeTraced) -> list[Outcome]:
    """What comes of one night that is offered."""
    runs = SecondRuns(SameProcess(), SameProcess(), judge, traced)
    runs.offer(first)
    return list(runs.differing(wait=True))


def test_one_in_twenty_is_played_again() -> None:
    """By its seed, so that it is the same ones each time."""
    other = SameProcess()
    runs = SecondRuns(other, SameProcess(), good, Twice())
    for seed in range(1, 101):
        runs.offer(good(seed))
    assert other.asked == [EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY, 5 * EVERY]
    assert list(runs.differing()) == []
    assert runs.compared == 5


def test_another_trace_is_a_failure_that_names_the_first_event() -> None:
    """Its kind is the place; the words show both."""
    [outcome] = differing(good(20), lambda seed: replace(good(seed), trace_hash="other"), Twice(LINES, OTHER))
    failure = outcome.failure
    assert failure is not None
    assert (failure.verdict, failure.invariant, failure.place) == (
        Verdict.NONDETERMINISM,
        SAME_RUN,
        "irc_in",
    )
    assert "event 2 differs" in failure.words and "chat" in failure.words


def test_a_difference_is_looked_for_in_other_processes() -> None:
    """The first run is made again in one of its own: a night that does not end must not hold the search up."""
    first, second = SameProcess(), SameProcess()
    runs = SecondRuns(second, first, bad, Twice(LINES, OTHER))
    runs.offer(good(20))
    assert len(list(runs.differing(wait=True))) == 1
    assert (first.asked, second.asked) == ([20], [20, 20])


def test_another_verdict_is_one_too() -> None:
    """Even with the same trace."""
    [outcome] = differing(good(20), bad, Twice(LINES, LINES))
    assert outcome.failure is not None
    assert outcome.failure.place == "once"
    assert "two more runs of it were equal" in outcome.failure.words


def test_a_second_run_whose_process_is_lost_is_a_crash() -> None:
    """It says which run; a first run that was lost is not played again."""

    def lost(seed: int) -> Outcome:
        raise NightLimitError("did not end within 120 s of wall time")

    [outcome] = differing(good(20), lost, Twice())
    assert outcome.failure is not None and outcome.failure.verdict is Verdict.CRASH
    assert outcome.failure.invariant == "NightLimit"
    assert outcome.failure.words == "its second run: did not end within 120 s of wall time"
    assert differing(lost_seed(20, NightLimitError("too long")), lost, Twice()) == []


@pytest.mark.parametrize("error", [WorkerDiedError("it was killed"), WorkerStartError("none begins")])
def test_a_difference_that_cannot_be_explained_is_one(error: Exception) -> None:
    """Two runs differ, whatever becomes of the process that was to show where."""

    def lost(seed: int) -> tuple[Outcome, tuple[str, ...]]:
        raise error

    [outcome] = differing(good(20), lambda seed: replace(good(seed), trace_hash="other"), lost)
    failure = outcome.failure
    assert failure is not None
    assert (failure.verdict, failure.place) == (Verdict.NONDETERMINISM, UNEXPLAINED)
    assert failure.words == (
        f"two runs had the traces hash-20 and other; where they part could not be found: {error}"
    )


def test_nobody_waits_for_a_second_run_before_the_end() -> None:
    """It is looked at again."""

    class Slow:
        """Is there at the second look."""

        looks = 0

        def ready(self) -> bool:
            """Not yet, then yes."""
            self.looks += 1
            return self.looks > 1

        def get(self) -> Outcome:
            """Here."""
            return good(20)

    class Elsewhere(SameProcess):
        """Gives answers that come later."""

        def ask(self, play: object, seed: int) -> Slow:  # type: ignore[override]
            """Later."""
            return Slow()

    runs = SecondRuns(Elsewhere(), SameProcess(), good, Twice())  # type: ignore[arg-type]
    runs.offer(good(20))
    assert list(runs.differing()) == [] and runs.compared == 0
    assert list(runs.differing()) == [] and runs.compared == 1
