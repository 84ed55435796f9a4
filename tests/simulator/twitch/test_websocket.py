"""One WebSocket, against the client of the `websockets` package and against raw bytes, in virtual time over loopback."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from simulator.loop import in_virtual_time
from simulator.twitch.websocket import (
    CLOSE_TIMEOUT_S,
    INCOMING_MESSAGES_MAX,
    MESSAGE_BYTES_MAX,
    OUT_BYTES_MAX,
    PINGS_MAX,
    WebSocketClosed,
    WebSocketConnection,
)
from tests.simulator.twitch.web_rig import client, closing, listener, silence

UPGRADE = (
    "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def echo(connection: WebSocketConnection) -> None:
    """Send every message back, and hang up on "bye"."""
    connection.accept()
    while (message := await connection.receive()) != "bye":
        connection.send(message if isinstance(message, str) else f"{len(message)} bytes")
    connection.close(4001, "bye yourself")


class Held:
    """A handler that accepts and hands the connection to the test."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[WebSocketConnection] = asyncio.Queue()

    async def __call__(self, connection: WebSocketConnection) -> None:
        connection.accept()
        await self._came.put(connection)
        await connection.wait_closed()

    async def next(self) -> WebSocketConnection:
        return await self._came.get()


@in_virtual_time(hybrid=True)
async def test_messages_go_both_ways_whole_and_in_pieces() -> None:
    """Text, bytes, a fragmented message, and one that TCP splits."""
    async with listener({"/echo": echo}) as place, client(f"{place.ws_url}/echo?a=1") as mine:
        for sent, expected in [("hi", "hi"), ("é" * 40_000, "é" * 40_000), (b"12345", "5 bytes")]:
            await mine.send(sent)
            assert await mine.recv() == expected
        await mine.send(["in ", "three ", "parts"])
        assert await mine.recv() == "in three parts"


@in_virtual_time(hybrid=True)
async def test_the_handler_sees_path_query_headers_and_what_is_offered() -> None:
    """The request as the client made it; the subprotocol chosen comes back to it."""
    seen: list[object] = []

    async def look(connection: WebSocketConnection) -> None:
        seen.extend([connection.path, dict(connection.query), connection.offered, connection.headers["x-a"]])
        connection.accept("second")

    async with listener({"/look": look}) as place:
        options = {"subprotocols": ["first", "second"], "additional_headers": {"X-A": "b"}}
        async with client(f"{place.ws_url}/look?a=1&b=x%20y&c=", **options) as mine:
            assert mine.subprotocol == "second"
        assert seen == ["/look", {"a": "1", "b": "x y", "c": ""}, ("first", "second"), "b"]


@in_virtual_time(hybrid=True)
async def test_a_handler_may_refuse_with_a_status_and_words() -> None:
    """The client gets an ordinary HTTP answer instead of 101."""

    async def refuse(connection: WebSocketConnection) -> None:
        connection.refuse(403, "not you")

    async with listener({"/": refuse}) as place:
        with pytest.raises(InvalidStatus) as refusal:
            async with client(place.ws_url):
                pass
        assert (refusal.value.response.status_code, refusal.value.response.body) == (403, b"not you")
        assert place.stats["websockets_refused"] == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", ""), "400 Bad Request"),
        (("Version: 13", "Version: 12"), "400 Bad Request"),
        (("GET", "POST"), "400 Bad Request"),
    ],
)
@in_virtual_time(hybrid=True)
async def test_a_request_against_the_rfc_is_refused(change: tuple[str, str], status: str) -> None:
    """RFC 6455, 4.2.1: key, version and method are asked for."""
    async with listener({"/echo": echo}) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(UPGRADE.replace(*change).encode())
        assert (await reader.read()).decode().startswith(f"HTTP/1.1 {status}")
        writer.close()


@in_virtual_time(hybrid=True)
async def test_the_close_code_of_each_side_reaches_the_other() -> None:
    """The server's by the client, the client's as `WebSocketClosed` in the handler."""
    held = Held()
    async with listener({"/echo": echo, "/held": held}) as place:
        async with client(f"{place.ws_url}/echo") as mine:
            await mine.send("bye")
            assert await closing(mine) == (4001, "bye yourself")
        async with client(f"{place.ws_url}/held") as mine:
            theirs = await held.next()
            await mine.close(3001, "enough")
            with pytest.raises(WebSocketClosed) as ended:
                await theirs.receive()
            assert (ended.value.code, ended.value.reason) == (3001, "enough")
            assert not theirs.send("too late")


@in_virtual_time(hybrid=True)
async def test_a_client_that_does_not_answer_a_close_is_cut_off() -> None:
    """`CLOSE_TIMEOUT_S` after the close frame the socket goes."""
    held = Held()
    async with listener({"/echo": held}) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(UPGRADE.encode())
        await reader.readuntil(b"\r\n\r\n")
        theirs = await held.next()
        theirs.close(4000, "internal server error")
        assert await reader.readexactly(4) == b"\x88\x17\x0f\xa0"
        started_s = asyncio.get_running_loop().time()
        await theirs.wait_closed()
        assert asyncio.get_running_loop().time() - started_s == CLOSE_TIMEOUT_S
        writer.close()


