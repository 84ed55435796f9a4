"""How long a reply takes while the database is slow, broken or gone: promise P2, on real sockets.

    python -m benchmarks chat_latency --quick
    python -m benchmarks chat_latency --json latency.json --plot latency.png

The bot as shipped (`byte-bot run`) runs in a process of its own; the fake Twitch, the load and the clock in another, a lane
(`lane.py`); the fake Supabase in a third. Loads of a low rate are measured in several lanes at a time, in step (`chat_plan.py`).
The load is an open loop: latency counts from the moment a message was *due* until the fake Twitch has accepted the reply. On a virtual
machine a measurement during which the host gave the processors to others is made again, by that and not by its result. `chat_plan.py` says what is measured in which order, `strategies.py` who is compared, `simulator/bench/`
how it is measured, and README.md how to read it.

The result is written to `--json` after every batch, so a run that is broken off has lost nothing. Exit code: 0 P2 is kept in
every condition measured, 1 it is broken, 2 it was not judged (fewer rounds than it asks for, nothing to compare with, a bot that
could not be run), 130 Ctrl-C. A full run answers for the soak's memory, too, and whatever else was found broken is a 1.

Left out: TLS, Twitch's own delay and its rate limits (the loads are far beyond them), other machines.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import functools
import json
import platform
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.chat_plan import (
    BYTE_BOT,
    HANG,
    LANES_MAX,
    ROUNDS_MIN,
    SOAK,
    STRATEGIES,
    Batch,
    Choices,
    Job,
    batches,
    chosen_loads,
    chosen_strategies,
    quick,
    total_seconds,
)
from benchmarks.lane import Lane
from benchmarks.strategies import POWER
from simulator.bench import plot, report
from simulator.bench.child import BenchError
from simulator.bench.plan import CONDITIONS, UnknownChoice, chosen_conditions
from simulator.bench.probe import Cores
from simulator.bench.results import Round, Row, Timeline, rows_of

RSS_GROWTH_MAX_MB = 10.0  # of Byte Bot, in the soak
INTERRUPTED = 130
# Part of the processors' time that the host may give to others during a measurement, and how often it is made again beyond that.
# Chosen: one part in 50 is a slice of a core for a hundredth of the messages, which is what a 99th percentile shows.
STOLEN_MAX, REPEATS_MAX = 0.02, 2
POWER_FLOOR_SLACK_MS = 5.0  # DESIGN's P2 for durability `power`


class Run:
    """One run of the benchmark: batches of jobs, what they measured, and progress on standard error."""

    def __init__(self, choices: Choices, cores: Cores, json_file: Path | None) -> None:
        self._choices = choices
        self._cores = cores
        self._json_file = json_file
        self._planned: Sequence[Batch] = batches(choices)
        self._started_at = time.monotonic()
        self.rounds: list[Round] = []
        self.timelines: list[Timeline] = []
        self.failures: list[str] = []
        #: Measurements that were made again, since the machine was not ours.
        self.repeated = 0

    @property
    def rows(self) -> list[Row]:
        """What has been measured so far."""
        strategies = {name: number for number, name in enumerate(STRATEGIES)}
        conditions = {condition.name: number for number, condition in enumerate(CONDITIONS)}
        # Not in the order of measuring, which is shuffled.
        return sorted(
            rows_of(self.rounds),
            key=lambda row: (row.channels, row.rate, strategies[row.strategy], conditions[row.condition]),
        )

    def plan(self, planned: Sequence[Batch]) -> None:
        """Measure these batches instead of all that the choices ask for."""
        self._planned = planned

    @property
    def lanes(self) -> dict[str, int]:
        """How many bots ran side by side at most, for each load."""
        found: dict[str, int] = {}
        for batch in self._planned:
            name = batch[0][0].loads[-1].words
            found[name] = max(found.get(name, 1), len(batch))
        return found

    async def measure(self) -> None:
        """Carry out every batch; a bot that cannot be run costs its job, which is reported."""
        self._cores.keep_rest()
        _progress(f"{len(self._planned)} batches, about {_minutes(total_seconds(self._planned))}")
        async with contextlib.AsyncExitStack() as resources:
            lanes = [
                await resources.enter_async_context(Lane(self._cores, seed=self._choices.seed))
                for _ in range(max((len(batch) for batch in self._planned), default=0))
            ]
            for number, batch in enumerate(self._planned):
                before = len(self.rounds)
                await self._carry_out(batch, lanes)
                self._write_json()
                self._tell(number, self.rounds[before:])

    async def _carry_out(self, batch: Batch, lanes: Sequence[Lane]) -> None:
        """Let every lane do its jobs, a condition at a time, so that all of them measure at the same time."""
        in_step = InStep(len(batch))
        async with asyncio.TaskGroup() as tasks:
            for place, (lane, jobs) in enumerate(zip(lanes, batch, strict=False)):
                tasks.create_task(self._do_jobs(lane, jobs, place / len(batch), in_step))

    async def _do_jobs(self, lane: Lane, jobs: Sequence[Job], phase: float, in_step: InStep) -> None:
        try:
            for job in jobs:
                try:
                    await lane.start(job, phase)
                    for step, condition in enumerate(job.conditions):
                        await in_step.wait()
                        _progress(f"{job.words}, {condition.name} ...", passing=True)
                        self._keep(await self._undisturbed(job, functools.partial(lane.measure, step)))
                    await lane.end()
                except BenchError as error:
                    self.failures.append(f"{job.words}: {error}")
                    _progress(f"not measured: {self.failures[-1]}")
        finally:
            in_step.leave()

    async def _undisturbed(
        self, job: Job, measure: Callable[[], Coroutine[Any, Any, Round | Timeline]]
    ) -> Round | Timeline:
        """A measurement during which the machine was ours; after `REPEATS_MAX` tries the least disturbed one.

        The soak is measured once: it judges no latency, and the bot that it is about is killed at its end.
        """
        measured = await measure()
        for _ in range(0 if job.part == "soak" else REPEATS_MAX):
            if isinstance(measured, Timeline) or not measured.samples or measured.stolen <= STOLEN_MAX:
                break
            self.repeated += 1
            again = await measure()
            assert isinstance(again, Round)
            # Its latencies are dropped; what it lost or cost is not noise, and stays.
            measured, other = sorted((measured, again), key=lambda one: one.stolen)
            other.samples, other.repeated = [], True
            self.rounds.append(other)
        return measured

    def _keep(self, measured: Round | Timeline) -> None:
        if isinstance(measured, Timeline):
            self.timelines.append(measured)
        else:
            self.rounds.append(measured)

    def _tell(self, number: int, latest: Sequence[Round]) -> None:
        """One line for a batch that is done: what it found, and how long the rest will take."""
        batch = self._planned[number]
        found = ", ".join(
            f"{row.strategy} {row.condition} {report.figure(row.p99_ms)}" for row in rows_of(latest)
        )
        passed_s, done_s = time.monotonic() - self._started_at, total_seconds(self._planned[: number + 1])
        left_s = total_seconds(self._planned[number + 1 :]) * passed_s / done_s
        side_by_side = f", {len(batch)} lanes" if len(batch) > 1 else ""
        words = f"[{number + 1}/{len(self._planned)}] {batch[0][0].where}{side_by_side}"
        _progress(f"{words}{': p99 ms: ' + found if found else ''}; {_minutes(left_s)} left")

    def _write_json(self) -> None:
        if self._json_file is not None:
            text = json.dumps(report.rows_json(self.rows), indent=1)
            # Renamed into place: a run that is killed while it writes leaves the former result.
            draft = self._json_file.with_name(self._json_file.name + ".part")
            draft.write_text(text + "\n", encoding="utf-8")
            draft.replace(self._json_file)

    def findings(self) -> list[report.Finding]:
        """How the promises stand, the soak's memory included."""
        found = findings(self.rows, self.rounds)
        if "P5" in self._choices.promises and not any(one.promise == "P5" for one in found):
            found.append(
                report.Finding("P5", None, f"resident memory in a hang at {SOAK.rate:g}/s: not measured")
            )
        return found

    @property
    def status(self) -> int:
        """The exit code. Worst first: a broken promise is more than one that was not judged."""
        asked, rows = self._choices.promises, self.rows
        found = [_by_enough_rounds(finding, rows) for finding in self.findings()]
        # What was not asked for is no failure; what was found broken is one.
        counted = [one for one in found if one.promise in asked or one.ok is not None]
        codes = {
            report.status(counted, (promise,)) for promise in (*asked, *(one.promise for one in counted))
        }
        if self.failures or not codes:
            codes.add(report.UNMEASURED)
        return next(code for code in (report.BROKEN, report.UNMEASURED, report.KEPT) if code in codes)


