"""``byte-sim search``: a night for each of many seeds, until one breaks the bot; what failed, where, and the first seed of it.

How it works. Each seed is a night of its own (`plan.py`), so with ``--jobs`` other processes play some of them; outcomes are taken in the
order of the seeds. One seed in twenty is played twice (`second_runs.py`). What fails is grouped (`groups.py`): a line when a group is
first seen, everything about it at the end, with the command that plays its first seed again. Only then the first night of each group is
made small. A night whose process is lost, or does not end within the limit of real time, is a crash, and the search goes on (`workers.py`).
How far it is goes to standard error. Ctrl-C ends it with what was found so far, and so does a machine on which no other process can be
started in place of one that was lost.

The exit code says of what class the worst failure is, so that a script can tell a lost change from a slow recovery.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

import typer

from simulator.cli_options import Exit, NightLimit
from simulator.progress import Progress
from simulator.search.canary import Alarm, judge_canary
from simulator.search.groups import Groups
from simulator.search.outcome import Outcome, Verdict, judge_seed, judge_seed_traced, lost_seed
from simulator.search.second_runs import Judge, JudgeTraced, SecondRuns
from simulator.sometimes import Sometimes, what_happened
from simulator.workers import (
    NIGHT_LIMIT_S,
    OTHER_HASH_SEED,
    Elsewhere,
    MakeElsewhere,
    OtherProcess,
    SetLogLevel,
    WorkerLostError,
    WorkerStartError,
    outcomes,
)

EXITS: Final[Mapping[Verdict, Exit]] = {
    Verdict.OK: Exit.OK,
    Verdict.SAFETY: Exit.BROKEN,
    Verdict.NONDETERMINISM: Exit.DIFFERENT,
    Verdict.LIVENESS: Exit.LIVENESS,
    Verdict.CRASH: Exit.CRASHED,
}


@dataclass(frozen=True)
class Small:
    """What became of a failed night that was made small."""

    #: In lines for people.
    text: str
    #: True if Ctrl-C ended it: this is the smallest so far.
    interrupted: bool = False


#: Makes the night of an outcome small, and plays what it tries elsewhere.
Shrink = Callable[[Outcome, Elsewhere], Small]


def add_search(
    cli: typer.Typer,
    unix_s: Callable[[], float],
    *,
    set_log_level: SetLogLevel,
    judge: Judge = judge_seed,
    traced: JudgeTraced = judge_seed_traced,
    canary: Judge = judge_canary,
    elsewhere: MakeElsewhere = OtherProcess,
    shrink: Shrink | None = None,
) -> None:
    """Register the command.

    Args:
        unix_s: real time, in seconds, for the progress.
        set_log_level: sets up logging, here and in the other processes, for which all these functions must be importable.
        judge, traced: play the night of a seed; the latter keeps its events.
        canary: plays it with a bug in the bot.
        elsewhere: makes the processes in which some seeds are played again, and nights made small.
        shrink: makes the first night of each group small; None: nobody does.
    """

    @cli.command()
    def search(
        seeds: Annotated[int, typer.Option(min=1, help="How many nights.")] = 100,
        start: Annotated[
            int, typer.Option("--start", min=0, help="The first of their seeds; the others follow.")
        ] = 1,
        jobs: Annotated[int, typer.Option(min=1, max=256, help="How many processes share the work.")] = 1,
        night_limit_s: NightLimit = NIGHT_LIMIT_S,
        shrinking: Annotated[
            bool,
            typer.Option(
                "--shrink/--no-shrink", help="Make the first night of each group as small as it gets."
            ),
        ] = True,
        with_canary: Annotated[
            bool, typer.Option("--canary", help="Plant a bug in the bot, and see that it is found.")
        ] = False,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print one JSON object a night, and one for all of them.")
        ] = False,
    ) -> None:
        """Look for a night that breaks the bot: each seed draws one.

        Channels, audience, settings, disk, faults of the database, of chat over IRC, the process, disk and clock, and a human's edits, with
        their probabilities, and the order of what is ready at one instant; in some nights the bot's token ends. Not drawn: faults of EventSub and Helix.
        Every invariant judges; what fails is grouped by invariant and place, and `byte-sim replay SEED` plays it again.
        One night in twenty is played twice, in another process, and must be the same to the microsecond.
        A night that does not end within --night-limit, or whose process is killed, is a crash, and the search goes on.

        Exit code 0 if nothing failed; 1 if a promise was broken (safety), 3 if two runs of a seed differ or a night cannot be
        replayed, 4 if the bot did not recover (liveness), 5 if a night ended by an unexpected error (crash); of several the
        worst, in the order 3, 1, 5, 4. 2 if nothing failed, but no process could be started for all nights. 130 after Ctrl-C. With
        --canary: 0 if the planted bug was found, by the promise that it breaks and in a night that the bot without it passes; 1 if not.
        """
        # Also here, where the nights are played if there is no limit.
        set_log_level("critical")
        run = _Search(range(start, start + seeds), as_json=as_json)
        chosen = canary if with_canary else judge
        with ExitStack() as stack:
            found = stack.enter_context(
                outcomes(run.seeds, jobs, chosen, set_log_level, night_limit_s=night_limit_s, lost=lost_seed)
            )
            # Neither is started before it is asked.
            first = elsewhere(set_log_level, night_limit_s, None)
            second = elsewhere(set_log_level, night_limit_s, OTHER_HASH_SEED)
            stack.callback(first.close)
            stack.callback(second.close)
            alarm = Alarm(partial(_judged, first, judge)) if with_canary else None
            again = None if with_canary else SecondRuns(second, first, judge, traced)
            progress = Progress(seeds, "nights", "failed", unix_s)
            try:
                for outcome in found:
                    run.take(outcome)
                    if again is not None:
                        again.offer(outcome)
                        run.take_back(again)
                    progress.step(run.failed)
                    if alarm is not None and alarm.heard(outcome):
                        break
                if again is not None:
                    run.take_back(again, wait=True)
            except KeyboardInterrupt:
                run.interrupted = True
            except WorkerStartError as error:
                run.gave_up = str(error)
            progress.end()
            run.tell()
            if shrink is not None and shrinking and not (run.cut_short or with_canary or as_json):
                try:
                    run.shrink(shrink, second)
                except KeyboardInterrupt:
                    run.interrupted = True
        if run.interrupted:
            raise typer.Exit(Exit.INTERRUPTED)
        if run.gave_up:
            typer.echo(f"byte-sim: {run.gave_up}", err=True)
            # What was found says more than that there may be more; a bug that was planted is no finding.
            told = run.groups.worst is not Verdict.OK and alarm is None
            raise typer.Exit(EXITS[run.groups.worst] if told else Exit.NOT_TRIED)
        if alarm is not None:
            typer.echo(alarm.to_text(), err=as_json)
            raise typer.Exit(Exit.OK if alarm.works else Exit.BROKEN)
        raise typer.Exit(EXITS[run.groups.worst])


def _judged(elsewhere: Elsewhere, judge: Judge, seed: int) -> Outcome:
    """A seed's night, played there: it may hang like any other."""
    try:
        return elsewhere.ask(judge, seed).get()
    except WorkerLostError as error:
        return lost_seed(seed, error)


