"""The shell round a session: timers, latency, bounds, and how a connection ends. Virtual time in memory and over loopback sockets."""

from __future__ import annotations

import asyncio

from simulator.loop import in_virtual_time
from simulator.twitch.connection import LinkLatency, Timing
from tests.simulator.twitch.rig import EVERY_FACE, station


def now_s() -> float:
    return asyncio.get_running_loop().time()


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_the_server_pings_just_under_every_five_minutes(face: str) -> None:
    """A client that answers stays; the PING comes at 295 s and again at 590 s."""
    async with station(face) as place:
        client = await (await place.client()).log_in()
        for expected_s in (295.0, 590.0):
            assert (await client.until("PING")).params == ("tmi.twitch.tv",)
            assert now_s() == expected_s
            client.send("PONG :tmi.twitch.tv")
        await asyncio.sleep(200)
        assert place.server.connected == ("bot",)


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_a_client_that_does_not_answer_a_ping_is_closed(face: str) -> None:
    """30 s after the PING the connection ends, and the account has left its channels."""
    async with station(face) as place:
        client = await (await place.client()).log_in("bot", "alice")
        await client.until("PING")
        assert await client.line() == ""
        assert now_s() == 325.0
        await place.server.wait_closed()
        assert place.server.in_channel("alice") == ()
        assert place.server.stats["silent_clients_closed"] == 1


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_a_connection_that_never_logs_in_is_closed(face: str) -> None:
    """The login has a deadline, so that idle sockets do not pile up."""
    async with station(face) as place:
        client = await place.client()
        assert await client.line() == ""
        assert now_s() == 60.0


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_reconnect_is_announced_and_the_connection_closed_after_the_grace(face: str) -> None:
    """The line has the server's prefix; during the grace chat goes on."""
    async with station(face) as place:
        client = await (await place.client()).log_in("bot", "alice")
        assert place.server.send_reconnect(grace_s=20.0) == 1
        assert await client.line() == ":tmi.twitch.tv RECONNECT"
        await asyncio.sleep(10)
        place.state.say("alice", "carol", "still here?")
        assert (await client.until("PRIVMSG")).params[1] == "still here?"
        assert await client.line() == ""
        assert now_s() == 20.0


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_latency_delays_each_direction_and_keeps_the_order(face: str) -> None:
    """0.3 s up and 0.2 s down make a round trip of half a second."""
    async with station(face) as place:
        client = await (await place.client()).log_in()
        place.server.latency = LinkLatency(to_server_s=0.3, to_client_s=0.2)
        client.send("PING :1")
        await asyncio.sleep(0.1)
        client.send("PING :2")
        assert ((await client.until("PONG")).params[1], now_s()) == ("1", 0.5)
        assert ((await client.until("PONG")).params[1], round(now_s(), 6)) == ("2", 0.6)


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_jitter_never_reorders(face: str) -> None:
    """Lines leave in the order in which they were queued, however the delays are drawn."""
    async with station(face) as place:
        client = await (await place.client()).log_in()
        place.server.latency = LinkLatency(jitter_s=0.5)
        client.send(*(f"PING :{n}" for n in range(50)))
        assert [(await client.until("PONG")).params[1] for _ in range(50)] == [str(n) for n in range(50)]


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_a_half_open_connection_is_silent_until_the_client_closes_it(face: str) -> None:
    """Nothing arrives and nothing answers; the server gives the session up, the socket stays open."""
    async with station(face) as place:
        client = await (await place.client()).log_in("bot", "alice")
        assert place.server.half_open_all() == 1
        place.server.send_reconnect(grace_s=1.0)
        client.send("PING :anyone", "PRIVMSG #alice :hello")
        place.state.say("alice", "carol", "hi")
        pending = asyncio.ensure_future(client.line())
        await asyncio.sleep(1_000)
        assert not pending.done()
        assert place.state.transcript == []
        assert place.server.in_channel("alice") == ()
        pending.cancel()
        await client.close()
        await place.server.wait_closed()


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_disconnecting_delivers_what_is_queued_and_aborting_does_not_wait(face: str) -> None:
    """A polite end flushes; both end the handler."""
    async with station(face) as place:
        client = await (await place.client()).log_in("bot", "alice")
        place.state.say("alice", "carol", "last words")
        place.server.disconnect_all()
        assert (await client.until("PRIVMSG")).params[1] == "last words"
        assert await client.line() == ""
        await place.server.wait_closed()
        await (await place.client()).log_in()
        assert place.server.disconnect_all(abort=True) == 1
        await place.server.wait_closed()
        assert place.server.connected == ()


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_a_client_that_does_not_read_is_cut_off(face: str) -> None:
    """At the bound of the outgoing queue the connection ends and is counted; memory stays bounded."""
    async with station(face, timing=Timing(out_bytes_max=100_000)) as place:
        client = await (await place.client()).log_in("bot", "alice")
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # the only way to be a slow reader
        while not place.server.stats["slow_readers_cut_off"]:
            for _ in range(100):
                place.state.say("alice", "carol", "x" * 450)
            await asyncio.sleep(0.01)
        await place.server.wait_closed()


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_a_client_that_does_not_read_cannot_hold_up_a_disconnect(face: str) -> None:
    """What cannot be flushed within a second is lost, and the handler ends."""
    async with station(face) as place:
        client = await (await place.client()).log_in("bot", "alice")
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # the only way to be a slow reader
        for _ in range(6_000):
            place.state.say("alice", "carol", "x" * 400)
        await asyncio.sleep(0.01)
        started_s = now_s()
        place.server.disconnect_all()
        await place.server.wait_closed()
        assert now_s() - started_s <= 2.5


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_an_endless_line_is_skipped_and_the_next_one_works(face: str) -> None:
    """A line over the limit costs one count and no connection."""
    async with station(face) as place:
        client = await (await place.client()).log_in()
        client.send("PRIVMSG #alice :" + "x" * 200_000, "PING :after")
        assert (await client.until("PONG")).params[1] == "after"
        assert place.server.stats["oversized_lines"] == 1
        assert place.state.transcript == []


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_nothing_a_rejected_client_sends_counts(face: str) -> None:
    """Lines after a failed login in the same packet are ignored."""
    async with station(face) as place:
        client = await place.client()
        client.send("PASS oauth:wrong", "NICK bot", "PASS oauth:bot-token", "NICK bot")
        assert await client.line() == ":tmi.twitch.tv NOTICE * :Login authentication failed"
        assert await client.line() == ""
        assert place.server.stats["logins"] == 0
