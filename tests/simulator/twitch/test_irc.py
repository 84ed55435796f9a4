"""The chat server as clients see it: delivery, faults, limits over time. Virtual time in memory and over loopback sockets."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulator.loop import in_virtual_time, run
from simulator.twitch.connection import LinkLatency
from simulator.twitch.irc import IrcServer
from simulator.twitch.limits import LimitBook, TwitchLimits
from simulator.twitch.line import parse
from tests.simulator.twitch.rig import EVERY_FACE, Clock, Desk, small_twitch, station


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_two_clients_talk_to_each_other(face: str) -> None:
    """Login, join, speak, receive: the whole path over TCP."""
    async with station(face) as place:
        bot = await (await place.client()).log_in("bot", "alice")
        carol = await (await place.client()).log_in("carol", "alice")
        carol.send("PRIVMSG #alice :!ping")
        asked = await bot.until("PRIVMSG")
        assert (asked.prefix, asked.params) == ("carol!carol@carol.tmi.twitch.tv", ("#alice", "!ping"))
        bot.send(f"@reply-parent-msg-id={asked.tags['id']} PRIVMSG #alice :pong")
        assert (await carol.until("PRIVMSG")).params[1] == "@carol pong"
        assert [(sent.login, sent.text) for sent in place.state.transcript] == [
            ("carol", "!ping"),
            ("bot", "pong"),
        ]


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_ignored_accounts_speak_again_after_half_an_hour(face: str) -> None:
    """The penalty for 21 messages in 30 s ends by the clock."""
    async with station(face, limits=TwitchLimits(message_interval_s=0.0)) as place:
        client = await (await place.client()).log_in()
        for number in range(21):
            client.send(f"PRIVMSG #alice :number {number}")
        await asyncio.sleep(100)
        client.send("PRIVMSG #alice :still ignored")
        await asyncio.sleep(1_700)
        again = await (await place.client()).log_in()
        again.send("PRIVMSG #alice :free")
        await again.until("USERSTATE")
        assert len(place.state.transcript) == 21
        assert place.state.transcript[-1].text == "free"


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_a_server_that_does_not_accept_closes_at_once(face: str) -> None:
    """An outage of Twitch: connections are taken and closed, and counted."""
    async with station(face) as place:
        place.server.accepting = False
        client = await place.client()
        assert await client.line() == ""
        assert place.server.stats["connections_refused"] == 1
        place.server.accepting = True
        await (await place.client()).log_in()


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_verbs_reach_only_the_account_they_name(face: str) -> None:
    """With `login` the other accounts are left alone."""
    async with station(face) as place:
        bot = await (await place.client()).log_in("bot", "alice")
        await (await place.client()).log_in("carol", "alice")
        assert place.server.disconnect_all(login="bot") == 1
        assert await bot.line() in ("", ":carol!carol@carol.tmi.twitch.tv JOIN #alice")
        await asyncio.sleep(1)
        assert place.server.connected == ("carol",)
        assert place.server.half_open_all(login="nobody") == place.server.send_reconnect(login="nobody") == 0


@in_virtual_time(hybrid=True)
async def test_a_cancelled_handler_leaves_nothing_behind() -> None:
    """A crash of the process that owns the server ends the session without an error."""
    server = IrcServer(small_twitch(asyncio.get_running_loop().time))
    handlers: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.ensure_future(server.handle(reader, writer)))

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname()[:2])
    writer.write(b"PASS oauth:bot-token\r\nNICK bot\r\nJOIN #alice\r\n")
    await reader.readuntil(b"366 bot #alice")
    handlers[0].cancel()
    await asyncio.wait(handlers)
    assert handlers[0].cancelled()
    assert (server.connected, server.in_channel("alice")) == ((), ())
    writer.close()
    listener.close()


def test_every_message_comes_twice_with_probability_one() -> None:
    """The same id twice: what a bot must take for one message."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    desk.server.duplicate_probability = 1.0
    desk.state.say("alice", "carol", "hi")
    first, second = wire.take()
    assert first == second
    assert desk.server.stats["messages_duplicated"] == 1


