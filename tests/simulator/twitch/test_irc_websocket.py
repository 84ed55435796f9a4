"""IRC over WebSocket, against the client of the `websockets` package, in virtual time over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection

from simulator.loop import in_virtual_time
from simulator.twitch.connection import LinkLatency, Timing
from simulator.twitch.irc import IrcServer
from simulator.twitch.irc_websocket import FRAME_BYTES_MAX, _frames, handler
from simulator.twitch.line import Line, parse
from tests.simulator.twitch.rig import ALL_CAPS, small_twitch
from tests.simulator.twitch.web_rig import client, closing, listener, silence


@asynccontextmanager
async def chat(timing: Timing | None = None) -> AsyncIterator[tuple[IrcServer, str]]:
    """A small Twitch at /irc; the server and its address."""
    server = IrcServer(small_twitch(asyncio.get_running_loop().time), timing=timing)
    async with listener({"/irc": handler(server)}) as place:
        yield server, f"{place.ws_url}/irc"


async def lines(mine: ClientConnection) -> list[Line]:
    """The lines of the next frame."""
    frame = await mine.recv()
    assert isinstance(frame, str) and frame.endswith("\r\n")
    return [parse(text) for text in frame.removesuffix("\r\n").split("\r\n")]


async def until(mine: ClientConnection, command: str) -> Line:
    """The next line with this command."""
    while True:
        for line in await lines(mine):
            if line.command == command:
                return line


async def log_in(mine: ClientConnection, login: str = "bot") -> None:
    for text in (ALL_CAPS, f"PASS oauth:{login}-token", f"NICK {login}", "JOIN #alice"):
        await mine.send(text)
    await until(mine, "ROOMSTATE")


@in_virtual_time(hybrid=True)
async def test_the_subprotocol_irc_is_echoed_where_it_is_offered() -> None:
    """tmi.js cannot connect without the echo; twitchio 2 offers nothing and gets nothing."""
    async with chat() as (_, url):
        async with client(url, subprotocols=["irc"]) as mine:
            assert mine.subprotocol == "irc"
        async with client(url) as mine:
            assert mine.subprotocol is None


@in_virtual_time(hybrid=True)
async def test_frames_without_line_ends_and_with_several_lines() -> None:
    """tmi.js ends no line and sends one a frame; others send several with CR LF; all are understood."""
    async with chat() as (server, url), client(url, subprotocols=["irc"]) as mine:
        await mine.send("PASS oauth:bot-token\r\nNICK bot\r\n")
        assert [line.command for line in await lines(mine)][-1] == "376"
        await mine.send("JOIN #alice")
        await until(mine, "366")
        await mine.send("PRIVMSG #alice :one\nPRIVMSG #bob :two")
        await mine.send(b"PING :over\r\n")
        await until(mine, "PONG")
        assert [sent.text for sent in server.state.transcript] == ["one", "two"]


@in_virtual_time(hybrid=True)
async def test_what_is_said_at_one_moment_comes_as_one_frame_of_several_lines() -> None:
    """A client must split frames: the answer to a JOIN is one of them."""
    async with chat() as (_, url), client(url) as mine:
        for text in (ALL_CAPS, "PASS oauth:bot-token", "NICK bot"):
            await mine.send(text)
        await until(mine, "GLOBALUSERSTATE")
        await mine.send("JOIN #alice")
        assert [line.command for line in await lines(mine)] == [
            "JOIN",
            "353",
            "366",
            "USERSTATE",
            "ROOMSTATE",
        ]


@in_virtual_time(hybrid=True)
async def test_people_on_tcp_and_on_websocket_hear_each_other() -> None:
    """One server behind both."""
    async with chat() as (server, url), client(url) as mine:
        tcp = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*tcp.sockets[0].getsockname()[:2])
        writer.write(b"PASS oauth:carol-token\r\nNICK carol\r\nJOIN #alice\r\n")
        await reader.readuntil(b"366 carol #alice")
        await log_in(mine)
        writer.write(b"PRIVMSG #alice :!ping\r\n")
        assert (await until(mine, "PRIVMSG")).params == ("#alice", "!ping")
        await mine.send("PRIVMSG #alice :pong")
        await reader.readuntil(b"PRIVMSG #alice :pong\r\n")
        writer.close()
        tcp.close()


@in_virtual_time(hybrid=True)
async def test_a_wrong_token_gets_its_notice_and_a_close() -> None:
    """The NOTICE is out before the close frame."""
    async with chat() as (_, url), client(url) as mine:
        await mine.send("PASS oauth:wrong")
        await mine.send("NICK bot")
        assert (await until(mine, "NOTICE")).params[1] == "Login authentication failed"
        assert (await closing(mine))[0] == 1000


@in_virtual_time(hybrid=True)
async def test_the_servers_own_pings_are_irc_lines() -> None:
    """PING in a frame, PONG in a frame; who does not answer is closed."""
    async with chat(Timing(ping_interval_s=100, pong_timeout_s=10)) as (server, url), client(url) as mine:
        await log_in(mine)
        await until(mine, "PING")
        await mine.send("PONG")
        await until(mine, "PING")
        assert (await closing(mine))[0] == 1000
        assert asyncio.get_running_loop().time() == 210
        assert server.stats["silent_clients_closed"] == 1


@in_virtual_time(hybrid=True)
async def test_reconnect_then_close() -> None:
    """The RECONNECT line, and after the grace the end, as on TCP."""
    async with chat() as (server, url), client(url) as mine:
        await log_in(mine)
        assert server.send_reconnect(30) == 1
        await until(mine, "RECONNECT")
        assert (await closing(mine))[0] == 1000
        assert asyncio.get_running_loop().time() == 30


@in_virtual_time(hybrid=True)
async def test_half_open_answers_no_ping_of_either_layer() -> None:
    """Neither IRC's PING nor the WebSocket's: only then does a client's heartbeat tell it."""
    async with chat() as (server, url), client(url) as mine:
        await log_in(mine)
        server.half_open_all()
        pong = await mine.ping()
        await mine.send("PING :anybody")
        assert await silence(mine, 600)
        assert not pong.done()


