"""What the journal costs: commits a second, how long a reply waits for one, and what the event loop feels of it.

The journal as the bot has it (`Journal` over `FileJournalStore`, a file in a temporary folder) in this process, for each
durability; `off` is the store in memory. A message is what a command makes: a chat line and the last reply, one counter, the id.

- **Waits**: an open loop of messages at a fixed rate over 20 channels; the time from the moment a message was due until the gate
  lets its reply go, p50, p99 and max. Every second what a save does is journaled too: boundaries and new bases of all rows.
- **Lag**: a heartbeat every 5 ms in the same loop; how late it comes, p99, beside that of a loop in which nothing else happens.
- **Most**: messages a second when as many are appended as the journal takes, 50 of them unacknowledged at a time.
- **Replay**: 1,000,000 operations over 10,000 rows (two counters, a text, a note and a list in each), in 8,000
  commits that no fold has seen, as the next boot takes them over: seconds until the rows are in RAM, and the most memory
  meanwhile above what the process had before. In a process of its own. Judged: at most 10 s and 250 MB.

Left out: other programs on the disk, a disk that is full, and how long a power cut's losses are (see the journal's docstring).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from benchmarks.scale_process import rss_bytes
from byte_bot.clock import SystemClock
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.breaker import Breaker
from byte_bot.persistence.journal import (
    Handled,
    Journal,
    JournalStore,
    MemoryJournalStore,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_file import LOG_SLOTS, SqliteJournal
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.layer import LayerParts, PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.link import Link
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from byte_bot.telemetry import Telemetry
from simulator.bench.load import OpenLoop, run_precisely
from simulator.bench.plan import Load
from simulator.bench.result_file import UnwritableFile, check_writable
from simulator.bench.results import percentile

DURABILITIES = ("off", "process", "power")
CHANNELS = 20
UNACKNOWLEDGED = 50
HEARTBEAT_S = 0.005
REPLAY_OPERATIONS, REPLAY_ROWS = 1_000_000, 10_000
REPLAY_S_MAX, REPLAY_MB_MAX = 10.0, 250.0
#: What the operations do, in turn: kind, field, key, value, cap.
REPLAY_KINDS: Sequence[tuple[Kind, str, str | None, Any, int]] = (
    *((Kind.ADD, "values", name, 1, 0) for name in ("deaths", "wins")),
    (Kind.SET, "last", None, "a chat line of usual length, fifty characters.....", 0),
    (Kind.PUT, "notes", "note", "a note that somebody wants to be reminded of", 0),
    (Kind.APPEND, "lines", None, ["a line"], 50),
)
OWNER = Owner("bench_bot", "benchmark")


@dataclass(frozen=True)
class Waits:
    """One durability at one rate; milliseconds."""

    durability: str
    rate: float
    messages: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    lag_p99_ms: float


@dataclass(frozen=True)
class Result:
    """Everything; `most` is messages a second by durability."""

    idle_lag_p99_ms: float
    waits: list[Waits]
    most: dict[str, float]
    replay_s: float | None
    replay_mb: float | None


class Chat:
    """Makes what commands do, one after the other."""

    def __init__(self) -> None:
        self._said = 0
        self._revisions = dict.fromkeys(map(str, range(CHANNELS)), 0)

    def message(self) -> list[Write]:
        """The writes of one more command."""
        self._said += 1
        channel = str(self._said % CHANNELS)
        self._revisions[channel] += 1
        stamp, op_id = Stamp(1, self._revisions[channel]), f"m-{self._said}:1"
        line = {"author": "mod_1", "text": "!count deaths +1", "at": 1_767_225_600.25}
        stream = [
            Operation(Kind.APPEND, "chat_lines", None, [line], stamp, op_id, 1_767_225_600, 50),
            Operation(Kind.SET, "last_reply", None, f"deaths: {self._said}", stamp, op_id, 1_767_225_600),
        ]
        counter = Operation(Kind.ADD, "values", "deaths", 1, stamp, op_id, 1_767_225_600)
        return [
            Recorded(RowKey("channel_state", channel), stream),
            Recorded(RowKey("component_state", channel, "counters"), [counter]),
            Handled(f"{self._said:08x}-5eed-4000-8000-000000000000"),
        ]

    def save(self) -> list[Write]:
        """What a save of all rows writes: where it is, and that it was acknowledged."""
        writes: list[Write] = []
        for channel, revision in self._revisions.items():
            stamp, base = Stamp(1, revision), Base(b'{"chat_lines":[]}' + b" " * 4_000, {}, 1, 1, revision, 0)
            for key in (RowKey("channel_state", channel), RowKey("component_state", channel, "counters")):
                writes += [Sending(key, stamp), Settled(key, base)]
        return writes


@asynccontextmanager
async def store_of(durability: str) -> AsyncIterator[JournalStore]:
    """The store of a durability, on a file of its own."""
    if durability == "off":
        yield MemoryJournalStore("benchmark")
        return
    with tempfile.TemporaryDirectory(prefix="byte-bench-") as folder:
        how: Any = durability
        async with journal_on_disk(
            Path(folder) / "bench.journal", OWNER, SystemClock(), durability=how
        ) as store:
            yield store


class Heartbeat:
    """How late something that is due every :data:`HEARTBEAT_S` comes, in milliseconds."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + HEARTBEAT_S
            await asyncio.sleep(HEARTBEAT_S)
            self.late_ms.append((loop.time() - due_s) * 1_000)

    def p99_ms(self) -> float:
        """The 99th percentile."""
        return round(percentile(sorted(self.late_ms), 99), 3)