@in_virtual_time(hybrid=True)
async def test_pings_go_both_ways_and_are_no_messages() -> None:
    """`ping` returns with the pong; the client's ping is answered and the handler hears nothing of it."""
    held = Held()
    async with listener({"/": held}) as place, client(f"{place.ws_url}/") as mine:
        theirs = await held.next()
        await theirs.ping()
        await (await mine.ping())
        await mine.send("a message")
        assert await theirs.receive() == "a message"


@in_virtual_time(hybrid=True)
async def test_a_ping_without_a_pong_waits_until_the_end() -> None:
    """A client that reads nothing sends no pong; the end of the connection ends the wait."""
    held = Held()
    async with listener({"/echo": held}) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(UPGRADE.encode())
        await reader.readuntil(b"\r\n\r\n")
        theirs = await held.next()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await theirs.ping()
        waiting = asyncio.create_task(theirs.ping())
        await asyncio.sleep(1)
        writer.close()
        with pytest.raises(WebSocketClosed):
            await waiting
        with pytest.raises(WebSocketClosed):
            await theirs.ping()


@in_virtual_time(hybrid=True)
async def test_pings_that_nobody_answers_are_bounded() -> None:
    """Over `PINGS_MAX` the oldest wait ends."""
    held = Held()
    async with listener({"/echo": held}) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(UPGRADE.encode())
        await reader.readuntil(b"\r\n\r\n")
        theirs = await held.next()
        waiting = [asyncio.create_task(theirs.ping()) for _ in range(PINGS_MAX + 1)]
        await asyncio.sleep(1)
        assert [task.done() for task in waiting] == [True] + [False] * PINGS_MAX
        writer.close()
        await asyncio.wait(waiting)
        assert all(isinstance(task.exception(), WebSocketClosed) for task in waiting[1:])


@in_virtual_time(hybrid=True)
async def test_half_open_is_silent_both_ways_and_closes_nothing() -> None:
    """Nothing goes out, not even a pong or a close; what comes in is lost; only the client can end it."""
    held = Held()
    async with listener({"/": held}) as place, client(f"{place.ws_url}/") as mine:
        theirs = await held.next()
        theirs.go_half_open()
        assert not theirs.send("lost")
        theirs.close(4000)
        pong = await mine.ping()
        await mine.send("lost too")
        assert await silence(mine, 3_600)
        assert not pong.done()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await theirs.receive()
        assert theirs.open and not theirs.sound


@in_virtual_time(hybrid=True)
async def test_an_abort_sends_no_close_frame() -> None:
    """The client sees 1006, as when a machine dies."""
    held = Held()
    async with listener({"/": held}) as place, client(f"{place.ws_url}/") as mine:
        (await held.next()).abort()
        assert await closing(mine) == (1006, "")


@in_virtual_time(hybrid=True)
async def test_what_the_handler_does_not_receive_holds_the_client_back() -> None:
    """`INCOMING_MESSAGES_MAX` are taken, then reading stops; nothing is lost when it goes on."""
    held = Held()
    async with listener({"/": held}) as place, client(f"{place.ws_url}/") as mine:
        theirs = await held.next()
        for number in range(INCOMING_MESSAGES_MAX + 10):
            await mine.send(str(number))
            await asyncio.sleep(0.001)  # one packet each, or all would come in one read
        assert len(theirs._incoming) == INCOMING_MESSAGES_MAX
        received = [await theirs.receive() for _ in range(INCOMING_MESSAGES_MAX + 10)]
        assert received == [str(number) for number in range(INCOMING_MESSAGES_MAX + 10)]


@in_virtual_time(hybrid=True)
async def test_a_message_over_the_limit_is_closed_with_1009() -> None:
    """RFC 6455, 7.4.1: message too big."""
    async with listener({"/echo": echo}) as place, client(f"{place.ws_url}/echo") as mine:
        await mine.send("x" * (MESSAGE_BYTES_MAX + 1))
        assert (await closing(mine))[0] == 1009


@in_virtual_time(hybrid=True)
async def test_text_that_is_no_utf8_is_closed_with_1007() -> None:
    """RFC 6455, 8.1."""
    async with listener({"/echo": echo}) as place, client(f"{place.ws_url}/echo") as mine:
        await mine.send(b"\xff\xfe", text=True)
        assert (await closing(mine))[0] == 1007


@in_virtual_time(hybrid=True)
async def test_a_client_that_does_not_read_is_cut_off_and_counted() -> None:
    """Over `OUT_BYTES_MAX` waiting in our memory: memory is not a client's to fill."""
    held = Held()
    async with listener({"/echo": held}) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(UPGRADE.encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        theirs = await held.next()
        sent_bytes = 0
        while theirs.open and sent_bytes < 20 * OUT_BYTES_MAX:
            theirs.send("x" * 500_000)
            sent_bytes += 500_000
            await asyncio.sleep(0)
        await theirs.wait_closed()
        assert place.stats["slow_readers_cut_off"] == 1
        assert sent_bytes > OUT_BYTES_MAX
        writer.close()
