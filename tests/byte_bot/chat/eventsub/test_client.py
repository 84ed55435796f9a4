"""The EventSub transport against the fake Twitch on loopback: what it hears, says, and survives."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from byte_bot.chat.errors import NotConnected, SendUnconfirmed
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.message import (
    ChannelJoined,
    ChatCleared,
    ChatMessage,
    ChatterBanned,
    Connected,
    Disconnected,
    Follow,
    JoinFailed,
    MessageDeleted,
    MessageRefused,
    Raid,
    SendingHeld,
    Standing,
)
from simulator.twitch.connection import LinkLatency
from tests.byte_bot.chat.eventsub.fake_twitch import BOT, FOLLOWS, SCOPES, Place, tell


def test_it_is_connected_before_there_is_a_channel_and_opens_a_socket_for_one() -> None:
    """Twitch closes a socket on which nobody subscribes within 10 s."""

    async def story(place: Place) -> None:
        await place.seen(Connected)
        await asyncio.sleep(30.0)
        assert place.eventsub.stats["connections"] == 0
        await place.joined("lobby")
        assert place.chat.connected
        assert place.eventsub.stats["connections"] == 1
        assert place.eventsub.stats["closed_4003"] == 0

    tell(story, join=())


def test_with_a_token_that_nobody_has_validated_it_waits_until_twitch_has_said_whose_it_is() -> None:
    """The authorization server was away: without the ids of account and application nothing can be asked."""

    async def story(place: Place) -> None:
        place.chat.join(["lobby"])
        await asyncio.sleep(30.0)
        assert (place.events, place.chat.connected) == ([], False)
        assert (place.web.stats, place.eventsub.stats) == ({}, {})
        place.keeper.give(place.new_token(*SCOPES))
        await place.seen(Connected, within_s=place.limits.validated_look_s + 0.1)
        await place.seen(ChannelJoined)

    tell(story, join=(), validated=False)


def test_a_message_arrives_and_an_answer_leaves() -> None:
    """Both ways, with the answer in its thread."""

    async def story(place: Place) -> None:
        asked = place.state.say("lobby", "ana", "hello")
        (heard,) = await place.seen(ChatMessage)
        assert (heard.id, heard.channel, heard.author_login, heard.text) == (asked, "lobby", "ana", "hello")
        await place.chat.send("lobby", "hello, ana", asked)
        said = place.state.transcript[-1]
        assert (said.login, said.text, said.reply_to) == (BOT, "hello, ana", asked)
        assert place.chat.counts.messages_sent == 1

    tell(story)


def test_an_action_is_said_as_one() -> None:
    """`/me`, as on IRC."""

    async def story(place: Place) -> None:
        await place.chat.send("lobby", "/me waves")
        assert (place.state.transcript[-1].text, place.state.transcript[-1].is_action) == ("waves", True)

    tell(story)


def test_its_own_messages_are_not_handed_on() -> None:
    """EventSub brings them back, unlike IRC; only their badges are looked at."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "vip")
        await place.chat.send("lobby", "hello")
        await place.until(lambda: Standing("lobby", True) in place.events)
        assert place.of(ChatMessage) == []

    tell(story)


def test_where_it_is_moderator_is_known_before_it_speaks() -> None:
    """Helix says it, for the limiter."""

    async def story(place: Place) -> None:
        assert Standing("lobby", False) in place.events
        place.state.set_role("arcade", BOT, "moderator")
        await place.until(lambda: "arcade" not in place.chat.joined)
        await asyncio.sleep(place.limits.moderated_refresh_s)
        await place.joined("arcade")
        assert Standing("arcade", True) in place.events

    tell(story)


def test_a_notification_that_comes_twice_is_handed_on_once() -> None:
    """At least once, says Twitch; TwitchIO hands both on."""

    async def story(place: Place) -> None:
        place.eventsub.duplicate_probability = 1.0
        place.eventsub.redelivery_delay_s = 3.0
        for number in range(20):
            place.state.say("lobby", "ana", f"number {number}")
        await asyncio.sleep(10.0)
        assert [one.text for one in place.of(ChatMessage)] == [f"number {n}" for n in range(20)]
        assert place.chat.repeated == 20

    tell(story)


def test_without_the_window_copies_are_handed_on() -> None:
    """One that remembers a single id forgets the first before its copy comes."""

    async def story(place: Place) -> None:
        place.eventsub.duplicate_probability = 1.0
        place.eventsub.redelivery_delay_s = 3.0
        for number in range(20):
            place.state.say("lobby", "ana", f"number {number}")
        await asyncio.sleep(10.0)
        assert len(place.of(ChatMessage)) == 40

    tell(story, limits=replace(EventSubLimits(), seen_max=1))