async def measure_idle(seconds: float) -> float:
    """The heartbeat's p99 in a loop in which nothing else happens."""
    heart = Heartbeat()
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(heart.run())
        await asyncio.sleep(seconds)
        beating.cancel()
    return heart.p99_ms()


async def measure_waits(durability: str, rate: float, seconds: float) -> Waits:
    """One durability at one rate."""
    loop = asyncio.get_running_loop()
    heart, chat, waited_ms = Heartbeat(), Chat(), list[float]()
    async with store_of(durability) as store, asyncio.TaskGroup() as tasks:
        journal = Journal(store)
        running = [tasks.create_task(journal.run()), tasks.create_task(heart.run())]

        def say(number: int, due_s: float) -> None:
            if number and number % int(rate) == 0:
                journal.append(chat.save())
            sequence = journal.append(chat.message())
            journal.after(sequence, lambda: waited_ms.append((loop.time() - due_s) * 1_000))

        await OpenLoop(say).run(Load(CHANNELS, rate, seconds))
        await journal.drain()
        for task in running:
            task.cancel()
    values = sorted(waited_ms)
    p50, p99 = (round(percentile(values, percent), 3) for percent in (50, 99))
    return Waits(durability, rate, len(values), p50, p99, round(values[-1], 3), heart.p99_ms())


async def measure_most(durability: str, seconds: float) -> float:
    """Messages a second, as many as the journal takes."""
    loop, chat, done = asyncio.get_running_loop(), Chat(), 0
    room = asyncio.Semaphore(UNACKNOWLEDGED)

    def acknowledged() -> None:
        nonlocal done
        done += 1
        room.release()

    async with store_of(durability) as store, asyncio.TaskGroup() as tasks:
        journal = Journal(store)
        running = tasks.create_task(journal.run())
        began_s = loop.time()
        while loop.time() < began_s + seconds:
            await room.acquire()
            journal.after(journal.append(chat.message()), acknowledged)
        rate = done / (loop.time() - began_s)
        await journal.drain()
        running.cancel()
    return round(rate, 1)


def write_replay(path: Path, operations: int, rows: int) -> None:
    """A journal with so many operations that no fold has seen, over so many rows."""
    connection = open_journal(path, OWNER, durability="process", now_s=0.0)
    journal = SqliteJournal(connection)
    commits = min(operations, LOG_SLOTS - 192)
    made = 0
    for number in range(1, commits + 1):
        group: list[Write] = []
        while made < operations * number // commits:
            made += 1
            row, turn = made % rows, made // rows
            kind, field, key, value, cap = REPLAY_KINDS[turn % len(REPLAY_KINDS)]
            operation = Operation(
                kind,
                field,
                key,
                value,
                Stamp(1, made),
                f"m-{made}:1",
                1_767_225_600,
                cap,
            )
            group.append(Recorded(RowKey("component_state", str(row), "counters"), [operation]))
        journal.apply(group, number)
    journal.close()


def read_replay(path: Path) -> tuple[float, float]:
    """Take it over as a boot does: seconds, and MB that the process grew by at its largest."""
    return asyncio.run(_read_replay(path))


