"""The proxy does to real sockets what its verbs say, in virtual time over the kernel's loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulator.loop import current_loop, run
from simulator.tcp_proxy import TcpProxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


def through_proxy(story: Callable[[TcpProxy], Awaitable[None]]) -> None:
    """Run a story on a proxy before an echo server, on a hybrid loop."""

    async def body() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            async with TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
                await story(proxy)
            assert proxy.connections == 0

    run(body(), hybrid=True)


async def connect(proxy: TcpProxy) -> Streams:
    return await asyncio.open_connection(proxy.host, proxy.port)


async def say(streams: Streams, line: bytes = b"hello\n") -> bytes:
    streams[1].write(line)
    return await streams[0].readline()


def test_it_forwards_both_ways_and_to_the_end() -> None:
    """Without a fault nobody notices the proxy."""

    async def story(proxy: TcpProxy) -> None:
        reader, writer = await connect(proxy)
        writer.write(b"x" * 1_000_000)
        writer.write_eof()
        assert len(await reader.read()) == 1_000_000
        writer.close()

    through_proxy(story)


def test_refuse_refuses_new_connections_on_the_same_port_until_healed() -> None:
    """The kernel answers for a port that does not listen; open connections stay."""

    async def story(proxy: TcpProxy) -> None:
        before = await connect(proxy)
        await say(before)
        proxy.refuse()
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        assert await say(before) == b"hello\n"
        proxy.heal()
        after = await connect(proxy)
        assert await say(after) == b"hello\n"
        before[1].close()
        after[1].close()

    through_proxy(story)


def test_hang_accepts_and_forwards_nothing_until_healed() -> None:
    """A database that accepts and hangs: only the client's own timeout ends the wait."""

    async def story(proxy: TcpProxy) -> None:
        before = await connect(proxy)
        await say(before)
        proxy.hang()
        fresh = await connect(proxy)
        for streams in (before, fresh):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await say(streams)
        proxy.heal()
        for streams in (before, fresh):
            assert await streams[0].readline() == b"hello\n"
            streams[1].close()

    through_proxy(story)


def test_reset_all_resets_both_sides() -> None:
    """RST, not FIN."""

    async def story(proxy: TcpProxy) -> None:
        streams = await connect(proxy)
        await say(streams)
        assert proxy.reset_all() == 1
        with pytest.raises(ConnectionResetError):
            await streams[0].read()
        streams[1].close()
        fresh = await connect(proxy)
        assert await say(fresh) == b"hello\n"
        fresh[1].close()

    through_proxy(story)


def test_half_open_swallows_bytes_and_closes_nothing() -> None:
    """Neither side learns anything, not even of the other's end; healing does not revive the connection."""

    async def story(proxy: TcpProxy) -> None:
        streams = await connect(proxy)
        await say(streams)
        assert proxy.half_open() == 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await say(streams)
        proxy.heal()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await say(streams)
        assert not streams[0].at_eof()
        streams[1].close()
        await asyncio.sleep(1)
        assert proxy.connections == 1
        fresh = await connect(proxy)
        assert await say(fresh) == b"hello\n"
        fresh[1].close()

    through_proxy(story)


def test_drip_lets_the_answer_trickle() -> None:
    """No read ever times out, and the whole takes its size divided by the rate."""

    async def story(proxy: TcpProxy) -> None:
        proxy.drip(100)
        streams = await connect(proxy)
        start_s = current_loop().time()
        streams[1].write(b"x" * 1_000)
        await streams[0].readexactly(1_000)
        assert current_loop().time() - start_s == pytest.approx(10, abs=0.1)
        streams[1].close()
        with pytest.raises(ValueError, match="above 0"):
            proxy.drip(0)

    through_proxy(story)


def test_cut_after_ends_the_connection_in_mid_answer() -> None:
    """The client gets exactly so many bytes, and then the end."""

    async def story(proxy: TcpProxy) -> None:
        before = await connect(proxy)
        await say(before)
        proxy.cut_after(10)
        fresh = await connect(proxy)
        for streams in (before, fresh):
            streams[1].write(b"0123456789abcdef")
            assert await streams[0].read() == b"0123456789"
            streams[1].close()
        proxy.heal()
        healed = await connect(proxy)
        assert await say(healed, b"0123456789abcdef\n") == b"0123456789abcdef\n"
        healed[1].close()

    through_proxy(story)


def test_a_dead_upstream_resets_the_client() -> None:
    """A proxy cannot refuse what it has accepted: a reset is the nearest."""

    async def body() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with TcpProxy("127.0.0.1", port) as proxy:
            reader, writer = await connect(proxy)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    run(body(), hybrid=True)


async def test_it_works_on_a_real_loop() -> None:
    """The demo and the benchmarks use it in real time."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        streams = await connect(proxy)
        assert await say(streams) == b"hello\n"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        proxy.heal()
        streams[1].close()
        await streams[1].wait_closed()
