"""The command byte-sim shrink: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NoReturn

import typer
from click.testing import Result
from typer.testing import CliRunner

from simulator.audience import Spoken, Utterance
from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile, read_night
from simulator.search.outcome import Failure, Outcome, Verdict
from simulator.search.plan import SearchPlan
from simulator.search.shrink_cli import add_shrink, shrunk_text
from simulator.workers import NIGHT_LIMIT_S, NightLimitError, SetLogLevel
from tests.simulator.search.nights import SameProcess

LINES = tuple(Utterance(float(second), "lobby", "mod", "!ping", "moderator") for second in range(1, 20))
NIGHT = NightFile(Scenario("night", "", crowds=(Spoken(LINES),), faults=(Hang(start_s=3.0),)), seed=5)
GATED = Failure(Verdict.SAFETY, "gated", "here", "too early")


def fail(words: str) -> NoReturn:
    """Print and leave, as byte-sim does."""
    typer.echo(words, err=True)
    raise typer.Exit(2)


def judged(condition: Callable[[SearchPlan], bool]) -> Callable[[SearchPlan], Outcome]:
    """A judge without a world."""
    return lambda plan: Outcome(plan, GATED if condition(plan) else None, "")


def call(
    *arguments: str,
    condition: Callable[[SearchPlan], bool] = lambda plan: bool(plan.scenario.crowds),
    night: NightFile = NIGHT,
    judge_night: Callable[[SearchPlan], Outcome] | None = None,
    limits_s: list[float] | None = None,
) -> Result:
    """Run the command with these arguments; its limit for a night goes into the list."""
    app = typer.Typer()

    def same_process(_level: SetLogLevel, night_limit_s: float, _hash_seed: str | None) -> SameProcess:
        if limits_s is not None:
            limits_s.append(night_limit_s)
        return SameProcess()

    @app.callback()
    def top() -> None:
        """Makes the one command a command with a name."""

    add_shrink(
        app,
        lambda _name: night,
        fail,
        lambda: 0.0,
        set_log_level=lambda _level: None,
        judge_night=judge_night or judged(condition),
        elsewhere=same_process,
    )
    return CliRunner().invoke(app, ["shrink", "5", *arguments])


def test_the_small_night_is_printed_as_python() -> None:
    """On standard output alone; the words about it are on standard error. The exit code is the failure's."""
    result = call()
    assert result.exit_code == 1
    names: dict[str, object] = {"__name__": "script"}
    exec(compile(result.stdout, "night.py", "exec"), names)
    scenario = names["NIGHT"]
    assert isinstance(scenario, Scenario) and len(scenario.crowds) == 1 and not scenario.faults
    assert "from 1 channel, 19 messages, 1 fault, 60 s to 1 channel, 1 message, 0 faults" in result.stderr


def test_it_is_written_into_files(tmp_path: Path) -> None:
    """TOML that reads as the night, Python that is the same; then nothing is printed but how to play them."""
    toml, python = tmp_path / "small.toml", tmp_path / "small.py"
    result = call("--out", str(toml), "--python", str(python))
    assert result.exit_code == 1 and result.stdout == ""
    night = read_night(toml)
    assert night.seed == 5 and "gated" in night.scenario.summary
    names: dict[str, object] = {"__name__": "script"}
    exec(compile(python.read_text(encoding="utf-8"), "night.py", "exec"), names)
    assert replace(night.scenario, name="night_small") == names["NIGHT"], (
        "and not the name of the whole night"
    )
    assert f"byte-sim run {toml}" in result.stderr and f"python {python}" in result.stderr


LATE = Failure(Verdict.LIVENESS, "recovers", "here", "too late")


def broken_twice(plan: SearchPlan) -> Outcome:
    """A night breaks one promise while somebody speaks, and another while there is a fault; the first of them first."""
    found = [*([GATED] if plan.scenario.crowds else []), *([LATE] if plan.scenario.faults else [])]
    return Outcome(plan, found[0] if found else None, "", others=tuple(found[1:]))


def test_any_of_the_broken_promises_can_be_kept() -> None:
    """The first one by default; the exit code is that of the chosen one. One that the night does not break is a mistake."""
    first = call(judge_night=broken_twice)
    assert first.exit_code == 1 and "to 1 channel, 1 message, 0 faults" in first.stderr
    late = call("--invariant", "recovers", judge_night=broken_twice)
    assert late.exit_code == 4 and "to 1 channel, 0 messages, 1 fault" in late.stderr
    assert "liveness recovers: too late" in late.stderr
    unknown = call("--invariant", "recover", judge_night=broken_twice)
    assert unknown.exit_code == 2
    assert (
        "the night does not break 'recover'; did you mean 'recovers'? what it breaks: gated, recovers"
        in unknown.output
    )


