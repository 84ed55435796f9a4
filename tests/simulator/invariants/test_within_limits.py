"""A bot that says, joins or logs in more than Twitch allows is seen; one that could not know better is not."""

from __future__ import annotations

import asyncio

from simulator.audience import CommandStorm
from simulator.invariants.within_limits import FORGIVEN_S, WithinLimits
from simulator.scenario import Scenario
from simulator.world import World, simulate
from tests.mutants.mutant import one_more
from tests.simulator.invariants.broken_worlds import watched, working_bot

#: More commands than an ordinary account may answer: 20 messages in 30 s, over three channels.
BUSY = Scenario(
    "busy",
    "an ordinary bot is asked too much",
    duration_s=40,
    channels=("lobby", "arcade", "cinema"),
    moderated=False,
    verified=False,
    crowds=tuple(CommandStorm(login, 0.5, ("!ping",), start_s=5) for login in ("lobby", "arcade", "cinema")),
)


def test_a_bot_that_is_asked_too_much_breaks_nothing() -> None:
    """It says what it may, and drops the rest itself."""
    assert [item for item in simulate(BUSY, 1).violations if item.invariant == "within_limits"] == []


def test_one_message_too_many_is_seen() -> None:
    """The twenty-first within half a minute, which Twitch drops without a word."""
    found = simulate(BUSY, 1, application=one_more).violations
    words = [item.words for item in found if item.invariant == "within_limits"]
    assert words[0].startswith("Twitch dropped a message over the account's limit")


async def dropped(world: World, reason: str = "refused_over_limit") -> None:
    """Twitch drops a message of the bot's, and then nothing more."""
    world.irc.count(reason)
    await asyncio.sleep(2)


def test_it_is_told_once() -> None:
    """However often somebody looks."""

    async def story(world: World) -> None:
        await working_bot(world)
        await dropped(world)
        world.irc.count("joins_over_limit")
        world.irc.count("joins_over_limit")
        await asyncio.sleep(2)

    assert watched(story, WithinLimits()) == [
        "Twitch dropped a message over the account's limit",
        "Twitch dropped a JOIN over the limit, and 1 more",
    ]


def test_a_process_knows_what_the_one_before_it_said() -> None:
    """The account's window does not begin anew with a process; what it said last in a channel, it need not know."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.crash_bot()
        world.start_bot()
        await world.joined()
        await dropped(world)
        await dropped(world, "refused_msg_ratelimit")
        await asyncio.sleep(FORGIVEN_S)
        await dropped(world, "refused_msg_duplicate")

    assert watched(story, WithinLimits()) == [
        "Twitch dropped a message over the account's limit",
        "Twitch dropped a message that repeats the one before",
    ]


def test_a_process_whose_disk_is_lost_does_not_know() -> None:
    """For as long as Twitch counts what the one before said; then it must keep the limits like any other."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.crash_bot()
        world.start_bot()
        await world.joined()
        await dropped(world)
        await asyncio.sleep(FORGIVEN_S)
        await dropped(world)

    forgetful = Scenario("forgetful", "nothing is left of the disk", disk="lost")
    assert watched(story, WithinLimits(), scenario=forgetful) == [
        "Twitch dropped a message over the account's limit"
    ]


def test_what_another_process_said_is_not_known() -> None:
    """Somebody starts a second one, and the first is fenced before anybody has said a word: still, one cannot know of the other."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.start_rival()
        await world.bot.end_rivalry()
        await world.joined()
        await dropped(world)
        await asyncio.sleep(FORGIVEN_S)
        await dropped(world)

    assert watched(story, WithinLimits()) == ["Twitch dropped a message over the account's limit"]


def test_company_is_an_excuse_for_as_long_as_twitch_counts() -> None:
    """Two processes run and people speak: what Twitch drops then, and soon after, is both their doing; later it is one's own."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.start_rival()
        rival = world.bot.rival
        assert rival is not None
        await world.until(lambda: rival.app is not None and "lobby" in rival.app.transport.joined)
        world.say("viewer", "!ping")
        await dropped(world)
        await world.bot.end_rivalry()
        assert world.bot.heard_by_two
        await asyncio.sleep(FORGIVEN_S / 2)
        await dropped(world, "joins_over_limit")
        await asyncio.sleep(FORGIVEN_S)
        await dropped(world)
        await dropped(world, "refused_msg_duplicate")

    assert watched(story, WithinLimits()) == [
        "Twitch dropped a message over the account's limit",
        "Twitch dropped a message that repeats the one before",
    ]


def test_a_second_bot_is_company_until_it_has_ended() -> None:
    """One that is told that the database belongs to another."""

    async def story(world: World) -> None:
        await working_bot(world)
        second = asyncio.ensure_future(world.start_second_bot())
        await world.until(lambda: world.second is not None and bool(world.second.transport.joined))
        await asyncio.sleep(2)
        await dropped(world)
        assert world.second is not None
        world.second.stop()
        await second
        await asyncio.sleep(FORGIVEN_S)
        await dropped(world)

    assert watched(story, WithinLimits()) == ["Twitch dropped a message over the account's limit"]
