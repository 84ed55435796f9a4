"""Into channels and out of them, against the fake Twitch."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec.structs import replace

from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.message import (
    ChannelJoined,
    ChannelParted,
    ChatMessage,
    Follow,
    JoinFailed,
    Standing,
)
from simulator.twitch.credentials import Token
from tests.byte_bot.chat.eventsub.fake_twitch import BOT, FOLLOWS, SCOPES, Place, tell
from tests.simulator.twitch.web_rig import client


def test_subscriptions_wait_for_helix_bucket() -> None:
    """A 429 with an empty bucket is a matter of patience."""

    async def story(place: Place) -> None:
        place.web.helix_429_probability = 1.0
        place.chat.join(["arcade"])
        await asyncio.sleep(1.5)
        place.web.helix_429_probability = 0.0
        await place.joined("arcade")
        assert place.of(JoinFailed) == []

    tell(story)


def test_joining_does_not_wait_until_helix_says_where_the_bot_is_moderator() -> None:
    """A slow answer holds nothing up, and what it says counts when it comes."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.web.helix_delay_s = 9.0
        await asyncio.sleep(0.5)
        place.web.helix_delay_s = 0.0
        await place.joined("lobby")
        assert place.loop.time() < 2.0
        assert place.of(Standing) == []
        await place.seen(Standing)
        assert place.loop.time() > 9.0
        assert place.of(Standing) == [Standing("lobby", True)]

    tell(story, join=())


def test_an_answer_that_is_not_allowed_any_more_when_it_comes_does_not_count() -> None:
    """A login took the scope away while Helix was thinking."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.web.helix_delay_s = 5.0
        await asyncio.sleep(0.5)
        place.web.helix_delay_s = 0.0
        place.keeper.give(place.new_token("user:bot", "user:read:chat", "user:write:chat"))
        await place.joined("lobby")
        await asyncio.sleep(10.0)
        assert place.of(Standing) == []

    tell(story, join=())


def test_parting_deletes_the_subscriptions() -> None:
    """And what still comes of the channel is passed over."""

    async def story(place: Place) -> None:
        await place.joined("arcade")
        place.chat.part(["lobby"])
        place.state.say("lobby", "ana", "before the subscriptions are gone")
        await place.until(lambda: len(place.subscriptions()) == 5)
        assert ChannelParted("lobby") in place.events
        assert place.chat.joined == ("arcade",)
        place.state.say("lobby", "ana", "anybody?")
        await asyncio.sleep(1.0)
        assert place.of(ChatMessage) == []

    tell(story)


def test_a_channel_that_is_joined_again_before_its_subscriptions_are_deleted_hears() -> None:
    """Twitch says that they exist (409), and a moment later they do not: they are not counted in, and made when they are gone."""

    async def story(place: Place) -> None:
        place.state.add_channel("kitchen")
        await place.joined("arcade", "kitchen")
        place.web.helix_delay_s = 0.5
        place.chat.part(["arcade", "kitchen", "lobby"])
        await place.joined("lobby")
        place.web.helix_delay_s = 0.0
        await asyncio.sleep(5.0)
        assert len(place.subscriptions()) == 5
        assert place.of(JoinFailed) == []

    tell(story)


def test_a_channel_that_does_not_exist_fails() -> None:
    """Helix knows no such login."""

    async def story(place: Place) -> None:
        place.chat.join(["nobody_there"])
        (failed,) = await place.seen(JoinFailed)
        assert failed == JoinFailed("nobody_there", "Twitch knows no such channel")

    tell(story)


def test_a_banned_bot_is_put_out_and_comes_back_when_the_ban_is_lifted() -> None:
    """Twitch revokes what it was subscribed to."""

    async def story(place: Place) -> None:
        place.state.ban("lobby", BOT)
        await place.until(lambda: ChannelParted("lobby", by_twitch=True) in place.events)
        assert place.chat.joined == ()
        await asyncio.sleep(61.0)
        place.state.unban("lobby", BOT)
        await place.seen(ChannelJoined, 2, within_s=70.0)

    tell(story)


@pytest.mark.parametrize("which", [0, 4], ids=["made", "answer-under-way"])
def test_a_subscription_that_is_revoked_while_the_others_are_being_made_costs_the_channel(which: int) -> None:
    """The bot would count itself in, and hear nothing: it is asked for again instead, and there is nothing left over."""

    async def story(place: Place) -> None:
        place.web.helix_delay_s = 1.0
        place.chat.join(["lobby"])
        await place.until(lambda: len(place.subscriptions()) == which + 1)
        assert place.eventsub.revoke(place.subscriptions()[which].id, "authorization_revoked")
        (failed,) = await place.seen(JoinFailed)
        assert failed.reason == "Twitch revoked a subscription while the others were being made"
        assert place.chat.joined == ()
        place.web.helix_delay_s = 0.0
        await place.seen(ChannelJoined, within_s=70.0)
        assert len(place.subscriptions()) == 5

    tell(story, join=())


def test_a_subscription_whose_answer_was_lost_is_known_when_it_is_revoked() -> None:
    """The next attempt gets a 409 for it, without its id; a bot that did not look for that would not notice the end, and be deaf."""

    async def story(place: Place) -> None:
        place.web.helix_delay_s = 1.0
        place.chat.join(["lobby"])
        await place.until(lambda: len(place.subscriptions()) == 1)
        place.web.helix_delay_s = 60.0
        await place.until(lambda: len(place.subscriptions()) == 2)
        place.web.helix_delay_s = 0.0
        (lost,) = place.subscriptions("channel.chat.notification")
        await place.seen(ChannelJoined)
        assert place.subscriptions("channel.chat.notification") == [lost]
        assert place.eventsub.revoke(lost.id, "authorization_revoked")
        await place.until(lambda: ChannelParted("lobby", by_twitch=True) in place.events)
        await place.seen(ChannelJoined, 2, within_s=70.0)
        assert len(place.subscriptions()) == 5

    tell(story, join=())


def test_a_subscription_that_is_there_already_is_looked_for_on_every_page() -> None:
    """Helix shows a hundred at a time; those of other channels do not count, nor does the same one of another session."""

    async def story(place: Place) -> None:
        token = place.state.credentials.tokens[(await place.keeper.token()).access]
        session_id, me = place.subscriptions()[0].session_id, place.state.user(BOT).id
        arcade = {"broadcaster_user_id": place.state.user("arcade").id, "user_id": me}
        async with client(f"{place.listener.ws_url}/ws") as other:
            elsewhere = json.loads(await other.recv())["payload"]["session"]["id"]
            place.eventsub.subscribe(token, "channel.chat.message", "1", arcade, elsewhere)
            await here(place, token, session_id, me)

    async def here(place: Place, token: Token, session_id: str, me: str) -> None:
        for number in range(100):
            place.state.add_channel(f"channel_{number}", moderators=(BOT,))
        for login in (*(f"channel_{number}" for number in range(100)), "arcade"):
            condition = {"broadcaster_user_id": place.state.user(login).id, "user_id": me}
            there = place.eventsub.subscribe(token, "channel.chat.message", "1", condition, session_id)
        await place.joined("arcade")
        place.chat.part(["arcade"])
        await place.until(lambda: there not in place.subscriptions())
        assert len(place.subscriptions()) == 106

    tell(story)


def test_a_scope_that_comes_while_a_channel_is_being_joined_counts_for_it_too() -> None:
    """Its subscriptions were decided before: what is missing is made when it is joined."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.web.helix_delay_s = 1.0
        place.chat.join(["lobby"])
        await place.until(lambda: len(place.subscriptions()) == 2)
        place.keeper.give(place.new_token(*SCOPES, FOLLOWS))
        await place.seen(ChannelJoined)
        await place.until(lambda: len(place.subscriptions()) == 6, within_s=10.0)

    tell(story, join=())


