"""The command byte-sim run: what it plays, what it says of nights that fail in one way or another, and its exit codes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

import pytest
import typer
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from byte_bot.app import Application, Surroundings
from byte_bot.errors import ExitCode
from byte_bot.settings import Settings
from simulator.cli_options import Exit
from simulator.errors import DeadlockError
from simulator.faults import TwitchPackets
from simulator.replay import Ended, Night, NightInterrupted, Player, Recording, record_night
from simulator.report import Report, Violation
from simulator.run_cli import add_run
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile
from simulator.search.outcome import failure_of
from simulator.simulated_bot import ApplicationFactory

CALM = Scenario("calm", "nothing happens", duration_s=2)
LOST = Violation("newest_wins", 3.5, "a row went back")
LATE = Violation("recovers", 40.0, "10.0 s after the heal: 3 rows wait, circuit open")


def played(night: Night, *violations: Violation) -> Recording:
    """A night in which this went wrong."""
    report = Report(
        night.scenario, night.seed, violations, (), "ab12", (1.0,), 0, None, 60.0, options=night.options,
        source=night.scenario,
    )  # fmt: skip
    return Recording(night, "ab12", (), report)


def ended_by(night: Night, error: Exception) -> Recording:
    """A night that this error ended."""
    return Recording(night, "ab12", (), ended=Ended(12.5, failure_of(error)))


def nights(by_seed: Mapping[int, Callable[[Night], Recording]], seen: list[Night] | None = None) -> Player:
    """Plays these nights, and others in which all is well."""

    def play(_scenario: Scenario, night: Night, *, keep_trace: bool) -> Recording:
        assert not keep_trace, "nobody looks at the events"
        if seen is not None:
            seen.append(night)
        return by_seed.get(night.seed, played)(night)

    return play


def call(
    *arguments: str,
    play: Player | None = None,
    night: NightFile | None = None,
    log_levels: list[str] | None = None,
) -> Result:
    """Run the command with these arguments."""
    app = typer.Typer()

    @app.callback()
    def top() -> None:
        """Makes the one command a command with a name."""

    def fail(words: str) -> NoReturn:
        typer.echo(f"byte-sim: {words}", err=True)
        raise typer.Exit(Exit.NOT_TRIED)

    add_run(
        app,
        lambda _name: night or NightFile(CALM),
        fail,
        play or nights({}),
        set_log_level=([] if log_levels is None else log_levels).append,
    )
    with capture_logs():  # byte-sim sets the log up; here it would stand between the lines
        return CliRunner().invoke(app, ["run", *(arguments or ("calm",))])


def test_it_reports_for_people_and_for_programs() -> None:
    """Text by default, one JSON object with --json; the seed reaches the simulation."""
    text = call("calm", "--seed", "7")
    assert text.exit_code == Exit.OK and "calm  seed 7  ok" in text.output
    found = json.loads(call("calm", "--seed", "7", "--json").output)
    assert (found["scenario"], found["seed"], found["ok"]) == ("calm", 7, True)


def test_what_the_night_says_itself_is_played_unless_the_options_say_otherwise() -> None:
    """Seed, transport and order; the line that plays it again says what is not as the night has it."""
    asked: list[Night] = []
    night = NightFile(CALM, 9, "random", "eventsub")
    file = "my night.toml"
    told = call(file, night=night, play=nights({}, asked)).output
    assert f"again          byte-sim run '{file}' --seed 9\n" in told
    arguments = (file, "--seed", "3", "--transport", "irc", "--order", "fifo", "--json")
    found = json.loads(call(*arguments, night=night, play=nights({}, asked)).output)
    assert found["replay"] == f"byte-sim run '{file}' --seed 3 --transport irc --order fifo"
    call(file, "--seeds", "2", "--network", "memory", night=night, play=nights({}, asked))
    assert [(one.seed, one.network, one.transport, one.order) for one in asked] == [
        (9, "tcp", "eventsub", "random"),
        (3, "memory", "irc", "fifo"),
        (9, "memory", "eventsub", "random"),
        (10, "memory", "eventsub", "random"),
    ]


def test_the_nights_of_a_seed_are_told_apart() -> None:
    """What one seed of the search has drawn, others can play: the command that plays one of them again plays that one."""
    drawn = NightFile(dataclasses.replace(CALM, name="4711"), 4711, "random")
    lost = {4711: partial(_broken, LOST), 4712: partial(_broken, LOST)}
    result = call("4711", "--seeds", "2", night=drawn, play=nights(lost))
    again = [line.split(maxsplit=1)[1] for line in result.output.splitlines() if "  again  " in line]
    assert again == ["byte-sim replay 4711", "byte-sim replay 4711 --seed 4712"]
    fifo = call("4711", "--order", "fifo", night=drawn)
    assert "again          byte-sim replay 4711 --order fifo\n" in fifo.output


def _broken(violation: Violation, night: Night) -> Recording:
    return played(night, violation)


def test_it_is_silent_unless_the_log_is_wanted() -> None:
    """The bot's log would stand between the lines of the report; --log shows it."""
    levels: list[str] = []
    call("calm", log_levels=levels)
    call("calm", "--log", "info", log_levels=levels)
    assert levels == ["critical", "info"]


