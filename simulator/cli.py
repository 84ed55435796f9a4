"""The command line, ``byte-sim``: demo, serve, exec, run, replay, bench, twin, search, shrink, list.

How it works. :func:`build_cli` makes a typer application around the scenarios and the function that simulates one, so that a
test can give it others; :func:`main` is the entry point. What is wrong on purpose (:class:`~simulator.errors.SimulatorError`)
is printed on standard error in plain words. Exit codes: 0 every promise was kept, 1 one was broken, 2 it could not be tried
or was not measured, 3 runs that must be equal are not, 4 something that must happen did not, 5 a night ended by an unexpected
error, 130 Ctrl-C.

Real time is read here and nowhere else in the simulator; the fakes get it as a number. The bot's tables are read from the
bot's own schema files.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from rich.console import Console

from byte_bot import __version__
from byte_bot.clock import SystemClock
from byte_bot.logs import configure_logging
from byte_bot.persistence.schema import SCHEMA_DIR
from simulator.bench.bench_cli import add_bench
from simulator.cli_options import Exit
from simulator.demo import BOT_COMMAND, SECONDS_MIN, Demo, DemoOptions
from simulator.demo_screen import LiveView, LogView, Plan, introduction, verdict_panel
from simulator.demo_verdict import Verdict
from simulator.errors import SimulatorError
from simulator.exec_cli import add_exec
from simulator.keyboard import keys
from simulator.replay import Player, record_night
from simulator.replay_cli import add_replay
from simulator.report import names_a_seed
from simulator.run_cli import add_run
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile, ScenarioFileError, names_a_file, read_night
from simulator.scenarios import SCENARIOS
from simulator.search.plan_file import seed_night
from simulator.search.search_cli import add_search
from simulator.search.shrink_cli import add_shrink, shrunk_text
from simulator.serve import DEFAULT_CHANNELS
from simulator.serve_cli import add_serve
from simulator.spelling import did_you_mean
from simulator.termination import cancelled_by_sigterm
from simulator.twin_cli import add_twin

_T = TypeVar("_T")

# \b keeps click from joining the lines of a block.
HELP: Final = """A fake Twitch and a fake Supabase, to see and to test how a chat bot copes when things break.

\b
First steps:
  byte-sim demo            watch Byte Bot answer while its database is down
  byte-sim list            the nights that can be simulated, in virtual time
  byte-sim run NAME        simulate one, or a file of your own; the same seed gives the same night
  byte-sim replay NAME     see what happened in it, event by event
  byte-sim twin            one night with a broken and a perfect database
  byte-sim search          a night for each of many seeds, until one breaks the bot
  byte-sim replay SEED     such a night again, event by event
  byte-sim shrink SEED     a night that fails, made as small as it goes
  byte-sim serve           the fakes on this machine's ports, for your own bot
  byte-sim exec -- BOT     your own bot on the fakes, told where they are
  byte-sim bench           how fast your own bot answers, and what an outage does to it

