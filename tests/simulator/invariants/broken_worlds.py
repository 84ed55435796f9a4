"""Worlds that are broken on purpose, for tests of the invariants: who watches must see it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from byte_bot.app import Application
from simulator.invariants import Invariant
from simulator.loop import run
from simulator.scenario import Scenario
from simulator.simulated_bot import ApplicationFactory
from simulator.supabase.wire import Request
from simulator.world import World

#: The words of what an invariant saw.
Words = list[str]


def watched(
    story: Callable[[World], Awaitable[None]],
    invariant: Invariant,
    scenario: Scenario | None = None,
    application: ApplicationFactory = Application,
) -> Words:
    """Play a story in a world with this one invariant; what it reported, by itself and at the end."""
    chosen = scenario or Scenario("watched", "one invariant watches", channels=("lobby", "arcade"))

    async def body() -> World:
        async with World(chosen, 0, invariants=(invariant,), application=application).standing() as world:
            await story(world)
            world.judge()
            return world

    violations = run(body()).violations
    assert {violation.invariant for violation in violations} <= {invariant.name}
    return [violation.words for violation in violations]


async def working_bot(world: World) -> None:
    """A bot is in its channels, has confirmed a change and saved it."""
    world.start_bot()
    await world.joined()
    await world.ask("mod", "!count deaths +1")
    await world.until(world.drained)


def overwrite(world: World, table: str, values: dict[str, Any], **where: Any) -> None:
    """Change rows behind everybody's back, with no trigger that counts it."""
    condition = " and ".join(f'"{name}" = ?' for name in where)
    changes = ", ".join(f'"{name}" = ?' for name in values)
    stored = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
    world.supabase.engine.connection.execute(
        f'update "{table}" set {changes} where {condition}', (*stored, *where.values())
    )


def save_nothing(world: World) -> None:
    """A save that carries nothing: who looks after every save looks now."""
    world.supabase.execute(
        Request(
            "POST",
            "/rest/v1/rpc/byte_bot_save",
            "",
            {"apikey": world.supabase.secret_key, "content-type": "application/json"},
            json.dumps(
                {"p_epoch": 1, "p_rows": [], "p_patches": [], "p_history": [], "p_events": []}
            ).encode(),
        )
    )
