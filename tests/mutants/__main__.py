"""`make mutants`: plants each bug of the list into the bot and looks at which seed the search notices it.

    python -m tests.mutants --only late_load_wins,gate_does_not_wait --seeds 2000 --jobs 2 --json mutants.json

Each mutant is hunted from `--start` on, at most `--seeds` nights long; `--jobs` of them at a time, each in a process of its own. Last
comes the canary, the shipped bot in every night in which anything was found: it must not be. How far it is goes to standard error;
then comes the table, what is wrong, and as the last line `N passed, N failed`. `--record` writes the seeds down for `make test`.
Exit code 0 if every mutant was found and the canary was not, 1 if not, 2 for a name that there is not, 130 after Ctrl-C (the table
then shows what there is).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from byte_bot.logs import configure_logging
from tests.mutants.catalogue import MUTANTS
from tests.mutants.hunt import CANARY, Hunted, hunt, hunter
from tests.mutants.report import as_json, failure, last_line, record, table

SEEDS_DEFAULT = 2_000
JOBS_DEFAULT = 2
INTERRUPTED = 130


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--only", type=_names, default=tuple(MUTANTS), metavar="A,B", help="these mutants")
    parser.add_argument("--start", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument(
        "--seeds", type=_positive, default=SEEDS_DEFAULT, help="at most so many (default 2000)"
    )
    parser.add_argument("--jobs", type=_positive, default=JOBS_DEFAULT, help="how many at a time (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every hunt as JSON")
    parser.add_argument("--record", action="store_true", help="write the first seeds down for `make test`")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    unknown = [name for name in names if name not in MUTANTS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"there is no mutant {', '.join(unknown) or 'without a name'}; there are: {', '.join(MUTANTS)}"
        )
    return names


def hunt_all(
    names: Sequence[str], seeds: range, jobs: int, set_log_level: Callable[[str], None]
) -> Iterator[Hunted]:
    """The hunts as they end, then the canary's in all the nights in which something was found."""
    nights: dict[int, None] = {}
    for one in _hunts(names, seeds, jobs, set_log_level):
        nights |= dict.fromkeys(one.false_alarms if one.seed is None else (*one.false_alarms, one.seed))
        yield one
    yield hunt(CANARY, sorted(nights) or seeds[:1])


def _hunts(
    names: Sequence[str], seeds: range, jobs: int, set_log_level: Callable[[str], None]
) -> Iterable[Hunted]:
    jobs = min(jobs, len(names))
    set_log_level("critical")
    if jobs == 1:
        yield from map(hunter(seeds), names)
        return
    # Spawned and not forked: a process that starts anew is the same on every platform.
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(jobs, initializer=set_log_level, initargs=("critical",)) as pool:
        yield from pool.imap_unordered(hunter(seeds), names)


def main(
    arguments: Sequence[str] | None = None, set_log_level: Callable[[str], None] = configure_logging
) -> int:
    """Hunt; the exit code. `set_log_level` sets up logging, here and in the other processes, where it must be importable."""
    given = options(arguments)
    hunted: list[Hunted] = []
    interrupted = False
    began_s = time.monotonic()
    try:
        seeds = range(given.start, given.start + given.seeds)
        for one in hunt_all(given.only, seeds, given.jobs, set_log_level):
            hunted.append(one)
            if given.record:
                record([one])  # at once: what is broken off is not lost
            state = f"seed {one.seed}" if one.seed is not None else f"not found in {one.tries} nights"
            elapsed_s = time.monotonic() - began_s
            sys.stderr.write(
                f"{elapsed_s:6.0f} s  {len(hunted)} of {len(given.only) + 1}  {one.name}: {state}\n"
            )
            sys.stderr.flush()
    except KeyboardInterrupt:
        interrupted = True
    order = [*given.only, CANARY]
    hunted.sort(key=lambda one: order.index(one.name))
    if hunted:
        _say(table(hunted))
    for one in hunted:
        if not one.passed:
            _say(failure(one))
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(hunted), indent=1) + "\n", encoding="utf-8")
    _say(last_line(hunted))
    if interrupted:
        return INTERRUPTED
    return 0 if hunted and all(one.passed for one in hunted) else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
