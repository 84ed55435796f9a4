"""The timers of a session and the order of what it sends, in virtual time over loopback."""

from __future__ import annotations

import asyncio

import pytest

from simulator.loop import in_virtual_time
from simulator.twitch.connection import LinkLatency
from simulator.twitch.eventsub_session import CLOSE_REASONS, STATUSES, EventSubTiming
from tests.simulator.twitch.eventsub_rig import Place, closed, eventsub, now_s
from tests.simulator.twitch.test_websocket import UPGRADE
from tests.simulator.twitch.web_rig import closing, silence

WS_UPGRADE = UPGRADE.replace("/echo", "/ws").encode()


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, 10),
        ("10", 10),
        ("30", 30),
        ("600", 600),
        ("9", 10),
        ("-5", 10),
        ("601", 600),
        ("1e9", 600),
        ("inf", 600),
        ("nan", 10),
        ("soon", 10),
        ("", 10),
    ],
)
def test_keepalive_timeout_seconds_is_clamped_to_10_and_600(asked: str | None, granted: int) -> None:
    """ "Specifying an invalid, but numeric value will return the nearest acceptable value" (documented)."""
    assert EventSubTiming().keepalive(asked) == granted


@in_virtual_time(hybrid=True)
async def test_a_keepalive_comes_only_when_no_event_went_out_in_the_window() -> None:
    """Every event starts the window anew; silence is broken after exactly the time of the welcome."""
    async with eventsub() as place, place.listener("?keepalive_timeout_seconds=20") as mine:
        mine.subscribe()
        assert mine.welcome["payload"]["session"]["keepalive_timeout_seconds"] == 20
        for _ in range(5):
            await asyncio.sleep(15)
            place.state.say("alice", "carol", "hi")
            await mine.event()
        message = await mine.next("session_keepalive")
        assert (now_s(), message["payload"]) == (95.0, {})
        await mine.next("session_keepalive")
        assert now_s() == 115.0
        assert place.server.stats["keepalives"] == 2


@in_virtual_time(hybrid=True)
async def test_an_event_at_the_very_end_of_the_window_saves_the_keepalive() -> None:
    """One message at that instant, not two."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        asyncio.get_running_loop().call_at(9.5, place.state.say, "alice", "carol", "hi")
        await mine.event()
        await mine.next("session_keepalive")
        assert now_s() == 19.5


@in_virtual_time(hybrid=True)
async def test_muted_keepalives_are_lost_and_events_are_not() -> None:
    """Silent loss: only the client's own watchdog can notice; healed, they come again."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        place.server.mute_keepalives = True
        assert await silence(mine.connection, 305)
        assert place.server.stats["keepalives_muted"] == 30
        place.state.say("alice", "carol", "hi")
        await mine.event()
        place.server.mute_keepalives = False
        await mine.next("session_keepalive")


