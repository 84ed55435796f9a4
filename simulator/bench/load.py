"""The load: an open loop that sends by the clock, whatever the bot does, and the event loop that keeps its time.

Message i is due at start + i / rate. A bot that stalls is asked on; its latency counts from the moment a message was due, so
what waited behind a stall is counted with its waiting ("coordinated omission" is the error of not doing so). Lateness of the
generator itself is kept too: it is in every latency, and a benchmark that does not say how much of it there was cannot be read.

`run_precisely` runs the whole on `select`: asyncio's usual `epoll` rounds every timer up to a whole millisecond, which is more
than the latencies to be measured. Where the platform's subprocesses need another loop (Windows), the usual one is taken.
"""

from __future__ import annotations

import asyncio
import gc
import math
import selectors
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from simulator.bench.plan import Load
from simulator.bench.results import percentile
from simulator.garbage import garbage_held

LEAD_S = 0.01  # before the first message: what was prepared a moment ago has no part in its latency

_T = TypeVar("_T")


def run_precisely(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a loop whose timers are good to a tenth of a millisecond, with the garbage collector held."""
    with garbage_held(), asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


class OpenLoop:
    """Calls `send(number, due)` for every message of a load, at the moment it is due (seconds of the loop's clock) or right after.

    `phase` (0 to 1) is where in the interval between two messages they are due, by the clock that all processes of the machine
    share: loads of one rate that run side by side with different phases never send at the same moment.
    """

    def __init__(self, send: Callable[[int, float], object], phase: float = 0.0) -> None:
        self._send = send
        self._phase = phase
        self._late_ms: list[float] = []

    async def run(self, load: Load) -> float:
        """Send the whole load; returns the moment at which the first message was due."""
        loop = asyncio.get_running_loop()
        gc.collect()  # here, so that the collector, which is held, has nothing to do in between
        count, rate = load.count(), load.rate
        start_at = (math.ceil((loop.time() + LEAD_S) * rate - self._phase) + self._phase) / rate
        self._late_ms = []
        sent = 0
        while sent < count:
            due, now = start_at + sent / rate, loop.time()
            if due > now:
                await asyncio.sleep(due - now)
                continue
            self._late_ms.append((now - due) * 1_000)
            self._send(sent, due)
            sent += 1
        return start_at

    def late_p99_ms(self) -> float:
        """How late the generator was itself in the last run, 99th percentile in milliseconds."""
        return percentile(sorted(self._late_ms), 99) if self._late_ms else 0.0
