"""The key is wrong, or sees nothing."""

from __future__ import annotations

import asyncio

from simulator.faults import Unauthorized
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place


def test_a_key_refused_in_mid_stream_parts_no_channel(place: Place) -> None:
    """401 on every request for minutes: the bot stays, answers, and says what to do."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade")
        await world.until(world.drained)
        world.break_database(Unauthorized())
        await asyncio.sleep(200 - world.loop.time())
        assert sorted(world.faces.bot_channels()) == ["arcade", "lobby"]
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert world.app is not None
        assert "SUPABASE_KEY" in world.app.layer.link.last_error
        world.heal()
        await world.converge()
        world.judge()

    play(story, Scenario("wrong_key", "401", channels=("lobby", "arcade")), **place)


def test_a_list_without_the_sentinel_does_not_count(place: Place) -> None:
    """A key that sees no rows gets an empty list and no error: nobody is parted, and it says what to do."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade")
        for login in (".sentinel", "lobby", "arcade"):
            world.supabase.human_delete("channels_config", {"login": login})
        await asyncio.sleep(200 - world.loop.time())
        assert sorted(world.faces.bot_channels()) == ["arcade", "lobby"]
        assert world.app is not None
        assert "the key sees nothing" in world.app.layer.link.last_error

    play(story, Scenario("no_sentinel", "200 []", channels=("lobby", "arcade")), **place)
