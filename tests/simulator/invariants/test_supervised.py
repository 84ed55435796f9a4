"""A defect that a supervisor of the bot has caught is seen, once."""

from __future__ import annotations

import asyncio

import pytest

from simulator.invariants.supervised import CAUGHT, Supervised
from simulator.world import World
from tests.simulator.invariants.broken_worlds import watched, working_bot


def test_a_working_bot_breaks_nothing() -> None:
    """Nothing was caught."""
    assert watched(working_bot, Supervised()) == []


@pytest.mark.parametrize("name", CAUGHT)
def test_what_was_caught_is_told_once(name: str) -> None:
    """Whatever it was, and however often it is looked at."""

    async def story(world: World) -> None:
        await working_bot(world)
        assert world.app is not None
        world.app.telemetry.count(name)
        await asyncio.sleep(5)

    assert watched(story, Supervised()) == [f"a supervisor caught a defect: {name} is 1"]
