"""A bot that is not where it should be is seen."""

from __future__ import annotations

from simulator.invariants.present import Present
from simulator.scenario import Scenario
from simulator.world import World
from tests.simulator.invariants.broken_worlds import watched, working_bot


def test_a_working_bot_breaks_nothing() -> None:
    """It is in every channel."""
    assert watched(working_bot, Present()) == []


def test_a_missing_bot_is_seen() -> None:
    """It was killed, and nobody started it again."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.crash_bot()
        await world.until(lambda: not world.irc.joined(world.bot_login))

    assert watched(story, Present()) == ["the bot is not in #lobby, #arcade"]


def test_only_enabled_and_fixed_channels_are_expected() -> None:
    """A disabled channel is not, except one of TWITCH_CHANNEL_LOGINS."""

    async def story(world: World) -> None:
        for login in ("lobby", "arcade"):
            world.supabase.human_update("channels_config", {"login": login}, {"enabled": False})

    scenario = Scenario(
        "off",
        "both disabled",
        channels=("lobby", "arcade", "cinema"),
        listed=("lobby", "arcade"),
        fixed=("arcade",),
    )
    assert watched(story, Present(), scenario) == ["the bot is not in #arcade"]
