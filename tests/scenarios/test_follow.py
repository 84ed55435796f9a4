"""Somebody follows a channel: the bot thanks in chat, counts, and forgets nobody, also while the database hangs.

Over EventSub only: chat itself does not show who follows, so a bot on IRC cannot know.
"""

from __future__ import annotations

from typing import Annotated

import pytest

from byte_bot.chat.message import Follow
from byte_bot.components.api import Add, ChannelState, Component, Context, listener
from simulator.faults import Fault, Hang, TwitchDuplicates
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import PLACES

#: Twitch delivers everything twice, as it may.
NIGHT = Scenario(
    "follow", "people follow", channels=("lobby", "arcade"), faults=(TwitchDuplicates(face="eventsub"),)
)


class Followers(ChannelState, key="followers_in_a_story"):
    """How many have come."""

    total: Annotated[int, Add] = 0


class Thanks(Component):
    """Thanks everybody who follows."""

    @listener("follow")
    async def followed(self, ctx: Context) -> None:
        """By name, and with a number."""
        assert isinstance(ctx.event, Follow)
        followers = ctx.state(Followers)
        followers.total += 1
        await ctx.send(f"thank you, {ctx.author}, number {followers.total}!")


@pytest.mark.parametrize("outage", [(), (Hang(),)], ids=["quiet", "database hangs"])
def test_who_follows_is_thanked_once_and_counted(outage: tuple[Fault, ...]) -> None:
    """Delivered twice, thanked once; in the channel that was followed; and in the database when that is there again."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert world.app is not None
        await world.app.bot.add_component(Thanks())
        await world.until(world.drained)
        for fault in outage:
            world.break_database(fault)
        for channel, login in (("lobby", "ana"), ("lobby", "bia"), ("arcade", "ana"), ("lobby", "ana")):
            world.life.follow(channel, login)
        await world.until(lambda: len(world.transcript) >= 3, 2.0)
        world.heal()
        await world.converge()
        assert sorted((line.channel, line.text) for line in world.transcript) == [
            ("arcade", "thank you, ana, number 1!"),
            ("lobby", "thank you, ana, number 1!"),
            ("lobby", "thank you, bia, number 2!"),
        ]
        stored = world.stored("component_state", world.channels["lobby"], "followers_in_a_story")
        assert stored is not None and stored["total"] == 2
        world.judge()

    play(story, NIGHT, seed=1, **PLACES["eventsub"])
