"""EventSub as its clients see it, one test a rule of Twitch's; the client is the `websockets` package's, in virtual time over loopback."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus

from simulator.loop import in_virtual_time, run
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.events import SentMessage
from simulator.twitch.eventsub_subscriptions import SubscriptionRefused
from simulator.twitch.irc import IrcServer
from simulator.twitch.state import UnknownName
from tests.simulator.twitch.eventsub_rig import CHAT, closed, eventsub, now_s
from tests.simulator.twitch.web_rig import closing

NANOSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


# -- connecting ----------------------------------------------------------------------------------------------------------------------


@in_virtual_time(hybrid=True)
async def test_the_welcome_has_every_field() -> None:
    """As documented: id, connected, the keepalive time, no reconnect_url, RFC 3339 with nanoseconds."""
    async with eventsub() as place, place.listener() as mine:
        metadata, session = mine.welcome["metadata"], mine.welcome["payload"]["session"]
        assert sorted(metadata) == ["message_id", "message_timestamp", "message_type"]
        assert UUID.fullmatch(metadata["message_id"])
        assert metadata["message_timestamp"] == "2023-11-14T22:13:20.000000000Z"
        assert session == {
            "id": mine.session_id,
            "status": "connected",
            "connected_at": "2023-11-14T22:13:20.000000000Z",
            "keepalive_timeout_seconds": 10,
            "reconnect_url": None,
        }
        assert re.fullmatch(r"AgoQ[A-Za-z0-9_-]{32}", mine.session_id)


@in_virtual_time(hybrid=True)
async def test_4003_when_nobody_subscribes_within_10_s() -> None:
    """After the welcome, to the second; a keepalive may come at the same moment."""
    async with eventsub() as place, place.listener() as mine:
        assert await closing(mine.connection) == (4003, "connection unused")
        assert now_s() == 10.0
        assert place.server.stats["closed_4003"] == 1


@in_virtual_time(hybrid=True)
async def test_a_subscription_within_10_s_keeps_the_session() -> None:
    """Also when it is deleted again: it was used."""
    async with eventsub() as place, place.listener() as mine:
        await asyncio.sleep(9.9)
        made = mine.subscribe()
        assert place.server.unsubscribe(DEFAULT_CLIENT_ID, made.id)
        await asyncio.sleep(100)
        assert place.server.connected == ("bot",)


@in_virtual_time(hybrid=True)
async def test_a_refused_subscription_does_not_keep_the_session() -> None:
    """Asking is not enough."""
    async with eventsub() as place, place.listener() as mine:
        with pytest.raises(SubscriptionRefused):
            mine.subscribe("channel.ban")
        assert await closed(mine) == 4003


@pytest.mark.parametrize("message", ["{}", "", b"bytes"])
@in_virtual_time(hybrid=True)
async def test_4001_for_any_inbound_message(message: str | bytes) -> None:
    """The server only sends; whatever the client says ends it, and its subscriptions."""
    async with eventsub() as place, place.listener() as mine:
        made = mine.subscribe()
        await mine.connection.send(message)
        assert await closing(mine.connection) == (4001, "client sent inbound traffic")
        assert made.status == "websocket_received_inbound_traffic"


@in_virtual_time(hybrid=True)
async def test_a_server_that_does_not_accept_answers_503() -> None:
    """An outage of Twitch, on this face."""
    async with eventsub() as place:
        place.server.accepting = False
        with pytest.raises(InvalidStatus) as refusal:
            async with place.listener():
                pass
        assert refusal.value.response.status_code == 503
        place.server.accepting = True
        async with place.listener():
            pass


# -- events --------------------------------------------------------------------------------------------------------------------------


@in_virtual_time(hybrid=True)
async def test_a_notification_has_every_field() -> None:
    """Metadata with type and version, the subscription, the event."""
    async with eventsub() as place, place.listener() as mine:
        made = mine.subscribe()
        place.state.say("alice", "carol", "hi")
        message = await mine.next("notification")
        assert sorted(message["metadata"]) == [
            "message_id",
            "message_timestamp",
            "message_type",
            "subscription_type",
            "subscription_version",
        ]
        assert (message["metadata"]["subscription_type"], message["metadata"]["subscription_version"]) == (
            CHAT,
            "1",
        )
        assert NANOSECONDS.fullmatch(message["metadata"]["message_timestamp"])
        assert message["payload"]["subscription"] == {
            "id": made.id,
            "status": "enabled",
            "type": CHAT,
            "version": "1",
            "cost": 0,
            "condition": dict(made.condition),
            "transport": {"method": "websocket", "session_id": mine.session_id},
            "created_at": made.created_at,
        }
        assert message["payload"]["event"]["message"]["text"] == "hi"


@in_virtual_time(hybrid=True)
async def test_what_is_said_on_irc_arrives_and_a_bots_own_messages_too() -> None:
    """One state behind both faces; unlike on IRC there is no exception for the sender."""
    async with eventsub() as place, place.listener() as mine:
        irc = IrcServer(place.state)
        tcp = await asyncio.start_server(irc.handle, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*tcp.sockets[0].getsockname()[:2])
        mine.subscribe()
        writer.write(b"PASS oauth:bot-token\r\nNICK bot\r\nJOIN #alice\r\nPRIVMSG #alice :from IRC\r\n")
        event = await mine.event()
        assert (event["chatter_user_login"], event["message"]["text"]) == ("bot", "from IRC")
        alice = place.state.channel("alice")
        sent = place.state.publish(alice, place.state.user("carol"), "from Helix")
        await reader.readuntil(b"PRIVMSG #alice :from Helix\r\n")
        assert (await mine.event())["message_id"] == sent.id
        writer.close()
        tcp.close()


@in_virtual_time(hybrid=True)
async def test_only_the_channel_and_type_that_was_asked_for() -> None:
    """Another channel's messages, and another type, stay away."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        place.state.say("bob", "carol", "elsewhere")
        place.state.clear_chat("alice")
        place.state.say("alice", "carol", "here")
        assert (await mine.event())["message"]["text"] == "here"