@pytest.mark.parametrize(("violation", "code"), [(LOST, Exit.BROKEN), (LATE, Exit.LIVENESS)])
def test_a_broken_promise_is_an_exit_code(violation: Violation, code: Exit) -> None:
    """That of its class, as the search has it; the violation is shown."""
    result = call(play=nights({1: partial(_broken, violation)}))
    assert result.exit_code == code and violation.words in result.output


def test_of_many_nights_the_broken_ones_are_shown() -> None:
    """--seeds counts on from the seed; of many nights only the broken are shown in full, and one is enough to fail."""
    result = call("calm", "--seed", "7", "--seeds", "3", play=nights({8: partial(_broken, LOST)}))
    assert result.exit_code == Exit.BROKEN
    assert result.output.count("BROKEN") == 2 and "--seed 8" in result.output
    assert "calm: 3 nights, seeds 7 to 9, 1 broken" in result.output
    lines = call("calm", "--seeds", "3", "--json").output.splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [1, 2, 3]


def test_a_night_that_ends_by_an_error_is_a_broken_one_among_others() -> None:
    """It is told with its class, its words and the command that shows it; the nights behind it are played all the same."""
    seen: list[Night] = []
    play = nights({2: partial(ended_by, error=DeadlockError("nothing is scheduled"))}, seen)
    result = call("calm", "--seeds", "4", play=play)
    assert [night.seed for night in seen] == [1, 2, 3, 4]
    assert result.exit_code == Exit.LIVENESS
    assert "calm  seed 2  LIVENESS\n" in result.stdout
    assert "  ended          at 12.500000 s by DeadlockError: nothing is scheduled\n" in result.stdout
    assert "  again          byte-sim replay calm --seed 2\n" in result.stdout
    assert "calm: 4 nights, seeds 1 to 4, 1 broken\n" in result.stdout
    told = json.loads(call("calm", "--seed", "2", "--json", play=play).stdout)
    assert (told["ok"], told["verdict"], told["error"]) == (False, "liveness", "DeadlockError")
    assert (told["scenario"], told["seed"], told["replay"]) == ("calm", 2, "byte-sim replay calm --seed 2")
    assert "nothing is scheduled" in told["words"] and told["ended_at_s"] == 12.5


def test_of_several_failures_the_worst_is_the_exit_code() -> None:
    """A lost change before a bot that died, and that before one that was slow."""
    slow, dead = partial(_broken, LATE), partial(ended_by, error=ValueError("the bot broke"))
    assert call("calm", "--seeds", "3", play=nights({1: slow, 2: dead})).exit_code == Exit.CRASHED
    lost = partial(_broken, LOST)
    assert call("calm", "--seeds", "3", play=nights({1: dead, 2: lost, 3: slow})).exit_code == Exit.BROKEN


class Dying(Application):
    """Ends by an error half a second after it was started."""

    async def run(self) -> ExitCode:
        """Not for long."""
        await asyncio.sleep(0.5)
        raise ValueError("the bot broke")


def record_with(application: ApplicationFactory) -> Player:
    """Plays nights with another bot."""

    def play(scenario: Scenario, night: Night, **options: Any) -> Recording:
        return record_night(scenario, night, application=application, **options)

    return play


def test_a_bot_that_dies_in_one_of_many_nights_is_found_in_it() -> None:
    """Played for real: what it died of and where, and the nights before and after it."""
    built: list[Application] = []

    def build(settings: Settings, surroundings: Surroundings) -> Application:
        built.append((Dying if len(built) == 1 else Application)(settings, surroundings))
        return built[-1]

    result = call("calm", "--seeds", "3", play=record_with(build))
    assert result.exit_code == Exit.CRASHED, result.output
    assert "calm  seed 2  CRASH\n" in result.stdout and "ValueError: the bot broke" in result.stdout
    assert "test_run_cli.py" in result.stdout, "where"
    assert "calm: 3 nights, seeds 1 to 3, 1 broken\n" in result.stdout


def test_a_night_that_its_network_cannot_play_is_refused() -> None:
    """Over real sockets nothing cuts chat bytes: one sentence and exit code 2, not an easier night that is called ok."""
    cut = NightFile(Scenario("cut", "packets are cut", faults=(TwitchPackets(start_s=5),)))
    result = call("cut", "--network", "tcp", night=cut, play=record_night)
    assert result.exit_code == Exit.NOT_TRIED
    assert result.output.startswith(
        "byte-sim: cut with seed 1: the fault twitch_packets needs the network 'memory'"
    )
    assert len(result.output.splitlines()) == 1


def test_ctrl_c_ends_it_with_what_there_is() -> None:
    """Where the night was that it interrupted, and what came out of those before; exit code 130."""

    def interrupted(night: Night) -> Recording:
        failure = dataclasses.replace(
            failure_of(KeyboardInterrupt()), words="Ctrl-C\nbot.py:1 in spin: while True:"
        )
        raise NightInterrupted(Recording(night, "ab12", (), ended=Ended(3.0, failure, interrupted=True)))

    play = nights({1: partial(_broken, LOST), 3: interrupted})
    result = call("calm", "--seeds", "5", play=play)
    assert result.exit_code == Exit.INTERRUPTED
    assert "calm  seed 3  INTERRUPTED\n" in result.stdout and "in spin: while True:" in result.stdout
    assert "calm: interrupted after 2 of 5 nights, 1 broken\n" in result.stdout