def test_what_moderators_do_is_told() -> None:
    """Bans, deleted messages, a cleared chat; raids too."""

    async def story(place: Place) -> None:
        message = place.state.say("lobby", "ana", "hello")
        place.state.timeout("lobby", "bia", 60)
        place.state.delete_message(message)
        place.state.clear_chat("lobby")
        place.state.raid("lobby", "ana", 12)
        (banned,) = await place.seen(ChatterBanned)
        (deleted,) = await place.seen(MessageDeleted)
        (raid,) = await place.seen(Raid)
        assert await place.seen(ChatCleared)
        assert (banned.login, deleted.message_id, raid.viewers) == ("bia", message, 12)

    tell(story)


def test_a_token_that_helix_refuses_is_complained_about_and_the_next_one_used() -> None:
    """Once for each: the request is made again with what the keeper has then."""

    async def story(place: Place) -> None:
        old = await place.keeper.token()
        place.keeper.next_token = place.new_token(*SCOPES)
        place.state.credentials.revoke(old.access)
        await place.chat.send("lobby", "hello")
        assert place.keeper.complaints == [old.access]
        assert place.state.transcript[-1].text == "hello"

    tell(story)


def test_a_dropped_message_is_reported_with_its_reason() -> None:
    """`is_sent: false` is no success, and no error either."""

    async def story(place: Place) -> None:
        place.state.set_modes("lobby", followers_only=10)
        await place.chat.send("lobby", "hello")
        (refused,) = place.of(MessageRefused)
        assert (refused.channel, refused.notice_id) == ("lobby", "followers_only_mode")
        assert refused.text
        assert place.chat.counts.messages_sent == 0

    tell(story)


def test_a_message_that_helix_does_not_take_is_reported() -> None:
    """A request that would be refused again."""

    async def story(place: Place) -> None:
        await place.chat.send("lobby", "x" * 501)
        (refused,) = place.of(MessageRefused)
        assert refused.notice_id == "helix_422"

    tell(story)


def test_an_answer_that_is_lost_leaves_a_message_unconfirmed() -> None:
    """It was said, and nobody can know it: it is not said again."""

    async def story(place: Place) -> None:
        place.web.helix_delay_s = 60.0
        with pytest.raises(SendUnconfirmed):
            await place.chat.send("lobby", "hello")
        assert [one.text for one in place.state.transcript] == ["hello"]

    tell(story)


def test_a_message_that_helix_throttles_was_not_said() -> None:
    """The limiter hears until when nothing may leave."""

    async def story(place: Place) -> None:
        place.web.helix_429_probability = 1.0
        with pytest.raises(NotConnected):
            await place.chat.send("lobby", "hello")
        (held,) = place.of(SendingHeld)
        assert place.loop.time() < held.until_s <= place.loop.time() + 2.0
        assert place.state.transcript == []

    tell(story)


def test_nothing_can_be_said_where_nothing_is_known() -> None:
    """An unknown channel, and a way out that would not wait."""

    async def story(place: Place) -> None:
        with pytest.raises(NotConnected, match="not known"):
            await place.chat.send("elsewhere", "hello")
        assert not place.chat.writable
        with pytest.raises(NotConnected, match=r"use send\(\)"):
            place.chat.post("lobby", "hello")

    tell(story)


