"""The command `byte-sim twin`: what it prints, its exit codes, its progress, and that processes change nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from simulator.cli import build_cli
from simulator.replay import record_night
from simulator.report import Line
from simulator.scenario import Scenario
from simulator.scenarios import SCENARIOS
from simulator.sometimes import Sometimes
from simulator.twin import Outcome, first_difference, run_seed
from simulator.twin_cli import SHOWN_MAX, Compare, add_twin
from simulator.twin_plan import Plan, draw_plan
from simulator.workers import WorkerStartError

DIFFERENCE = first_difference((), (Line(1_500_000, "lobby", "Pong!"),))
NIGHT = Scenario("night", "a night", settings={"default_language": "en"})


def outcome(seed: int) -> Outcome:
    """Even seeds are fine."""
    return Outcome(Plan(seed, NIGHT, (), "fifo"), 10, None if seed % 2 == 0 else DIFFERENCE)


def endless_at_3(seed: int) -> Outcome:
    """One of the pairs never ends."""
    while seed == 3:
        pass
    return outcome(seed)


def no_log(level: str) -> None:
    """Logging as it is."""


def call(*arguments: str, compare: Compare = outcome, step_s: float = 0.0) -> Result:
    """Run `twin` with these arguments; each look at the clock finds it `step_s` later."""

    def clock() -> Iterator[float]:
        now_s = 0.0
        while True:
            now_s += step_s
            yield now_s

    cli = typer.Typer(pretty_exceptions_enable=False)
    cli.callback()(lambda: None)
    ticks = clock()
    add_twin(cli, lambda: next(ticks), set_log_level=no_log, compare=compare)
    # Without a limit the pairs are played in this process, which a test's own functions need.
    return CliRunner().invoke(cli, ["twin", "--night-limit", "0", *arguments])


def test_one_pair_without_a_difference() -> None:
    """Is shown, and everything is well."""
    result = call("--seed", "2")
    assert result.exit_code == 0
    assert result.stdout.startswith("seed 2  same  10 lines")
    assert result.stderr == ""


def test_a_difference_is_an_exit_code_and_a_command_that_replays_it() -> None:
    """Among many only what is bad is shown."""
    result = call("--seed", "2", "--seeds", "3")
    assert result.exit_code == 1
    assert "1.500000 s  #lobby  Pong!" in result.stdout
    assert "again      byte-sim twin --seed 3" in result.stdout
    assert "seed 2  same" not in result.stdout
    assert result.stdout.splitlines()[-1] == "3 pairs, seeds 2 to 4, 30 lines compared: 1 bad"


def test_pairs_for_which_there_is_no_process_are_not_tried() -> None:
    """What was compared before is told, and is the exit code if it is bad."""

    def stranded(seed: int) -> Outcome:
        if seed == 4:
            raise WorkerStartError("no process begins")
        return outcome(seed)

    bad = call("--seed", "2", "--seeds", "5", compare=stranded)
    assert (bad.exit_code, bad.stderr) == (1, "byte-sim: no process begins\n")
    assert bad.stdout.splitlines()[-1] == "5 pairs, seeds 2 to 6, 20 lines compared: 1 bad, 3 not tried"
    assert call("--seed", "4", compare=stranded).exit_code == 2


def test_a_pair_that_ends_by_an_unexpected_error_is_bad_and_the_others_go_on() -> None:
    """Its seed is told, the exit code is that of a difference, and the last line says that there was an error."""

    def crashed(seed: int) -> Outcome:
        return (
            outcome(seed)
            if seed != 4
            else Outcome(Plan(4, NIGHT, (), "fifo"), crashed="perfect: KeyError: 'x'\nbot.py:1")
        )

    alone = call("--seed", "4", compare=crashed)
    assert alone.exit_code == 1
    assert "CRASHED    perfect: KeyError: 'x'" in alone.stdout
    assert "again      byte-sim twin --seed 4" in alone.stdout
    many = call("--seed", "2", "--seeds", "5", compare=crashed)
    assert many.exit_code == 1
    assert "seed 4  CRASHED" in many.stdout
    assert many.stdout.splitlines()[-1] == (
        "5 pairs, seeds 2 to 6, 40 lines compared: 3 bad (1 by an unexpected error)"
    )


def test_a_pair_that_does_not_end_is_bad_and_the_others_go_on() -> None:
    """Its process is killed after so much real time, also where there is one job."""
    result = call("--seed", "2", "--seeds", "3", "--night-limit", "1", compare=endless_at_3)
    assert result.exit_code == 1
    assert "seed 3  CRASHED" in result.stdout
    assert "did not end within 1 s of wall time" in result.stdout
    assert result.stdout.splitlines()[-1] == (
        "3 pairs, seeds 2 to 4, 20 lines compared: 1 bad (1 by an unexpected error)"
    )


def test_a_seed_without_a_plan_does_not_end_the_search() -> None:
    """The seeds after it are played, and the last line says that there was an error."""

    def draw(seed: int) -> Plan:
        if seed == 12:
            raise ValueError("empty range")
        return draw_plan(seed)

    result = call("--seed", "11", "--seeds", "3", compare=lambda seed: run_seed(seed, draw=draw))
    assert result.exit_code == 1
    assert "seed 12  CRASHED" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith("3 pairs, seeds 11 to 13")
    assert last.endswith(": 1 bad (1 by an unexpected error)")


def test_what_happened_is_counted() -> None:
    """In how many nights under faults; what never did is told too."""

    def eventful(seed: int) -> Outcome:
        return Outcome(
            Plan(seed, NIGHT, (), "fifo"),
            10,
            seen=(Sometimes.SAVE_FAILED, *([Sometimes.BURST] if seed > 2 else [])),
        )

    lines = call("--seeds", "3", compare=eventful).stdout.splitlines()
    assert lines[0] == "in how many nights under faults: save failed 3, burst of 500/s 1"
    assert lines[1].startswith("in none: call failed, circuit open amid chat")


def test_of_very_many_differences_the_later_are_only_named() -> None:
    """The screen is not flooded."""
    result = call("--seeds", "20")
    assert result.stdout.count("again      byte-sim twin") == SHOWN_MAX
    assert "seed 19  bad too: byte-sim twin --seed 19" in result.stdout


def test_a_pair_that_cannot_be_played_is_not_tried() -> None:
    """Another exit code than that of a difference, which counts for more."""

    def untried(seed: int) -> Outcome:
        return outcome(seed) if seed != 2 else Outcome(Plan(2, NIGHT, (), "fifo"), not_tried="not loaded")

    result = call("--seed", "2", compare=untried)
    assert result.exit_code == 2
    assert "not tried  not loaded" in result.stdout
    both = call("--seed", "2", "--seeds", "2", compare=untried)
    assert both.exit_code == 1
    assert both.stdout.splitlines()[-1] == "2 pairs, seeds 2 to 3, 10 lines compared: 1 bad, 1 not tried"


@pytest.mark.parametrize("arguments", [("--seeds", "0"), ("--jobs", "0")])
def test_senseless_numbers_are_refused(arguments: tuple[str, ...]) -> None:
    """Before anything is played."""
    assert call(*arguments).exit_code == 2


def test_progress_has_a_rate_and_an_estimate() -> None:
    """On standard error, where no program that reads the output is disturbed."""
    result = call("--seeds", "10", "--json", step_s=4.0)
    assert result.stderr.splitlines()[0] == "3 of 10 pairs, 2 bad, 0.2/s, 28 s left"
    assert [json.loads(line)["seed"] for line in result.stdout.splitlines()] == list(range(1, 11))


def test_other_processes_come_to_the_same_outcomes() -> None:
    """In the same order; and the real command is wired."""

    def outcomes(jobs: str) -> list[str]:
        cli = build_cli(SCENARIOS, record_night, set_log_level=no_log)
        result = CliRunner().invoke(cli, ["twin", "--seed", "11", "--seeds", "2", "--json", "--jobs", jobs])
        assert result.exit_code == 0
        # The bot logs in between, where it runs in this process.
        return [line for line in result.stdout.splitlines() if line.startswith("{")]

    alone = outcomes("1")
    assert alone == outcomes("2")
    assert [json.loads(line)["seed"] for line in alone] == [11, 12]


@pytest.mark.parametrize(("columns", "bar"), [("140", True), ("60", False)])
def test_the_width_of_the_terminal_decides_how_a_difference_is_shown(
    columns: str, bar: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Side by side where there is room."""
    monkeypatch.setenv("COLUMNS", columns)
    assert ("│" in call("--seed", "3").stdout) == bar
