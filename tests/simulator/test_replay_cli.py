"""The command byte-sim replay: a timeline, a comparison over processes and with a file, and its exit codes."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import typer
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from simulator.audience import CommandStorm
from simulator.cli import build_cli
from simulator.faults import Hang
from simulator.replay import Night, Player, Recording, record_elsewhere, record_night
from simulator.replay_cli import add_replay
from simulator.report import Violation
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile, read_night
from simulator.scenarios import SCENARIOS
from simulator.world import World, simulate

SHORT = Scenario("short", "two seconds", duration_s=2, crowds=(CommandStorm("lobby", 1, ("!ping",)),))


def fail(words: str) -> typer.Exit:
    """Print and leave, as byte-sim does."""
    typer.echo(words, err=True)
    raise typer.Exit(2)


def call(
    *arguments: str,
    here: Player = record_night,
    elsewhere: Player | None = None,
    scenario: Scenario = SHORT,
) -> Result:
    """Run the command with these arguments; the other processes are played here, unless a test gives its own."""
    app = typer.Typer()

    @app.callback()
    def top() -> None:
        """Makes the one command a command with a name."""

    def other(chosen: Scenario, night: Night, *, hash_seed: int) -> Recording:
        assert hash_seed > 0
        return (elsewhere or here)(chosen, night)

    add_replay(app, lambda _name: NightFile(scenario), fail, here=here, elsewhere=other)  # type: ignore[arg-type]
    with capture_logs():  # byte-sim sets the log up; here it would stand between the lines
        return CliRunner().invoke(app, ["replay", "short", *arguments])


def renamed(scenario: Scenario, night: Night) -> Recording:
    """A run in which the bot says something else."""
    recording = record_night(scenario, night)
    lines = tuple(line.replace("Pong", "Peng") for line in recording.lines)
    return dataclasses.replace(recording, lines=lines, trace_hash="other")


def test_a_night_is_shown_event_by_event() -> None:
    """The timeline, then the report; --only chooses kinds."""
    result = call("--seed", "5")
    assert result.exit_code == 0
    assert "bot_started      incarnation=1" in result.output and "short  seed 5  ok" in result.output
    states = call("--only", "state").output
    assert "state            bot=1  chat=connected" in states and "joined=lobby" in states
    chat = call("--only", "chat").output
    assert "byte_bot: Pong" in chat and "bot_started" not in chat
    assert call("--only", "rain").exit_code == 2


HANGING = dataclasses.replace(
    SHORT,
    duration_s=8,
    crowds=(CommandStorm("lobby", 1, ("!count deaths +1",)),),
    faults=(Hang(start_s=1, duration_s=4),),
    settings={"database_timeout_s": 1.0, "flush_interval_s": 0.5},
)


def test_faults_saves_and_retries_are_shown_among_the_events() -> None:
    """Each at its moment, in the terminal and as JSON; a night that is compared or written has the trace alone."""
    shown = call(scenario=HANGING).output
    assert "    1.000000  fault_begins     hang  (database, until 5 s)\n" in shown
    assert "    5.000000  fault_ends       hang  (database)\n" in shown
    saves = [line.split() for line in shown.splitlines() if "  save  " in line]
    assert saves[0][1:4] == ["save", "bot=1", "epoch=1"] and {"rows=2", "try=1"} < set(saves[0])
    assert any("try=2" in line for line in saves)
    times_s = [float(line.split()[0]) for line in shown.splitlines() if line.startswith("   ")]
    assert times_s == sorted(times_s)
    events = [json.loads(line) for line in call("--json", scenario=HANGING).output.splitlines()]
    [begins] = [event for event in events if event["kind"] == "fault_begins"]
    assert (begins["at_us"], begins["fault"], begins["until_s"]) == (1_000_000, "hang", 5.0)


def test_ctrl_c_shows_the_night_until_then(tmp_path: Path) -> None:
    """As an error does, in every form; nothing is compared. Exit code 130."""

    async def script(world: World) -> None:
        await world.until(lambda: bool(world.transcript))
        raise KeyboardInterrupt

    def interrupted(scenario: Scenario, night: Night, **options: object) -> Recording:
        return record_night(dataclasses.replace(scenario, script=script), night, **options)

    shown = call(here=interrupted)
    assert shown.exit_code == 130
    pong, error = shown.output.index("byte_bot: Pong"), shown.output.index("  error  ")
    assert pong < error < shown.output.index("short  seed 1  INTERRUPTED")
    assert "by Ctrl-C\n" in shown.output and "in script: raise KeyboardInterrupt" in shown.output
    file = tmp_path / "night.html"
    drawn = call("--html", str(file), here=interrupted)
    assert drawn.exit_code == 130 and "ended by KeyboardInterrupt" in file.read_text(encoding="utf-8")
    compared = call("--compare", here=interrupted)
    assert compared.exit_code == 130 and "equal" not in compared.output
    assert "short  seed 1  INTERRUPTED" in compared.stderr, "it is shown instead"


def test_json_is_an_object_an_event() -> None:
    """A program reads time, kind and fields."""
    events = [json.loads(line) for line in call("--json", "--only", "bot_started").output.splitlines()]
    assert events == [{"at_us": 0, "kind": "bot_started", "incarnation": 1}]


def test_a_broken_promise_is_an_exit_code() -> None:
    """That of its class, as the search has it."""

    def breaking(invariant: str) -> Player:
        def broken(scenario: Scenario, night: Night, **options: object) -> Recording:
            recording = record_night(scenario, night, **options)
            assert recording.report is not None
            report = dataclasses.replace(recording.report, violations=(Violation(invariant, 1.0, "away"),))
            return dataclasses.replace(recording, report=report)

        return broken

    result = call(here=breaking("agreement"))
    assert result.exit_code == 1 and "agreement at 1.000000 s: away" in result.output
    assert call("--json", here=breaking("present")).exit_code == 4


def test_an_error_that_ends_the_night_is_shown_after_what_led_to_it(tmp_path: Path) -> None:
    """In the terminal, in JSON, in a file, and in a page, each with exit code 5."""

    async def script(world: World) -> None:
        await world.until(lambda: bool(world.transcript))
        raise ValueError("out of <thin> air")

    def stumbling(scenario: Scenario, night: Night, **options: object) -> Recording:
        return record_night(dataclasses.replace(scenario, script=script), night, **options)

    shown = call(here=stumbling)
    assert shown.exit_code == 5
    pong, error = shown.output.index("byte_bot: Pong"), shown.output.index("  error  ")
    assert pong < error < shown.output.index("short  seed 1  CRASH")
    assert "by ValueError: out of <thin> air" in shown.output and "Traceback" not in shown.output
    as_json = call("--json", here=stumbling)
    assert as_json.exit_code == 5 and "seed 1  CRASH" in as_json.stderr
    assert json.loads(as_json.stdout.splitlines()[-1])["kind"] == "error"
    written = call("--trace", str(tmp_path / "night.jsonl"), here=stumbling)
    assert written.exit_code == 5 and "seed 1  CRASH" in written.stderr
    file = tmp_path / "night.html"
    assert call("--html", str(file), here=stumbling).exit_code == 5
    page = file.read_text(encoding="utf-8")
    assert "ended by ValueError" in page and "every promise kept" not in page
    assert page.count('class="violation"') == 1 and "<span>out of &lt;thin&gt; air</span>" in page
    assert "<details open>" in page and "in script" in page, "where it came from"
    assert call("--compare", here=stumbling).output.startswith("equal: 3 runs")


def test_a_timeline_is_drawn(tmp_path: Path) -> None:
    """Into a page, instead of showing it; the night is the same as without."""
    file = tmp_path / "night.html"
    result = call("--seed", "5", "--html", str(file))
    assert result.exit_code == 0, result.output
    assert result.output == f"timeline drawn in {file}, trace {simulate(SHORT, 5).trace_hash}\n"
    assert "<title>short, seed 5</title>" in file.read_text(encoding="utf-8")
    assert call("--html", str(file), "--compare").output.startswith("equal: 3 runs"), (
        "of which one was watched"
    )
    nowhere = call("--html", str(tmp_path / "none" / "night.html"))
    assert nowhere.exit_code == 2 and "cannot write" in nowhere.output


def test_equal_runs_are_equal() -> None:
    """Exit code 0, with the number of runs and the hash."""
    result = call("--compare", "--runs", "4")
    assert result.exit_code == 0 and result.output.startswith("equal: 4 runs, ")
    verdict = json.loads(call("--compare", "--json").output)
    assert (verdict["same"], verdict["runs"], verdict["trace_hash"]) == (
        True,
        3,
        simulate(SHORT, 1).trace_hash,
    )


def test_a_difference_is_shown_and_has_its_exit_code() -> None:
    """The first event that differs, which process it was in, and 3."""
    result = call("--compare", elsewhere=renamed)
    assert result.exit_code == 3
    assert " differs:" in result.output and "run 3, PYTHONHASHSEED=3" in result.output
    assert "#lobby :Pong!" in result.output and "#lobby :Peng!" in result.output
    verdict = json.loads(call("--compare", "--json", elsewhere=renamed).output)
    assert not verdict["same"] and verdict["other_trace_hash"] == "other"
    assert len(verdict["difference"]["before"]) == 5
    assert verdict["difference"]["left"][1] == verdict["difference"]["right"][1] == "irc_in"


def test_a_night_is_compared_with_a_file(tmp_path: Path) -> None:
    """What one commit wrote, another is held against."""
    file = tmp_path / "before.jsonl"
    written = call("--trace", str(file))
    assert written.exit_code == 0 and f"events written to {file}" in written.output
    assert call("--against", str(file)).output.startswith("equal: 2 runs")
    assert call("--against", str(file), here=renamed).exit_code == 3
    assert "before.jsonl" in call("--against", str(file), here=renamed).output
    refused = call("--against", str(file), "--seed", "9")
    assert refused.exit_code == 2 and "these are two nights" in refused.output
    assert call("--against", str(tmp_path / "none")).exit_code == 2


def test_a_named_night_is_equal_in_another_process() -> None:
    """With other hashes of strings, in a process that byte-sim starts."""
    night = Night("dead_socket", 1)
    other = record_elsewhere(SCENARIOS["dead_socket"], night, hash_seed=5)
    assert other.trace_hash == simulate(SCENARIOS["dead_socket"], 1).trace_hash


FILE = """
seed = 6
ready_order = "random"
duration_s = 2

