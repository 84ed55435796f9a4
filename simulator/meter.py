"""How much HTTP the bot has under way: a transport around the fake's transport that counts, and changes nothing.

Counted by process, since limits are: a superseded bot and its successor may well save at the same moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from simulator.loop import Process, current_process

#: Is told of a request that leaves; of one that is over, with the status of its answer (None: there was none).
Asked = Callable[[httpx.Request], None]
Answered = Callable[[httpx.Request, int | None], None]


@dataclass
class _Tally:
    """What one process has under way."""

    requests: int = 0
    saves: int = 0


class Meter:
    """Requests and saves under way now, and the most that one process ever had at once."""

    def __init__(self) -> None:
        #: None: what the world itself asks for, or a bot that is no process.
        self._tallies: dict[Process | None, _Tally] = {}
        self.requests_at_once_max = 0
        self.saves_at_once_max = 0
        self.requests_total = 0
        self.observers: list[tuple[Asked, Answered]] = []

    def observe(self, asked: Asked, answered: Answered) -> None:
        """Call these with every request, when it leaves with its body and when it is over, in the process that asked; they must change nothing.

        A process that dies learns of no end.
        """
        self.observers.append((asked, answered))

    @property
    def requests_now(self) -> int:
        """Requests under way, of all processes."""
        return sum(tally.requests for tally in self._tallies.values())

    @property
    def saves_now(self) -> int:
        """Saves under way, of all processes."""
        return sum(tally.saves for tally in self._tallies.values())

    def begin(self, process: Process | None, *, is_save: bool) -> None:
        """A request of this process leaves."""
        tally = self._tallies.setdefault(process, _Tally())
        tally.requests += 1
        tally.saves += is_save
        self.requests_total += 1
        self.requests_at_once_max = max(self.requests_at_once_max, tally.requests)
        self.saves_at_once_max = max(self.saves_at_once_max, tally.saves)

    def end(self, process: Process | None, *, is_save: bool) -> None:
        """It is over, one way or the other."""
        tally = self._tallies.get(process)
        if tally is None:
            return  # of a dead process
        tally.requests -= 1
        tally.saves -= is_save

    def process_died(self) -> None:
        """A client's process was killed, and with it whatever it waited for."""
        for process in [one for one in self._tallies if one is not None and one.killed]:
            del self._tallies[process]


class MeteredTransport(httpx.AsyncBaseTransport):
    """Counts what goes through ``inner`` in ``meter``."""

    def __init__(self, inner: httpx.AsyncBaseTransport, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on."""
        process, is_save = current_process(), request.url.path.endswith("byte_bot_save")
        await request.aread()
        self._meter.begin(process, is_save=is_save)
        status: int | None = None
        for asked, _ in self._meter.observers:
            asked(request)
        try:
            response = await self._inner.handle_async_request(request)
            status = response.status_code
            return response
        finally:
            self._meter.end(process, is_save=is_save)
            for _, answered in self._meter.observers:
                answered(request, status)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()
