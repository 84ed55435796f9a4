"""The driver and the bot as child processes: starting them, waiting for them, and carrying out steps with both.

How it works. :class:`Driver` starts ``python -m benchmarks.driver`` and talks to it in lines of JSON. :func:`running` starts a bot
against it, waits until it is in every channel, and warms it up: a slow step is repeated until every message of it is answered,
so that boot, first loads and just-in-time compilers are behind it when time counts. :class:`Arena` then measures steps and
adds how much processor time the bot took for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from benchmarks.contenders import BYTE_BOT, furnish, variables_for
from benchmarks.driver import HOST
from benchmarks.step import StepPlan, StepResult, part_between, queued_seconds
from byte_bot.persistence.schema import SCHEMA_DIR
from simulator.bench.child import BenchError, Child
from simulator.bench.probe import Cores, cpu_seconds
from simulator.bench.stage import Addresses, SupabaseProcess
from simulator.bot_process import BotProcess
from simulator.serve import BOT_LOGIN, BOT_TOKEN

#: Seconds a bot has to log in and join; twitchio 2 pauses after its first joins.
PRESENT_S: Final = 40.0
WARM_UP_S: Final = 1.0
WARM_UP_RATE: Final = 60.0
WARM_UPS_MAX: Final = 15
#: Seconds a bot has to say goodbye; Byte Bot flushes within 8.
STOP_S: Final = 10.0


class BotFailed(BenchError):
    """A bot could not be measured; the message says why, with the end of its log."""


class Driver:
    """The driver's process, while the context lasts. Its verbs raise `BenchError` if it has ended by itself."""

    def __init__(self, channels: int, cores: Cores) -> None:
        arguments = ("-m", "benchmarks.driver", "--channels", str(channels))
        self._child = Child("the driver", arguments, cores=cores, takes_orders=True)

    async def __aenter__(self) -> Driver:
        await self._child.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._child.__aexit__(kind, error, trace)

    def addresses(self, supabase: SupabaseProcess | None, folder: str) -> Addresses:
        """What a bot has to know; ``folder`` is its own."""
        hello = self._child.hello
        url, key = ("", "") if supabase is None else (supabase.url, supabase.secret_key)
        token = f"oauth:{BOT_TOKEN}"
        return Addresses(HOST, hello["port"], BOT_LOGIN, token, tuple(hello["channels"]), url, key, folder)

    async def wait_for_bot(self, seconds: float) -> bool:
        """Wait until a bot is in every channel; whether it is."""
        return bool((await self._child.ask({"do": "wait", "seconds": seconds}))["present"])

    async def step(self, plan: StepPlan) -> StepResult:
        """Carry out one step."""
        order = {"do": "step", **msgspec.to_builtins(plan)}
        return msgspec.convert(await self._child.ask(order), StepResult)


class Measured(msgspec.Struct, frozen=True):
    """A step, the part of a core the bot used in it, and the part of the time in which it waited for its core because
    others were on it (None: the system does not tell).
    """

    step: StepResult
    bot_cpu: float | None
    bot_queued: float | None


class Arena:
    """One bot and the driver, ready for steps. ``events`` are the JSON lines of the bot's log."""

    def __init__(self, driver: Driver, bot: BotProcess, events: Sequence[Mapping[str, Any]]) -> None:
        self._driver = driver
        self._bot = bot
        self.events = events
        self.measured: list[Measured] = []

    @property
    def pid(self) -> int:
        """The bot's process."""
        return self._bot.pid

    async def measure(self, plan: StepPlan) -> StepResult:
        """One step, kept in ``measured``."""
        loop = asyncio.get_running_loop()
        cpu, queued, start_s = cpu_seconds(self.pid), queued_seconds(self.pid), loop.time()
        step = await self._driver.step(plan)
        seconds = loop.time() - start_s
        bot_cpu = part_between(cpu, cpu_seconds(self.pid), seconds)
        bot_queued = part_between(queued, queued_seconds(self.pid), seconds)
        self.measured.append(Measured(step, bot_cpu, bot_queued))
        return step

    async def warm_up(self, text: str, matched_by: str, attempts: int = WARM_UPS_MAX) -> None:
        """Speak slowly until everything is answered, at most so many times.

        Raises:
            BotFailed: it never was.
        """
        plan = StepPlan(WARM_UP_RATE, WARM_UP_S, text, matched_by)
        step = None
        for _ in range(attempts):
            step = await self._driver.step(plan)
            if step.answered == step.sent:
                return
        assert step is not None
        raise BotFailed(
            f"it answers {step.answered} of {step.sent} messages at {WARM_UP_RATE:g}/s; the end of its log:\n"
            + "\n".join(self._bot.last_lines[-10:])
        )


@contextlib.asynccontextmanager
async def running(
    driver: Driver,
    bot: str,
    command: Sequence[str],
    variables: Mapping[str, str],
    cores: Cores,
    *,
    present_s: float = PRESENT_S,
) -> AsyncIterator[Arena]:
    """A bot in every channel of the driver's chat, with its database if it is to have one, while the context lasts.

    ``variables`` come on top of those that every bot gets (``contenders.py``).

    Raises:
        BotFailed: it did not come.
        BenchError: a fake did not.
    """
    events: list[Mapping[str, Any]] = []
    async with contextlib.AsyncExitStack() as resources:
        folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="byte-bench-"))
        furnish(bot, Path(folder))
        supabase = None
        if bot == BYTE_BOT:
            fake = SupabaseProcess(SCHEMA_DIR, seed=1, unix_start_s=time.time(), cores=cores)
            supabase = await resources.enter_async_context(fake)
        whole = {**variables_for(bot, driver.addresses(supabase, folder)), **variables}
        process = BotProcess(command, whole, Path(folder), events.append)
        await process.__aenter__()
        resources.push_async_callback(process.stop, STOP_S)
        cores.keep_bot(process.pid)
        if not await driver.wait_for_bot(present_s):
            raise BotFailed(
                f"{bot} did not join within {present_s:g} s; the end of its log:\n"
                + "\n".join(process.last_lines[-10:])
            )
        yield Arena(driver, process, events)