def findings(rows: Sequence[Row], rounds: Sequence[Round] = ()) -> list[report.Finding]:
    """How the promises stand by these rows; kills are looked up in the rounds, since they have a load of their own."""
    # The soak's stretches are one round of another length each: its memory is judged, its latencies are not.
    shown = report.findings(rows, (BYTE_BOT, POWER), {POWER: POWER_FLOOR_SLACK_MS})
    soak = f" at {SOAK.rate:g}/s"
    found = [finding for finding in shown if not (finding.promise == "P2" and soak in finding.under)]
    killed = [
        (one.lost_after_kill, one.stale_after_kill)
        for one in rounds
        if one.strategy in (BYTE_BOT, POWER) and one.lost_after_kill is not None
    ]
    if killed:
        found = [finding for finding in found if report.KILLED not in finding.words]
        found.append(report.lost_finding(report.KILLED, killed))
    for row in rows:
        if (row.strategy, row.condition, row.rate) == (BYTE_BOT, HANG, SOAK.rate):
            words = (
                f"resident memory grew by {report.figure(row.rss_growth_mb)} MB in a hang of {SOAK.seconds:g} s "
                f"at {SOAK.rate:g}/s (limit {RSS_GROWTH_MAX_MB:g} MB)"
            )
            found.append(report.Finding("P5", row.rss_growth_mb <= RSS_GROWTH_MAX_MB, words))
    return found


