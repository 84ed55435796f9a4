"""`python -m benchmarks`: lists the benchmarks, runs one, or runs all and says where each promise stands.

Each benchmark is a module with `main(arguments) -> int`: 0 its promises are kept, 1 one is broken, 2 it was not measured,
130 Ctrl-C. `all` is what `make bench` runs: each writes its result to a file (`--json`), from which one table of all promises
is made at the end (`standing.py`). Its exit code is the worst of theirs, a broken promise before an unmeasured one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

USAGE = "python -m benchmarks [all [--quick] | NAME [OPTIONS]]"
WORDS: Mapping[int, str] = {0: "kept", 1: "BROKEN", 2: "not measured", 130: "broken off"}
WORST_FIRST = (130, 1, 2)


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
    "save_sql": Benchmark(
        "the save function on a real PostgreSQL, beside a plain upsert",
        "saves: 500 rows in one call take the database at most 30 ms",
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


def run_all(arguments: Sequence[str], run: Callable[[str, Sequence[str]], int] = run_one) -> int:
    """Run every benchmark with the same arguments, then print where each promise stands; returns the worst exit code."""
    codes: dict[str, int] = {}
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="byte-bench-") as folder:
        for name, benchmark in BENCHMARKS.items():
            _say(f"\n── {name}: {benchmark.about}\n")
            file = Path(folder) / f"{name}.json"
            codes[name] = run(name, [*arguments, "--json", str(file)])
            results[name] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
            if codes[name] == 130:
                break
    _say("\n── where each promise stands\n")
    for name, code in codes.items():
        _say(f"  {WORDS.get(code, f'failed ({code})')}: {BENCHMARKS[name].promise}")
    _say("")
    for line in import_module("benchmarks.standing").table(results):
        _say(line)
    unknown = [code for code in codes.values() if code not in WORDS]
    return next((code for code in (*WORST_FIRST, *unknown) if code in codes.values()), 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        _say(overview())
        return 0
    name, rest = given[0], given[1:]
    if name == "all":
        if unknown := [word for word in rest if word != "--quick"]:
            sys.stderr.write(f"all takes --quick only, not {unknown[0]}: run one benchmark for its options\n")
            return 2
        return run_all(rest)
    if name not in BENCHMARKS:
        sys.stderr.write(f"there is no benchmark {name!r}\n\n{overview()}\n")
        return 2
    return run_one(name, rest)


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