def test_duplicates_come_about_as_often_as_asked_and_the_same_way_each_time() -> None:
    """Drawn from the seed: two servers of one seed duplicate the same messages."""

    def sizes() -> list[int]:
        desk = Desk()
        _, wire = desk.log_in("bot", "alice")
        desk.server.duplicate_probability = 0.3
        counts = []
        for _ in range(200):
            desk.state.say("alice", "carol", "hi")
            counts.append(len(wire.take()))
        return counts

    assert sizes() == sizes()
    assert 30 <= sizes().count(2) <= 90


def test_a_dropped_join_is_never_answered() -> None:
    """The client must ask again."""
    desk = Desk()
    session, wire = desk.log_in()
    desk.server.drop_join_probability = 1.0
    session.receive("JOIN #alice")
    assert (wire.take(), desk.server.joined("bot")) == ([], ())
    desk.server.drop_join_probability = 0.0
    session.receive("JOIN #alice")
    assert parse(wire.take()[0]).command == "JOIN"
    assert desk.server.stats["joins_dropped"] == 1


@EVERY_FACE
@in_virtual_time(hybrid=True)
async def test_a_reordered_message_comes_late_and_others_overtake_it(face: str) -> None:
    """Order is not guaranteed: the late one arrives after `reorder_delay_s`."""
    async with station(face) as place:
        client = await (await place.client()).log_in("bot", "alice")
        place.server.reorder_probability = 1.0
        place.state.say("alice", "carol", "first")
        place.server.reorder_probability = 0.0
        place.state.say("alice", "carol", "second")
        assert [(await client.until("PRIVMSG")).params[1] for _ in range(2)] == ["second", "first"]
        assert asyncio.get_running_loop().time() == 0.25


def test_faces_share_one_limit_book() -> None:
    """Limits are the account's, whichever server it talks to."""
    state, book = small_twitch(Clock()), LimitBook(TwitchLimits(messages_max=1))
    first, second = IrcServer(state, book), IrcServer(state, book, random.Random(9))
    bot, room = state.user("bot"), state.channel("alice")
    assert first.rules.judge(bot, room, "one").refusal is None
    refusal = second.rules.judge(bot, room, "two").refusal
    assert refusal is not None
    assert refusal.reason == "over_limit"


@pytest.mark.parametrize("hash_like_seed", [1, 2])
def test_what_is_delivered_depends_on_the_seed_alone(hash_like_seed: int) -> None:
    """Two worlds of one seed send the same bytes."""

    def delivered() -> list[str]:
        clock = Clock()
        state = small_twitch(clock, hash_like_seed)
        desk = Desk()
        desk.state, desk.server = state, IrcServer(state, None, random.Random(hash_like_seed))
        desk.server.duplicate_probability = 0.5
        _, wire = desk.log_in("bot", "alice", "bob")
        for number in range(20):
            clock.now_s = number / 7
            state.say("alice" if number % 3 else "bob", f"viewer{number % 4}", f"line {number}")
        return wire.take()

    assert delivered() == delivered()


def test_a_world_in_pure_virtual_time_repeats_byte_for_byte() -> None:
    """Latency, jitter, duplicates and reordering together: two runs receive the same bytes at the same instants."""

    async def world() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        async with station("memory") as place:
            client = await (await place.client()).log_in("bot", "alice")
            place.server.latency = LinkLatency(0.02, 0.03, jitter_s=0.05)
            place.server.duplicate_probability = place.server.reorder_probability = 0.3
            for number in range(50):
                place.state.say("alice", f"viewer{number % 7}", f"line {number}")
                await asyncio.sleep(0.05)
            client.send("PING :end")
            received = [(loop.time(), await client.line())]
            while "PONG" not in received[-1][1]:
                received.append((loop.time(), await client.line()))
            return received

    first = run(world(), seed=1)
    assert first == run(world(), seed=1)
    assert len(first) > 50
