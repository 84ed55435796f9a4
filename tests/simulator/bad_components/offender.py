"""A component that reaches for what no seed governs: each of its commands in one way, as people write it."""

# ruff: noqa: DTZ001, DTZ002, DTZ005, DTZ011  # what ruff forbids is what this component is for

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from random import choice
from time import monotonic as now

from byte_bot.components.api import Component, ComponentHost, Context, command

# name -> what is done, and what the error says was called.
OFFENCES: Mapping[str, tuple[Callable[[], object], str]] = {
    "time": (lambda: time.time(), "time.time"),
    "time_ns": (lambda: time.time_ns(), "time.time_ns"),
    "perf_counter": (lambda: time.perf_counter(), "time.perf_counter"),
    "sleep": (lambda: time.sleep(0), "time.sleep"),
    "renamed": (lambda: now(), "time.monotonic"),
    "localtime": (lambda: time.localtime(), "time.localtime"),
    "strftime": (lambda: time.strftime("%H:%M"), "time.strftime"),
    "datetime": (lambda: datetime.now(), "datetime.datetime.now"),
    "aware": (lambda: datetime.now(tz=UTC), "datetime.datetime.now"),
    "today": (lambda: datetime.today(), "datetime.date.today"),
    "date": (lambda: date.today(), "datetime.date.today"),
    "choice": (lambda: choice("ab"), "random.choice"),
    "random": (lambda: random.random(), "random.random"),
    "generator": (lambda: random.Random(), "random.Random() without a seed"),
    "system": (lambda: random.SystemRandom().random(), "os.urandom"),
    "urandom": (lambda: os.urandom(4), "os.urandom"),
    "token": (lambda: secrets.token_hex(4), "os.urandom"),
    "uuid": (lambda: uuid.uuid4(), "uuid.uuid4"),
    "uuid1": (lambda: uuid.uuid1(), "uuid.uuid1"),
    "thread": (lambda: threading.Thread(target=print).start(), "_thread.start_new_thread"),
    # A pool's semaphore asks the time before the first thread starts.
    "pool": (lambda: ThreadPoolExecutor(1).submit(print), "time.monotonic"),
    "to_thread": (lambda: asyncio.to_thread(print), "run_in_executor"),
    "executor": (lambda: asyncio.get_running_loop().run_in_executor(None, print), "run_in_executor"),
}
#: What looks alike and depends on nothing but its arguments.
HARMLESS: Mapping[str, Callable[[], object]] = {
    "conversion": lambda: (
        time.gmtime(0),
        time.strftime("%Y", time.gmtime(0)),
        datetime.fromtimestamp(0, UTC),
    ),
    "seeded": lambda: random.Random(7).random(),
    "named": lambda: (uuid.uuid5(uuid.NAMESPACE_DNS, "a"), datetime(2026, 1, 1) + timedelta(1)),
    "lock": lambda: threading.Lock().acquire(),
}


class Offender(Component):
    """`!reach NAME` does one of the above, in a handler."""

    @command()
    async def reach(self, ctx: Context, name: str) -> None:
        """Reach for something."""
        done = HARMLESS[name]() if name in HARMLESS else OFFENCES[name][0]()
        if isinstance(done, Awaitable):
            await done
        await ctx.reply(f"reached {name}")


async def setup(bot: ComponentHost) -> None:
    """Add the component."""
    await bot.add_component(Offender())
