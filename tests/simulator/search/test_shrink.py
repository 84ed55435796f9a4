"""Shrinking: a failing night becomes a few lines that fail in the same way, within its time, always the same ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from simulator.faults import Crash
from simulator.scenario_file import night_toml, parse_night
from simulator.search.outcome import Failure, Outcome, Verdict, judge
from simulator.search.plan import SearchPlan
from simulator.search.reductions import lines_of, spoken
from simulator.search.shrink import PROGRESS_S, NothingToShrinkError, Shrunk, Size, shrink, size_of
from simulator.search.shrink_cli import night_of, python_of
from simulator.workers import WorkerStartError
from simulator.world import simulate
from tests.simulator.search.planted import LOUD_NIGHT, forgetful

ROOT = Path(__file__).parents[3]
GATED = Failure(Verdict.SAFETY, "gated", "here", "too early")


class Judge:
    """Judges without a world: a night fails if the condition says so."""

    def __init__(self, condition: Callable[[SearchPlan], bool], failure: Failure = GATED) -> None:
        self.condition = condition
        self.failure = failure
        self.asked: list[SearchPlan] = []

    def __call__(self, plan: SearchPlan) -> Outcome:
        """The outcome of a night."""
        self.asked.append(plan)
        return Outcome(plan, self.failure if self.condition(plan) else None, "")


class Clock:
    """Moves on by so many seconds whenever it is looked at."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s = 1_000.0
        self.step_s = step_s

    def __call__(self) -> float:
        """The time."""
        self.now_s += self.step_s
        return self.now_s


def needs_a_crash_and_two_lines(plan: SearchPlan) -> bool:
    """A condition that few things in a loud night have to do with."""
    crashes = [fault for fault in plan.scenario.faults if isinstance(fault, Crash)]
    before = [
        line
        for line in lines_of(spoken(plan))
        if crashes and line.text.startswith("!count") and line.at_s < crashes[0].start_s
    ]
    return len(before) >= 2


def shrunk_by(judge_night: Judge, clock: Clock | None = None, **options: object) -> Shrunk:
    """The loud night made small."""
    failing = Outcome(LOUD_NIGHT, judge_night.failure, "")
    return shrink(failing, judge_night, unix_s=clock or Clock(), **options)  # type: ignore[arg-type]


def test_only_what_is_needed_is_left() -> None:
    """One channel, two lines, one fault, in a night that ends soon after."""
    shrunk = shrunk_by(Judge(needs_a_crash_and_two_lines))
    assert shrunk.after == size_of(shrunk.plan)
    assert (shrunk.after.channels, shrunk.after.messages, shrunk.after.faults) == (1, 2, 1)
    assert shrunk.after.duration_s < 5 and shrunk.finished
    assert shrunk.before == size_of(LOUD_NIGHT) and shrunk.before.messages > 50
    assert [line.text for line in lines_of(shrunk.plan)] == ["!count deaths +1"] * 2
    assert shrunk.plan.scenario.settings == {} and shrunk.plan.ready_order == "fifo"


def test_the_same_night_gives_the_same_small_one() -> None:
    """And asks about the same ones in the same order, none of them twice."""
    one, other = Judge(needs_a_crash_and_two_lines), Judge(needs_a_crash_and_two_lines)
    assert shrunk_by(one) == shrunk_by(other)
    assert one.asked == other.asked
    assert len({repr(plan) for plan in one.asked}) == len(one.asked)


def test_another_failure_does_not_count() -> None:
    """Neither another invariant nor another verdict; another place of the same does."""

    def elsewhere(plan: SearchPlan) -> Outcome:
        failure = GATED if plan.scenario.faults else replace(GATED, invariant="present")
        return Outcome(plan, replace(failure, place="there"), "")

    shrunk = shrink(Outcome(LOUD_NIGHT, GATED, ""), elsewhere, unix_s=Clock())
    assert len(shrunk.plan.scenario.faults) == 1 and shrunk.failure == replace(GATED, place="there")


def test_time_ends_it() -> None:
    """No night is begun after the budget, by the clock that was given; what was found by then is the answer."""
    judge_night = Judge(needs_a_crash_and_two_lines)
    shrunk = shrunk_by(judge_night, Clock(step_s=1.0), budget_s=10.0)
    assert len(judge_night.asked) == shrunk.tries <= 10 and not shrunk.finished
    assert needs_a_crash_and_two_lines(shrunk.plan) and "stopped there" in shrunk.summary()
    assert shrunk_by(Judge(needs_a_crash_and_two_lines), Clock(step_s=100.0)).plan == LOUD_NIGHT


