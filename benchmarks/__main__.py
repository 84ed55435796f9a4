"""`python -m benchmarks`: lists the benchmarks, runs one, or runs all and says where each promise stands.

Each benchmark is a module with `main(arguments) -> int`: 0 its promises are kept, 1 one is broken, 2 one was not judged (not
measured, or in too few rounds), 130 Ctrl-C. `all` is what `make bench` runs: each writes its result to a file (`--json`), from which one table of all promises
is made at the end (`standing.py`). Its exit code is the worst of theirs, a broken promise before one that was not judged.

One that fails costs its own result only: its traceback is logged, its promise counts as not judged, and the next one begins. After
Ctrl-C none begins, and the table is made of what there is.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from simulator.bench.plot import PlotError, check_drawable
from simulator.bench.result_file import UnwritableFile, check_writable

USAGE = "python -m benchmarks [all [OPTIONS] | NAME [OPTIONS]]"
NOT_JUDGED, INTERRUPTED = 2, 130
WORDS: Mapping[int, str] = {0: "kept", 1: "BROKEN", NOT_JUDGED: "not judged", INTERRUPTED: "broken off"}
WORST_FIRST = (INTERRUPTED, 1, NOT_JUDGED)
PICTURED = "chat_latency"  # the one that draws

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Benchmark:
    """One question and the promise that its answer is about."""

    about: str
    promise: str


BENCHMARKS: Mapping[str, Benchmark] = {
    "chat_latency": Benchmark(
        "reply latency under every state of the database, beside other bots",
        "P2, flat latency: no condition of the database is felt in chat",
    ),
    "throughput": Benchmark(
        "commands a second until p99 is over 50 ms, beside tmi.js and twitchio",
        "throughput: at least half of what a bare loop without a router reaches",
    ),
    "scale": Benchmark(
        "memory and latency from 1 to 100,000 channels",
        "P5, scale: memory a channel, latency and saves at 100,000 channels",
    ),
    "journal": Benchmark(
        "what a commit of the journal costs a reply, by durability, and a replay of a million operations",
        "P3, journal: a replay of 1,000,000 operations takes at most 10 s and 250 MB",
    ),
    "save_sql": Benchmark(
        "the save function on a real PostgreSQL, beside a plain upsert",
        "saves: 500 rows in one call take the database at most 30 ms",
    ),
    "sim_speed": Benchmark(
        "how fast the simulator plays the bot: idle, busy, and many worlds",
        "simulator: 10,000 idle seconds a second, 100 messages/s at 60 x real time, 3 worlds a second",
    ),
}


def run_one(name: str, arguments: Sequence[str]) -> int:
    """Run the benchmark of that name; returns its exit code."""
    # Only the one asked for is loaded: each has packages of its own that another can do without.
    module = import_module(f"benchmarks.{name}")
    return int(module.main(arguments))


def overview() -> str:
    """What there is, for people."""
    lines = [USAGE, ""]
    lines += [f"  {name:<14}{benchmark.about}" for name, benchmark in BENCHMARKS.items()]
    lines += [f"  {'all':<14}all of them, then where each promise stands", ""]
    lines.append("NAME --help shows a benchmark's options.")
    return "\n".join(lines)


def run_all(
    arguments: Sequence[str],
    folder: Path,
    plot_file: Path | None = None,
    run: Callable[[str, Sequence[str]], int] = run_one,
) -> int:
    """Run every benchmark with the same arguments, then print where each promise stands; returns the worst exit code.

    Each writes NAME.json into `folder`, and the one that draws its picture to `plot_file`.
    """
    codes: dict[str, int] = {}
    results: dict[str, Any] = {}
    try:
        for name, benchmark in BENCHMARKS.items():
            _say(f"\n── {name}: {benchmark.about}\n")
            file = folder / f"{name}.json"
            # What an earlier run wrote must not pass for this one's.
            file.unlink(missing_ok=True)
            picture = ["--plot", str(plot_file)] if plot_file is not None and name == PICTURED else []
            codes[name] = _supervised(name, [*arguments, *picture, "--json", str(file)], run)
            results[name] = _written(file)
            if codes[name] == INTERRUPTED:
                break
    finally:
        _tell(codes, results)
    unknown = [code for code in codes.values() if code not in WORDS]
    return next((code for code in (*WORST_FIRST, *unknown) if code in codes.values()), 0)


def _supervised(name: str, arguments: Sequence[str], run: Callable[[str, Sequence[str]], int]) -> int:
    """One benchmark's exit code, however it ended: what is wrong with it must not cost the others' results."""
    try:
        return run(name, arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as exit_:
        # argparse ends the program for an option it refuses, and has said why.
        return exit_.code if isinstance(exit_.code, int) else NOT_JUDGED
    except Exception:
        log.exception("%s failed; the next one begins", name)
        return NOT_JUDGED


def _written(file: Path) -> Any:
    """What a benchmark wrote, None if it wrote nothing, or not to its end."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _tell(codes: Mapping[str, int], results: Mapping[str, Any]) -> None:
    _say("\n── where each promise stands\n")
    for name, code in codes.items():
        _say(f"  {WORDS.get(code, f'failed ({code})')}: {BENCHMARKS[name].promise}")
    _say("")
    for line in import_module("benchmarks.standing").table(results):
        _say(line)


def _all(arguments: Sequence[str]) -> int:
    """The command line of `all`: everything that is wrong with it is said before anything is measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks all",
        description="Run every benchmark, then print where each promise stands.",
        epilog="A benchmark's own options: python -m benchmarks NAME --help",
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="less of everything: about ten minutes")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="keep each result there, as NAME.json")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help=f"the picture of {PICTURED}: latency over an outage"
    )
    parsed = parser.parse_args(arguments)
    try:
        check_writable(parsed.plot)
        if parsed.plot is not None:
            check_drawable()
        if parsed.json is not None:
            parsed.json.mkdir(parents=True, exist_ok=True)
            check_writable(*(parsed.json / f"{name}.json" for name in BENCHMARKS))
    except (UnwritableFile, PlotError) as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"--json {str(parsed.json)!r} cannot be a folder: {error.strerror or error}")
    passed = ["--quick"] if parsed.quick else []
    if parsed.json is not None:
        return run_all(passed, parsed.json, parsed.plot)
    with tempfile.TemporaryDirectory(prefix="byte-bench-") as folder:
        return run_all(passed, Path(folder), parsed.plot)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        _say(overview())
        return 0
    name, rest = given[0], given[1:]
    if name == "all":
        return _all(rest)
    if name not in BENCHMARKS:
        sys.stderr.write(f"there is no benchmark {name!r}\n\n{overview()}\n")
        return NOT_JUDGED
    return run_one(name, rest)


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
