"""A human lists a channel by its login alone."""

from __future__ import annotations

import asyncio

from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place


def test_the_bot_fills_in_the_id_and_nothing_else(place: Place) -> None:
    """After the JOIN the row has Twitch's id; the human's columns are as they were, and no row is added."""

    async def story(world: World) -> None:
        world.supabase.human_insert("channels_config", {"login": "lobby", "language": "pt-br"})
        world.start_bot()
        await world.joined("lobby", "arcade")
        await world.until(lambda: world.config("lobby")["channel_id"] == world.channels["lobby"], 10)
        await world.until(world.drained)
        assert world.config("lobby")["language"] == "pt-br"
        assert [row["login"] for row in world.supabase.rows("channels_config")] == [".sentinel", "lobby"]

    scenario = Scenario(
        "by_login", "a login only", channels=("lobby", "arcade"), listed=(), fixed=("arcade",)
    )
    play(story, scenario, **place)


def test_a_pause_in_a_channel_without_a_row_keeps_its_language_and_prefix(place: Place) -> None:
    """The row that a pause makes leaves language and prefix to the bot's defaults."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert "?resume" in await world.ask("mod", "?pause")
        await world.until(
            lambda: any(row["login"] == "lobby" for row in world.supabase.rows("channels_config"))
        )
        await world.until(world.drained)
        await asyncio.sleep(70 - world.loop.time())
        await world.ask("mod", "?resume")
        assert await world.ask("viewer", "?ping") == "Pong!"

    scenario = Scenario(
        "no_row",
        "no row",
        listed=(),
        fixed=("lobby",),
        settings={"default_prefix": "?", "default_language": "pt-br"},
    )
    play(story, scenario, **place)
