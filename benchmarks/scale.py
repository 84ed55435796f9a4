"""Does the bot cost as much a message with 100,000 channels as with one, and what does a quiet channel cost?

How it works. Every size runs in a process of its own (:mod:`benchmarks.scale_process` says what is measured there and
on which parts), one after the other. The figures are set beside the targets:

* a quiet channel (a row of configuration, one of stream state with ten remembered lines, one of counters; joined, and
  nobody has said anything) takes at most 4 KB of resident memory, measured at the largest size;
* the median message at the largest size takes at most 1.3 times as long as with one channel;
* saving 10,000 dirty rows, and the minute's sweeps, never hold the loop over 20 ms, garbage collection included.

Stalls are judged by the time that the bot itself held the loop, on the CPU or in a wait for a lock or the disk; the time in
which its thread had to queue for a core does not count, since a busy neighbour is not the bot's doing
(:mod:`benchmarks.heartbeat` says how they are told apart). CPU time and wall time stand beside.

Left out: Twitch's own pace (100,000 JOINs take a verified bot 8 minutes and more) and the database's time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simulator.bench.result_file import UnwritableFile, check_writable

SIZES = (1, 100, 10_000, 100_000)
CHANNEL_BYTES_MAX = 4_096
P50_RATIO_MAX = 1.3
STALL_MS_MAX = 20.0
#: Below this many channels memory is the program's, not theirs.
CHANNELS_FOR_MEMORY_MIN = 1_000
#: Exit codes: every target met, one missed, a size that could not be measured or a target without a figure, Ctrl-C.
MET, MISSED, FAILED, INTERRUPTED = 0, 1, 2, 130

Figures = Mapping[str, Any]


class Verdict(NamedTuple):
    """One target: what it is about, the figure (None: no size could tell), the bound, in ``unit``."""

    name: str
    value: float | None
    bound: float
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether the figure is within the bound; None without one."""
        return None if self.value is None else self.value <= self.bound


def channel_bytes(figures: Figures) -> float | None:
    """Resident memory a quiet channel, bytes; None for a size that is too small to tell."""
    channels: int = figures["channels"]
    if channels < CHANNELS_FOR_MEMORY_MIN:
        return None
    return float(figures["rss_grown_mb"]) * 1e6 / channels


def verdicts(sizes: Sequence[Figures]) -> Iterator[Verdict]:
    """Every target; the measured sizes, in ascending order, may leave one without a figure."""
    smallest, largest = sizes[0], sizes[-1]
    cost = channel_bytes(largest)
    where = f"at {largest['channels']:,}" if cost is not None else f"(from {CHANNELS_FOR_MEMORY_MIN:,} on)"
    yield Verdict(f"a quiet channel {where}", cost, CHANNEL_BYTES_MAX, "bytes")
    if largest is not smallest:
        name = f"p50 at {largest['channels']:,} over p50 at {smallest['channels']:,}"
        yield Verdict(name, largest["p50_us"] / smallest["p50_us"], P50_RATIO_MAX, "x")
    else:
        yield Verdict("p50 of the larger of two sizes over that of the smaller", None, P50_RATIO_MAX, "x")
    for figures in sizes:
        for stage, what in _JUDGED_STAGES.items():
            if f"{stage}_held_ms" in figures:
                name = f"loop held by {what} at {figures['channels']:,}"
                yield Verdict(name, figures[f"{stage}_held_ms"], STALL_MS_MAX, "ms")
    for stage, what in _JUDGED_STAGES.items():
        if not any(f"{stage}_held_ms" in figures for figures in sizes):
            yield Verdict(f"loop held by {what} (from 10,000 channels on)", None, STALL_MS_MAX, "ms")


_JUDGED_STAGES: Mapping[str, str] = {
    "burst": "saving 10,000 rows",
    "refresh": "refresh",
    "eviction": "eviction",
}
_COLUMNS = ("channels", "boot s", "requests", "B/channel", "p50 us", "p99 us", "first us", "save 500 ms")


