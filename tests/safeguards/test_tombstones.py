"""Safeguard: tombstones. What was deleted is not brought back by somebody who has not heard of it."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import StoryError, World, play
from tests.safeguards.row_variants import GravelessRow, layer_of
from tests.safeguards.variants import application_with, broken, other_machine

STORY = Scenario(
    "deleted_elsewhere", "a command is deleted while a machine that changed it is away", fixed=("lobby",)
)


async def a_command_is_deleted_elsewhere(world: World) -> None:
    """A machine edits !hello during an outage and dies; another deletes it; the first returns with its journal."""
    world.start_bot()
    await world.joined()
    await world.ask("mod", "!cmd add hello Hello!")
    await world.until(world.drained)
    world.break_database(Hang())
    await world.ask("mod", "!cmd edit hello Hello again!")
    world.crash_bot()
    world.heal()
    async with other_machine(world):
        await world.ask("mod", "!cmd del hello")
    assert "hello" not in commands(world)
    world.start_bot()
    await world.joined()
    await world.until(world.drained)


def commands(world: World) -> Any:
    """The custom commands in the database."""
    return world.stored("component_state", world.channels["lobby"], "custom_commands")["commands"]


def test_they_keep_a_deleted_command_deleted() -> None:
    """With tombstones the older edit loses against the newer deletion."""

    async def story(world: World) -> None:
        await a_command_is_deleted_elsewhere(world)
        assert "hello" not in commands(world)
        with pytest.raises(StoryError):
            await world.ask("viewer", "!hello", within_s=3)
        world.judge()

    play(story, STORY)


def test_without_them_a_deleted_command_comes_back() -> None:
    """Without tombstones the journal of the machine that was away brings it back, in chat and in the database."""

    async def story(world: World) -> None:
        await a_command_is_deleted_elsewhere(world)
        assert "hello" in commands(world)
        assert await world.ask("viewer", "!hello") == "Hello again!"
        await world.until(world.drained)
        world.judge()
        assert broken(world) == ["agreement"]

    play(
        story,
        STORY,
        strict=False,
        application=application_with(lambda made: made.layer, layer_of(GravelessRow)),
    )
