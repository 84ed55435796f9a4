"""How many commands a second a bot answers before p99 exceeds 50 ms: Byte Bot, its floor, a bare loop, tmi.js, twitchio.

How it works. One driver (``driver.py``: a fake chat that speaks as an open loop, in a process of its own) for all bots. A search
(``rate_search.py``) finds the highest rate each one holds. The cases take turns, round after round, so that a slow minute of
the machine falls on all of them; a case's result is the median of its rounds. The bot has one core and the driver another,
where there are two and the system allows it.

The table is followed by the target: Byte Bot with persistence on and healthy reaches half of what the bare loop does. When the
bare loop stopped at the driver's limit, the ratio is an upper bound, and the table says so.

Left out: memory, lost rows (``chat_latency.py`` has those), and rates that last longer than a step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pstats
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from benchmarks.contenders import CASES, Case, command_of
from benchmarks.driver import CHANNELS
from benchmarks.flame import FlameError, record, sampler
from benchmarks.load import Arena, BotFailed, Driver, running
from benchmarks.peers.environments import Unavailable, prepare
from benchmarks.rate_search import DRIVER_LIMIT, MACHINE_LIMIT, Found, highest_rate, limit_of
from benchmarks.step import StepPlan, StepResult
from simulator.bench.child import BenchError
from simulator.bench.probe import Cores
from simulator.bench.result_file import UnwritableFile, check_writable

#: The issue's target: half of a loop without a router.
TARGET_RATIO: Final = 0.5
JUDGED: Final = ("byte_bot", "byte_bot +1")
REFERENCE: Final = "bare_loop"
PEERS_PREPARED: Final = ("tmi.js", "twitchio")


class Options(msgspec.Struct, frozen=True):
    """What was asked for; ``step_s`` in seconds."""

    cases: tuple[Case, ...]
    rounds: int
    step_s: float
    growth: float
    halvings: int
    cores: Cores


class Outcome(msgspec.Struct, frozen=True):
    """One case in one round. ``problem`` says why it was not measured; ``limit`` what stopped it."""

    case: str
    found: Found | None = None
    limit: str = ""
    bot_cpu: float | None = None
    bot_queued: float | None = None
    problem: str = ""
    log: Mapping[str, Any] = {}

    @property
    def rate(self) -> float:
        """Commands a second held; 0 for none."""
        return self.found.held.rate if self.found is not None and self.found.held is not None else 0.0


async def measure_case(
    case: Case, driver: Driver, options: Options, start: float, console: Console
) -> Outcome:
    """Start the bot of a case, search its highest rate, stop it."""
    try:
        command, variables = command_of(case.bot), {}
        if case.bot in PEERS_PREPARED:
            peer = await prepare(case.bot)
            command, variables = peer.command, dict(peer.variables)
        async with running(driver, case.bot, command, variables, options.cores) as arena:
            await arena.warm_up(case.says, case.matched_by)
            found = await _search(case, arena, options, start, console)
    except (BenchError, Unavailable) as error:
        return Outcome(case.name, problem=str(error))
    last = next((each for each in reversed(arena.measured) if each.step is found.failed), None)
    cpu, queued = (last.bot_cpu, last.bot_queued) if last is not None else (None, None)
    # Read here, after it was stopped: the bot says at its end what it could not save.
    words = _last_words(arena)
    return Outcome(case.name, found, limit_of(found.failed, cpu, queued), cpu, queued, log=words)


async def _search(case: Case, arena: Arena, options: Options, start: float, console: Console) -> Found:
    async def measure(rate: float) -> StepResult:
        step = await arena.measure(StepPlan(rate, options.step_s, case.says, case.matched_by))
        console.print(_words(case, arena, step), highlight=False, soft_wrap=True)
        return step

    return await highest_rate(measure, start, growth=options.growth, halvings=options.halvings)


def _words(case: Case, arena: Arena, step: StepResult) -> str:
    """The latest step in a line."""
    latest = arena.measured[-1]
    p99 = "-" if step.p99_ms is None else f"{step.p99_ms:.1f} ms"
    return (
        f"  {case.name} at {step.rate:,.0f}/s: {step.answered:,} of {step.sent:,} answered, p99 {p99}; bot "
        f"{_part(latest.bot_cpu)} of its core, waited for it {_part(latest.bot_queued)}; driver {_part(step.driver_cpu)}, "
        f"waited {_part(step.driver_queued)}, {step.driver_lag_p99_ms:.1f} ms late"
        f"{f' ({step.cut_short})' if step.cut_short else ''}"
    )


def _part(part: float | None) -> str:
    return "?" if part is None else f"{part:.0%}"


def _last_words(arena: Arena) -> dict[str, Any]:
    """What the bot said at its end about rows that it could not save."""
    words: dict[str, Any] = {}
    for event in arena.events:
        if event.get("event") in ("stopped", "stopped_with_unsaved_rows", "stage_cut_short"):
            words.update({name: event[name] for name in ("rows_waiting", "rows_lost") if name in event})
    return words


async def run(options: Options, console: Console) -> list[Outcome]:
    """All rounds of all cases."""
    outcomes: list[Outcome] = []
    async with Driver(CHANNELS, options.cores) as driver:
        for number in range(1, options.rounds + 1):
            for case in options.cases:
                before = [each.rate for each in outcomes if each.case == case.name and each.rate]
                # Later rounds start where the first one ended, a little lower.
                start = 0.7 * before[-1] if before else case.start
                console.print(f"round {number} of {options.rounds}, {case.name}", highlight=False)
                outcomes.append(await measure_case(case, driver, options, start, console))
                if outcomes[-1].problem:
                    console.print(f"  {outcomes[-1].problem}", highlight=False, markup=False)
    return outcomes


class Row(msgspec.Struct, frozen=True):
    """One line of the result; rates in commands a second, latencies in ms, ``ratio`` to the bare loop."""

    strategy: str
    says: str
    note: str
    rate: float | None
    rates: tuple[float, ...]
    p50_ms: float | None
    p99_ms: float | None
    limit: str
    bot_cpu: float | None
    ratio: float | None
    problem: str


def rows_of(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> list[Row]:
    """The table: for every case its median round."""
    medians = {case.name: _median([each for each in outcomes if each.case == case.name]) for case in cases}
    reference = medians.get(REFERENCE)
    rows = []
    for case in cases:
        outcome = medians[case.name]
        held = outcome.found.held if outcome is not None and outcome.found is not None else None
        ratio = None
        if held is not None and reference is not None and reference.rate:
            ratio = round(held.rate / reference.rate, 3)
        rows.append(
            Row(
                strategy=case.name,
                says=case.says,
                note=case.note,
                rate=round(held.rate, 1) if held is not None else None,
                rates=tuple(round(each.rate, 1) for each in outcomes if each.case == case.name),
                p50_ms=held.p50_ms if held is not None else None,
                p99_ms=held.p99_ms if held is not None else None,
                limit=outcome.limit if outcome is not None else "",
                bot_cpu=outcome.bot_cpu if outcome is not None else None,
                ratio=ratio,
                problem=outcome.problem if outcome is not None else "",
            )
        )
    return rows


def _median(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The outcome in the middle: a real one, so that its latencies belong to its rate."""
    if not outcomes:
        return None
    wanted = statistics.median_low([each.rate for each in outcomes])
    return next(each for each in outcomes if each.rate == wanted)