def table(sizes: Sequence[Figures]) -> Iterator[str]:
    """The figures, one line a size."""
    yield "".join(f"{title:>13}" for title in _COLUMNS)
    for figures in sizes:
        cost = channel_bytes(figures)
        cells: tuple[str, ...] = (
            f"{figures['channels']:,}",
            f"{figures['boot_s']:.1f}",
            f"{figures['boot_requests']:,}",
            "-" if cost is None else f"{cost:,.0f}",
            f"{figures['p50_us']:.0f}",
            f"{figures['p99_us']:.0f}",
            f"{figures['first_p50_us']:.0f}",
            f"{figures['save_500_cpu_ms']:.0f}" if "save_500_cpu_ms" in figures else "-",
        )
        yield "".join(f"{cell:>13}" for cell in cells)
    yield ""
    yield f"{'loop held, ms (CPU; wall; garbage collector)':<46}" + "".join(
        f"{s['channels']:>28,}" for s in sizes
    )
    for stage in ("boot", "talk", "refresh", "eviction", "burst"):
        yield f"  {stage:<44}" + "".join(f"{_held(figures, stage):>28}" for figures in sizes)
    if not all(figures["waits_seen"] for figures in sizes):
        yield "  this system does not tell who waited for what: held is the time on the CPU, without waits"


def _held(figures: Figures, stage: str) -> str:
    """How long a stage held the loop, at worst; a dash if it was not measured."""
    if f"{stage}_held_ms" not in figures:
        return "-"
    beside = "; ".join(f"{figures[f'{stage}_{kind}_ms']:.1f}" for kind in ("stall_cpu", "stall", "gc"))
    return f"{figures[f'{stage}_held_ms']:.1f} ({beside})"


def lines(found: Sequence[Verdict]) -> Iterator[str]:
    """One line a target: ticked, crossed, or with a question mark."""
    for verdict in found:
        mark = {True: "✓", False: "✗", None: "?"}[verdict.met]
        measured = "not measured" if verdict.value is None else f"{verdict.value:,.2f} {verdict.unit}"
        yield f"{mark} {verdict.name}: {measured} (at most {verdict.bound:,g})"


def status(found: Sequence[Verdict]) -> int:
    """The exit code: a missed target is more than one that no size could tell, and that is not a target met."""
    outcomes = [verdict.met for verdict in found]
    return MISSED if False in outcomes else FAILED if None in outcomes else MET


def measure(channels: int, options: argparse.Namespace) -> dict[str, Any]:
    """One size in a process of its own; raises CalledProcessError if that fails."""
    command = [sys.executable, "-m", "benchmarks.scale_process", "--channels", str(channels)]
    command += [
        "--lines",
        str(options.lines),
        "--seed",
        str(options.seed),
        "--messages",
        str(options.messages),
    ]
    if options.quick:
        command += ["--speakers", "1000", "--rounds", "3"]
    if options.plain_gc:
        command.append("--plain-gc")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every size, print the tables and the targets; returns the exit code.

    That is :data:`MET`, :data:`MISSED`, :data:`FAILED`, or :data:`INTERRUPTED`: then the sizes that were done are shown,
    and nothing is judged or written, since the targets are about the largest.
    """
    options = _parser().parse_args(arguments)
    try:
        check_writable(options.json)
    except UnwritableFile as error:
        sys.stderr.write(f"scale: {error}\n")
        return FAILED
    sizes: list[dict[str, Any]] = []
    for number, channels in enumerate(sorted(options.sizes), start=1):
        try:
            sys.stderr.write(f"{number} of {len(options.sizes)}: {channels:,} channels ...\n")
            sizes.append(measure(channels, options))
        except subprocess.CalledProcessError as error:
            sys.stderr.write(
                f"{channels:,} channels could not be measured; its last words:\n{error.stderr[-2000:]}\n"
            )
            return FAILED
        except KeyboardInterrupt:
            sys.stderr.write(f"broken off at {channels:,} channels\n")
            if sizes:
                sys.stdout.write("\n".join(table(sizes)) + "\n")
            return INTERRUPTED
    found = list(verdicts(sizes))
    sys.stdout.write("\n".join([*table(sizes), "", *lines(found)]) + "\n")
    if options.json is not None:
        report = {"sizes": sizes, "targets": [{**verdict._asdict(), "met": verdict.met} for verdict in found]}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return status(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=_channels, nargs="+", default=list(SIZES), help="numbers of channels")
    parser.add_argument(
        "--lines", type=int, default=10, help="remembered lines of chat in every channel's state"
    )
    parser.add_argument(
        "--quick", action="store_true", help="1,000 channels speak instead of all, and 3 rounds instead of 5"
    )
    parser.add_argument("--messages", type=int, default=2_000, help="messages a round")
    parser.add_argument("--plain-gc", action="store_true", help="collect garbage as Python does by itself")
    parser.add_argument("--seed", type=int, default=1, help="of which channels speak in which order")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


def _channels(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 900_000:
        raise argparse.ArgumentTypeError(f"a number of channels is 1 to 900000, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
