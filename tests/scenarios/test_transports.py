"""One conversation, told over IRC and over EventSub: the bot says the same, and hears the same."""

from __future__ import annotations

import asyncio
from typing import Any

from byte_bot.chat.message import ChatNotice
from byte_bot.components.api import Component, Context, Gift, Raid, Subscription, listener
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import PLACES

#: Who says what where; a number waits so many seconds.
CONVERSATION: tuple[tuple[str, str, str] | float, ...] = (
    ("lobby", "ana", "hello everybody"),
    ("lobby", "ana", "!ping"),
    ("lobby", "mod", "!count deaths +1"),
    ("arcade", "mod", "!count deaths =5"),
    ("lobby", "ana", "!count deaths"),
    ("arcade", "ana", "!count deaths"),
    2.0,
    ("lobby", "mod", "!cmd add hug {user} hugs {args}. That makes {count} hugs in {channel}!"),
    ("lobby", "bia", "!hug Ana"),
    ("lobby", "lobby", "!game Celeste"),
    ("lobby", "ana", "!game"),
    ("lobby", "ana", "!nobody has this"),
    ("lobby", "ana", "!count wins +1"),
    2.0,
    ("lobby", "mod", "!note add a note of 60 characters, more or less, so that it is long"),
    ("lobby", "mod", "!note list"),
    ("arcade", "mod", "!pause"),
    ("arcade", "ana", "!ping"),
    ("arcade", "mod", "!resume"),
    ("arcade", "ana", "!ping"),
    ("lobby", "ana", "!ping"),
    ("lobby", "ana", "!ping"),
    2.0,
    ("lobby", "ana", "!quote"),
    ("lobby", "mod", "!quote add déjà vu, 日本語 and 🎉 survive both ways"),
    ("lobby", "ana", "!quote 1"),
)


class Announcer(Component):
    """Says aloud what it is told about the channel."""

    @listener("raid")
    async def raided(self, ctx: Context) -> None:
        """Who, and with how many."""
        assert isinstance(ctx.event, Raid)
        await ctx.send(
            f"raid by {ctx.event.login}, {ctx.author}, {ctx.event.viewers}: {ctx.event.system_text}"
        )

    @listener("subscription")
    async def subscribed(self, ctx: Context) -> None:
        """Who, and since when."""
        event = ctx.event
        assert isinstance(event, Subscription)
        await ctx.send(f"{event.kind} by {event.login}: {event.tier}, {event.months}, {event.text!r}")

    @listener("gift")
    async def given(self, ctx: Context) -> None:
        """Who, and to whom."""
        event = ctx.event
        assert isinstance(event, Gift)
        await ctx.send(
            f"{event.kind} by {event.login}: {event.count}, {event.tier}, {event.recipient_login!r}"
        )

    @listener("cheer")
    async def cheered(self, ctx: Context) -> None:
        """How much."""
        await ctx.send(f"{ctx.message.bits} bits by {ctx.author}: {ctx.message.text}")

    @listener("notice")
    async def noticed(self, ctx: Context) -> None:
        """Everything that is announced."""
        assert isinstance(ctx.event, ChatNotice)
        await ctx.send(f"notice {ctx.event.kind}")


def transcript(place: str, story: Any) -> list[tuple[str, str, str]]:
    """Where the bot said what, and to what, in that place; channel by channel, since channels do not wait for each other."""

    async def told(world: World) -> list[tuple[str, str, str]]:
        world.start_bot()
        await world.joined("lobby", "arcade")
        await story(world)
        await asyncio.sleep(20.0)
        # What was answered is named by its text: ids are drawn.
        asked = {sent.id: sent.text for sent in world.twitch.transcript}
        said = [(line.channel, line.text, asked.get(line.reply_to, "")) for line in world.transcript]
        return sorted(said, key=lambda line: line[0])

    scenario = Scenario("talk", "a conversation", channels=("lobby", "arcade"))
    return play(told, scenario, **PLACES[place])


async def converse(world: World) -> None:
    """Have the conversation."""
    for step in CONVERSATION:
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            channel, login, text = step
            world.say(login, text, channel=channel)
            await asyncio.sleep(0.2)


async def celebrate(world: World) -> None:
    """Everything that people can do for a channel, and that both transports carry."""
    assert world.app is not None
    await world.app.bot.add_component(Announcer())
    happenings = (
        lambda: world.twitch.raid("lobby", "ana", 430),
        lambda: world.twitch.subscribe("lobby", "bia"),
        lambda: world.twitch.subscribe("lobby", "bia", months=7, plan="Prime", text="seven months!"),
        lambda: world.life.gift("lobby", "ana", ("caio",)),
        lambda: world.life.gift("lobby", "ana", ("caio", "duda"), tier="2000"),
        lambda: world.life.cheer("lobby", "bia", 100, "for you"),
        lambda: world.twitch.announce("lobby", "mod", "tonight: a quiz"),
    )
    for happening in happenings:
        happening()
        await asyncio.sleep(1.0)


def test_the_same_conversation_gives_the_same_transcript() -> None:
    """Every line, its order in its channel, and what it answers."""
    over_irc = transcript("memory", converse)
    assert len(over_irc) >= 18
    assert transcript("tcp", converse) == over_irc
    assert transcript("eventsub", converse) == over_irc


def test_the_same_happenings_reach_components() -> None:
    """Raids, subscriptions, gifts, cheers, announcements, with the same details."""
    over_irc = transcript("memory", celebrate)
    assert len(over_irc) >= 16
    assert transcript("eventsub", celebrate) == over_irc
