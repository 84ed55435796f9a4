"""The command ``byte-sim bench``: somebody else's bot measured against the fakes, with report, JSON and picture.

What is wrong on purpose (`SimulatorError`) is printed on standard error in plain words. Exit codes: 0 measured, 1 the bot did
not answer, ended by itself under load, or broke `--p99-max-ms`, 2 it could not be measured, 130 Ctrl-C. Progress goes to
standard error: one line that changes on a terminal, a line now and then elsewhere.

The wall clock and the folder of Byte Bot's tables are given by `simulator.cli`, which alone knows the bot.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
import typer
from rich.console import Console

from simulator.bench.load import run_precisely
from simulator.bench.plot import check_drawable, draw
from simulator.bench.report import Finding, figure, rows_json, show, status
from simulator.bench.result_file import check_writable
from simulator.bench.results import HEALTHY, Row
from simulator.bench.target import NoAnswer, Outcome, Progress, TargetBench, TargetOptions
from simulator.bench.target_options import (
    PLACEHOLDERS,
    BadTarget,
    command_to_send,
    expectation_of,
    outage_names,
    outage_of,
    split_command,
)
from simulator.cli_options import Exit
from simulator.errors import SimulatorError
from simulator.termination import cancelled_by_sigterm

PROGRESS_LINES: Final = 6  # without a terminal: every 5 s of 30
WARM_MAX_S: Final = 10.0  # for the first answer, once it is there
RATE_MAX: Final = 2_000.0  # what the fakes' side of one core keeps up with
# With fewer, a percentile is the largest of all, which has a column of its own.
P99_SAMPLES_MIN: Final = 100
P999_SAMPLES_MIN: Final = 1_000
VARIABLE: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.DOTALL)
# Starts a program written in the file that follows, so that file is the bot's name.
INTERPRETERS: Final = re.compile(
    r"(python|pypy|node|deno|bun|ruby|php|perl|java|sh|bash|uv|poetry|npm|npx)[\d.]*"
)

# Written out, since a docstring cannot be computed; a test compares it with the table.
HELP: Final = """Measure your own Twitch bot: how fast it answers, and what a broken database does to that.

Starts a fake Twitch chat, a fake Supabase project and your bot, gives commands by the clock, breaks the database in the middle third of the time, and
prints the latencies of each third. The bot may be written in any language; it has to speak to the fake chat: IRC, without TLS.

\b
  byte-sim bench --target "python my_bot.py" --send '!ping' --expect pong
  byte-sim bench --target "node bot.js {irc_host} {irc_port}" \\
      --env DB={supabase_url} --outage 503 --plot latency.png

\b
In --target and in the values of --env these are replaced:
%s

The bot also finds them in TWITCH_LOGIN, TWITCH_TOKEN, TWITCH_CHANNEL_LOGINS, TWITCH_IRC_HOST, TWITCH_IRC_PORT, TWITCH_IRC_TLS=false, SUPABASE_URL and SUPABASE_KEY;
the rest of its environment is yours. It is a verified bot and moderator, the fake chat does not limit it, and a moderator gives the commands: switch
cooldowns off, or measure them.

\b
Outages, besides none and a fault as JSON:
%s

What your bot stores is not looked at, since only it knows which of its replies promise that something is stored, and where: the columns lost and
stale have a -.