def verdicts(rows: Sequence[Row]) -> list[tuple[bool | None, str]]:
    """The target, for each case that is judged: kept, broken, or None if it was not measured; and the words."""
    reference = next((row for row in rows if row.strategy == REFERENCE), None)
    found: list[tuple[bool | None, str]] = []
    for row in rows:
        if row.strategy not in JUDGED:
            continue
        if row.ratio is None or reference is None:
            found.append((None, f"{row.strategy}: not measured against {REFERENCE}"))
            continue
        if busy := [each.strategy for each in (row, reference) if each.limit.startswith(MACHINE_LIMIT)]:
            words = (
                f"{row.strategy}: not judged, other programs had the cores while {' and '.join(busy)} ran "
                f"({row.ratio:.3f} of {REFERENCE})"
            )
            found.append((None, words))
            continue
        caution = (
            f" (at most: {REFERENCE} stopped at the driver's limit)"
            if reference.limit == DRIVER_LIMIT
            else ""
        )
        words = f"{row.strategy}: {row.ratio:.3f} of {REFERENCE}{caution}, target {TARGET_RATIO:g}"
        found.append((row.ratio >= TARGET_RATIO, words))
    return found


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table and the target."""
    # Columns by hand: a table of rich drops what a narrow terminal has no room for.
    lines = [f"{'strategy':12} {'commands/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>7}  limit"]
    for row in rows:
        if row.rate is None:
            why = row.problem.partition("\n")[0] or row.limit
            lines.append(f"{row.strategy:12} {'-':>10} {'-':>8} {'-':>8} {'-':>7}  {why}")
            continue
        ratio = "-" if row.ratio is None else f"{row.ratio:.3f}"
        lines.append(
            f"{row.strategy:12} {row.rate:>10,.0f} {row.p50_ms:>8.1f} {row.p99_ms:>8.1f} {ratio:>7}  {row.limit}"
        )
    text = [
        f"commands/s with replies until p99 > 50 ms; {CHANNELS} channels; ratio to {REFERENCE}",
        "",
        *lines,
        "",
    ]
    text += [f"{row.strategy}: {row.note}; viewers say {row.says!r}" for row in rows]
    console.print("\n".join(text), highlight=False, soft_wrap=True, markup=False)
    for kept, words in verdicts(rows):
        console.print(f"{'✓' if kept else '?' if kept is None else '✗'} {words}", highlight=False)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks throughput", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="one round, short steps, a coarser search")
    parser.add_argument(
        "--only", default="", help="cases, separated by commas: " + ", ".join(case.name for case in CASES)
    )
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default 3, quick 1)")
    parser.add_argument("--step-seconds", type=float, help="how long each rate is tried (default 4, quick 2)")
    parser.add_argument("--no-pin", action="store_true", help="let the system choose the cores")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="FILE",
        help="instead: run byte_bot (or the one case of --only) under cProfile, write FILE (for pstats), print the costliest",
    )
    parser.add_argument(
        "--flame",
        type=Path,
        metavar="FILE.svg",
        help="instead: run the same bot as shipped and draw where its time goes (needs py-spy)",
    )
    parser.add_argument(
        "--profile-rate", type=float, default=1_000.0, help="commands a second for --profile and --flame"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    return parser.parse_args(arguments)


def options_from(parsed: argparse.Namespace) -> Options:
    """The options that a command line means.

    Raises:
        ValueError: a case is unknown, or a number out of range.
    """
    names = [name.strip() for name in parsed.only.split(",") if name.strip()]
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            raise ValueError(f"--only: there is no case {name!r}; there are {', '.join(known)}")
    rounds = parsed.rounds if parsed.rounds is not None else 1 if parsed.quick else 3
    step_s = parsed.step_seconds if parsed.step_seconds is not None else 2.0 if parsed.quick else 4.0
    if rounds < 1 or not 0.1 <= step_s <= 60:
        raise ValueError("--rounds is 1 or more, --step-seconds from 0.1 to 60")
    return Options(
        cases=tuple(known[name] for name in names) if names else CASES,
        rounds=rounds,
        step_s=step_s,
        growth=1.5,
        halvings=2 if parsed.quick else 3,
        cores=Cores(enabled=not parsed.no_pin),
    )


async def profile(case: Case, file: Path, rate: float, options: Options, console: Console) -> None:
    """Run one of our own bots under cProfile for three steps at ``rate``, so that it writes ``file`` at its end.

    Raises:
        BotFailed: the bot could not be measured.
    """
    if case.bot in PEERS_PREPARED:
        raise BotFailed(f"--profile is for Python's own bots in this repository, not for {case.bot}")
    program, *rest = command_of(case.bot)
    command = (program, "-m", "cProfile", "-o", str(file), *rest)
    async with (
        Driver(CHANNELS, options.cores) as driver,
        running(driver, case.bot, command, {}, options.cores) as arena,
    ):
        await arena.warm_up(case.says, case.matched_by)
        for _ in range(3):
            step = await arena.measure(StepPlan(rate, options.step_s, case.says, case.matched_by))
            console.print(_words(case, arena, step), highlight=False, soft_wrap=True)


async def draw_flame(case: Case, file: Path, rate: float, options: Options, console: Console) -> None:
    """Let py-spy look at one of our own bots, as shipped, while it answers three steps at ``rate``.

    Raises:
        BenchError: the bot could not be measured.
        FlameError: there is no flame graph.
    """
    if case.bot in PEERS_PREPARED:
        raise BotFailed(f"--flame is for this repository's own bots, not for {case.bot}")
    sampler()  # before anything is started
    async with (
        Driver(CHANNELS, options.cores) as driver,
        running(driver, case.bot, command_of(case.bot), {}, options.cores) as arena,
    ):
        await arena.warm_up(case.says, case.matched_by)
        sampling = asyncio.create_task(record(arena.pid, file, 3 * options.step_s))
        try:
            for _ in range(3):
                step = await arena.measure(StepPlan(rate, options.step_s, case.says, case.matched_by))
                console.print(_words(case, arena, step), highlight=False, soft_wrap=True)
            await sampling
        finally:
            sampling.cancel()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if the target is kept, 1 if not, 2 if it was not measured or could not be."""
    parsed = parse(arguments)
    console = Console()
    try:
        options = options_from(parsed)
        check_writable(parsed.json, parsed.profile, parsed.flame)
    except (ValueError, UnwritableFile) as error:
        sys.stderr.write(f"throughput: {error}\n")
        return 2
    case = options.cases[0] if parsed.only else next(each for each in CASES if each.name == JUDGED[0])
    try:
        if parsed.flame is not None:
            asyncio.run(draw_flame(case, parsed.flame.absolute(), parsed.profile_rate, options, console))
            console.print(f"{parsed.flame}: open it in a browser, a click zooms in", highlight=False)
            return 0
        if parsed.profile is not None:
            # A profile of an earlier run must not pass for this one's.
            parsed.profile.unlink(missing_ok=True)
            asyncio.run(profile(case, parsed.profile.absolute(), parsed.profile_rate, options, console))
            if not parsed.profile.exists():
                raise BotFailed(
                    f"{case.name} was killed before it wrote its profile: try a lower --profile-rate"
                )
            pstats.Stats(str(parsed.profile)).sort_stats("tottime").print_stats(30)
            return 0
        outcomes = asyncio.run(run(options, console))
    except KeyboardInterrupt:
        return 130
    except (BenchError, FlameError) as error:
        sys.stderr.write(f"throughput: {error}\n")
        return 2
    rows = rows_of(options.cases, outcomes)
    show(rows, console)
    if parsed.json is not None:
        result = {"rows": msgspec.to_builtins(rows), "rounds": msgspec.to_builtins(outcomes)}
        parsed.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    judged = [kept for kept, _ in verdicts(rows)]
    return 2 if not judged or None in judged else 0 if all(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
