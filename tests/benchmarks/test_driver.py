"""The driver against the bare loop and against raw sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import PEERS
from benchmarks.driver import HOST, ChatServer, channel_names
from benchmarks.step import StepPlan, StepResult, percentile
from simulator.bot_process import BotProcess


async def with_bare_loop(directory: Path, plan: StepPlan) -> StepResult:
    """One step with the bare loop in a process of its own."""
    server = ChatServer(channel_names(3))
    listener = await server.listen()
    port = listener.sockets[0].getsockname()[1]
    variables = {"CHAT_HOST": HOST, "CHAT_PORT": str(port), "CHAT_CHANNELS": ",".join(server.channels)}
    command = (sys.executable, str(PEERS / "bare_loop.py"))
    async with listener, BotProcess(command, variables, directory, lambda _: None):
        assert await server.wait_for_bot(20)
        return await server.run_step(plan)


async def test_every_message_is_answered_and_counted_once(tmp_path: Path) -> None:
    """At a low rate the bare loop answers all that was said, at the rate that was asked for."""
    result = await with_bare_loop(tmp_path, StepPlan(rate=200, seconds=0.5))

    assert (result.sent, result.answered, result.duplicates, result.cut_short) == (100, 100, 0, "")
    assert result.p50_ms is not None
    assert result.p99_ms is not None
    assert 0 < result.p50_ms <= result.p99_ms


async def test_a_bot_that_answers_nothing_is_broken_off(tmp_path: Path) -> None:
    """What the bare loop does not know stays unanswered: no latency, and an early end."""
    result = await with_bare_loop(tmp_path, StepPlan(rate=200, seconds=30, text="!unknown"))

    assert result.answered == 0
    assert result.p99_ms is None
    assert result.sent < 30 * 200
    assert "unanswered" in result.cut_short


class Client:
    """A chat client made of raw lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def log_in(self, server: ChatServer) -> None:
        """Be in every channel."""
        self.writer.write(b"CAP REQ :twitch.tv/tags\r\nPASS oauth:x\r\nNICK bot\r\n")
        self.writer.write(b"JOIN #" + b",#".join(name.encode() for name in server.channels) + b"\r\n")
        assert await server.wait_for_bot(5)

    async def line_with(self, words: bytes) -> bytes:
        """The next line that holds these words."""
        async with asyncio.timeout(5):
            while words not in (line := await self.reader.readline()):
                assert line, f"no line with {words!r} came"
        return line


async def connect(server: ChatServer) -> tuple[asyncio.Server, Client]:
    """A listening server and a client that is connected to it."""
    listener = await server.listen()
    port = listener.sockets[0].getsockname()[1]
    return listener, Client(*await asyncio.open_connection(HOST, port))


async def test_latency_counts_from_the_moment_a_message_was_due() -> None:
    """Replies held back until the end are as late as their messages are old, the first one the latest."""
    server = ChatServer(channel_names(1))
    listener, client = await connect(server)
    async with listener:
        await client.log_in(server)
        step = asyncio.create_task(server.run_step(StepPlan(rate=20, seconds=0.4)))
        numbers = [(await client.line_with(b" :!echo ")).rpartition(b" ")[2].strip() for _ in range(8)]
        client.writer.write(b"".join(b"PRIVMSG #arena_000 :pong %b\r\n" % number for number in numbers))
        result = await step
        client.writer.close()

    assert result.answered == 8
    assert result.max_ms is not None
    assert result.max_ms >= 7 * 50  # the first was due 7 intervals of 50 ms before the last was even said


async def test_a_reply_is_matched_by_the_id_it_answers_and_an_old_one_is_not() -> None:
    """A reply counts once, in the step of its message."""
    server = ChatServer(channel_names(1))
    listener, client = await connect(server)
    async with listener:
        await client.log_in(server)
        plan = StepPlan(rate=50, seconds=0.02, text="!count deaths +1", matched_by="reply")
        replies: list[bytes] = []
        results: list[StepResult] = []
        for _ in range(2):
            step = asyncio.create_task(server.run_step(plan))
            message = await client.line_with(b"!count deaths +1")
            message_id = message.partition(b";id=")[2].partition(b";")[0]
            replies.append(b"@reply-parent-msg-id=%b PRIVMSG #arena_000 :deaths: 1\r\n" % message_id)
            client.writer.write(b"".join(replies))
            results.append(await step)
        client.writer.close()

    assert [(result.sent, result.answered, result.duplicates) for result in results] == [(1, 1, 0), (1, 1, 0)]


async def test_speaks_websocket_to_those_who_ask_for_it() -> None:
    """An upgrade with the subprotocol irc is accepted, and a masked frame is read (RFC 6455 sections 1.3 and 5.7)."""
    server = ChatServer(channel_names(1))
    listener, client = await connect(server)
    async with listener:
        key = base64.b64encode(b"0123456789abcdef")
        client.writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
            + key
            + b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: irc\r\n\r\n"
        )
        answer = await client.reader.readuntil(b"\r\n\r\n")
        text, mask = b"NICK bot", b"\x37\xfa\x21\x3d"
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        client.writer.write(bytes((0x81, 0x80 | len(text))) + mask + masked)
        welcome = await client.line_with(b" 001 ")
        client.writer.close()

    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    assert base64.b64encode(digest) in answer
    assert b"Sec-WebSocket-Protocol: irc" in answer
    assert welcome.endswith(b"001 bot :Welcome, GLHF!\r\n")


@pytest.mark.parametrize(("part", "value"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0)])
def test_percentile_is_a_value_that_was_measured(part: float, value: float) -> None:
    """Nothing is interpolated."""
    assert percentile([1.0, 2.0, 3.0, 4.0], part) == value
