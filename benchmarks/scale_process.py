"""One size of :mod:`benchmarks.scale`, in a process of its own, since memory once taken is seldom given back.

How it works. The whole bot runs, as :class:`~byte_bot.app.Application` puts it together, on

* a Twitch in this process: a connection in memory that welcomes, answers every JOIN and takes what the bot says;
* a database in another process (:mod:`benchmarks.scale_database`), over real HTTP on the loopback;
* a journal on disk, as shipped;
* limits wide enough that nothing waits: 2,000 JOINs every 50 ms instead of every 10 s, and no pacing of replies. What
  the bot *does* is measured, not what Twitch makes it wait for.

In this order: boot until every channel is joined and loaded; memory while nobody has said anything; every channel
speaks once; rounds of single messages to channels drawn at random, each from the bytes in to the bytes of the reply
out; the periodic sweeps; 10,000 rows that became dirty in an outage, saved once it is over. Meanwhile a heartbeat
(:mod:`benchmarks.heartbeat`) asks every millisecond how long the bot held the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import structlog

from benchmarks.heartbeat import Heartbeat
from benchmarks.scale_database import id_of, login_of
from byte_bot.app import Application, Surroundings
from byte_bot.chat import limiter
from byte_bot.clock import SystemClock
from byte_bot.context.stream_context import StreamContext
from byte_bot.garbage import frozen_survivors
from byte_bot.persistence.journal import JournalStore
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_schema import Owner
from byte_bot.settings import Settings

#: Rows of the burst; the target names this number.
BURST_ROWS = 10_000
#: Seconds any stage may take before the run is given up.
STAGE_S = 600.0
_TAGS = "badges=moderator/1;display-name=Mod;id={id};mod=1;room-id={room};tmi-sent-ts=1790000000000;user-id=7"


class Collections:
    """The garbage collector's pauses since :meth:`reset`."""

    def __init__(self) -> None:
        self.count, self.worst_ms, self._since = 0, 0.0, 0.0
        gc.callbacks.append(self._on_collection)

    def reset(self) -> None:
        """Forget what was seen."""
        self.count, self.worst_ms = 0, 0.0

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._since = time.perf_counter()
        else:
            self.count += 1
            self.worst_ms = max(self.worst_ms, (time.perf_counter() - self._since) * 1000)


class _Writer:
    """The bot's end of the connection; as much of a ``StreamWriter`` and its transport as the client uses."""

    def __init__(self, twitch: Twitch, reader: asyncio.StreamReader) -> None:
        self._twitch = twitch
        self._reader = reader
        self._closed = False
        self.transport = self

    def write(self, data: bytes) -> None:
        """Take what the bot says."""
        self._twitch.heard(data, self._reader)

    async def drain(self) -> None:
        """Nothing is ever held back."""

    def close(self) -> None:
        """End of the connection."""
        self._closed = True
        self._reader.feed_eof()

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be written."""
        return 0

    abort = close

    async def wait_closed(self) -> None:
        """It closes at once."""


class Twitch:
    """A connector whose other end is this object."""

    def __init__(self) -> None:
        self._reader: asyncio.StreamReader | None = None
        self._asked: asyncio.Future[float] | None = None
        self._messages = 0

    async def open(
        self, host: str, port: int, *, tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect the bot."""
        self._reader = asyncio.StreamReader()
        return self._reader, cast(asyncio.StreamWriter, _Writer(self, self._reader))

    def heard(self, data: bytes, reader: asyncio.StreamReader) -> None:
        """Answer what the bot wrote."""
        if self._asked is not None and b"PRIVMSG" in data:
            self._asked.set_result(time.perf_counter())
            self._asked = None
            return
        for line in data.decode().split("\r\n"):
            if line.startswith("NICK"):
                reader.feed_data(b":tmi.twitch.tv 001 bot :Welcome, GLHF!\r\n")
            elif line.startswith("PING"):
                reader.feed_data(b":tmi.twitch.tv PONG tmi.twitch.tv :byte-bot\r\n")
            elif line.startswith("JOIN"):
                reader.feed_data("".join(map(_entered, line[5:].split(","))).encode())

    async def ask(self, number: int) -> float:
        """A moderator says ``!count deaths +1``; seconds from the line's bytes to those of the reply."""
        assert self._reader is not None
        self._messages += 1
        self._asked = answered = asyncio.get_running_loop().create_future()
        tags = _TAGS.format(id=f"m-{self._messages}", room=id_of(number))
        line = (
            f"@{tags} :mod!mod@mod.tmi.twitch.tv PRIVMSG #{login_of(number)} :!count deaths +1\r\n".encode()
        )
        since = time.perf_counter()
        self._reader.feed_data(line)
        replied: float = await answered
        return replied - since