def test_a_bot_in_the_cloud_speaks_with_the_applications_token() -> None:
    """The events come with the account's."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        await place.chat.send("lobby", "hello")
        assert place.state.transcript[-1].text == "hello"
        assert any(one.kind == "app" for one in place.state.credentials.tokens.values())

    tell(story, send_as="app")


def test_a_refusal_of_the_application_is_reported_and_costs_no_token_for_each_message() -> None:
    """Twitch answers 401 too where channel:bot is missing, and another token of the application would change nothing."""

    async def story(place: Place) -> None:
        for _ in range(3):
            await place.chat.send("lobby", "hello")
        refused = place.of(MessageRefused)
        assert [one.notice_id for one in refused] == ["helix_401"] * 3
        assert "channel:bot" in refused[0].text
        assert sum(one.kind == "app" for one in place.state.credentials.tokens.values()) == 1
        await asyncio.sleep(61.0)
        await place.chat.send("lobby", "hello")
        assert sum(one.kind == "app" for one in place.state.credentials.tokens.values()) == 2

    tell(story, send_as="app")


def test_a_withdrawn_consent_ends_the_sessions_until_there_is_a_new_token() -> None:
    """Twitch wants it so; the bot lives on and comes back by itself."""

    async def story(place: Place) -> None:
        place.keeper.give(None)
        await place.seen(Disconnected)
        assert not place.chat.connected
        await asyncio.sleep(60.0)
        attempts = place.eventsub.stats["connections"]
        place.keeper.give(place.new_token(*SCOPES))
        await place.seen(ChannelJoined, 2)
        assert attempts == 1
        assert place.chat.connected

    tell(story)


def test_a_consent_withdrawn_while_a_session_is_moved_ends_it_too() -> None:
    """The new socket is welcomed afterwards: it is closed, and the session does not come back to life with it."""

    async def story(place: Place) -> None:
        place.eventsub.latency = LinkLatency(to_client_s=2.0)
        place.eventsub.session_reconnect(30.0)
        await place.until(lambda: place.eventsub.stats["reconnects"] == 1)
        place.keeper.give(None)
        assert len(place.of(Disconnected)) == 1
        assert place.chat.joined == ()
        await asyncio.sleep(5.0)
        assert place.eventsub.connected == ()
        place.state.say("lobby", "ana", "!ping")
        await asyncio.sleep(5.0)
        assert place.of(ChatMessage) == []
        place.keeper.give(place.new_token(*SCOPES))
        await place.seen(ChannelJoined, 2)

    tell(story)


def test_a_consent_withdrawn_while_a_session_is_opened_ends_it_too() -> None:
    """Its welcome comes afterwards: nobody is connected then, and Twitch need not close the socket."""

    async def story(place: Place) -> None:
        place.eventsub.latency = LinkLatency(to_client_s=2.0)
        place.chat.join(["lobby"])
        await place.until(lambda: place.eventsub.stats["connections"] == 1)
        place.keeper.give(None)
        await asyncio.sleep(5.0)
        assert (len(place.of(Connected)), len(place.of(Disconnected))) == (1, 1)
        assert not place.chat.connected
        assert place.eventsub.connected == ()
        assert place.eventsub.stats["closed_4003"] == 0
        place.keeper.give(place.new_token(*SCOPES))
        await place.seen(ChannelJoined)
        assert place.eventsub.stats["connections"] == 2

    tell(story, join=())


def test_a_refreshed_token_changes_nothing() -> None:
    """The sessions go on, and one that is just being replaced is not called connected before its time."""

    async def story(place: Place) -> None:
        place.keeper.give(place.new_token(*SCOPES))
        await asyncio.sleep(1.0)
        assert len(place.of(Connected)) == 1
        place.eventsub.accepting = False
        place.eventsub.disconnect_all()
        await place.seen(Disconnected)
        place.keeper.give(place.new_token(*SCOPES))
        assert not place.chat.connected
        place.eventsub.accepting = True
        await place.seen(ChannelJoined, 2)
        assert len(place.of(Connected)) == 2

    tell(story)


def test_a_new_login_with_more_scopes_brings_what_they_allow_without_a_restart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the bot is moderator and who follows there, in the channels that it is in already; the log says so once."""
    caplog.set_level("INFO", "byte_bot")

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.life.follow("lobby", "ana")
        await asyncio.sleep(1.0)
        assert (place.of(Follow), place.of(Standing)) == ([], [])
        for _ in range(2):
            place.keeper.give(place.new_token(*SCOPES, FOLLOWS))
            await asyncio.sleep(1.0)
        place.life.follow("lobby", "bia")
        (follow,) = await place.seen(Follow)
        assert follow.login == "bia"
        assert Standing("lobby", True) in place.events
        await place.joined("arcade")
        assert len(place.of(ChannelJoined)) == 2, "the channel was not left for it"

    tell(story, scopes=("user:bot", "user:read:chat", "user:write:chat"))
    told = [one.getMessage() for one in caplog.records if "scopes" in one.getMessage()]
    more = "moderator:read:followers user:read:moderated_channels"
    assert told == [f"the bot's token has other scopes since a new login: more by {more}, fewer by none"]


def test_a_new_login_with_fewer_scopes_drops_what_they_do_not_allow() -> None:
    """Follows end; chat goes on. What the old login allowed is asked for no more, in channels joined later neither."""

    async def story(place: Place) -> None:
        place.state.set_role("lobby", BOT, "moderator")
        place.chat.part(["lobby"])
        await place.until(lambda: place.subscriptions() == [])
        await place.joined("lobby")
        assert len(place.subscriptions("channel.follow")) == 1
        place.keeper.give(place.new_token("user:bot", "user:read:chat", "user:write:chat"))
        await place.until(lambda: place.subscriptions("channel.follow") == [])
        place.state.set_role("arcade", BOT, "moderator")
        await place.joined("arcade")
        assert len(place.subscriptions()) == 10
        assert Standing("arcade", False) not in place.events
        await asyncio.sleep(place.limits.moderated_refresh_s)
        assert len(place.subscriptions()) == 10
        place.state.say("lobby", "ana", "hello")
        await place.seen(ChatMessage)

    tell(story, scopes=(*SCOPES, FOLLOWS))


def test_a_channel_that_the_old_login_could_not_read_is_joined_with_the_new_one_at_once() -> None:
    """Not a minute later, when it would be tried again anyway."""

    async def story(place: Place) -> None:
        place.chat.join(["lobby"])
        await place.seen(JoinFailed)
        place.keeper.give(place.new_token(*SCOPES))
        await place.seen(ChannelJoined, within_s=5.0)

    tell(story, scopes=("user:write:chat",), join=())


def test_it_shows_no_token() -> None:
    """In a log, say."""

    async def story(place: Place) -> None:
        assert (await place.keeper.token()).access not in repr(place.chat)

    tell(story, join=())
