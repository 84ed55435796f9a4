"""Safeguard: a new process knows what the one before it said. Twitch ignores an account that goes over its limit for half an hour."""

from __future__ import annotations

import asyncio

from byte_bot.persistence.spoken import Spoken
from byte_bot.voice import Voice
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.safeguards.variants import application_with, broken

#: An ordinary account, nobody in its channels: twenty messages in half a minute, one a second in each.
NOBODY = Scenario(
    "nobody",
    "an ordinary bot that is nobody",
    channels=("lobby", "arcade", "cinema", "garden", "harbour"),
    moderated=False,
    verified=False,
)


class FreshVoice(Voice):
    """Begins as if nobody had spoken before."""

    def remember(self, spoken: Spoken) -> None:
        """Forget it."""


async def started_anew(world: World) -> list[float]:
    """Twenty answers, then the process dies, and the next one is asked five times at once; when those were answered."""
    world.start_bot()
    await world.joined()
    began_s = world.loop.time()
    for _ in range(4):
        for channel in world.scenario.channels:
            world.say("viewer", "!ping", channel=channel)
        await asyncio.sleep(1.5)
    assert len(world.transcript) == 20
    world.crash_bot()
    await asyncio.sleep(10)
    world.start_bot()
    await world.joined()
    await asyncio.sleep(began_s + 20 - world.loop.time())
    for channel in world.scenario.channels:
        world.say("viewer", "!ping", channel=channel)
    await asyncio.sleep(20)
    return [line.at_us / 1e6 - began_s for line in world.transcript[20:]]


def test_the_next_process_waits_until_it_may_speak() -> None:
    """It answers when the first five of the twenty are out of Twitch's window, and no later."""

    async def story(world: World) -> None:
        said_s = await started_anew(world)
        assert len(said_s) == 5
        assert 30.0 <= min(said_s) <= max(said_s) <= 30.5
        assert world.irc.stats.get("refused_over_limit", 0) == 0

    play(story, NOBODY)


def test_without_it_the_account_is_ignored() -> None:
    """The twenty-first message within half a minute is dropped, and so is everything after it."""

    async def story(world: World) -> None:
        assert await started_anew(world) == []
        assert world.irc.stats["refused_over_limit"] == 1
        assert broken(world) == ["within_limits"]

    forgetful = application_with(lambda made: made.bot.voice, FreshVoice)
    play(story, NOBODY, strict=False, application=forgetful)
