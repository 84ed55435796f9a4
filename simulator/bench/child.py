"""A process of our own beside a benchmark: started, pinned, spoken to in lines of JSON, and ended.

The fake Supabase, the chat driver of the throughput benchmark and the lanes of the latency benchmark are such processes.
Each says a line of JSON once it is ready (`Child.hello`); those that take orders get one line of JSON on standard input and
answer with one on standard output (`Child.ask`). Standard error goes to a file, not a pipe: nobody has to read it while
something is measured, and its end is in the error when the process fails.

A child gets a process group of its own: Ctrl-C reaches the benchmark alone, which ends its children in order. A child that
takes orders ends when its standard input does, so none outlives a benchmark that is killed; any other is killed.

Left out: bots, which are other people's programs and speak no JSON here (`simulator/bot_process.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.bench.probe import Cores
from simulator.bot_process import clean_environment
from simulator.errors import SimulatorError

START_S = 30.0  # how long a child may take until it is ready, on a busy machine
STOP_S = (
    20.0  # how long one that takes orders may take to end its own children: bots among them, with 10 s each
)
LOG_CHARS = 2_000  # of the end of its log, in an error
LINE_BYTES_MAX = 64 << 20  # of an answer: a round of 10,000 samples has 500,000 bytes
NICENESS_MAX = 19  # the system's own bound
ROOT = Path(__file__).parents[2]


class BenchError(SimulatorError):
    """A bot or a fake did not do what measuring needs; the message says what and how it went."""


class Child:
    """See the module's docstring; the process runs while the context is entered.

    `name` is for error messages, `arguments` those of this Python. `cores` keeps it off the bot's core. With
    `background` it runs, once it is ready, when nobody else wants its core, if `cores` gave it one. Entering raises `BenchError` when it is not ready within `START_S`.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        cores: Cores | None = None,
        background: bool = False,
        takes_orders: bool = False,
    ) -> None:
        self._name = name
        self._command = (sys.executable, *arguments)
        self._cores = cores
        self._background = background
        self._takes_orders = takes_orders
        self._process: asyncio.subprocess.Process | None = None
        self.hello: Any = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None, "enter the context first"
        return self._process.pid

    async def __aenter__(self) -> Child:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process, below
        try:
            await self._start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def ask(self, order: Mapping[str, Any]) -> Any:
        """Give an order and return the answer; raises `BenchError` if the process has ended instead."""
        assert self._process is not None and self._process.stdin is not None, "it takes no orders"
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            pass  # it has ended: its last words are read below
        return await self._heard("ended by itself")

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE if self._takes_orders else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            env=clean_environment(os.environ, {"PYTHONPATH": str(ROOT)}),
            limit=LINE_BYTES_MAX,
            start_new_session=True,
        )
        if self._cores is not None:
            self._cores.keep_rest(self.pid)
        try:
            async with asyncio.timeout(START_S):
                self.hello = await self._heard("ended at once")
        except TimeoutError:
            raise BenchError(
                f"{self._name} was not ready within {START_S:g} s: is the machine busy?"
            ) from None
        if self._background:
            self._keep_in_background()

    def _keep_in_background(self) -> None:
        """Let everybody else go first.

        A nice process keeps the core until its slice of some 3 ms is over, and whoever wakes up waits for that; one of
        the policy "idle" is stopped at once. Both would starve on a machine that has no core to spare (a Python of niceness 19 beside
        two busy ones took 30 s to start), so only processes that were given a core get it, and only once they are ready.
        """
        if self._cores is None or not self._cores.rest:
            return
        os.setpriority(os.PRIO_PROCESS, self.pid, NICENESS_MAX)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(self.pid, os.SCHED_IDLE, os.sched_param(0))

    async def _heard(self, what_else: str) -> Any:
        assert self._process is not None and self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            words = self._log.read().decode("utf-8", "replace").strip()[-LOG_CHARS:]
            raise BenchError(f"{self._name} {what_else} ({' '.join(self._command)}):\n{words}")
        return json.loads(line)

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            if self._process.stdin is None:
                # Nothing of it is needed any more, so nothing of it has to be written down in order.
                self._process.kill()
            else:
                self._process.stdin.close()
                try:
                    async with asyncio.timeout(STOP_S):
                        await self._process.wait()
                except TimeoutError:
                    self._process.kill()
            await self._process.wait()
        self._log.close()