def _entered(channel: str) -> str:
    number = int(channel.removeprefix("#channel"))
    return (
        f"@room-id={id_of(number)} :tmi.twitch.tv ROOMSTATE {channel}\r\n"
        f"@mod=1;user-type=mod :tmi.twitch.tv USERSTATE {channel}\r\n"
    )


class Valve(httpx.AsyncHTTPTransport):
    """The way to the database, which can be shut; counts requests."""

    def __init__(self) -> None:
        super().__init__(limits=httpx.Limits(max_connections=4, max_keepalive_connections=2))
        self.shut = False
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, or refuse the connection."""
        if self.shut:
            raise httpx.ConnectError("the valve is shut")
        self.requests += 1
        return await super().handle_async_request(request)


@contextlib.contextmanager
def database(channels: int, lines: int) -> Iterator[str]:
    """The database's process; its address."""
    command = [sys.executable, "-m", "benchmarks.scale_database"]
    command += ["--channels", str(channels), "--lines", str(lines)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def rss_bytes() -> int:
    """Resident memory of this process."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    # Elsewhere only the peak can be had, in KiB or in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Measurement:
    """The bot with ``channels`` channels, and what is measured on it."""

    def __init__(self, address: str, options: argparse.Namespace, journal: JournalStore) -> None:
        self._channels: int = options.channels
        self._options = options
        self._rng = random.Random(options.seed)
        self._twitch = Twitch()
        self._valve = Valve()
        self._heartbeat = Heartbeat()
        self._collections = Collections()
        rates = limiter.Rates(
            messages_unprivileged=10**6,
            messages_privileged=10**6,
            channel_unprivileged=10**6,
            channel_privileged=10**6,
            message_window_s=0.001,
            channel_spacing_s=0.0,
            duplicate_window_s=0.0,
            joins=2_000,
            join_window_s=0.05,
            margin_s=0.0,
        )
        # The tier's numbers are Twitch's; this process alone has others (see the module's docstring).
        cast(dict[limiter.Tier, limiter.Rates], limiter.RATES)[limiter.Tier.VERIFIED] = rates
        settings = Settings.model_validate(
            {
                "supabase_url": address,
                "supabase_key": "sb_secret_of_the_benchmark",
                "twitch_login": "bot",
                "twitch_token": "benchmark",
                "twitch_rate_tier": "verified",
                "status_interval_s": 0,
            }
        )
        self._http = httpx.AsyncClient(transport=self._valve, timeout=settings.database_timeout_s)
        self._app = Application(
            settings,
            Surroundings(
                connector=self._twitch,
                http=self._http,
                clock=SystemClock(),
                rng=random.Random(options.seed),
                journal_store=journal,
            ),
        )

    async def run(self) -> dict[str, Any]:
        """Every stage, in order; the figures."""
        before = rss_bytes()
        figures: dict[str, Any] = {"channels": self._channels, "rss_before_mb": before / 1e6}
        collector = contextlib.nullcontext() if self._options.plain_gc else frozen_survivors()
        async with self._beating(), asyncio.TaskGroup() as tasks:
            with collector:
                running = tasks.create_task(self._app.run())
                figures |= await self._boot(before)
                figures |= await self._talk()
                figures |= await self._sweeps()
                if self._channels >= BURST_ROWS:
                    figures |= await self._burst()
                figures["waits_seen"] = self._heartbeat.sees_waits
                self._app.stop()
                await running
        await self._http.aclose()
        return figures

    @contextlib.asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        beating = asyncio.create_task(self._heartbeat.run())
        try:
            yield
        finally:
            beating.cancel()

    def _held(self, stage: str) -> dict[str, float]:
        """How long the loop was held since the last look, as figures of ``stage``."""
        held = {
            f"{stage}_stall_ms": self._heartbeat.wall_ms,
            f"{stage}_stall_cpu_ms": self._heartbeat.cpu_ms,
            f"{stage}_held_ms": self._heartbeat.held_ms,
            f"{stage}_gc_ms": self._collections.worst_ms,
        }
        self._heartbeat.reset()
        self._collections.reset()
        return held

    async def _until(self, what: str, reached: Any, every_s: float = 0.02) -> None:
        deadline = time.perf_counter() + STAGE_S
        while not reached():
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{self._channels} channels: {what} took longer than {STAGE_S:g} s")
            await asyncio.sleep(every_s)

    async def _boot(self, before: int) -> dict[str, float]:
        counters = self._app.telemetry.counters
        since = time.perf_counter()
        await self._until("loading", lambda: counters["channels_loaded"] >= self._channels)
        loaded_s = time.perf_counter() - since
        await self._until("joining", lambda: counters["channels_joined"] >= self._channels)
        booted_s = time.perf_counter() - since
        await asyncio.sleep(0.5)
        held = self._held("boot")
        objects = len(gc.get_objects()) + gc.get_freeze_count()
        rss = rss_bytes()
        return {
            "boot_s": booted_s,
            "loaded_s": loaded_s,
            "boot_requests": self._valve.requests,
            "rss_mb": rss / 1e6,
            "rss_grown_mb": (rss - before) / 1e6,
            "gc_objects": objects,
            "gc_frozen": gc.get_freeze_count(),
            **held,
        }

    async def _talk(self) -> dict[str, Any]:
        """Every channel speaks once, then rounds at random."""
        numbers = list(range(min(self._channels, self._options.speakers)))
        self._rng.shuffle(numbers)
        first = [await self._twitch.ask(number) for number in numbers]
        for _ in range(self._options.messages - len(numbers)):  # a small size warms up as well as a large one
            await self._twitch.ask(self._rng.choice(numbers))
        await self._until("saving", lambda: not self._app.layer.ledger.rows_waiting)
        self._held("first")
        rounds = []
        for _ in range(self._options.rounds):
            chosen = self._rng.choices(numbers, k=self._options.messages)
            rounds.append(sorted([await self._twitch.ask(number) for number in chosen]))
        return {
            "first_p50_us": statistics.median(first) * 1e6,
            "p50_us": statistics.median(times[len(times) // 2] for times in rounds) * 1e6,
            "p50_rounds_us": [times[len(times) // 2] * 1e6 for times in rounds],
            "p99_us": statistics.median(times[len(times) * 99 // 100] for times in rounds) * 1e6,
            "rss_spoken_mb": rss_bytes() / 1e6,
            **self._held("talk"),
        }

    async def _sweeps(self) -> dict[str, float]:
        """What the bot does every minute: the channel list is read again, idle contexts are looked for."""
        await self._until("saving", lambda: not self._app.layer.ledger.rows_waiting)
        await asyncio.sleep(0.1)
        self._held("")
        calls = self._app.telemetry.counters["database_calls"]
        assert self._app.layer.on_epoch is not None
        self._app.layer.on_epoch()  # what wakes the directory
        await self._until("the list", lambda: self._app.telemetry.counters["database_calls"] > calls)
        await asyncio.sleep(1.0 + self._channels / 50_000)  # the rows are taken over after the answer
        figures = self._held("refresh")
        await self._app.manager.sweep()
        await asyncio.sleep(0.01)
        return figures | self._held("eviction")

    async def _burst(self) -> dict[str, float]:
        """Rows become dirty while the database is away; then it is back."""
        app, loop = self._app, asyncio.get_running_loop()
        self._valve.shut = True
        for number in range(BURST_ROWS):
            context = app.manager.obtain(id_of(number), login_of(number))
            context.state(StreamContext).current_game = f"burst {number}"
            context._touch()
            if number % 100 == 99:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)
        assert app.layer.ledger.rows_waiting == BURST_ROWS, app.layer.ledger.rows_waiting
        self._held("")
        requests, saved = self._valve.requests, app.telemetry.counters["rows_saved"]
        self._valve.shut = False
        await self._until("the first row", lambda: app.telemetry.counters["rows_saved"] > saved, 0.001)
        since, used = loop.time(), time.thread_time()
        first = app.telemetry.counters["rows_saved"] - saved
        await self._until("the burst", lambda: not app.layer.ledger.rows_waiting, 0.001)
        batches = (BURST_ROWS - first) / 500
        return {
            "burst_s": loop.time() - since,
            "burst_requests": self._valve.requests - requests,
            "save_500_cpu_ms": (time.thread_time() - used) * 1000 / batches,
            "save_500_ms": (loop.time() - since) * 1000 / batches,
            **self._held("burst"),
        }


def main() -> None:
    """Measure one size and print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description="One size of the scale benchmark.")
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--lines", type=int, default=10)
    parser.add_argument("--speakers", type=int, default=10**9)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain-gc", action="store_true", help="collect garbage as Python does by itself")
    options = parser.parse_args()
    # What the bot says as shipped, debug lines left out; the caller throws it away.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

    async def measure(address: str) -> dict[str, Any]:
        owner, clock = Owner("bot", "benchmark"), SystemClock()
        with tempfile.TemporaryDirectory(prefix="byte-bench-") as folder:
            path = Path(folder) / "bench.journal"
            async with journal_on_disk(path, owner, clock, durability="process", wait_lock=False) as journal:
                return await Measurement(address, options, journal).run()

    with database(options.channels, options.lines) as address:
        sys.stdout.write(json.dumps(asyncio.run(measure(address))) + "\n")


if __name__ == "__main__":
    main()