[[crowds]]
kind = "command_storm"
channel = "lobby"
rate_per_s = 1
commands = ["!ping"]
"""


def test_a_night_in_a_file_is_equal_in_another_process(tmp_path: Path) -> None:
    """It is found there by its path, whatever the file says of seed and order, and whatever the options say."""
    file = tmp_path / "of my own.toml"
    file.write_text(FILE, encoding="utf-8")
    night = Night(str(file), 6, order="random", said=("irc", "random"))
    assert night.arguments == (str(file), "--seed", "6")
    other = record_elsewhere(read_night(file).scenario, night, hash_seed=5)
    assert other.trace_hash == simulate(read_night(file).scenario, 6, ready_order="random").trace_hash
    assert Night(str(file), 6, said=("irc", "random")).arguments[3:] == ("--order", "fifo")


def test_a_file_is_replayed_and_says_how_it_is_run_again(tmp_path: Path) -> None:
    """With the file's seed and order unless the options say others."""
    file = tmp_path / "mine.toml"
    file.write_text(FILE, encoding="utf-8")
    runner = CliRunner()
    with capture_logs():
        cli = build_cli(SCENARIOS, record_night)
        text = runner.invoke(cli, ["replay", str(file), "--only", "bot_started"]).output
        other = runner.invoke(cli, ["replay", str(file), "--order", "fifo", "--only", "bot_started"]).output
    assert "mine  seed 6  ok" in text
    assert f"again          byte-sim run {file} --seed 6\n" in text
    assert f"again          byte-sim run {file} --seed 6 --order fifo\n" in other


@pytest.mark.parametrize(
    "arguments", [("nowhere",), ("quiet", "--network", "pigeon"), ("quiet", "--runs", "1"), ("nowhere.toml",)]
)
def test_mistakes_are_explained(arguments: tuple[str, ...]) -> None:
    """An unknown name, network or number of runs: exit code 2, and a word about it."""
    result = CliRunner().invoke(build_cli(SCENARIOS, record_night), ["replay", *arguments])
    assert result.exit_code == 2 and result.output
    assert "Traceback" not in result.output and sys.executable not in result.output
