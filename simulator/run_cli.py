"""``byte-sim run``: one night, or one for each of many seeds, and whether every promise was kept.

How it works. `add_run` registers the command on a typer application. A night is played as `byte-sim replay` plays it (`replay.py`), but
none of its events are kept. What comes out of it is judged as the search judges: a broken promise and an error that ends a night are findings alike,
are told with the command that shows the night, and the next seed is played. Only a night that cannot be played at all ends the
command, since no seed of it can. Ctrl-C ends it with what there is so far.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from simulator.cli_options import Exit, NetworkKind, NightName, Order, TransportKind, night_as_asked
from simulator.errors import SimulatorError
from simulator.replay import Night, NightInterrupted, Player, Recording
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile
from simulator.search.outcome import Verdict
from simulator.search.search_cli import EXITS
from simulator.world_twitch import implied_network


class LogLevel(StrEnum):
    """How much of the bot's log is shown."""

    NONE = "none"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


def add_run(
    cli: typer.Typer,
    find_night: Callable[[str], NightFile],
    fail: Callable[[str], NoReturn],
    play: Player,
    *,
    set_log_level: Callable[[str], None],
) -> None:
    """Register the command.

    Args:
        find_night: gives a night by its name, file or seed, or ends the program.
        fail: prints why nothing could be played, and ends the program.
        play: plays a night in this process.
        set_log_level: sets up the log of the bots in it.
    """

    @cli.command()
    def run(
        scenario: NightName,
        seed: Annotated[
            int | None,
            typer.Option(
                "--seed", help="Decides everything random.", show_default="1, or what the file says"
            ),
        ] = None,
        seeds: Annotated[
            int, typer.Option(min=1, help="How many nights: this seed and those that follow it.")
        ] = 1,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print one JSON object a night for a program to read.")
        ] = False,
        network: Annotated[
            NetworkKind | None,
            typer.Option(
                help="In memory, or over real sockets of this machine.",
                show_default="memory; tcp with eventsub",
            ),
        ] = None,
        transport: Annotated[
            TransportKind | None,
            typer.Option(
                help="How the bot chats: over IRC, or over EventSub with TwitchIO.",
                show_default="irc, or what the file says",
            ),
        ] = None,
        order: Annotated[
            Order | None,
            typer.Option(
                help="Of tasks ready at the same instant; random draws it from the seed.",
                show_default="fifo, or what the file says",
            ),
        ] = None,
        log: Annotated[
            LogLevel, typer.Option(help="Show the bot's log from this level on, on standard error.")
        ] = LogLevel.NONE,
    ) -> None:
        """Simulate one night and say whether every promise was kept.

        The real bot runs on the fakes in virtual time; an hour takes seconds. The same scenario and seed give the same night, to the
        microsecond (the trace at the end is equal). A bot that dies or hangs is a finding as a broken promise is, and of many seeds
        the next one follows.

        Exit code 0 if every promise was kept; otherwise that of `search` for what went wrong first: 1 safety, 3 nondeterminism, 4 liveness,
        5 crash; of several nights the worst, in the order 3, 1, 5, 4. 2 if the night cannot be simulated: no scenario of this
        name, a mistake in the file, twitch_packets with --network tcp, or eventsub in memory. 130 after Ctrl-C.
        """
        given = find_night(scenario)
        asked = night_as_asked(given, seed, transport, order)
        over = network.value if network is not None else implied_network(asked.transport)
        # Without a word the bot logs everything it does in a simulated hour, between the lines of the report.
        set_log_level("critical" if log is LogLevel.NONE else log.value)
        nights = _Nights(asked.scenario, play, as_json=as_json, alone=seeds == 1)
        interrupted = False
        for number in range(asked.seed, asked.seed + seeds):
            said = (given.transport, given.ready_order)
            try:
                nights.take(Night(scenario, number, over, asked.ready_order, asked.transport, said))
            except SimulatorError as error:
                fail(f"{scenario} with seed {number}: {error}")
            except NightInterrupted as stopped:
                nights.show(stopped.recording)
                interrupted = True
                break
        if seeds > 1 and not as_json:
            played = (
                f"interrupted after {nights.played} of {seeds} nights"
                if interrupted
                else f"{seeds} nights, seeds {asked.seed} to {asked.seed + seeds - 1}"
            )
            typer.echo(f"{scenario}: {played}, {nights.broken} broken")
        raise typer.Exit(Exit.INTERRUPTED if interrupted else EXITS[nights.worst])


class _Nights:
    """The nights of one command, played one after the other."""

    def __init__(self, scenario: Scenario, play: Player, *, as_json: bool, alone: bool) -> None:
        self._scenario = scenario
        self._play = play
        self._as_json = as_json
        self._alone = alone
        self.played = 0
        self.broken = 0
        self.worst = Verdict.OK

    def take(self, night: Night) -> None:
        """Play one more; of many those that failed are shown."""
        recording = self._play(self._scenario, night, keep_trace=False)
        self.played += 1
        self.broken += not recording.ok
        # The worst of them is the first in the list.
        self.worst = min(self.worst, recording.verdict, key=list(Verdict).index)
        if self._as_json or self._alone or not recording.ok:
            self.show(recording)

    def show(self, recording: Recording) -> None:
        """What came out of one."""
        typer.echo(json.dumps(recording.to_json()) if self._as_json else recording.to_text())
