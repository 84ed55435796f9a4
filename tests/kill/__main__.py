"""`make kill`: kills the real bot again and again, and looks whether anything that viewers were told is lost.

    python -m tests.kill --kills 200 --seed 1 --jobs 2 --json kills.json

Kill number i has the seed of `--seed` plus i; `--kills 1 --seed N` repeats one of them. `--jobs` kills are under way at a time,
each with fakes, folder and processes of its own; most of their time is waiting. How far it is goes to standard error; what failed
is printed at once; then comes the table by condition, and as the last line `N passed, N failed`. Exit code 0 if all passed, 1 if
one failed, 130 after Ctrl-C (the table then shows what there is).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from simulator.termination import cancelled_by_sigterm
from tests.kill.killing import Killing, Outcome
from tests.kill.plan import planned
from tests.kill.report import as_json, failure, last_line, table

JOBS_DEFAULT = 2
BAR_CHARS = 30
PROGRESS_LINE_S = 15.0
INTERRUPTED = 130


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kill", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--kills", type=_positive, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others follow (default 1)")
    parser.add_argument("--jobs", type=_positive, default=JOBS_DEFAULT, help="how many at a time (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every kill as JSON")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


class Progress:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._terminal = sys.stderr.isatty()
        self._began_s = self._shown_s = time.monotonic()

    def show(self, outcomes: Sequence[Outcome]) -> None:
        """Show how far it is."""
        now_s, done = time.monotonic(), len(outcomes)
        if not self._terminal and now_s - self._shown_s < PROGRESS_LINE_S:
            return
        self._shown_s = now_s
        failed = sum(not outcome.passed for outcome in outcomes)
        left_s = (now_s - self._began_s) / max(done, 1) * (self._total - done)
        words = f"{done} of {self._total}, {failed} failed, {left_s:.0f} s left"
        if self._terminal:
            full = BAR_CHARS * done // self._total
            bar = "█" * full + "░" * (BAR_CHARS - full)
            sys.stderr.write(f"\r\x1b[K{bar} {words}")
        else:
            sys.stderr.write(f"{words}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Make room for a line."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


async def kill_all(seeds: Sequence[int], jobs: int, outcomes: list[Outcome]) -> None:
    """Carry out the kills; each outcome is appended as it comes."""
    progress = Progress(len(seeds))
    waiting: Iterator[int] = iter(seeds)

    async def work() -> None:
        for seed in waiting:
            outcome = await Killing(planned(seed)).run()
            outcomes.append(outcome)
            if not outcome.passed:
                progress.clear()
                _say(failure(outcome))
            progress.show(outcomes)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(jobs, len(seeds))):
            tasks.create_task(work())
    progress.clear()


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill; the exit code."""
    given = options(arguments)
    outcomes: list[Outcome] = []
    seeds = range(given.seed, given.seed + given.kills)
    interrupted = False
    try:
        asyncio.run(cancelled_by_sigterm(kill_all(seeds, given.jobs, outcomes)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    if outcomes:
        outcomes.sort(key=lambda outcome: outcome.seed)
        _say(table(outcomes))
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(outcomes), indent=1) + "\n", encoding="utf-8")
    _say(last_line(outcomes))
    if interrupted:
        return INTERRUPTED
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