def _by_enough_rounds(finding: report.Finding, rows: Sequence[Row]) -> report.Finding:
    """The finding, neither kept nor broken if it is P2's and of fewer rounds than that asks for."""
    enough = finding.promise != "P2" or rounds_of(finding.under, rows) >= ROUNDS_MIN
    return finding if enough else dataclasses.replace(finding, ok=None)


def rounds_of(under: str, rows: Sequence[Row]) -> int:
    """By how many rounds at least P2 was looked at under this heading (`Finding.under`)."""
    title = under.partition(": ")[0]
    return min(row.rounds for row in rows if f"P2, {row.strategy}, {report.load_of(row)}" == title)


class InStep:
    """A barrier that those who are done leave: `wait` returns when all that are left wait."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Wait for the others."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._open_if_complete()
        await mine

    def leave(self) -> None:
        """Be waited for no longer."""
        self._parties -= 1
        self._open_if_complete()

    def _open_if_complete(self) -> None:
        if len(self._waiting) >= self._parties:
            for one in self._waiting:
                if not one.done():
                    one.set_result(None)
            self._waiting.clear()


def _progress(words: str, *, passing: bool = False) -> None:
    """Say something on standard error; `passing`: in a line that the next one replaces, and only on a terminal."""
    terminal = sys.stderr.isatty()
    if passing and not terminal:
        return
    start, end = ("\r\x1b[K", "" if passing else "\n") if terminal else ("", "\n")
    sys.stderr.write(start + words + end)
    sys.stderr.flush()


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks chat_latency",
        description="Reply latency under every state of the database, of Byte Bot and of bots as people write them.",
    )
    found.add_argument(
        "--quick", action="store_true", help="three minutes; shows that it works, judges nothing finally"
    )
    found.add_argument("--loads", metavar="A,B", help="1x50, 20x100, 20x1000 (channels x messages a second)")
    found.add_argument(
        "--conditions", metavar="A,B", help=f"such as healthy,500 ms,hang (default: all {len(CONDITIONS)})"
    )
    found.add_argument("--strategies", metavar="A,B", help="such as floor,byte_bot,inline (default: all six)")
    found.add_argument(
        "--rounds", type=int, help=f"interleaved rounds (default {ROUNDS_MIN}; with fewer P2 is not judged)"
    )
    found.add_argument(
        "--only-rounds", action="store_true", help="leave out small bots, kill, soak and picture"
    )
    found.add_argument(
        "--only-picture", action="store_true", help="nothing but the picture of --plot: about three minutes"
    )
    found.add_argument(
        "--only-soak",
        action="store_true",
        help="nothing but a minute of a hanging database, for memory and a kill: two minutes",
    )
    found.add_argument(
        "--seed", type=int, default=1, help="decides the order and everything random (default 1)"
    )
    found.add_argument(
        "--lanes",
        type=int,
        help="bots measured side by side at 1x50 (default 3; 1: one after the other)",
    )
    found.add_argument("--no-pin", action="store_true", help="let the system choose the cores")
    found.add_argument("--json", type=Path, metavar="FILE", help="also write the rows, after every batch")
    found.add_argument("--plot", type=Path, metavar="FILE.png", help="also draw latency over an outage")
    return found


def choices_of(parsed: argparse.Namespace) -> Choices:
    """What the options ask for; raises `UnknownChoice`."""

    def words(given: str | None) -> list[str] | None:
        if given is None:
            return None
        found = [word.strip() for word in given.split(",") if word.strip()]
        if not found:
            raise UnknownChoice(f"{given!r} names nothing; leave the option out for everything")
        return found

    found = Choices(
        loads=chosen_loads(words(parsed.loads)),
        conditions=chosen_conditions(words(parsed.conditions)),
        strategies=chosen_strategies(words(parsed.strategies)),
        seed=parsed.seed,
    )
    if parsed.only_rounds + parsed.only_picture + parsed.only_soak > 1:
        raise UnknownChoice("two of --only-rounds, --only-picture and --only-soak leave nothing: choose one")
    if parsed.only_soak:
        if parsed.quick:
            raise UnknownChoice("--quick leaves the soak out: drop one of --quick and --only-soak")
        found.parts, found.promises = ("soak",), ("P5",)
    if parsed.only_rounds:
        found.parts, found.promises = ("rounds",), ("P2",)
    if parsed.only_picture:
        if parsed.plot is None:
            raise UnknownChoice("--only-picture needs to know where it goes: add --plot FILE.png")
        found.parts, found.promises = ("picture",), ("P2",)
    if BYTE_BOT not in found.strategies:
        found.promises = tuple(promise for promise in found.promises if promise != "P5")
    if parsed.plot is None:
        found.parts = tuple(part for part in found.parts if part != "picture")
    if parsed.quick:
        found = quick(found)
    if parsed.rounds is not None:
        if parsed.rounds < 1:
            raise UnknownChoice(f"--rounds is {parsed.rounds}; it must be at least 1")
        found.rounds = parsed.rounds
    if parsed.lanes is not None:
        if not 1 <= parsed.lanes <= LANES_MAX:
            raise UnknownChoice(f"--lanes is {parsed.lanes}; it must be 1 to {LANES_MAX}")
        found.lanes = parsed.lanes
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and what became of the promises; returns the exit code."""
    command = parser()
    parsed = command.parse_args(arguments)
    try:
        choices = choices_of(parsed)
        for file in (parsed.json, parsed.plot):
            if file is not None and not file.absolute().parent.is_dir():
                raise UnknownChoice(f"there is no folder {file.absolute().parent} to write {file.name} into")
        if parsed.plot is not None:
            plot.check_drawable()
    except (UnknownChoice, plot.PlotError) as error:
        command.error(str(error))
    cores = Cores(enabled=not parsed.no_pin)
    run, console = Run(choices, cores, parsed.json), Console()
    interrupted = False
    try:
        asyncio.run(run.measure())
    except KeyboardInterrupt:
        interrupted = True
        _progress("broken off; what was measured:")
    finally:
        cores.release()
    report.show(console, run.rows, run.findings())
    for line in _remarks(choices, cores, run):
        console.print(line, soft_wrap=True, highlight=False)
    if parsed.plot is not None and run.timelines:
        plot.draw(run.timelines, parsed.plot, outage_words="database hangs")
    return INTERRUPTED if interrupted else run.status


