"""The command `byte-sim search`: what it prints, its exit codes, its canary, Ctrl-C, and that processes change nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from simulator.cli import build_cli
from simulator.cli_options import Exit
from simulator.replay import record_night
from simulator.scenarios import SCENARIOS
from simulator.search.outcome import Outcome, Verdict
from simulator.search.search_cli import EXITS, Shrink, Small, add_search
from simulator.search.second_runs import JudgeTraced
from simulator.sometimes import Sometimes
from simulator.workers import Elsewhere, NightLimitError, WorkerStartError
from tests.simulator.search.nights import SameProcess, bad, good


def no_log(level: str) -> None:
    """Logging as it is."""


def no_events(seed: int) -> tuple[Outcome, tuple[str, ...]]:
    """A run of which no event was kept."""
    return good(seed), ()


def call(
    *arguments: str,
    judge: Callable[[int], Outcome] = good,
    traced: JudgeTraced = no_events,
    canary: Callable[[int], Outcome] = bad,
    second: Callable[[int], Outcome] | None = None,
    shrink: Shrink | None = None,
) -> Result:
    """Run `search` with these arguments and these nights."""
    cli = typer.Typer(pretty_exceptions_enable=False)
    cli.callback()(lambda: None)
    add_search(
        cli,
        lambda: 0.0,
        set_log_level=no_log,
        judge=judge,
        traced=traced,
        canary=canary,
        elsewhere=lambda *_: SameProcess({judge: second} if second else None),
        shrink=shrink,
    )
    # Without a limit the nights are played in this process, which a test's own functions need.
    return CliRunner().invoke(cli, ["search", "--night-limit", "0", *arguments])


def failing(*failures: Outcome) -> Callable[[int], Outcome]:
    """Nights of which these fail."""
    by_seed = {outcome.plan.seed: outcome for outcome in failures}
    return lambda seed: by_seed.get(seed) or good(seed)


def test_nothing_found() -> None:
    """Is said in one line, after what happened and what never did."""
    result = call("--seeds", "40")
    assert result.exit_code == 0
    first, never, last = result.stdout.splitlines()
    assert first == "in how many nights: save failed 40"
    assert never.startswith("in none: call failed, ")
    assert last == "40 nights, seeds 1 to 40, 400 replies in 2000 virtual s, 2 played twice: nothing failed"
    assert result.stderr == ""


def test_failures_are_grouped_with_the_first_seed_of_each() -> None:
    """And the command that plays it again; each group is told as soon as it is found, too."""
    result = call(
        "--seeds", "30", judge=failing(bad(4), bad(9), bad(7, Verdict.LIVENESS, "recovers", "late"))
    )
    assert result.exit_code == Exit.BROKEN
    lines = result.stdout.splitlines()
    assert lines[:2] == ["seed 4  SAFETY  agreement  N lost", "seed 7  LIVENESS  recovers  late"]
    assert "SAFETY  agreement  N lost  (2 nights)" in lines
    assert "  again  byte-sim replay 4" in lines
    assert "  also   9" in lines
    assert "LIVENESS  recovers  late  (1 night)" in lines
    assert lines[-1].endswith("2 safety, 1 liveness failed")


@pytest.mark.parametrize(("verdict", "code"), EXITS.items())
def test_each_class_has_an_exit_code_of_its_own(verdict: Verdict, code: Exit) -> None:
    """None of which says something else elsewhere."""
    judge = good if verdict is Verdict.OK else failing(bad(3, verdict))
    assert call("--seeds", "5", judge=judge).exit_code == code
    assert len({*EXITS.values(), Exit.NOT_TRIED, Exit.INTERRUPTED}) == len(Verdict) + 2


def test_of_several_classes_the_worst_counts() -> None:
    """A change that is lost is worse than a slow recovery."""
    both = failing(bad(3, Verdict.LIVENESS), bad(5, Verdict.SAFETY), bad(6, Verdict.CRASH))
    assert call("--seeds", "6", judge=both).exit_code == Exit.BROKEN


def test_a_second_run_that_differs_is_nondeterminism() -> None:
    """The first event that differs is shown, under its kind."""
    runs = iter([('[1,"commit",{"n":1}]',), ('[1,"commit",{"n":2}]',)])
    result = call(
        "--seeds",
        "20",
        second=lambda seed: replace(good(seed), trace_hash="other"),
        traced=lambda seed: (good(seed), next(runs)),
    )
    assert result.exit_code == Exit.DIFFERENT
    assert "NONDETERMINISM  same_run  commit  (1 night)" in result.stdout
    assert "event 1 differs:" in result.stdout
    assert "n=1" in result.stdout and "n=2" in result.stdout


def test_what_is_found_is_made_small() -> None:
    """Of each group the first night, unless it is not wanted."""
    shrunk: list[int] = []

    def shrink(outcome: Outcome, elsewhere: Elsewhere) -> Small:
        shrunk.append(outcome.plan.seed)
        return Small(f"  small  night {outcome.plan.seed}")

    judge = failing(bad(4), bad(9), bad(7, Verdict.LIVENESS))
    assert "  small  night 4" in call("--seeds", "10", judge=judge, shrink=shrink).stdout
    assert shrunk == [4, 7]
    call("--seeds", "10", "--no-shrink", judge=judge, shrink=shrink)
    assert shrunk == [4, 7]


def test_json_has_a_line_for_each_night_and_one_for_all() -> None:
    """Nothing else is printed."""
    result = call("--seeds", "3", "--start", "8", "--json", judge=failing(bad(9)))
    *nights, whole = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(night["seed"], night["verdict"]) for night in nights] == [(8, "ok"), (9, "safety"), (10, "ok")]
    assert (whole["nights"], whole["first_seed"], whole["verdict"]) == (3, 8, "safety")
    assert whole["groups"][0]["replay"] == "byte-sim replay 9"
    assert whole["seen"]["save failed"] == 2
    assert len(whole["never"]) == len(Sometimes) - 1
    assert whole["failed"] == {"nondeterminism": 0, "safety": 1, "crash": 0, "liveness": 0}


def test_the_canary_must_be_found() -> None:
    """Then all is well; it is not if nobody sees the planted bug."""
    found = call("--seeds", "50", "--canary", canary=failing(bad(3, invariant="gated")))
    assert found.exit_code == 0
    assert found.stdout.splitlines()[-1] == (
        "the planted bug was found after 3 nights, by gated in seed 3, a night that the bot without it passes: "
        "the alarm works"
    )
    missed = call("--seeds", "5", "--canary", canary=good)
    assert missed.exit_code == Exit.BROKEN
    assert "was NOT found in 5 nights" in missed.stdout


def test_another_failure_is_not_the_canary() -> None:
    """Neither one of another invariant, nor one of a night in which the shipped bot fails too: 1, and it is said."""
    crash = failing(bad(2, Verdict.CRASH, "ValueError"))
    other = call("--seeds", "5", "--canary", canary=crash)
    assert other.exit_code == Exit.BROKEN
    assert (
        "was NOT found in 5 nights: what failed is not what it breaks (gated): seed 2 by ValueError"
        in other.stdout
    )
    later = failing(bad(2, Verdict.CRASH, "ValueError"), bad(4, invariant="gated"))
    assert call("--seeds", "5", "--canary", canary=later).exit_code == Exit.OK
    gated = failing(bad(3, invariant="gated"))
    both = call("--seeds", "5", "--canary", canary=gated, judge=gated)
    assert both.exit_code == Exit.BROKEN
    assert "NOT found in 3 nights: in seed 3 the bot without it fails as well, by gated" in both.stdout
    as_json = call("--seeds", "5", "--canary", "--json", canary=crash)
    assert as_json.exit_code == Exit.BROKEN and "NOT found" in as_json.stderr
    assert all(line.startswith("{") for line in as_json.stdout.splitlines())


def test_the_night_without_the_canary_may_hang_too() -> None:
    """It is played in another process with the same limit: what does not end there says nothing of the alarm."""

    def endless(_seed: int) -> Outcome:
        raise NightLimitError("did not end within 1 s of wall time")

    gated = failing(bad(3, invariant="gated"))
    result = call("--seeds", "5", "--canary", canary=gated, second=endless)
    assert result.exit_code == Exit.BROKEN
    assert "in seed 3 the bot without it fails as well, by NightLimit" in result.stdout


def test_ctrl_c_ends_it_with_what_was_found() -> None:
    """Exit code 130."""

    def interrupted(seed: int) -> Outcome:
        if seed == 4:
            raise KeyboardInterrupt
        return failing(bad(2))(seed)

    result = call("--seeds", "50", judge=interrupted)
    assert result.exit_code == Exit.INTERRUPTED
    assert "SAFETY  agreement  N lost  (1 night)" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("interrupted after 3 nights, seeds 1 to 3, ")


@pytest.mark.parametrize("with_best", [True, False])
def test_ctrl_c_while_shrinking_loses_nothing(with_best: bool) -> None:
    """All groups and the last line are there before the first night is made small; what is small so far is shown. 130."""
    asked: list[int] = []

    def shrink(outcome: Outcome, elsewhere: Elsewhere) -> Small:
        asked.append(outcome.plan.seed)
        if with_best:
            return Small("  small  so far", interrupted=True)
        raise KeyboardInterrupt

    judge = failing(bad(4), bad(7, Verdict.LIVENESS, "recovers", "late"))
    result = call("--seeds", "10", judge=judge, shrink=shrink)
    assert (result.exit_code, asked) == (Exit.INTERRUPTED, [4])
    lines = result.stdout.splitlines()
    told = lines.index(
        "10 nights, seeds 1 to 10, 100 replies in 500 virtual s, 0 played twice: 1 safety, 1 liveness failed"
    )
    assert lines.index("LIVENESS  recovers  late  (1 night)") < told
    assert any(line.startswith("in none: ") for line in lines[:told])
    assert lines[told + 1 :] == (["", "SAFETY  agreement  N lost", "  small  so far"] if with_best else [])


def deadly(seed: int) -> Outcome:
    """A night in twenty takes its process with it."""
    if seed == 20:
        os._exit(3)
    return good(seed)


def test_a_night_that_takes_its_process_with_it_is_a_crash() -> None:
    """The search goes on behind it, says how to play it again, and does not make it small: that would be in its own process."""

    def shrink(outcome: Outcome, elsewhere: Elsewhere) -> Small:
        raise AssertionError(outcome)

    result = call("--start", "19", "--seeds", "3", "--night-limit", "60", judge=deadly, shrink=shrink)
    assert result.exit_code == Exit.CRASHED, result.output
    lines = result.stdout.splitlines()
    assert "CRASH  WorkerDied  the process that played the night ended with exit code N  (1 night)" in lines
    assert "  what   the process that played the night ended with exit code 3" in lines
    assert "  again  byte-sim replay 20" in lines
    assert (
        lines[-1] == "3 nights, seeds 19 to 21, 20 replies in 100 virtual s, 0 played twice: 1 crash failed"
    )


def stranded(judge: Callable[[int], Outcome]) -> Callable[[int], Outcome]:
    """From the fifth night on there is no process."""

    def play(seed: int) -> Outcome:
        if seed == 5:
            raise WorkerStartError("no process begins")
        return judge(seed)

    return play


def test_a_search_that_loses_its_processes_tells_what_it_found() -> None:
    """The groups, with how to play them again, and the worst class as the exit code; 2 if nothing was found. Nothing is made small."""

    def shrink(outcome: Outcome, elsewhere: Elsewhere) -> Small:
        raise AssertionError(outcome)

    result = call("--seeds", "9", judge=stranded(failing(bad(3))), shrink=shrink)
    assert result.exit_code == Exit.BROKEN
    assert "SAFETY  agreement  N lost  (1 night)" in result.stdout and "byte-sim replay 3" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("gave up after 4 nights, seeds 1 to 4, ")
    assert result.stderr == "byte-sim: no process begins\n"
    nothing = call("--seeds", "9", "--json", judge=stranded(good))
    assert nothing.exit_code == Exit.NOT_TRIED
    whole = json.loads(nothing.stdout.splitlines()[-1])
    assert (whole["nights"], whole["gave_up"], whole["interrupted"]) == (4, "no process begins", False)
    canary = call("--seeds", "9", "--canary", canary=stranded(failing(bad(3))))
    assert canary.exit_code == Exit.NOT_TRIED and "the alarm" not in canary.stdout


def test_ctrl_c_before_the_first_night_names_no_seeds() -> None:
    """There are none."""

    def interrupted(seed: int) -> Outcome:
        raise KeyboardInterrupt

    last = call("--seeds", "5", judge=interrupted).stdout.splitlines()[-1]
    assert last.startswith("interrupted after 0 nights, 0 replies in ")


@pytest.mark.parametrize("arguments", [("--seeds", "0"), ("--jobs", "0"), ("--start", "-3")])
def test_senseless_numbers_are_refused(arguments: tuple[str, ...]) -> None:
    """Before anything is played."""
    assert call(*arguments).exit_code == 2


def test_the_real_command_plays_in_other_processes() -> None:
    """In order, and a seed is played twice; that they come to the same outcomes is asked of a hundred seeds by `test_sweep.py`."""
    cli = build_cli(SCENARIOS, record_night, set_log_level=no_log)
    result = CliRunner().invoke(cli, ["search", "--start", "19", "--seeds", "2", "--json", "--jobs", "2"])
    assert result.exit_code == 0, result.stdout
    *nights, told = map(json.loads, result.stdout.splitlines())
    assert [night["seed"] for night in nights] == [19, 20]
    assert told["played_twice"] == 1