def test_a_scope_that_goes_while_a_channel_is_being_joined_leaves_nothing_behind() -> None:
    """Who follows was being subscribed to: it is given back when the answer comes."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.web.helix_delay_s = 1.0
        place.chat.join(["lobby"])
        await place.until(lambda: place.subscriptions("channel.follow") != [])
        assert place.chat.joined == ()
        place.keeper.give(place.new_token(*SCOPES))
        await place.seen(ChannelJoined)
        await place.until(lambda: len(place.subscriptions()) == 5, within_s=10.0)

    tell(story, scopes=(*SCOPES, FOLLOWS), join=())


def test_a_channel_that_takes_more_subscriptions_takes_more_of_a_socket() -> None:
    """Two of six leave no room for a third among sixteen, two of five would have."""

    async def story(place: Place) -> None:
        await place.joined("arcade")
        place.keeper.give(place.new_token(*SCOPES, FOLLOWS))
        place.state.add_channel("kitchen", moderators=(BOT,))
        await place.joined("kitchen")
        assert place.eventsub.stats["connections"] == 2

    tell(story, limits=replace(EventSubLimits(), subscriptions_per_socket_max=16))


def test_channels_are_spread_over_sockets_and_the_last_one_is_refused_with_the_reason() -> None:
    """300 subscriptions a socket and 3 sockets, here 10 and 2."""
    limits = replace(EventSubLimits(), sockets_max=2, subscriptions_per_socket_max=10)

    async def story(place: Place) -> None:
        names = [f"channel_{number}" for number in range(5)]
        for name in names:
            place.state.add_channel(name, moderators=(BOT,))
        place.chat.join(names)
        (failed,) = await place.seen(JoinFailed)
        assert "no room" in failed.reason
        await place.until(lambda: len(place.chat.joined) == 4)
        assert place.eventsub.stats["connections"] == 2

    tell(story, limits=limits, join=())


def test_a_refusal_of_twitch_is_the_reason_of_a_failed_join() -> None:
    """A token without the scope, say."""

    async def story(place: Place) -> None:
        place.chat.join(["lobby"])
        (failed,) = await place.seen(JoinFailed)
        assert failed.reason == "Twitch says 'subscription missing proper authorization'"

    tell(story, scopes=("user:write:chat",), join=())


def test_a_refusal_beyond_the_chats_that_twitch_allows_names_the_limit() -> None:
    """Twitch's words are the same as for a missing scope. Here one chat is allowed, and a ban has the refusal come."""

    async def story(place: Place) -> None:
        place.state.ban("arcade", BOT)
        place.chat.join(["arcade"])
        (failed,) = await place.seen(JoinFailed)
        assert failed.reason == (
            "Twitch says 'subscription missing proper authorization'; the bot is not known to be moderator of 1 other channels, and "
            "Twitch allows 1 where it is neither that nor was granted channel:bot: let the broadcaster type /mod with its name"
        )

    tell(story, limits=replace(EventSubLimits(), unmoderated_chats_max=1))