def test_a_night_that_does_not_fail_says_so() -> None:
    """Exit code 0."""
    result = call(condition=lambda plan: False)
    assert result.exit_code == 0 and "keeps every promise: there is nothing to shrink" in result.output


def endless_if(condition: Callable[[SearchPlan], bool]) -> Callable[[SearchPlan], Outcome]:
    """Every night fails, but these never end, and are cut off."""

    def play(plan: SearchPlan) -> Outcome:
        if condition(plan):
            raise NightLimitError("did not end within 120 s of wall time")
        return Outcome(plan, GATED, "")

    return play


def test_a_try_that_never_ends_is_left_aside() -> None:
    """What is left then is the smallest that ends and fails; of the night itself it is said, and the exit code is 2."""
    limits_s: list[float] = []
    call("--night-limit", "7", limits_s=limits_s)
    small = call(judge_night=endless_if(lambda plan: not plan.scenario.faults), limits_s=limits_s)
    assert limits_s == [7.0, NIGHT_LIMIT_S]
    assert small.exit_code == 1 and "to 1 channel, 0 messages, 1 fault" in small.stderr
    itself = call(judge_night=endless_if(lambda plan: True))
    assert itself.exit_code == 2 and "did not end within 120 s" in itself.stderr
    assert "a night that ends so is not made small" in itself.stderr
    plan = SearchPlan(NIGHT.seed, NIGHT.scenario, NIGHT.ready_order)
    text = shrunk_text(
        Outcome(plan, GATED, ""),
        SameProcess(),
        unix_s=lambda: 0.0,
        judge_night=endless_if(lambda plan: not plan.scenario.faults),
    ).text
    assert "to 1 channel, 0 messages, 1 fault" in text


def test_mistakes_are_told(tmp_path: Path) -> None:
    """A night over EventSub, and a file that cannot be written: exit code 2."""
    refused = call(night=replace(NIGHT, transport="eventsub"))
    assert refused.exit_code == 2 and "only nights over irc" in refused.output
    nowhere = call("--out", str(tmp_path / "none" / "small.toml"))
    assert nowhere.exit_code == 2 and "cannot write" in nowhere.output
    flickering = iter((True, False))
    assert call(condition=lambda plan: next(flickering)).exit_code == 2


def test_the_search_gets_it_as_lines() -> None:
    """The summary, the Python, and the command that writes the file; of what cannot be shrunk, why."""
    plan = SearchPlan(NIGHT.seed, NIGHT.scenario, NIGHT.ready_order)
    always = judged(lambda plan: True)
    text = shrunk_text(Outcome(plan, GATED, ""), SameProcess(), unix_s=lambda: 0.0, judge_night=always).text
    assert text.startswith("safety gated: too early\nfrom 1 channel, 19 messages")
    assert "    NIGHT = Scenario(" in text and "byte-sim shrink 5 --out small.toml" in text
    never = judged(lambda plan: False)
    said = shrunk_text(Outcome(plan, GATED, ""), SameProcess(), unix_s=lambda: 0.0, judge_night=never)
    assert said.text.startswith("not made smaller: played again") and not said.interrupted


def interrupted_at(number: int) -> Callable[[SearchPlan], bool]:
    """Every night fails, until Ctrl-C in that one."""
    nights = count(1)

    def condition(plan: SearchPlan) -> bool:
        if next(nights) == number:
            raise KeyboardInterrupt
        return bool(plan.scenario.crowds)

    return condition


def test_ctrl_c_shows_the_smallest_so_far() -> None:
    """And is exit code 130; nothing is shown before the night has failed here once more."""
    late = call(condition=interrupted_at(6))
    assert late.exit_code == 130 and "NIGHT = Scenario(" in late.stdout
    assert "stopped there)" in late.stderr
    for number in (1, 2):
        early = call(condition=interrupted_at(number))
        assert (early.exit_code, early.stdout) == (130, "")
    plan = SearchPlan(NIGHT.seed, NIGHT.scenario, NIGHT.ready_order)
    small = shrunk_text(
        Outcome(plan, GATED, ""), SameProcess(), unix_s=lambda: 0.0, judge_night=judged(interrupted_at(5))
    )
    assert small.interrupted and "NIGHT = Scenario(" in small.text