async def _read_replay(path: Path) -> tuple[float, float]:
    before, clock, began_s = rss_bytes(), SystemClock(), time.perf_counter()
    telemetry, ledger = Telemetry(clock, "bench"), Ledger()
    async with journal_on_disk(path, OWNER, clock, durability="process") as store:
        parts = LayerParts(
            store=None,
            link=Link(
                Breaker(Backoff(random.Random(1))), telemetry, lambda: ledger.rows_waiting, kept=lambda: True
            ),
            ledger=ledger,
            journal=Journal(store),
            journal_store=store,
            clock=clock,
            telemetry=telemetry,
        )
        PersistenceLayer(parts).restore()
        took_s = time.perf_counter() - began_s
        assert ledger.rows_waiting, "nothing was read back"
    return round(took_s, 3), round((peak_rss_bytes() - before) / 1e6, 1)


def peak_rss_bytes() -> int:
    """The most memory that this process has had."""
    # Linux's ru_maxrss begins with what the parent had when it started this process.
    with (
        contextlib.suppress(OSError),
        open("/proc/self/status", encoding="ascii", errors="replace") as status,
    ):
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_replay(operations: int = REPLAY_OPERATIONS, rows: int = REPLAY_ROWS) -> tuple[float, float]:
    """Seconds and MB of a replay, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="byte-bench-") as folder:
        path = Path(folder) / "bench.journal"
        write_replay(path, operations, rows)
        program = f"import json; from pathlib import Path; from benchmarks.journal import read_replay; print(json.dumps(read_replay(Path({str(path)!r}))))"
        found = subprocess.run(
            (sys.executable, "-c", program),
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
        )
    took_s, grown_mb = json.loads(found.stdout.splitlines()[-1])  # the bot logs there, too
    return float(took_s), float(grown_mb)


async def measure(rates: Sequence[float], seconds: float) -> Result:
    """Waits, lag and most; the replay is left to the caller."""
    idle = await measure_idle(seconds)
    waits = [await measure_waits(one, rate, seconds) for rate in rates for one in DURABILITIES]
    most = {one: await measure_most(one, seconds) for one in DURABILITIES}
    return Result(idle, waits, most, None, None)


def shown(result: Result) -> str:
    """The result for people."""
    lines = [
        f"heartbeat of an idle loop: {result.idle_lag_p99_ms:.3f} ms late, p99",
        "",
        f"{'durability':<12}{'messages/s':>11}{'waits p50':>11}{'p99':>9}{'max ms':>9}{'lag p99 ms':>12}",
    ]
    lines += [
        f"{one.durability:<12}{one.rate:>11,.0f}{one.p50_ms:>11.3f}{one.p99_ms:>9.3f}{one.max_ms:>9.2f}{one.lag_p99_ms:>12.3f}"
        for one in result.waits
    ]
    lines += ["", "most messages/s: " + ", ".join(f"{one} {rate:,.0f}" for one, rate in result.most.items())]
    if result.replay_s is not None and result.replay_mb is not None:
        mark = "✓" if verdict(result) == 0 else "✗"
        lines.append(
            f"{mark} replay of {REPLAY_OPERATIONS:,} operations over {REPLAY_ROWS:,} rows: {result.replay_s:.2f} s (at most "
            f"{REPLAY_S_MAX:g}), {result.replay_mb:.0f} MB (at most {REPLAY_MB_MAX:g})"
        )
    return "\n".join(lines)


def verdict(result: Result) -> int:
    """0 the replay keeps its limits, 1 it does not, 2 it was not measured."""
    if result.replay_s is None or result.replay_mb is None:
        return 2
    return 0 if result.replay_s <= REPLAY_S_MAX and result.replay_mb <= REPLAY_MB_MAX else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks journal", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="2 s each instead of 10")
    parser.add_argument("--no-replay", action="store_true", help="leave the million operations out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result")
    parsed = parser.parse_args(arguments)
    try:
        if parsed.json is not None:
            check_writable(parsed.json)
    except UnwritableFile as error:
        parser.error(str(error))
    # Only what is wrong is said, and not among the figures.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    result = run_precisely(measure((100.0, 1_000.0), 2.0 if parsed.quick else 10.0))
    if not parsed.no_replay:
        took_s, grown_mb = measure_replay()
        result = Result(result.idle_lag_p99_ms, result.waits, result.most, took_s, grown_mb)
    sys.stdout.write(shown(result) + "\n")
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    return verdict(result)