def test_tries_end_it() -> None:
    """The same on every machine."""
    shrunk = shrunk_by(Judge(needs_a_crash_and_two_lines), tries_max=7)
    assert shrunk.tries == 7 and not shrunk.finished and shrunk.failure == GATED


def test_it_says_how_far_it_is() -> None:
    """Not more often than people read."""
    said: list[str] = []
    shrunk_by(Judge(needs_a_crash_and_two_lines), Clock(step_s=PROGRESS_S / 4), say=said.append)
    assert said and all("shrinking: " in words and "tries" in words for words in said)
    assert len(said) < 30


def test_a_night_that_does_not_fail_cannot_be_shrunk() -> None:
    """It says so; and of one that does not fail again, what that may mean."""
    with pytest.raises(NothingToShrinkError, match="keeps every promise"):
        shrink(Outcome(LOUD_NIGHT, None, ""), Judge(lambda plan: True), unix_s=Clock())
    with pytest.raises(NothingToShrinkError, match=r"does not fail with gated \(safety\).*its runs differ"):
        shrunk_by(Judge(lambda plan: False))


def test_sizes_are_told_in_words() -> None:
    """One of something is not many."""
    assert str(Size(1, 2, 0, 6.5)) == "1 channel, 2 messages, 0 faults, 6.5 s"


def test_a_planted_bug_shrinks_to_a_few_lines_that_run(tmp_path: Path) -> None:
    """From five channels and some seventy messages; as TOML, as a scenario and as a script it fails with the same invariant."""
    judge_night = partial(judge, application=forgetful)
    with capture_logs():  # what the bot logs in a hundred nights costs more than playing them
        shrunk = shrink(judge_night(LOUD_NIGHT), judge_night, unix_s=Clock(), tries_max=150)
    assert shrunk.finished and shrunk.failure.invariant == "agreement"
    # A lost answer, a crash, and what decides by its draws which answer is lost.
    assert (shrunk.after.channels, shrunk.after.messages, shrunk.after.faults) == (2, 2, 3)
    night = night_of(shrunk)
    assert parse_night(night_toml(night), "small.toml") == night
    report = simulate(night.scenario, night.seed, ready_order=night.ready_order, application=forgetful)
    assert "agreement" in {violation.invariant for violation in report.violations}
    assert simulate(night.scenario, night.seed, ready_order=night.ready_order).ok, (
        "the bot as shipped has no such bug"
    )
    script = tmp_path / "small.py"
    script.write_text(
        python_of(shrunk, application="tests.simulator.search.planted:forgetful"), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "BROKEN" in done.stdout and report.trace_hash in done.stdout


def test_ctrl_c_ends_it_with_the_smallest_so_far() -> None:
    """Unless the night has not failed again: then there is nothing to show, and Ctrl-C goes on."""

    def interrupted_at(number: int) -> Judge:
        def condition(plan: SearchPlan) -> bool:
            if len(judge_night.asked) == number:
                raise KeyboardInterrupt
            return needs_a_crash_and_two_lines(plan)

        judge_night = Judge(condition)
        return judge_night

    shrunk = shrunk_by(interrupted_at(30))
    assert shrunk.interrupted and not shrunk.finished and shrunk.tries == 30
    assert shrunk.after.messages < shrunk.before.messages
    with pytest.raises(KeyboardInterrupt):
        shrunk_by(interrupted_at(1))


def test_a_want_of_processes_ends_it_with_the_smallest_so_far() -> None:
    """Unless the night has not failed again."""

    def stranded_at(number: int) -> Judge:
        def condition(plan: SearchPlan) -> bool:
            if len(judge_night.asked) == number:
                raise WorkerStartError("none begins")
            return needs_a_crash_and_two_lines(plan)

        judge_night = Judge(condition)
        return judge_night

    shrunk = shrunk_by(stranded_at(30))
    assert not shrunk.finished and not shrunk.interrupted and shrunk.tries == 30
    assert shrunk.after.messages < shrunk.before.messages
    with pytest.raises(WorkerStartError):
        shrunk_by(stranded_at(1))