\b
Nothing here talks to the real Twitch or to a real Supabase project, and no
account or key is needed.
"""

LINES_PER_DEMO: Final = 9  # progress lines without a terminal: every 5 s of 45

Seed = Annotated[
    int, typer.Option("--seed", help="Decides everything random; the same seed, the same choices.")
]
Version = Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)]


def build_cli(
    scenarios: Mapping[str, Scenario],
    play_night: Player,
    *,
    bot_command: Sequence[str] = BOT_COMMAND,
    set_log_level: Callable[[str], None] = lambda level: None,
) -> typer.Typer:
    """The application.

    Args:
        scenarios: what ``run`` and ``list`` know, by name.
        play_night: plays one of them with a seed.
        bot_command: how the demo starts the bot; ``--env-file PATH`` is appended.
        set_log_level: sets logging up for a bot that runs in this process.
    """
    cli = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        # Plain text, the same in every terminal and in a bug report.
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def find(name: str) -> NightFile:
        try:
            if names_a_file(name):
                return read_night(Path(name))
            if names_a_seed(name):
                return seed_night(int(name))
            if name not in scenarios:
                hint = did_you_mean(name, scenarios) or " `byte-sim list` shows them"
                _fail(f"there is no scenario {name!r};{hint} (a file of your own ends in .toml)")
            return NightFile(scenarios[name])
        except ScenarioFileError as error:
            _fail(str(error))

    @cli.callback(invoke_without_command=True)
    def top(version: Version = False) -> None:
        if version:
            typer.echo(f"byte-sim {__version__}")
            raise typer.Exit(Exit.OK)

    @cli.command()
    def demo(
        seconds: Annotated[
            float, typer.Option(min=SECONDS_MIN, max=86_400, help="How long the audience chats.")
        ] = 45.0,
        seed: Seed = 1,
        headless: Annotated[
            bool,
            typer.Option(
                "--headless", help="Lines instead of a screen; chosen by itself without a terminal."
            ),
        ] = False,
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Also write the verdict as JSON.")
        ] = None,
    ) -> None:
        """Watch the real bot answer while its database is down.

        People chat in three channels. Fakes of Twitch and Supabase run in this process and `byte-bot run` in another. The database hangs after 2/9 of
        the time (10 s of 45) and is back after 6/9 (30 s). Keys: b breaks it, h heals it, q quits.

        At the end: was anybody answered later, and was anything lost? Exit code 0 if every promise was kept, 1 if one
        was broken, 2 if that was not measured (q before the outage, say) or the demo could not be played.
        """
        if json_file is not None and not json_file.absolute().parent.is_dir():
            _fail(f"there is no folder {str(json_file.parent)!r} to write {json_file.name!r} to")
        options = DemoOptions(SCHEMA_DIR, SystemClock().unix(), Plan(seconds), seed, bot_command)
        console = Console()
        try:
            verdict = _run(_play(options, console, live=console.is_terminal and not headless))
        except SimulatorError as error:
            _write(json_file, {"ok": False, "error": str(error)})
            _fail(str(error))
        _write(json_file, verdict.to_json())
        console.print(verdict_panel(verdict))
        raise typer.Exit(exit_code(verdict))

    add_serve(cli, SCHEMA_DIR, SystemClock().unix, _run, _fail)

    add_exec(cli, SCHEMA_DIR, SystemClock().unix, _run, _fail)

    add_run(cli, find, _fail, play_night, set_log_level=set_log_level)

    add_replay(cli, find, _fail, quiet_log=lambda: set_log_level("critical"))

    add_bench(cli, SystemClock().unix)

    add_twin(cli, SystemClock().unix, set_log_level=set_log_level)

    add_search(
        cli,
        SystemClock().unix,
        set_log_level=set_log_level,
        shrink=partial(shrunk_text, unix_s=SystemClock().unix),
    )

    add_shrink(cli, find, _fail, SystemClock().unix, set_log_level=set_log_level)

    @cli.command("list")
    def list_(
        as_json: Annotated[
            bool, typer.Option("--json", help="Print one JSON object a night for a program to read.")
        ] = False,
    ) -> None:
        """List the nights that `byte-sim run` can simulate."""
        width = max((len(name) for name in scenarios), default=0)
        for name in scenarios:
            scenario = find(name).scenario
            typer.echo(
                json.dumps(_described(name, scenario)) if as_json else f"{name:<{width}}  {scenario.summary}"
            )

    return cli


def _described(name: str, scenario: Scenario) -> dict[str, Any]:
    return {
        "name": name,
        "summary": scenario.summary,
        "duration_s": scenario.duration_s,
        "channels": len(scenario.channels),
        "faults": list(dict.fromkeys(fault.kind for fault in scenario.faults)),
    }


def exit_code(verdict: Verdict) -> Exit:
    """What a demo with this verdict returns to the shell."""
    if verdict.broken:
        return Exit.BROKEN
    return Exit.OK if verdict.ok else Exit.NOT_TRIED


async def _play(options: DemoOptions, console: Console, *, live: bool) -> Verdict:
    if not live:
        typer.echo(introduction(options.plan, DEFAULT_CHANNELS, has_keys=False) + "\n")
        return await Demo(options, LogView(typer.echo, options.plan.seconds / LINES_PER_DEMO)).run()
    view = LiveView(console)
    demo = Demo(options, view)
    with keys(sys.stdin, demo.pressed) as demo.has_keys:
        typer.echo(introduction(options.plan, DEFAULT_CHANNELS, demo.has_keys) + "\n")
        with view:
            return await demo.run()


def _run(main: Coroutine[Any, Any, _T], *, interrupted: Exit = Exit.INTERRUPTED) -> _T:
    """Run a coroutine in real time; Ctrl-C and SIGTERM cancel it, so that it cleans up, and end the program so."""

    try:
        return asyncio.run(cancelled_by_sigterm(main))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(interrupted) from None


def _write(file: Path | None, value: Mapping[str, Any]) -> None:
    if file is not None:
        try:
            file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            _fail(f"cannot write {str(file)!r}: {error.strerror or error}")


def _fail(words: str) -> NoReturn:
    typer.echo(f"byte-sim: {words}", err=True)
    raise typer.Exit(Exit.NOT_TRIED)


def main(arguments: Sequence[str] | None = None) -> None:
    """The script ``byte-sim``: take the arguments (default: the process's), end with an exit code."""
    # A console with a legacy code page must not stop a bar or an accent in the output.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    cli = build_cli(SCENARIOS, record_night, set_log_level=configure_logging)
    cli(args=None if arguments is None else list(arguments), prog_name="byte-sim")
