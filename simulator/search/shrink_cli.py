"""``byte-sim shrink``: a failing night made small, printed as Python that runs, written as files.

How it works. The night is that of a seed of the search, or of a scenario file; it is judged as the search judges, in another process and with
its limit for a night (`judged_elsewhere.py`), made small by `shrink.py`, and written down by `scenario_python.py` and `scenario_file.py`.
What goes to standard output can be put into a file and run; all words about it go to standard error.
`shrunk_text` is the same for whoever has found the failure already: the search, for the first seed of each group.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from simulator.cli_options import Exit, NightLimit
from simulator.errors import SimulatorError
from simulator.scenario_file import NightFile, night_toml
from simulator.scenario_python import night_python
from simulator.search.judged_elsewhere import JudgedElsewhere
from simulator.search.outcome import Outcome, judge
from simulator.search.plan_file import night_file, plan_of
from simulator.search.search_cli import EXITS, Small
from simulator.search.shrink import BUDGET_S, Judge, NothingToShrinkError, Shrunk, shrink
from simulator.workers import (
    NIGHT_LIMIT_S,
    OTHER_HASH_SEED,
    Elsewhere,
    MakeElsewhere,
    OtherProcess,
    SetLogLevel,
)

_INDENT: Final = "    "


def add_shrink(
    cli: typer.Typer,
    find_night: Callable[[str], NightFile],
    fail: Callable[[str], NoReturn],
    unix_s: Callable[[], float],
    *,
    set_log_level: SetLogLevel,
    judge_night: Judge = judge,
    elsewhere: MakeElsewhere = OtherProcess,
) -> None:
    """Register the command.

    Args:
        find_night: gives the night of a seed, a name or a file, or ends the program.
        fail: prints why nothing could be done, and ends the program.
        unix_s: real time, in seconds.
        set_log_level: sets up logging where nights are played; must be importable, as `judge_night`.
        judge_night: plays a night and judges it.
        elsewhere: makes the process in which nights are played.
    """

    @cli.command("shrink")
    def shrink_(
        night: Annotated[
            str,
            typer.Argument(
                help="A seed of `byte-sim search`, a file, or a name from `byte-sim list`.",
                metavar="SEED-OR-FILE",
            ),
        ],
        out: Annotated[
            Path | None, typer.Option(metavar="FILE.toml", help="Write it for `byte-sim run FILE.toml`.")
        ] = None,
        python: Annotated[
            Path | None, typer.Option(metavar="FILE.py", help="Write the Python into a file.")
        ] = None,
        seconds: Annotated[
            float, typer.Option(min=1, help="How long to go on looking for a smaller one.")
        ] = BUDGET_S,
        invariant: Annotated[
            str,
            typer.Option(
                metavar="NAME",
                help="Which of the promises that it breaks goes on being broken.",
                show_default="the first",
            ),
        ] = "",
        night_limit_s: NightLimit = NIGHT_LIMIT_S,
    ) -> None:
        """Make a night that fails as small as it goes.

        Fewest channels, messages and faults, shortest time, and it still breaks the same invariant (the first that it broke, or --invariant). Printed as Python that runs; --out and --python write files instead.

        \b
          byte-sim shrink 4711 --out small.toml
          byte-sim run small.toml

        Exit code 0 if the night keeps every promise: there is nothing to shrink. Otherwise that of the failure, as `search` has it: 1
        safety, 3 nondeterminism, 4 liveness, 5 crash; 2 if nothing could be tried. Ctrl-C ends it with the smallest so far, and 130.
        """
        found = find_night(night)
        if found.transport != "irc":
            fail(f"{night} chats over {found.transport}; only nights over irc can be shrunk")
        interrupted, outcome = False, None
        try:
            with closing(elsewhere(set_log_level, night_limit_s, OTHER_HASH_SEED)) as process:
                judged = JudgedElsewhere(process, judge_night)
                outcome = judged(plan_of(found))
                shrunk = shrink(
                    outcome, judged, unix_s=unix_s, budget_s=seconds, say=_say, invariant=invariant
                )
            interrupted = shrunk.interrupted
            typer.echo(shrunk.summary(), err=True)
            small = night_of(shrunk)
            if out is not None:
                _write(out, night_toml(small))
                typer.echo(f"again: byte-sim run {out}", err=True)
            if python is not None:
                _write(python, python_of(shrunk))
                typer.echo(f"again: python {python}", err=True)
            if out is None and python is None:
                typer.echo(python_of(shrunk), nl=False)
        except NothingToShrinkError as error:
            if outcome is not None and outcome.failure is not None:
                fail(f"{night}: {error}")
            typer.echo(f"{night}: {error}")
            raise typer.Exit(Exit.OK) from None
        except SimulatorError as error:
            fail(f"{night}: {error}")
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None
        raise typer.Exit(Exit.INTERRUPTED if interrupted else EXITS[shrunk.failure.verdict])


def night_of(shrunk: Shrunk) -> NightFile:
    """The small night, called by what it shows."""
    plan, failure = shrunk.plan, shrunk.failure
    summary = f"seed {plan.seed} made small: breaks {failure.invariant} ({failure.verdict})"
    # Another name: by that of the whole night, a seed or a scenario's, `byte-sim` finds the whole night.
    small = replace(plan.scenario, name=f"{plan.scenario.name}_small", summary=summary)
    return night_file(replace(plan, scenario=small))


def python_of(shrunk: Shrunk, *, application: str = "") -> str:
    """The small night as a script."""
    return night_python(night_of(shrunk), comment=shrunk.summary(), application=application)


def shrunk_text(
    outcome: Outcome,
    elsewhere: Elsewhere,
    *,
    unix_s: Callable[[], float],
    judge_night: Judge = judge,
    say: Callable[[str], None] | None = None,
) -> Small:
    """What came out of shrinking a failure that a search has found, tried elsewhere; never raises for what a night can be."""
    try:
        shrunk = shrink(outcome, JudgedElsewhere(elsewhere, judge_night), unix_s=unix_s, say=say or _say)
        script = python_of(shrunk)
    except SimulatorError as error:
        return Small(f"not made smaller: {error}")
    code = "".join(f"{_INDENT}{line}".rstrip() + "\n" for line in script.splitlines())
    again = f"byte-sim shrink {outcome.plan.seed} --out small.toml    (then: byte-sim run small.toml)"
    return Small(f"{shrunk.summary()}\n{code}{again}", shrunk.interrupted)


def _say(words: str) -> None:
    typer.echo(words, err=True)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SimulatorError(f"cannot write {str(file)!r}: {error.strerror or error}") from None
