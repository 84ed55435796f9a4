"""One performance: the fakes, a driver for each client, every act in turn with all clients at once, and the verdicts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.clients import installation
from tests.clients.acts import Act, Patience, Seat, driver_variables
from tests.clients.child import running
from tests.clients.roster import Client, Runtime
from tests.clients.stage import opened
from tests.clients.verdicts import Verdict, absent, judge, skipped

DRIVERS: Final = Path(__file__).resolve().parent / "drivers"


async def perform(
    clients: Sequence[Client],
    acts: Sequence[Act],
    unavailable: Mapping[Runtime, str],
    directory: Path,
    tell: Callable[[str], None],
    patience: Patience | None = None,
) -> list[Verdict]:
    """Play all acts with all clients whose runtime is there, and judge; ``tell`` gets the name of each act as it begins.

    ``unavailable`` says why a runtime is not there; its clients are skipped, with that reason. Raises `StageError`.
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
        verdicts += await _play(playing, acts, directory, tell, patience or Patience())
    order = [client.login for client in clients]
    names = {(client.name, client.version): order.index(client.login) for client in clients}
    return sorted(verdicts, key=lambda verdict: names[verdict.client, verdict.version])


async def _play(
    clients: Sequence[Client],
    acts: Sequence[Act],
    directory: Path,
    tell: Callable[[str], None],
    patience: Patience,
) -> list[Verdict]:
    verdicts: list[Verdict] = []
    async with contextlib.AsyncExitStack() as stack:
        stage = await stack.enter_async_context(opened(clients, directory))
        seats = []
        for client in clients:
            variables = {
                "SCENE": json.dumps(stage.scene(client)),
                **installation.variables(client.runtime),
                **driver_variables(stage, client),
                **client.variables,
            }
            command = installation.command(client.runtime, DRIVERS / client.program)
            driver = await stack.enter_async_context(running(command, variables, directory))
            seats.append(Seat(client, driver, stage, patience))
        for act in acts:
            tell(act.name)
            taking_part = [seat for seat in seats if seat.client.kind in act.kinds]
            verdicts += [absent(seat.client, act.name) for seat in seats if seat not in taking_part]
            if act.begin is not None:
                await act.begin(stage)
            verdicts += await asyncio.gather(*(_judged(seat, act) for seat in taking_part))
            if act.finish is not None:
                await act.finish(stage)
    return verdicts


async def _judged(seat: Seat, act: Act) -> Verdict:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    outcome = await act.play(seat)
    return judge(seat.client, act.name, outcome, loop.time() - began_s)