@in_virtual_time(hybrid=True)
async def test_a_server_that_does_not_accept_closes_at_once() -> None:
    """An outage of Twitch on this face too."""
    async with chat() as (server, url):
        server.accepting = False
        async with client(url) as mine:
            assert (await closing(mine))[0] == 1000
        server.accepting = True
        async with client(url) as mine:
            await log_in(mine)


@in_virtual_time(hybrid=True)
async def test_a_client_that_goes_leaves_the_room() -> None:
    """Orderly or by a reset: the session ends."""
    async with chat() as (server, url):
        async with client(url) as mine:
            await log_in(mine)
            assert server.in_channel("alice") == ("bot",)
        async with client(url) as mine:
            await log_in(mine)
            mine.transport.abort()
        await asyncio.sleep(1)
        assert server.connected == ()


@in_virtual_time(hybrid=True)
async def test_a_server_that_is_behind_holds_the_client_back() -> None:
    """What the chat server has not taken stays with the client: our memory is not a client's to fill."""
    async with chat() as (server, url), client(url) as mine:
        await log_in(mine)
        server.latency = LinkLatency(to_server_s=1_000.0)
        sent = 0
        try:
            async with asyncio.timeout(100):
                while sent < 3_000:
                    await mine.send("PRIVMSG #alice :" + "x" * 20_000)
                    sent += 1
        except TimeoutError:
            mine.transport.abort()
        assert 10 < sent < 3_000


def test_frames_are_split_at_line_ends_only() -> None:
    """What is longer than a frame goes out in several, none with half a line."""
    text = [b"x" * 9_998 + b"\r\n"] * 10
    frames = list(_frames(text))
    assert b"".join(frames) == b"".join(text)
    assert all(frame.endswith(b"\r\n") and len(frame) <= FRAME_BYTES_MAX for frame in frames)
    assert len(frames) == 4
    assert list(_frames([b"y" * 50_000])) == [b"y" * 50_000]
