"""The transport's contract with asyncio: flow control, ends of streams, closing, resets."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulator.loop import current_loop, run
from simulator.memory_transport import WINDOW_BYTES, MemoryTransport
from simulator.network import MemoryNetwork

AT = ("host.test", 1)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def pair(*, latency_s: float = 0.0, tls: bool = False) -> tuple[Streams, Streams]:
    """Return (client, server) streams of one connection, whose server side is in the test's hands."""
    net = MemoryNetwork(random.Random(1), latency_s=latency_s)
    accepted: asyncio.Future[Streams] = current_loop().create_future()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result((reader, writer))
        await asyncio.Event().wait()

    net.listen(*AT, hold)
    return await net.open(*AT, tls=tls), await accepted


def transport_of(streams: Streams) -> MemoryTransport:
    transport = streams[1].transport
    assert isinstance(transport, MemoryTransport)
    return transport


def test_drain_waits_while_the_other_side_does_not_read() -> None:
    """Backpressure: a slow reader stops its writer, and nobody buffers without bound."""

    async def body() -> None:
        client, server = await pair()
        written = 0

        async def pour() -> None:
            nonlocal written
            for _ in range(100):
                client[1].write(b"x" * 65_536)
                written += 65_536
                await client[1].drain()

        pouring = asyncio.create_task(pour())
        await asyncio.sleep(10)
        assert not pouring.done()
        assert written <= WINDOW_BYTES + 6 * 65_536  # the window, both stream buffers, one recv
        assert not transport_of(server).is_reading()  # the stream reader's own limit has paused it
        assert len(await server[0].readexactly(100 * 65_536)) == 100 * 65_536
        await pouring
        client[1].close()

    run(body())


def test_eof_closes_one_direction_only() -> None:
    """A peer that has read to the end may still answer."""

    async def body() -> None:
        client, server = await pair()
        client[1].write(b"question")
        assert client[1].can_write_eof()
        client[1].write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            client[1].write(b"more")
        assert await server[0].read() == b"question"
        server[1].write(b"answer")
        server[1].close()
        assert await client[0].read() == b"answer"
        client[1].close()

    run(body())


def test_tls_streams_end_in_both_directions() -> None:
    """asyncio closes a TLS transport at its peer's end of stream, so these do too."""

    async def body() -> None:
        client, server = await pair(tls=True)
        assert not client[1].can_write_eof()
        server[1].close()
        assert await client[0].read() == b""
        assert client[1].is_closing()

    run(body())


def test_close_delivers_what_was_written_before_it() -> None:
    """Closing flushes, also what waits behind a reader that has paused."""

    async def body() -> None:
        client, server = await pair(latency_s=0.1)
        client[1].write(b"x" * 1_000_000)
        client[1].close()
        await asyncio.sleep(1)
        assert not transport_of(server).is_closing()
        assert len(await server[0].read()) == 1_000_000
        await client[1].wait_closed()
        server[1].close()

    run(body())


def test_data_for_a_closed_end_is_answered_with_a_reset() -> None:
    """A writer learns one round trip later that nobody is there any more."""

    async def body() -> None:
        client, server = await pair(latency_s=0.1)
        client[1].close()
        assert await server[0].read() == b""
        server[1].write(b"too late")
        await server[1].drain()
        await asyncio.sleep(0.25)
        with pytest.raises(ConnectionResetError):
            await server[1].drain()

    run(body())


def test_abort_lets_what_was_delivered_arrive_and_then_resets() -> None:
    """A reset overtakes nothing, but costs the peer its stream."""

    async def body() -> None:
        client, server = await pair(latency_s=0.1)
        client[1].write(b"line\n")
        client[1].transport.abort()
        assert await server[0].readline() == b"line\n"
        with pytest.raises(ConnectionResetError):
            await server[0].readline()
        client[1].write(b"dropped, as asyncio does")

    run(body())


def test_a_reset_discards_what_a_paused_reader_has_not_taken() -> None:
    """As a kernel empties its receive buffer."""

    async def body() -> None:
        client, server = await pair()
        transport_of(server).pause_reading()
        client[1].write(b"never read")
        client[1].transport.abort()
        await asyncio.sleep(1)
        assert transport_of(server).is_closing()
        with pytest.raises(ConnectionResetError):
            await server[0].read()

    run(body())


def test_write_buffer_limits_follow_asyncio() -> None:
    """The same defaults and the same refusals as asyncio's own transports."""

    async def body() -> None:
        client, _ = await pair()
        transport = transport_of(client)
        assert transport.get_write_buffer_limits() == (16_384, 65_536)
        transport.set_write_buffer_limits(high=1_000)
        assert transport.get_write_buffer_limits() == (250, 1_000)
        transport.set_write_buffer_limits(low=100)
        assert transport.get_write_buffer_limits() == (100, 400)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)
        transport.writelines([b"a", b"b"])
        assert transport.get_write_buffer_size() == 0  # within the kernels' window
        transport.close()

    run(body())


def test_writes_of_one_instant_arrive_as_one_piece() -> None:
    """Without chunking a reader gets what a single recv would return."""

    async def body() -> None:
        client, server = await pair(latency_s=0.1)
        for word in (b"one ", b"two ", b"three"):
            client[1].write(word)
        assert await server[0].read(100) == b"one two three"
        client[1].close()
        server[1].close()

    run(body())