@in_virtual_time(hybrid=True)
async def test_ping_frames_are_answered_and_are_no_inbound_messages() -> None:
    """A client that answers pings, and pings itself, stays for an hour."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        for _ in range(60):
            await (await mine.connection.ping())
            while not await silence(mine.connection, 5):
                pass
            await asyncio.sleep(55)
        assert place.server.connected == ("bot",)


async def _raw(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect without a client: nothing answers pings."""
    host, port = place.url.removeprefix("ws://").removesuffix("/ws").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(WS_UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@in_virtual_time(hybrid=True)
async def test_4002_without_a_pong() -> None:
    """The ping interval, then the pong's time, then the close frame."""
    async with eventsub(EventSubTiming(ping_interval_s=5, pong_timeout_s=2)) as place:
        reader, writer = await _raw(place)
        await reader.readuntil(b"\x0f\xa2client failed ping-pong")
        assert now_s() == 7.0
        assert place.server.stats["closed_4002"] == 1
        writer.close()


@in_virtual_time(hybrid=True)
async def test_4005_for_a_client_that_does_not_read() -> None:
    """At the bound of the queue the session ends, its subscriptions too; memory stays bounded."""
    async with eventsub(EventSubTiming(queue_max=50)) as place:
        reader, writer = await _raw(place)
        welcome = await reader.readuntil(b"}}}")
        session_id = welcome.partition(b'"session":{"id":"')[2].partition(b'"')[0].decode()
        condition = {
            "broadcaster_user_id": place.state.user("alice").id,
            "user_id": place.state.user("bot").id,
        }
        made = place.server.subscribe(place.token(), "channel.chat.message", "1", condition, session_id)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(100_000):
            place.state.say("alice", "carol", "x" * 400)
            await asyncio.sleep(0.0001)
            if made.status != "enabled":
                break
        assert made.status == "websocket_network_timeout"
        assert place.server.stats["closed_4005"] == place.server.stats["slow_readers_cut_off"] == 1
        assert place.server.connected == ()
        writer.close()


@in_virtual_time(hybrid=True)
async def test_a_burst_waits_for_a_client_that_reads() -> None:
    """Some ten megabytes at one instant: they wait in the queue, not in the socket, whose bound would end the session."""
    async with eventsub() as place, place.listener() as mine:
        made = mine.subscribe()
        for number in range(5_000):
            place.state.say("alice", "carol", f"{number} " + "x" * 450)
        for number in range(5_000):
            assert (await mine.event())["message"]["text"].startswith(f"{number} ")
        assert made.status == "enabled"


@in_virtual_time(hybrid=True)
async def test_the_message_that_is_too_many_ends_all_of_the_session() -> None:
    """A raid that it hears from both ends, with a full queue: the second finds nobody, and nothing breaks."""
    async with eventsub(EventSubTiming(queue_max=1)) as place, place.listener() as mine:
        users, token = place.state.users, place.token()
        mine.subscribe(token=token)
        first = mine.subscribe("channel.raid", token=token, to_broadcaster_user_id=users["alice"].id)
        second = mine.subscribe("channel.raid", token=token, from_broadcaster_user_id=users["bob"].id)
        place.state.say("alice", "carol", "fills the queue")
        place.state.raid("alice", "bob", 3)
        assert first.status == second.status == "websocket_network_timeout"
        await mine.event()
        assert await closed(mine) == 4005


@in_virtual_time(hybrid=True)
async def test_latency_delays_and_keeps_the_order() -> None:
    """The way to the client, with jitter."""
    async with eventsub() as place:
        place.server.latency = LinkLatency(0.0, 0.2, jitter_s=0.3)
        async with place.listener() as mine:
            mine.subscribe()
            arrived_s = []
            started_s = now_s()
            for number in range(10):
                place.state.say("alice", "carol", str(number))
            for number in range(10):
                assert (await mine.event())["message"]["text"] == str(number)
                arrived_s.append(now_s() - started_s)
            assert all(0.2 <= at_s <= 0.5 for at_s in arrived_s)
            assert arrived_s == sorted(arrived_s)


@in_virtual_time(hybrid=True)
async def test_half_open_is_noticed_by_the_missing_pong() -> None:
    """The server gives the session up and says so to nobody; the client's socket stays open and silent."""
    async with eventsub() as place, place.listener() as mine:
        made = mine.subscribe()
        assert place.server.half_open_all() == 1
        assert await silence(mine.connection, 1_000)
        assert made.status == "websocket_failed_ping_pong"
        assert place.server.connected == ()


def test_every_close_code_has_its_reason_and_its_status() -> None:
    """4000 to 4007, as the reference lists them."""
    assert list(CLOSE_REASONS) == list(STATUSES) == list(range(4000, 4008))


@in_virtual_time(hybrid=True)
async def test_a_client_that_leaves_takes_its_subscriptions_with_it() -> None:
    """websocket_disconnected, whether it says so or not."""
    async with eventsub() as place:
        async with place.listener() as mine:
            first = mine.subscribe()
        await asyncio.sleep(1)
        async with place.listener() as mine:
            second = mine.subscribe()
            mine.connection.transport.abort()
            assert (await closing(mine.connection))[0] == 1006
        await asyncio.sleep(1)
        assert first.status == second.status == "websocket_disconnected"
        assert second.disconnected_at.startswith("2023-11-14T22:13:2")