@in_virtual_time(hybrid=True)
async def test_one_session_follows_several_channels() -> None:
    """Subscriptions are keyed by type, version and condition: what the official mock cannot do."""
    async with eventsub() as place, place.listener() as mine:
        users = place.state.users
        for channel in ("alice", "bob"):
            mine.subscribe(broadcaster_user_id=users[channel].id, user_id=users["bot"].id)
            place.state.say(channel, "carol", f"in {channel}")
            assert (await mine.event())["broadcaster_user_login"] == channel
        with pytest.raises(SubscriptionRefused) as refusal:
            mine.subscribe()
        assert (refusal.value.status, refusal.value.error) == (409, "Conflict")


@in_virtual_time(hybrid=True)
async def test_every_session_gets_its_own_copy() -> None:
    """Two users' sessions; ids of messages differ, the event is the same."""
    async with eventsub() as place, place.listener() as first, place.listener() as second:
        first.subscribe()
        carol = place.token("carol")
        users = place.state.users
        second.subscribe(token=carol, broadcaster_user_id=users["alice"].id, user_id=users["carol"].id)
        place.state.say("alice", "dave", "hi all")
        one, two = await first.next("notification"), await second.next("notification")
        assert one["payload"]["event"] == two["payload"]["event"]
        assert one["metadata"]["message_id"] != two["metadata"]["message_id"]