def test_follows_are_heard_where_the_bot_is_moderator() -> None:
    """Elsewhere the channel is joined without them; when the bot becomes one they come, and go again with it."""

    async def story(place: Place) -> None:
        place.life.follow("lobby", "ana")
        await asyncio.sleep(1.0)
        assert place.of(Follow) == []
        place.state.set_role("lobby", BOT, "moderator")
        await asyncio.sleep(place.limits.moderated_refresh_s + 1.0)
        place.life.follow("lobby", "bia")
        (follow,) = await place.seen(Follow)
        assert (follow.login, follow.channel) == ("bia", "lobby")
        place.state.set_role("lobby", BOT, None)
        await place.until(lambda: place.subscriptions("channel.follow") == [])
        assert place.chat.joined == ("lobby",)

    tell(story, scopes=(*SCOPES, FOLLOWS))


def test_a_channel_that_is_joined_again_with_its_follows_is_not_asked_for_them_once_more() -> None:
    """It was refused them before it was parted; asking again would cost a 409 and a look through the list."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.chat.part(["lobby"])
        await place.until(lambda: place.subscriptions() == [])
        await place.joined("lobby")
        await place.until(lambda: place.subscriptions("channel.follow") != [])
        asked = place.web.stats["POST eventsub/subscriptions"]
        await asyncio.sleep(place.limits.moderated_refresh_s + 1.0)
        assert place.web.stats["POST eventsub/subscriptions"] == asked

    tell(story, scopes=(*SCOPES, FOLLOWS))


def test_a_channel_that_was_parted_is_forgotten_with_the_follows_it_lacked() -> None:
    """At the next look."""

    async def story(place: Place) -> None:
        joining = place.chat._joining
        assert joining is not None and list(joining._without_follows) == ["lobby"]
        place.chat.part(["lobby"])
        await asyncio.sleep(place.limits.moderated_refresh_s + 1.0)
        assert joining._without_follows == {}

    tell(story, scopes=(*SCOPES, FOLLOWS))


def test_follows_that_helix_does_not_answer_wait_for_the_next_round() -> None:
    """With many channels one timeout after the other would take half an hour; a minute later there is a look at those that are left."""
    scopes = ("user:bot", "user:read:chat", "user:write:chat")

    async def story(place: Place) -> None:
        await place.joined("arcade")
        for channel in ("lobby", "arcade"):
            place.state.set_role(channel, BOT, "moderator")
        asked = place.web.stats["POST eventsub/subscriptions"]
        place.web.helix_delay_s = 60.0
        place.keeper.give(place.new_token(*scopes, FOLLOWS))
        await asyncio.sleep(2.5 * place.limits.helix_timeout_s)
        assert place.web.stats["POST eventsub/subscriptions"] == asked + 1
        place.web.helix_delay_s = 0.0
        await place.until(lambda: len(place.subscriptions("channel.follow")) == 2, within_s=70.0)

    tell(story, scopes=scopes)


def test_follows_that_are_revoked_before_their_answer_has_come_are_asked_for_again() -> None:
    """The bot was no moderator for a moment: the channel is joined without them, and has them the next time they are looked at."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.web.helix_delay_s = 1.0
        place.chat.join(["lobby"])
        await place.until(lambda: place.subscriptions("channel.follow") != [])
        assert place.chat.joined == ()
        place.state.set_role("lobby", BOT, None)
        place.state.set_role("lobby", BOT, "moderator")
        await place.seen(ChannelJoined)
        assert place.subscriptions("channel.follow") == []
        place.web.helix_delay_s = 0.0
        await asyncio.sleep(place.limits.moderated_refresh_s + 1.0)
        place.life.follow("lobby", "ana")
        await place.seen(Follow)
        assert place.of(JoinFailed) == []

    tell(story, scopes=(*SCOPES, FOLLOWS), join=())