class _Search:
    """What was found so far."""

    def __init__(self, seeds: range, *, as_json: bool) -> None:
        self.seeds = seeds
        self._as_json = as_json
        self.groups = Groups()
        self.nights = self.failed = 0
        self.interrupted = False
        #: Why the rest could not be played; "" if it was.
        self.gave_up = ""
        self._lines = 0
        self._virtual_s = 0.0
        self._compared = 0
        self._seen: Counter[Sometimes] = Counter()

    @property
    def cut_short(self) -> bool:
        """True if not all was played."""
        return self.interrupted or bool(self.gave_up)

    def take(self, outcome: Outcome) -> None:
        """One more night."""
        self.nights += 1
        self._lines += outcome.lines
        self._virtual_s += outcome.virtual_s
        self._seen.update(outcome.seen)
        if self._as_json:
            typer.echo(json.dumps(outcome.to_json()))
        if not outcome.ok:
            self._fail(outcome)

    def take_back(self, again: SecondRuns, *, wait: bool = False) -> None:
        """What the second runs have shown."""
        for outcome in again.differing(wait=wait):
            self._fail(outcome)
        self._compared = again.compared

    def _fail(self, outcome: Outcome) -> None:
        self.failed += 1
        if self.groups.add(outcome) and not self._as_json and outcome.failure is not None:
            failure = outcome.failure
            typer.echo(
                f"seed {outcome.plan.seed}  {failure.verdict.upper()}  {failure.invariant}  {failure.place}"
            )
            sys.stdout.flush()

    def tell(self) -> None:
        """Everything that was found."""
        if self._as_json:
            typer.echo(json.dumps(self._to_json()))
            return
        for group in self.groups:
            typer.echo(f"\n{group.to_text()}")
        if self.groups:
            typer.echo("")
        typer.echo(what_happened(self._seen, Sometimes, "nights"))
        typer.echo(self._last_line())
        sys.stdout.flush()

    def shrink(self, shrink: Shrink, elsewhere: Elsewhere) -> None:
        """The first night of each group, made small: after all the rest is told, since it takes up to a minute each."""
        for group in self.groups:
            if group.first.lost:
                continue  # each try would take as long as a night may, or a process
            small = shrink(group.first, elsewhere)
            failure = group.failure
            typer.echo(f"\n{failure.verdict.upper()}  {failure.invariant}  {failure.place}\n{small.text}")
            sys.stdout.flush()
            if small.interrupted:
                raise KeyboardInterrupt

    def _last_line(self) -> str:
        by_class = ", ".join(
            f"{self.groups.nights(verdict)} {verdict}" for verdict in Verdict if self.groups.nights(verdict)
        )
        stopped = "interrupted after " if self.interrupted else "gave up after " if self.gave_up else ""
        last = self.seeds[0] + self.nights - 1
        seeds = f"seeds {self.seeds[0]} to {last}, " if self.nights else ""
        return (
            f"{stopped}{self.nights} night{'' if self.nights == 1 else 's'}, {seeds}{self._lines} replies in "
            f"{self._virtual_s:.0f} virtual s, {self._compared} played twice: {by_class or 'nothing'} failed"
        )

    def _to_json(self) -> dict[str, Any]:
        return {
            "nights": self.nights,
            "first_seed": self.seeds[0],
            "interrupted": self.interrupted,
            "gave_up": self.gave_up,
            "lines": self._lines,
            "virtual_s": round(self._virtual_s, 6),
            "played_twice": self._compared,
            "verdict": self.groups.worst,
            "failed": {
                verdict: self.groups.nights(verdict) for verdict in Verdict if verdict is not Verdict.OK
            },
            "groups": [group.to_json() for group in self.groups],
            "seen": {one: self._seen[one] for one in Sometimes},
            "never": [one for one in Sometimes if not self._seen[one]],
        }