Exit code 0: measured; 1: the bot did not answer, ended under load or broke --p99-max-ms; 2: it could not be measured.
"""


def add_bench(cli: typer.Typer, unix_time: Callable[[], float]) -> None:
    """Register the command; `unix_time` gives the seconds since 1970."""

    @cli.command(
        help=help_text(), short_help="Measure your own bot: its latencies, and what an outage does to them."
    )
    def bench(
        target: Annotated[
            str, typer.Option(metavar="COMMAND", help="Starts your bot; no shell is involved.")
        ],
        send: Annotated[str, typer.Option(help="The command given in chat; {n} is its number.")] = "!ping",
        expect: Annotated[
            str,
            typer.Option(help="In the reply, in any case; {n} is the number; /…/ is a regular expression."),
        ] = "pong",
        channels: Annotated[int, typer.Option(min=1, max=100, help="In how many channels.")] = 1,
        rate: Annotated[
            float, typer.Option(min=0.1, max=RATE_MAX, help="Commands a second, all channels together.")
        ] = 20.0,
        seconds: Annotated[float, typer.Option(min=1, max=86_400, help="How long the load lasts.")] = 30.0,
        outage: Annotated[
            str, typer.Option(help="What happens to the database in the middle third.")
        ] = "hang",
        env: Annotated[
            list[str] | None,
            typer.Option(metavar="NAME=VALUE", help="A variable for the bot; may be repeated."),
        ] = None,
        schema: Annotated[
            Path | None,
            typer.Option(
                help="Folder with the *.sql files of your tables.",
                exists=True,
                file_okay=False,
                show_default="Byte Bot's",
            ),
        ] = None,
        no_database: Annotated[
            bool, typer.Option("--no-database", help="Your bot has none: no fake Supabase, no outage.")
        ] = False,
        patience: Annotated[
            float, typer.Option(min=0.1, max=300, help="Seconds after which a reply counts as none.")
        ] = 5.0,
        wait: Annotated[
            float, typer.Option(min=0.1, max=600, help="Seconds your bot may take to be in its channels.")
        ] = 30.0,
        p99_max_ms: Annotated[
            float | None,
            typer.Option("--p99-max-ms", min=0, help="Exit code 1 if a third's p99 is above this."),
        ] = None,
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Also write the rows as JSON.")
        ] = None,
        plot_file: Annotated[
            Path | None, typer.Option("--plot", metavar="FILE.png", help="Also draw latency over time.")
        ] = None,
    ) -> None:
        try:
            command = split_command(target)
            options = TargetOptions(
                name=name_of(command),
                command=command,
                send=command_to_send(send),
                expectation=expectation_of(expect),
                unix_start_s=unix_time(),
                variables=variables_of(env or ()),
                inherited=dict(os.environ),
                channels=channels,
                rate=rate,
                seconds=seconds,
                outage=None if no_database else outage_of(outage),
                uses_database=not no_database,
                schema_dir=schema,
                patience_s=patience,
                wait_s=wait,
                warm_s=min(wait, WARM_MAX_S),
                directory=Path.cwd(),
            )
            _check_files(json_file, plot_file)
            outcome = _run(options)
            found = [*outcome.findings, *threshold(outcome.rows, p99_max_ms)]
            _present(outcome, found)
            if json_file is not None:
                _write(json_file, outcome.rows)
            if plot_file is not None:
                draw(
                    [outcome.timeline],
                    plot_file,
                    title=f"{options.name}: reply latency, {channels} channel{'s' * (channels != 1)}, {rate:g}/s",
                    outage_words=f"database: {options.outage.name}" if options.outage else "",
                )
        except NoAnswer as error:
            _fail(str(error), Exit.BROKEN)
        except SimulatorError as error:
            _fail(str(error), Exit.NOT_TRIED)
        raise typer.Exit(status(found, ("answers", "alive", "p99")))


def help_text() -> str:
    """The help page, with the placeholders and the outages there are."""
    width = max(map(len, PLACEHOLDERS)) + 2
    placeholders = (f"  {'{' + name + '}':<{width}}  {words}" for name, words in PLACEHOLDERS.items())
    return HELP % ("\n".join(placeholders), "\n".join(_filled_lines(outage_names())))


def _filled_lines(names: Sequence[str], width: int = 76) -> list[str]:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > width:
            lines.append("")
        lines[-1] += ("  " if not lines[-1] else ", ") + name
    return [line + "," for line in lines[:-1]] + lines[-1:]


def name_of(command: Sequence[str]) -> str:
    """What the bot is called in tables: its file, not the interpreter in front of it."""
    words = [Path(word).name for word in command if not word.startswith("-")]
    named = [word for word in words if word and not INTERPRETERS.fullmatch(word)]
    return (named or words or list(command))[0]


def variables_of(pairs: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE each; raises `BadTarget` for anything else."""
    found: dict[str, str] = {}
    for pair in pairs:
        match = VARIABLE.fullmatch(pair)
        if match is None:
            raise BadTarget(f"--env {pair!r} is not NAME=VALUE, such as --env DB_URL={{supabase_url}}")
        found[match["name"]] = match["value"]
    return found


