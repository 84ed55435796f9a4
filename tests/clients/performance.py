"""One performance: the fakes, a driver for each client, every act in turn with all clients at once, and the verdicts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.clients import installation
from tests.clients.acts import Act, Patience, Seat, connects, joins
from tests.clients.child import running
from tests.clients.roster import Client, Runtime
from tests.clients.stage import Stage, opened
from tests.clients.verdicts import Verdict, absent, judge, skipped

DRIVERS: Final = Path(__file__).resolve().parent / "drivers"


async def perform(
    clients: Sequence[Client],
    acts: Sequence[Act],
    unavailable: Mapping[Runtime, str],
    directory: Path,
    tell: Callable[[str], None],
    patience: Patience | None = None,
    *,
    tls: bool = False,
) -> list[Verdict]:
    """Play all acts with all clients whose runtime is there, and judge; ``tell`` gets the name of each act as it begins.

    ``unavailable`` says why a runtime is not there; its clients are skipped, with that reason. With ``tls``
    everything goes over TLS under a throw-away authority, where the client can be told of one. Raises `StageError`.
    """
    verdicts = [
        skipped(client, act.name, unavailable[client.runtime])
        for client in clients
        if client.runtime in unavailable
        for act in acts
        if client.kind in act.kinds
    ]
    playing = [client for client in clients if client.runtime not in unavailable]
    if playing:
        verdicts += await _play(
            playing, acts, opened(playing, directory, tls=tls), directory, tell, patience or Patience()
        )
    order = [client.login for client in clients]
    names = {(client.name, client.version): order.index(client.login) for client in clients}
    return sorted(verdicts, key=lambda verdict: names[verdict.client, verdict.version])


async def _play(
    clients: Sequence[Client],
    acts: Sequence[Act],
    opening: contextlib.AbstractAsyncContextManager[Stage],
    directory: Path,
    tell: Callable[[str], None],
    patience: Patience,
) -> list[Verdict]:
    verdicts: list[Verdict] = []
    async with opening as stage, contextlib.AsyncExitStack() as stack:
        places = [
            await stack.enter_async_context(_Place(client, stage, patience, directory)) for client in clients
        ]
        for act in acts:
            tell(act.name)
            taking_part = [place for place in places if place.client.kind in act.kinds]
            verdicts += [absent(place.client, act.name) for place in places if place not in taking_part]
            if act.begin is not None:
                await act.begin(stage)
            found = await asyncio.gather(*(_judged(place.seat, act) for place in taking_part))
            verdicts += found
            if act.finish is not None:
                await act.finish(stage)
            if act.loses:
                lost = [
                    place
                    for place, verdict in zip(taking_part, found, strict=True)
                    if verdict.mark in ("failed", "own")
                ]
                await asyncio.gather(*(place.start_anew() for place in lost))
        await asyncio.gather(*(place.leave() for place in places))  # each takes a moment; together only one
    return verdicts


class _Place:
    """One client's place on the stage: its seat, and a driver that can be started anew."""

    def __init__(self, client: Client, stage: Stage, patience: Patience, directory: Path) -> None:
        self.client = client
        self._command = installation.command(client.runtime, DRIVERS / client.program)
        self._variables = {
            **stage.variables(client),
            **installation.variables(client.runtime),
            **client.variables,
        }
        self._stage = stage
        self._patience = patience
        self._directory = directory
        self._driver = contextlib.AsyncExitStack()

    async def __aenter__(self) -> _Place:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """End the driver, if it is still there."""
        await self._driver.aclose()

    async def _start(self) -> None:
        child = await self._driver.enter_async_context(
            running(self._command, self._variables, self._directory)
        )
        self.seat = Seat(self.client, child, self._stage, self._patience)

    async def start_anew(self) -> None:
        """End a client that did not come back and start it again, so that the next act is judged for itself."""
        await self.leave()
        await self._start()
        await connects(self.seat)
        await joins(self.seat)


async def _judged(seat: Seat, act: Act) -> Verdict:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    outcome = await act.play(seat)
    return judge(seat.client, act.name, outcome, loop.time() - began_s)
