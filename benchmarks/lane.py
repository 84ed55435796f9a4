"""A lane of the latency benchmark: one bot with its fakes and its load, measured in a process of its own.

How it works. The process reads an order a line on standard input and answers each with a line, both JSON:

- `{"do": "start", "job": ..., "seed": ..., "phase": ..., "cores": [...]}`: start the job's bot and the fakes;
- `{"do": "measure", "step": N}`: the job's Nth condition; the answer has a `round` or, for the picture, a `timeline`;
- `{"do": "end"}`: end them.

`{"error": ...}` answers what a bot or a fake did not do; the job is over then. `phase` (0 to 1) keeps loads that run at the same
time from sending at the same moment (`simulator/bench/load.py`). The generator and the clock of a lane share a loop with nothing
but its fake Twitch: neither another lane's garbage collection nor its reading of the database is in a latency. What lanes do
share are two cores. At the end of standard input everything is ended, so a lane does not outlive its benchmark.

`Lane` is the other side, which gives the orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import msgspec

from benchmarks.chat_plan import Job, outage_of
from benchmarks.strategies import SMALL_BOTS, strategy
from simulator.bench.child import BenchError, Child
from simulator.bench.load import run_precisely
from simulator.bench.measure import Bench, Kill, Patience
from simulator.bench.probe import Cores
from simulator.bench.results import Round, Timeline

# Small bots may be stuck for as long as their library waits (120 s): what they have not saved by then is counted as lost.
SMALL_PATIENCE = Patience(quiet_s=3.0, drain_s=8.0)


class Lane:
    """One such process, while the context lasts; its verbs raise `BenchError` for what the bot or a fake did not do."""

    def __init__(self, cores: Cores, *, seed: int) -> None:
        self._child = Child("a lane", ("-m", "benchmarks.lane"), cores=cores, takes_orders=True)
        self._cores = sorted((*cores.bot, *cores.rest))
        self._seed = seed

    async def __aenter__(self) -> Lane:
        await self._child.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._child.__aexit__(kind, error, trace)

    async def start(self, job: Job, phase: float) -> None:
        """Start the bot of a job; `measure` then measures its conditions."""
        order = {"do": "start", "job": msgspec.to_builtins(job), "phase": phase}
        await self._ask({**order, "seed": self._seed, "cores": self._cores})

    async def measure(self, step: int) -> Round | Timeline:
        """The job's condition of that number."""
        answer = await self._ask({"do": "measure", "step": step})
        if "timeline" in answer:
            return msgspec.convert(answer["timeline"], Timeline)
        return msgspec.convert(answer["round"], Round)

    async def end(self) -> None:
        """End the bot and its fakes."""
        await self._ask({"do": "end"})

    async def _ask(self, order: Mapping[str, Any]) -> Any:
        answer = await self._child.ask(order)
        if "error" in answer:
            raise BenchError(answer["error"])
        return answer


class Worker:
    """What the process does: orders in, answers out."""

    def __init__(self) -> None:
        self._resources = contextlib.AsyncExitStack()
        self._bench: Bench | None = None
        self._job: Job | None = None

    async def obey(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one order."""
        try:
            match order["do"]:
                case "start":
                    return await self._start(order)
                case "measure":
                    return await self._measure(order["step"])
                case "end":
                    await self.end()
                    return {}
                case other:
                    raise BenchError(f"a lane knows no order {other!r}")
        except BenchError as error:
            await self.end()
            return {"error": str(error)}

    async def end(self) -> None:
        """End the bot and its fakes, if there are any."""
        self._bench = self._job = None
        await self._resources.aclose()

    async def _start(self, order: Mapping[str, Any]) -> dict[str, Any]:
        job = self._job = msgspec.convert(order["job"], Job)
        bench = Bench(
            strategy(job.strategy),
            job.loads[0].channels,
            unix_start_s=time.time(),
            seed=order["seed"],
            cores=Cores(order["cores"]),
            patience=SMALL_PATIENCE if job.strategy in SMALL_BOTS else Patience(),
            phase=order["phase"],
        )
        self._bench = await self._resources.enter_async_context(bench)
        return {}

    async def _measure(self, step: int) -> dict[str, Any]:
        assert self._bench is not None and self._job is not None, "start a job first"
        job, condition, load = self._job, self._job.conditions[step], self._job.loads[step]
        if job.part == "picture":
            timeline = await self._bench.timeline(condition, load, outage_of(load))
            return {"timeline": msgspec.to_builtins(timeline)}
        kill: Kill | None = None
        if job.part == "kill":
            kill = "in mid-load"
        elif job.part == "soak" and condition.fault is not None:
            kill = "after answers"
        one = await self._bench.measure(condition, load, job.number, kill=kill)
        return {"round": msgspec.to_builtins(one)}


async def serve() -> None:
    """Obey until standard input ends, which ends what is going on, too."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    worker = Worker()
    _answer({"ready": True})
    try:
        async with asyncio.TaskGroup() as tasks:
            busy: asyncio.Task[None] | None = None
            while line := await reader.readline():
                busy = tasks.create_task(_obey(worker, json.loads(line)))
            if busy is not None:
                busy.cancel()
    finally:
        await worker.end()


async def _obey(worker: Worker, order: Mapping[str, Any]) -> None:
    _answer(await worker.obey(order))


def _answer(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run_precisely(serve())