def _remarks(choices: Choices, cores: Cores, run: Run) -> list[str]:
    """How the figures came about, and what is missing in them."""
    late = max((row.generator_late_p99_ms for row in run.rows), default=0.0)
    found = [
        "",
        f"Python {platform.python_version()}, {cores.words}; seed {choices.seed}; Twitch's rate limits are lifted.",
        "Side by side: "
        + ", ".join(f"{count} at {load}" for load, count in run.lanes.items())
        + ("" if max(run.lanes.values(), default=1) > 1 else " (one bot at a time)"),
        f"The load itself was late by {report.figure(late)} ms at most (p99 of the worst row); it is in every latency.",
    ]
    worst = max((one.stolen for one in run.rounds if one.samples), default=0.0)
    found.append(
        f"The machine's host gave {worst:.1%} of the processors to others at most; {run.repeated} measurements with more than "
        f"{STOLEN_MAX:.0%} were made again, without a look at their latencies."
    )
    # Their first lines: the whole was said when it happened.
    found += [f"Not measured: {words.splitlines()[0]}" for words in run.failures]
    if "rounds" in choices.parts and choices.rounds < ROUNDS_MIN:
        found.append(
            f"{choices.rounds} round{'s' * (choices.rounds > 1)}: P2 asks for {ROUNDS_MIN}, so it is not judged."
        )
    return found
