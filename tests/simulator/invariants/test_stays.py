"""A bot that parts a channel in which it should be is seen; one that was thrown out, or told to leave, is not."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import EmptyList
from simulator.invariants.stays import REMEMBERED_S, Stays
from simulator.scenario import Scenario
from simulator.world import World
from tests.mutants.catalogue import MUTANTS
from tests.simulator.invariants.broken_worlds import watched, working_bot

SCENARIO = Scenario(
    "stays", "two channels, the list read every five seconds", channels=("lobby", "arcade"),
    settings={"config_refresh_s": 5.0},
)  # fmt: skip


async def an_empty_list(world: World) -> None:
    """For a while the table is read as if it had been emptied."""
    await working_bot(world)
    world.break_database(EmptyList())
    await asyncio.sleep(12)
    world.heal()
    await asyncio.sleep(12)


def test_a_bot_that_stays_breaks_nothing() -> None:
    """An empty list is no wish."""
    assert watched(an_empty_list, Stays(), SCENARIO) == []


def test_a_bot_that_leaves_on_an_empty_list_is_seen() -> None:
    """Although it is back when the list is."""
    application = MUTANTS["empty_list_parts"].application
    words = watched(an_empty_list, Stays(), SCENARIO, application)
    assert words == ["the bot parted #arcade, #lobby, where it should be"]


@pytest.mark.parametrize("again_after_s", [1.0, REMEMBERED_S - 10])
def test_a_disabled_channel_may_be_parted(again_after_s: float) -> None:
    """Also a little late, when a human has thought better of it."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.supabase.human_update("channels_config", {"login": "arcade"}, {"enabled": False})
        await asyncio.sleep(again_after_s)
        assert world.app is not None
        world.app.transport.part(["arcade"])
        world.supabase.human_update("channels_config", {"login": "arcade"}, {"enabled": True})
        await asyncio.sleep(10)

    assert watched(story, Stays(), SCENARIO) == []


def test_a_lost_connection_is_no_parting() -> None:
    """Nor is the end of the process."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.irc.disconnect_all()
        await asyncio.sleep(5)
        world.crash_bot()
        await asyncio.sleep(5)
        world.start_bot()
        await world.joined()
        await asyncio.sleep(2)

    assert watched(story, Stays(), SCENARIO) == []