def threshold(rows: Sequence[Row], p99_max_ms: float | None) -> list[Finding]:
    """Whether each phase stayed below the limit that was asked for; nothing if none was."""
    if p99_max_ms is None:
        return []
    words = "{}: {} {} ms, at most {} asked for (--p99-max-ms)".format
    return [
        Finding(
            "p99",
            row.p99_ms <= p99_max_ms,
            words(
                row.condition,
                "p99"
                if row.samples >= P99_SAMPLES_MIN
                else f"too few for a p99 ({row.samples}), the slowest took",
                figure(row.p99_ms),
                figure(p99_max_ms),
            ),
        )
        for row in rows
    ]


def told(rows: Sequence[Row]) -> list[Row]:
    """The rows as they are shown: a percentile of too few samples is no figure ("-"), nor is what was made of it.

    The JSON keeps them, beside the number of samples.
    """
    few_when_healthy = any(row.condition == HEALTHY and row.samples < P99_SAMPLES_MIN for row in rows)
    shown = []
    for row in rows:
        few = row.samples < P99_SAMPLES_MIN
        shown.append(
            msgspec.structs.replace(
                row,
                p99_ms=math.nan if few else row.p99_ms,
                p999_ms=math.nan if row.samples < P999_SAMPLES_MIN else row.p999_ms,
                p99_over_healthy=None if few or few_when_healthy else row.p99_over_healthy,
                p99_over_floor_ms=None if few else row.p99_over_floor_ms,
            )
        )
    return shown


def _run(options: TargetOptions) -> Outcome:
    async def measure() -> Outcome:
        async with TargetBench(options, _progress(options)) as bench:
            return await bench.run()

    try:
        return run_precisely(cancelled_by_sigterm(measure()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(Exit.INTERRUPTED) from None
    finally:
        if sys.stderr.isatty():
            typer.echo("\r\x1b[K", nl=False, err=True)


def _progress(options: TargetOptions) -> Callable[[Progress], None]:
    every_s = options.seconds / PROGRESS_LINES
    shown: list[tuple[int, str]] = []

    def show_progress(progress: Progress) -> None:
        left_s = max(0.0, options.seconds - progress.at_s)
        line = (
            f"{progress.phase}: {progress.at_s:.0f} of {options.seconds:g} s, {progress.sent:,} said, "
            f"{progress.answered:,} answered, {left_s:.0f} s left"
            if progress.sent
            else f"waiting for the bot, at most {options.wait_s:g} s"
        )
        if sys.stderr.isatty():
            typer.echo(f"\r\x1b[K{line}", nl=False, err=True)
        elif (step := (min(PROGRESS_LINES, int(progress.at_s / every_s)), progress.phase)) not in shown:
            shown.append(step)
            typer.echo(line, err=True)

    return show_progress


def _present(outcome: Outcome, found: Sequence[Finding]) -> None:
    console = Console()
    show(console, told(outcome.rows), found)
    for remark in outcome.remarks:
        console.print(f"note: {remark}", markup=False, highlight=False, soft_wrap=True)


def _check_files(*files: Path | None) -> None:
    """Before anything is measured: the files can be written, and the picture drawn."""
    check_writable(*files)
    if files[-1] is not None:
        check_drawable()


def _write(file: Path, rows: Sequence[Row]) -> None:
    try:
        file.write_text(json.dumps(rows_json(rows), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadTarget(f"cannot write {str(file)!r}: {error.strerror or error}") from error


def _fail(words: str, code: Exit) -> NoReturn:
    typer.echo(f"byte-sim: {words}", err=True)
    raise typer.Exit(code)
