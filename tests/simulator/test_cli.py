"""The command line byte-sim: help, the wiring of demo, serve, run and list, and what is said about mistakes."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from simulator import cli as command_line
from simulator.cli import HELP, Exit, build_cli, exit_code
from simulator.demo_verdict import judge
from simulator.replay import Night, Player, Recording
from simulator.scenario import Scenario

SCENARIOS = {
    "calm": Scenario("calm", "nothing happens"),
    "outage_at_night": Scenario("outage_at_night", "the database goes away"),
}


def unplayed(scenario: Scenario, night: Night, **_: object) -> Recording:
    """Where no night is played."""
    raise AssertionError(f"{scenario.name} was played")


def call(*arguments: str, play: Player = unplayed, bot: tuple[str, ...] = ()) -> Result:
    """Run byte-sim with these arguments."""
    return CliRunner().invoke(build_cli(SCENARIOS, play, bot_command=bot), list(arguments))


def test_help_names_the_first_steps() -> None:
    """Without arguments and with --help a newcomer learns what to type, and that no account is needed."""
    for result in (call(), call("--help")):
        told = " ".join(result.output.split())
        for words in ("byte-sim demo", "byte-sim list", "byte-sim run NAME", "byte-sim serve", "no account"):
            assert words in told, words
    assert call("--help").exit_code == 0


def test_help_says_in_full_what_each_command_does() -> None:
    """The summaries fit their lines."""
    told = call("--help").output.split("Commands:")[1]
    assert "..." not in told and "…" not in told
    assert all(line.strip().endswith(".") for line in told.strip().splitlines())


@pytest.mark.parametrize("command", ["demo", "serve", "exec", "run", "replay", "list"])
def test_every_command_explains_itself(command: str) -> None:
    """Each has a help page with its options."""
    result = call(command, "--help")
    assert result.exit_code == 0 and "Options:" in result.output


def test_the_version_is_the_distributions() -> None:
    """--version prints a name and a number."""
    result = call("--version")
    assert result.exit_code == 0 and result.output.startswith("byte-sim ")


def test_list_has_a_line_for_each_night() -> None:
    """Names in a column, with what happens."""
    lines = call("list").output.splitlines()
    assert lines == ["calm             nothing happens", "outage_at_night  the database goes away"]


def test_list_has_an_object_for_each_night_for_programs() -> None:
    """Name and summary, and what it is made of."""
    first = json.loads(call("list", "--json").output.splitlines()[0])
    assert first == {
        "name": "calm", "summary": "nothing happens", "duration_s": 60.0, "channels": 1, "faults": [],
    }  # fmt: skip


def test_a_name_a_file_and_a_seed_are_nights(tmp_path: Path) -> None:
    """Each is found and played as what it is, by `run` and by `replay`."""
    asked: list[tuple[str, int, str]] = []

    def play(scenario: Scenario, night: Night, **_: object) -> Recording:
        asked.append((scenario.name, night.seed, night.order))
        return Recording(night, "ab12", ())

    file = tmp_path / "mine.toml"
    file.write_text('seed = 9\nready_order = "random"\n', encoding="utf-8")
    for night in ("calm", str(file), "95"):
        call("run", night, play=play)
    assert asked == [("calm", 1, "fifo"), ("mine", 9, "random"), ("95", 95, "random")]


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path) -> None:
    """File, line and what is allowed; nothing was tried. A file that is not there is no scenario of that name."""
    file = tmp_path / "wrong.toml"
    file.write_text("seed = 1\nduration = 5\n", encoding="utf-8")
    result = call("run", str(file))
    assert result.exit_code == Exit.NOT_TRIED
    assert f"{file}, line 2: unknown key 'duration'; did you mean 'duration_s'?" in result.output
    assert "cannot read 'nowhere.toml'" in call("run", "nowhere.toml").output


def test_the_scenario_that_was_meant_is_named() -> None:
    """A misspelt name gets a suggestion, an unknown one the command that lists them."""
    close = call("run", "outage_at_nigth")
    assert close.exit_code == Exit.NOT_TRIED and "did you mean 'outage_at_night'?" in close.output
    assert "`byte-sim list` shows them" in call("run", "xyz").output


@pytest.mark.parametrize(
    ("broken", "not_measured", "code"),
    [
        ((), (), Exit.OK),
        (("lost",), (), Exit.BROKEN),
        ((), ("q",), Exit.NOT_TRIED),
        (("lost",), ("q",), Exit.BROKEN),
    ],
)
def test_the_demos_exit_code_is_that_of_its_verdict(
    broken: tuple[str, ...], not_measured: tuple[str, ...], code: Exit
) -> None:
    """0 kept, 1 broken, 2 not measured; what is broken is so even where something else was not measured."""
    verdict = dataclasses.replace(judge((), {}, drained=True), broken=broken, not_measured=not_measured)
    assert exit_code(verdict) is code


def test_a_demo_that_cannot_be_played_says_why(tmp_path: Path) -> None:
    """The words go to the terminal and into the file; the exit code is neither kept nor broken."""
    file = tmp_path / "verdict.json"
    gone = (sys.executable, "-c", "import sys; sys.exit('no such bot')")
    result = call("demo", "--json", str(file), bot=gone)
    assert result.exit_code == Exit.NOT_TRIED
    assert "exit code 1" in result.output and "no such bot" in result.output
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["ok"] is False and "no such bot" in written["error"]


def test_a_demo_does_not_start_without_a_place_for_its_verdict(tmp_path: Path) -> None:
    """A folder that is not there is noticed before the demo, not after it."""
    result = call("demo", "--json", str(tmp_path / "nowhere" / "verdict.json"))
    assert result.exit_code == Exit.NOT_TRIED and "there is no folder" in result.output


def test_a_demo_has_a_shortest_length() -> None:
    """Three phases need a few seconds."""
    result = call("demo", "--seconds", "1")
    assert result.exit_code == Exit.NOT_TRIED and "greater than or equal to 3" in result.output


def test_serve_checks_channels_and_ports() -> None:
    """A login that Twitch would not have, and a port that is taken, are named."""
    assert "'no-hyphens' is no Twitch login" in call("serve", "--channels", "lobby,no-hyphens").output
    assert call("serve", "--channels", " , ").exit_code == Exit.NOT_TRIED
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = call("serve", "--irc-port", str(taken.getsockname()[1]))
    assert result.exit_code == Exit.NOT_TRIED and "--irc-port" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process on Windows")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_one_line_and_stays_until_it_is_stopped(ending: signal.Signals) -> None:
    """The line is JSON with every address; the fakes answer there; Ctrl-C and SIGTERM end them with exit code 0."""
    program = "from simulator.cli import main; main(['serve', '--channels', 'one,two', '--seed', '5'])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        addresses = json.loads(process.stdout.readline())
        state = httpx.get(addresses["control"]["url"] + "/state").json()
        project = addresses["supabase"]
        rows = httpx.get(
            f"{project['url']}/rest/v1/bot_writer", headers={"apikey": project["secret_key"]}
        ).json()
        process.send_signal(ending)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert {"irc", "irc_ws", "eventsub", "helix", "oauth", "supabase", "control", "twitch", "seed"} <= set(
        addresses
    )
    assert addresses["twitch"]["channels"] == ["one", "two"] and addresses["seed"] == 5
    assert [channel["login"] for channel in state["channels"]] == ["one", "two"]
    assert rows[0]["id"] == 1


@pytest.mark.parametrize("command", ["run", "replay"])
def test_a_seed_of_the_search_stands_in_the_help(command: str) -> None:
    """Where it can stand, beside names and files."""
    assert ", or a seed of `byte-" in " ".join(call(command, "--help").output.split())


def test_every_command_stands_in_the_first_help() -> None:
    """And in the words of the module that makes them."""
    commands = typer.main.get_command(build_cli(SCENARIOS, unplayed)).commands  # type: ignore[attr-defined]
    told = str(command_line.__doc__).partition("\n")[0]
    for name in commands:
        assert re.search(rf"^  byte-sim {name}\b", HELP, re.MULTILINE), name
        assert re.search(rf"\b{name}\b", told), name


def test_a_start_imports_nothing_that_only_others_need() -> None:
    """Neither what draws pictures nor what runs tests, nor the parts of Supabase's client that the bot has no use for."""
    left_out = ("supabase", "realtime", "respx", "twitchio", "matplotlib", "hypothesis", "pytest", "trustme")
    program = f"import simulator.cli, sys; print(*[name for name in {left_out} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