@in_virtual_time(hybrid=True)
async def test_any_event_can_be_sent_by_hand() -> None:
    """To those subscribed to the type about the channel; an unknown type or channel is refused in words."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe("channel.poll.begin", token=place.token("alice"))
        assert place.server.send_event("channel.poll.begin", "alice", {"title": "tea?"}) == 1
        assert await mine.event("channel.poll.begin") == {"title": "tea?"}
        assert place.server.send_event("channel.poll.begin", "bob", {}) == 0
        with pytest.raises(ValueError, match=r"no EventSub type 'channel\.tea'"):
            place.server.send_event("channel.tea", "alice", {})
        with pytest.raises(UnknownName):
            place.server.send_event("channel.poll.begin", "nobody", {})


# -- subscribing ---------------------------------------------------------------------------------------------------------------------


@in_virtual_time(hybrid=True)
async def test_user_token_only() -> None:
    """An app's own gets Twitch's words."""
    async with eventsub() as place, place.listener() as mine:
        app = place.state.credentials.issue_app(DEFAULT_CLIENT_ID)
        with pytest.raises(SubscriptionRefused) as refusal:
            mine.subscribe(token=app)
        assert (refusal.value.status, refusal.value.message) == (
            400,
            "invalid transport and auth combination",
        )


@in_virtual_time(hybrid=True)
async def test_a_session_belongs_to_the_user_who_subscribed_first() -> None:
    """Another user's subscription on it is refused in Twitch's words."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        with pytest.raises(SubscriptionRefused) as refusal:
            mine.subscribe("channel.ban", token=place.token("alice"))
        assert refusal.value.message == (
            "websocket transport cannot have subscriptions created by different users"
        )


@in_virtual_time(hybrid=True)
async def test_a_session_that_is_gone_takes_no_subscription() -> None:
    """In Twitch's words; so does one that never was."""
    words = "websocket transport session does not exist or has already disconnected"
    async with eventsub() as place:
        async with place.listener() as mine:
            place.server.disconnect_all()
            await closed(mine)
            with pytest.raises(SubscriptionRefused) as refusal:
                mine.subscribe()
        assert (refusal.value.status, refusal.value.message) == (400, words)


@in_virtual_time(hybrid=True)
async def test_subscriptions_can_be_listed_and_deleted() -> None:
    """By client and user; a deleted one hears nothing more; costs are added up."""
    async with eventsub() as place, place.listener() as mine:
        chat, online = mine.subscribe(), mine.subscribe("stream.online")
        server = place.server
        assert server.subscriptions(DEFAULT_CLIENT_ID, "bot") == [chat, online]
        assert server.subscriptions(DEFAULT_CLIENT_ID, "carol") == server.subscriptions("other") == []
        assert (server.total_cost(DEFAULT_CLIENT_ID, "bot"), server.max_total_cost) == (1, 10)
        assert server.unsubscribe(DEFAULT_CLIENT_ID, chat.id)
        assert not server.unsubscribe(DEFAULT_CLIENT_ID, chat.id)
        place.state.say("alice", "carol", "unheard")
        place.life.go_live("alice")
        await mine.event("stream.online")


# -- repeatable ----------------------------------------------------------------------------------------------------------------------


def test_a_run_repeats_byte_for_byte() -> None:
    """Ids, times, redeliveries and late events are drawn from the seed: two runs receive the same at the same instants."""

    async def world() -> list[tuple[float, Any]]:
        async with eventsub() as place, place.listener() as mine:
            mine.subscribe()
            place.server.duplicate_probability = place.server.reorder_probability = 0.3
            rng = random.Random(5)
            for number in range(40):
                place.state.say("alice", f"viewer{rng.randrange(5)}", f"line {number}")
                await asyncio.sleep(0.05)
            place.server.session_reconnect()
            received = []
            while not received or "session_reconnect" not in received[-1][1]:
                received.append((now_s(), await mine.connection.recv()))
            port = urlsplit(place.url).port
            return [(at_s, str(text).replace(f":{port}/", ":PORT/")) for at_s, text in received]

    first = run(world(), seed=1, hybrid=True)
    assert first == run(world(), seed=1, hybrid=True)
    assert len(first) > 40


@in_virtual_time(hybrid=True)
async def test_the_same_conversation_is_told_by_both_faces() -> None:
    """What IRC's transcript has, EventSub sent, in the same order with the same ids."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        sent: list[SentMessage] = []
        place.state.on_message(sent.append)
        for number in range(20):
            place.state.say("alice", f"viewer{number % 3}", f"line {number}")
        events = [await mine.event() for _ in range(20)]
        assert [event["message_id"] for event in events] == [message.id for message in sent]
