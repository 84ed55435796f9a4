"""Measuring one bot, of any make, as a process of its own: start it on the fakes, load it, break its database, look at it.

A `Target` says how the bot is started, what is said to it and what its replies look like; a `Storage` says where its database
keeps what it told its viewers. `Bench` is one running bot with its fakes; `Bench.measure` is one round:

1. the fault is set, and `lead_s` of the load passes uncounted, so that the condition is in force; one that `heals` ends there;
2. the load is sent by the clock (`load.py`), while PINGs probe the bot's event loop;
3. until every message is answered, at most `patience_s` after the last one was due;
4. the fault is cleared, and the round ends when the database has everything that viewers were told, or when nothing has
   changed there for `quiet_s`: what is missing then is lost. After either no request has come for `STILL_S`: what viewers
   were not told of, such as lines of history, is saved as well. So one condition does not reach into the next.

A kill is a SIGKILL "in mid-load", instead of step 3, with the last messages on their way: nothing else of that round counts; or
"after answers", between steps 3 and 4, when latencies and memory have been taken. A new process starts after the fault is
cleared. `Bench.timeline` has the fault in the middle of one load, for the picture.

Left out: a bot that does not log in, or not to all channels, is an error and not a result.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from simulator.bench.child import BenchError
from simulator.bench.load import OpenLoop
from simulator.bench.matching import Expectation, ReplyBook
from simulator.bench.plan import Condition, Load
from simulator.bench.probe import Cores, LagProbe, Theft, rss_mb
from simulator.bench.results import Round, Sample, Timeline
from simulator.bench.stage import Addresses, SupabaseProcess, TwitchStage
from simulator.bot_process import BotProcess
from simulator.listening import Listening

JOIN_S = 30.0  # how long a bot may take to log in and join
WARM_S = 20.0  # how long it may take to answer the first message of every kind
WARM_TOGETHER = 10  # messages at a time, a pace that the slowest bot keeps
TOLERANCE_S = 1e-6  # of floating point, where a moment is compared with itself
LOOK_EVERY_S = 0.25  # at the database, while it catches up
STILL_S = 1.0  # chosen: a bot that has a backlog saves it back to back, or a few times a second

Values = Mapping[tuple[str, str], int]  # channel, key -> value
Kill = Literal["in mid-load", "after answers"]


@dataclass(frozen=True)
class Storage:
    """Where a bot's database keeps the values that it confirms; `read` makes them of the table's rows.

    `read` gets the rows and the login of each channel by its id. `schema_dir` is the folder with the project's *.sql files,
    None for Byte Bot's.
    """

    table: str
    read: Callable[[Sequence[Mapping[str, Any]], Mapping[str, str]], Values]
    schema_dir: Path | None = None


@dataclass(frozen=True)
class Target:
    """A bot to measure.

    `variables` makes the environment of `command`, which is started in an empty folder. Message i goes to channel i modulo
    channels and is `messages[i // channels]`, round and round, as a text and the key of its reply (`Expectation`), with "{n}"
    replaced by i.
    """

    name: str
    command: Sequence[str]
    variables: Callable[[Addresses], Mapping[str, str]]
    messages: Sequence[tuple[str, str]]
    expectation: Expectation
    uses_database: bool = True
    storage: Storage | None = None


@dataclass(frozen=True)
class Patience:
    """How long things are waited for, in seconds."""

    reply_s: float = 5.0  # chosen: a viewer who waited as long has repeated the command or gone
    lead_s: float = 1.0
    quiet_s: float = 12.0  # chosen: a request given up after 5 s, the next try up to 5 s later, and a little
    quiet_after_kill_s: float = (
        4.0  # chosen: the new process has a healthy database, and two of its saves pass
    )
    drain_s: float = 60.0


class Bench(Listening):
    """One bot and its fakes, running while the context is entered; see the module's docstring. Raises `BenchError`."""

    def __init__(
        self,
        target: Target,
        channels: int,
        *,
        unix_start_s: float,
        seed: int = 1,
        cores: Cores | None = None,
        patience: Patience | None = None,
        phase: float = 0.0,
    ) -> None:
        self._target = target
        self._channels = channels
        self._unix_start_s = unix_start_s
        self._seed = seed
        self._cores = cores if cores is not None else Cores(enabled=False)
        self._patience = patience if patience is not None else Patience()
        super().__init__()
        self._book = ReplyBook(target.expectation)
        self._open_loop = OpenLoop(self._say, phase)
        self._idle = asyncio.Event()  # no message is open
        self._sampling = asyncio.Event()  # the first message that counts has been said
        self._supabase: SupabaseProcess | None = None
        self._sampled_from_s = 0.0
        self._started_at: float | None = None  # when the first message of this load was due
        self._said = 0

    # -- life -----------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        enter = self._resources.enter_async_context
        self._loop = asyncio.get_running_loop()
        self._resources.enter_context(self._cores.going_first())
        self._folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        if self._target.uses_database:
            storage = self._target.storage
            schema_dir = storage.schema_dir if storage is not None else None
            self._supabase = await enter(
                SupabaseProcess(
                    schema_dir, seed=self._seed, unix_start_s=self._unix_start_s, cores=self._cores
                )
            )
        stage = TwitchStage(self._channels, self._heard, unix_start_s=self._unix_start_s, seed=self._seed)
        self._twitch = await enter(stage)
        await self._start_bot()

    async def _start_bot(self, *, warm: bool = True) -> None:
        """Start the bot, wait until it is in every channel, and ask everything once."""
        variables = self._target.variables(self._twitch.addresses(self._supabase, str(self._folder)))
        self._bot = BotProcess(self._target.command, variables, self._folder, lambda event: None)
        await self._resources.enter_async_context(self._bot)
        # A killed bot is entered again as another process, so every one of them is ended at the end.
        self._resources.push_async_callback(self._bot.kill)
        self._cores.keep_bot(self._bot.pid)
        await self._until(self._twitch.all_joined, "join its channels", JOIN_S)
        if warm:
            await self._warm_up()

    async def _warm_up(self) -> None:
        """Ask everything once, a few at a time: what a bot does only the first time is in no sample."""
        self._begin(sampled_from_s=float("inf"))
        for number in range(self._channels * len(self._target.messages)):
            self._say(number, self._loop.time())
            if number % WARM_TOGETHER == 0:
                await self._until(lambda: not self._book.outstanding, "answer its first messages", WARM_S)
        await self._until(lambda: not self._book.outstanding, "answer its first messages", WARM_S)

    async def _until(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        """Wait for the bot to do something it has to; raises `BenchError` with the end of its log if it does not."""
        give_up_at = self._loop.time() + within_s
        while not condition():
            if not self._bot.running or self._loop.time() > give_up_at:
                how = "ended before it could" if not self._bot.running else f"did not, within {within_s:g} s,"
                log = "\n  ".join(self._bot.last_lines[-10:]) or "(nothing)"
                raise BenchError(f"{self._target.name}: the bot {how} {what}. The end of its log:\n  {log}")
            await asyncio.sleep(0.005)

    # -- what is said and heard -----------------------------------------------------------------------------------------

    def _begin(self, *, sampled_from_s: float) -> None:
        self._book.clear()
        self._sampled_from_s, self._started_at = sampled_from_s, None
        self._sampling.clear()
        self._idle.set()

    def _say(self, number: int, due: float) -> None:
        if self._started_at is None:
            self._started_at = due
        channel = self._twitch.channels[number % self._channels]
        text, key = self._target.messages[number // self._channels % len(self._target.messages)]
        self._said += 1
        message_id = self._twitch.say(channel, text.replace("{n}", str(self._said)))
        sampled = due - self._started_at >= self._sampled_from_s
        self._book.ask(message_id, channel, key, due, sampled=sampled)
        self._idle.clear()
        if sampled:
            self._sampling.set()

    def _heard(self, channel: str, text: str, reply_to: str) -> None:
        self._book.heard(channel, text, reply_to, self._loop.time())
        if not self._book.outstanding:
            self._idle.set()

    async def _answers(self, within_s: float) -> None:
        """Wait until every message is answered, no longer than `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            pass  # what is open then is a result

    # -- rounds ---------------------------------------------------------------------------------------------------------

    async def measure(
        self, condition: Condition, load: Load, number: int = 0, *, kill: Kill | None = None
    ) -> Round:
        """One round; see the module's docstring."""
        in_mid_load = kill == "in mid-load"
        lead_s = max(self._patience.lead_s, condition.lead_s)
        requests = await self._attempts()
        rss_start_mb = rss_mb(self._bot.pid)
        lag = LagProbe(self._twitch.irc)
        await self._set_fault(condition.fault)
        self._begin(sampled_from_s=lead_s - TOLERANCE_S)
        theft = Theft()
        whole = msgspec.structs.replace(load, seconds=load.seconds + lead_s)
        async with asyncio.TaskGroup() as tasks:
            probing = tasks.create_task(lag.run())
            if condition.heals:
                tasks.create_task(self._heal_at_first_sample())
            await self._open_loop.run(whole)
            if in_mid_load:
                # At once, with the last messages on their way: a reply that leaves before it is durable must be caught.
                await self._bot.kill()
            else:
                await self._answers(self._patience.reply_s)
            probing.cancel()
        rss_end_mb = rss_start_mb if in_mid_load else rss_mb(self._bot.pid)
        samples, stolen = [] if in_mid_load else self._samples(), theft.share()
        if kill == "after answers":
            await self._bot.kill()
        await self._set_fault(None)
        if kill:
            await self._start_bot(warm=False)
        healed_at = self._loop.time()
        missing, settled_at = await self._settle(
            self._patience.quiet_after_kill_s if kill else self._patience.quiet_s
        )
        after_heal, after_kill = (None, missing) if kill else (missing, None)
        return Round(
            strategy=self._target.name,
            condition=condition.name,
            channels=load.channels,
            rate=load.rate,
            number=number,
            patience_s=self._patience.reply_s,
            samples=samples,
            requests=await self._attempts() - requests,
            messages=whole.count(),
            rss_start_mb=rss_start_mb,
            rss_end_mb=rss_end_mb,
            loop_lag_p99_ms=lag.p99_ms(),
            generator_late_p99_ms=self._open_loop.late_p99_ms(),
            stolen=round(stolen, 4),
            settle_s=round(settled_at - healed_at, 3),
            lost=total_of(after_heal),
            stale=count_of(after_heal),
            lost_after_kill=total_of(after_kill),
            stale_after_kill=count_of(after_kill),
        )

    async def timeline(self, condition: Condition, load: Load, outage: tuple[float, float]) -> Timeline:
        """One load with the fault between two moments of it (seconds from its start)."""
        self._begin(sampled_from_s=0.0)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self._open_loop.run(load))
            await asyncio.sleep(outage[0])
            await self._set_fault(condition.fault)
            await asyncio.sleep(outage[1] - outage[0])
            await self._set_fault(None)
            await running
        await self._answers(self._patience.reply_s)
        points = [(sample.intended_s, sample.latency_ms) for sample in self._samples()]
        await self._settle(self._patience.quiet_s)
        return Timeline(strategy=self._target.name, points=points, outage=outage)

    def _samples(self) -> list[Sample]:
        asked = [one for one in self._book.asked if one.sampled]
        if not asked:
            return []
        patience_s = self._patience.reply_s
        return [
            Sample(
                one.intended_at - asked[0].intended_at,
                # A reply later than patience is one that nobody waited for.
                None
                if one.replied_at is None or one.replied_at - one.intended_at > patience_s
                else (one.replied_at - one.intended_at) * 1_000,
            )
            for one in asked
        ]

    # -- the database ---------------------------------------------------------------------------------------------------

    async def _set_fault(self, fault: Mapping[str, Any] | None) -> None:
        if self._supabase is not None:
            await self._supabase.set_fault(fault)

    async def _heal_at_first_sample(self) -> None:
        await self._sampling.wait()
        await self._set_fault(None)

    async def _attempts(self) -> int:
        return 0 if self._supabase is None else await self._supabase.attempts()

    async def _settle(self, quiet_s: float) -> tuple[Values | None, float]:
        """Wait until the database has what viewers were told, or nothing moves there, and no request comes any more.

        Returns what is missing, and the moment since when that is so. What is missing counts once: the next round starts
        from what there is. A bot whose storage is not known is given until its requests pause.
        """
        if self._supabase is None:
            return None, self._loop.time()
        storage, give_up_at = self._target.storage, self._loop.time() + self._patience.drain_s
        seen: object = None
        missing: dict[tuple[str, str], int] = {}
        moved_at = self._loop.time()
        while True:
            state: object
            if storage is None:
                state, complete = await self._supabase.attempts(), False
            else:
                state = stored = storage.read(
                    await self._supabase.rows(storage.table), self._twitch.channel_logins()
                )
                missing = shortfall(self._book.confirmed, stored)
                complete = not missing
            now = self._loop.time()
            if state != seen:
                seen, moved_at = state, now
            if complete or now - moved_at >= quiet_s or now > give_up_at:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        settled_at = await stood_still(self._supabase.attempts, give_up_at)
        if storage is None:
            return None, settled_at
        for place, short in missing.items():
            self._book.confirmed[place] -= short
        return missing, settled_at


async def stood_still(count: Callable[[], Awaitable[int]], give_up_at: float) -> float:
    """Wait until a count has not moved for `STILL_S`, or until `give_up_at` (the loop's time); returns since when it has not."""
    loop = asyncio.get_running_loop()
    since, seen = loop.time(), await count()
    while loop.time() < min(since + STILL_S, give_up_at):
        await asyncio.sleep(LOOK_EVERY_S)
        if (now := await count()) != seen:
            since, seen = loop.time(), now
    return since


def total_of(missing: Values | None) -> int | None:
    """How many increments are missing, None if it is not known."""
    return None if missing is None else sum(missing.values())


def count_of(missing: Values | None) -> int | None:
    """How many values are behind, None if it is not known."""
    return None if missing is None else len(missing)


def shortfall(confirmed: Values, stored: Values) -> dict[tuple[str, str], int]:
    """How far each stored value is behind the one that viewers were told; only those that are."""
    return {
        place: value - stored.get(place, 0)
        for place, value in confirmed.items()
        if stored.get(place, 0) < value
    }
