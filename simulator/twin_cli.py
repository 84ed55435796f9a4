"""``byte-sim twin``: the same night with a broken and with a perfect database, for one seed or for many.

How it works. Each seed is a pair of its own (`twin.py`), so with ``--jobs`` other processes compare some of them; their
outcomes are taken in the order of the seeds and do not depend on how many processes there are. What differs is printed at
once, in full for the first few; how far it is goes to standard error. A pair that ends by an unexpected error is one of the bad
ones, and the others go on; so does one that does not end within the limit of real time, or whose process is lost; if no process can be started any more, what was compared until then is told. The end says in how many nights
under faults what has happened, and what never has.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import typer

from simulator.cli_options import Exit, NightLimit, TransportKind
from simulator.progress import Progress
from simulator.sometimes import TWINS, Sometimes, what_happened
from simulator.twin import Outcome, Undrawn, run_seed
from simulator.workers import NIGHT_LIMIT_S, WorkerLostError, WorkerStartError, outcomes

#: So many bad pairs are shown in full; of the others the command that shows them.
SHOWN_MAX: Final = 5
#: Characters in a line where there is no terminal whose width could be asked.
FILE_COLUMNS: Final = 160

#: Judges the pair of a seed; takes ``transport=`` as `run_seed` does, if it is asked for another than IRC.
Compare = Callable[..., Outcome]


def add_twin(
    cli: typer.Typer,
    unix_s: Callable[[], float],
    *,
    set_log_level: Callable[[str], None],
    compare: Compare = run_seed,
) -> None:
    """Register the command.

    Args:
        unix_s: real time, in seconds, for the progress.
        set_log_level: sets up logging, here and in the other processes, for which both functions must be importable.
        compare: judges the pair of a seed.
    """

    @cli.command()
    def twin(
        seed: Annotated[int, typer.Option("--seed", help="Decides everything about the pair of nights.")] = 1,
        seeds: Annotated[
            int, typer.Option(min=1, help="How many pairs: this seed and those that follow it.")
        ] = 1,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print one JSON object a pair for a program to read.")
        ] = False,
        transport: Annotated[
            TransportKind, typer.Option(help="How the bot chats: over IRC, or over EventSub with TwitchIO.")
        ] = TransportKind.IRC,
        jobs: Annotated[int, typer.Option(min=1, max=256, help="How many processes share the work.")] = 1,
        night_limit_s: NightLimit = NIGHT_LIMIT_S,
    ) -> None:
        """Play a night twice, its database broken and perfect, and compare.

        A seed draws channels, audience, disk and faults of the database. Compared is every line the bot said: its text, its place and its virtual
        microsecond. The first difference is shown side by side, with the faults of that moment. Exit code 0 if there is
        none, 1 if there is one, another promise was broken or a night ended by an unexpected error, 2 if a pair could not be played.
        A pair that does not end within --night-limit, or whose process is killed, is an unexpected error, and the others go on.
        """
        progress = Progress(seeds, "pairs", "bad", unix_s)
        bad = crashed = untried = lines = pairs = 0
        gave_up = ""
        seen: Counter[Sometimes] = Counter()
        judge = compare if transport is TransportKind.IRC else partial(compare, transport=transport.value)

        def lost(at: int, error: WorkerLostError) -> Outcome:
            return Outcome(Undrawn(at), crashed=str(error), transport=transport.value)

        try:
            with outcomes(
                range(seed, seed + seeds), jobs, judge, set_log_level, night_limit_s=night_limit_s, lost=lost
            ) as compared:
                for outcome in compared:
                    pairs += 1
                    untried += bool(outcome.not_tried)
                    bad += not outcome.ok and not outcome.not_tried
                    crashed += bool(outcome.crashed)
                    seen.update(outcome.seen)
                    lines += outcome.lines
                    _show(outcome, bad + untried, alone=seeds == 1, as_json=as_json)
                    progress.step(bad)
        except WorkerStartError as error:
            gave_up = str(error)
            untried += seeds - pairs
        progress.end()
        if seeds > 1 and not as_json:
            ended = f" ({crashed} by an unexpected error)" if crashed else ""
            last = f", {untried} not tried" if untried else ""
            typer.echo(what_happened(seen, TWINS, "nights under faults"))
            typer.echo(
                f"{seeds} pairs, seeds {seed} to {seed + seeds - 1}, {lines} lines compared: {bad} bad{ended}{last}"
            )
        if gave_up:
            typer.echo(f"byte-sim: {gave_up}", err=True)
        raise typer.Exit(Exit.BROKEN if bad else Exit.NOT_TRIED if untried else Exit.OK)


def _show(outcome: Outcome, bad: int, *, alone: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(outcome.to_json()))
    elif alone or (not outcome.ok and bad <= SHOWN_MAX):
        typer.echo(outcome.to_text(shutil.get_terminal_size((FILE_COLUMNS, 1)).columns))
    elif not outcome.ok:
        typer.echo(f"seed {outcome.plan.seed}  bad too: {outcome.replay}")
