"""Queda (Portuguese: the fall): the database is down when the bot starts."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import Fault, Hang, Refused, Status503
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place

NIGHT = Scenario(
    "queda", "offline at boot", channels=("lobby", "arcade"), listed=("arcade",), fixed=("lobby",)
)


@pytest.mark.parametrize("fault", [Refused(), Hang(), Status503()], ids=lambda fault: fault.kind)
def test_the_bot_enters_the_channels_of_its_settings_and_reconciles_when_the_database_is_back(
    place: Place, fault: Fault
) -> None:
    """Offline at boot: it joins TWITCH_CHANNEL_LOGINS, answers, and later saves everything and joins the rest."""

    async def story(world: World) -> None:
        world.store_counters("lobby", deaths=40)
        world.break_database(fault)
        world.start_bot()
        await world.joined("lobby", within_s=10)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        assert world.faces.bot_channels() == ("lobby",)
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 42, "what was confirmed adds up to what was stored"
        assert await world.ask("viewer", "!count deaths") == "deaths: 42"
        await world.joined("lobby", "arcade", within_s=10)
        await world.until(world.drained)
        world.judge()

    play(story, NIGHT, **place)


def test_an_empty_list_parts_nobody(place: Place) -> None:
    """A table emptied by mistake is not a wish to leave: the bot stays where it is."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade")
        world.supabase.human_delete("channels_config", {"login": "lobby"})
        world.supabase.human_delete("channels_config", {"login": "arcade"})
        await asyncio.sleep(130 - world.loop.time())
        assert sorted(world.faces.bot_channels()) == ["arcade", "lobby"]

    play(story, Scenario("empty", "an empty list", channels=("lobby", "arcade")), **place)


def test_a_channel_disabled_by_a_human_is_left_and_a_fixed_one_is_not(place: Place) -> None:
    """Disabling a row parts its channel at the next refresh, except one of TWITCH_CHANNEL_LOGINS."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade", "cinema")
        for login in ("lobby", "arcade"):
            world.supabase.human_update("channels_config", {"login": login}, {"enabled": False})
        await world.until(lambda: "arcade" not in world.faces.bot_channels(), 90)
        assert sorted(world.faces.bot_channels()) == ["cinema", "lobby"]

    scenario = Scenario(
        "disabled", "a channel is switched off", channels=("lobby", "arcade", "cinema"), fixed=("lobby",)
    )
    play(story, scenario, **place)
