"""Connections in memory behave as TCP does where a program can notice, and break on request."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulator.errors import UnhandledError
from simulator.loop import current_loop, run
from simulator.network import Chunking, MemoryNetwork

IRC = ("irc.test", 6667)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send each line back until the other side ends or breaks the connection."""
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        return


def network(**options: float) -> MemoryNetwork:
    net = MemoryNetwork(random.Random(1), **options)  # type: ignore[arg-type]
    net.listen(*IRC, echo)
    return net


async def say(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], line: bytes) -> bytes:
    streams[1].write(line)
    return await streams[0].readline()


def test_lines_go_there_and_back_at_the_latency_of_each_direction() -> None:
    """A handshake is one round trip, a line and its echo another."""

    async def body() -> None:
        net, loop = network(), current_loop()
        net.conditions(*IRC, to_server_s=0.03, to_client_s=0.05)
        streams = await net.open(*IRC)
        assert loop.time() == pytest.approx(0.08)
        assert await say(streams, b"PING\r\n") == b"PING\r\n"
        assert loop.time_us() == 160_000
        net.conditions(*IRC, to_client_s=1.0)  # for open connections too
        await say(streams, b"PING\r\n")
        assert loop.time_us() == 160_000 + 1_030_000
        streams[1].close()
        await streams[1].wait_closed()
        assert streams[1].get_extra_info("peername") == IRC

    run(body())


def test_without_latency_no_time_passes() -> None:
    """The default network is immediate, but never calls back within `write`."""

    async def body() -> None:
        streams = await network().open(*IRC)
        assert await say(streams, b"a\n") == b"a\n"
        assert current_loop().time() == 0.0
        streams[1].close()

    run(body())


def test_an_address_that_nobody_serves_refuses() -> None:
    """As a host without a listener does, after one round trip."""

    async def body() -> None:
        net = network(latency_s=0.1)
        with pytest.raises(ConnectionRefusedError, match=r"irc\.test:1"):
            await net.open("irc.test", 1)
        assert current_loop().time() == pytest.approx(0.2)
        net.refuse(*IRC)
        with pytest.raises(ConnectionRefusedError):
            await net.open(*IRC)
        net.accept(*IRC)
        (await net.open(*IRC))[1].close()
        net.close_listener(*IRC)
        with pytest.raises(ConnectionRefusedError):
            await net.open(*IRC)

    run(body())


def test_a_hanging_address_answers_once_it_accepts_again() -> None:
    """Dropped packets: the client waits until its own deadline, or until the network is back."""

    async def body() -> None:
        net = network()
        net.hang(*IRC)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await net.open(*IRC)
        current_loop().call_later(3, net.accept, *IRC)
        (await net.open(*IRC))[1].close()
        assert current_loop().time() == 8.0

    run(body())


def test_reset_all_breaks_both_ends_at_once() -> None:
    """RST: reading and writing fail, and what was under way is lost."""

    async def body() -> None:
        errors: list[type[BaseException]] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            except ConnectionResetError as error:
                errors.append(type(error))

        net = MemoryNetwork(random.Random(1), latency_s=1.0)
        net.listen(*IRC, handler)
        reader, writer = await net.open(*IRC)
        writer.write(b"lost")
        assert net.reset_all(*IRC) == 1
        with pytest.raises(ConnectionResetError):
            await reader.read()
        with pytest.raises(ConnectionResetError):
            await writer.drain()
        await asyncio.sleep(0)
        assert errors == [ConnectionResetError]
        assert net.connections(*IRC) == 0
        (await net.open(*IRC))[1].close()  # new ones work

    run(body())


def test_half_open_connections_swallow_bytes_and_tell_nobody() -> None:
    """Only a deadline of the program's own finds a half-open connection; a new one works."""

    async def body() -> None:
        net = network(latency_s=0.1)
        reader, writer = await net.open(*IRC)
        writer.write(b"under way\n")
        assert net.half_open_all(*IRC) == 1
        writer.write(b"PING\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3_600):
                await reader.readline()
        assert not writer.is_closing()
        writer.write(b"x" * 2_000_000)
        with pytest.raises(TimeoutError):  # nothing is acknowledged: the buffer fills up
            async with asyncio.timeout(3_600):
                await writer.drain()
        writer.transport.abort()
        await asyncio.sleep(10)
        assert net.connections(*IRC) == 1  # the server still believes in it
        fresh = await net.open(*IRC)
        assert await say(fresh, b"hello\n") == b"hello\n"
        fresh[1].close()

    run(body())


def test_a_killed_process_ends_its_connections_as_a_kernel_would() -> None:
    """The peer reads to the end of what was sent, then meets resets; ports are free again."""

    async def body() -> None:
        net = MemoryNetwork(random.Random(1), latency_s=0.1)
        log: list[object] = []

        async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            log.append(await reader.read())
            try:
                for _ in range(3):
                    writer.write(b"anybody?\n")
                    await writer.drain()
                    await asyncio.sleep(1)
            except ConnectionResetError:
                log.append("reset")

        net.listen(*IRC, server)

        async def bot() -> None:
            net.listen("bot.test", 80, echo)
            _, writer = await net.open(*IRC)
            try:
                writer.write(b"last words")
                await asyncio.Event().wait()
            finally:
                log.append("finally")

        current_loop().spawn("bot", bot())
        await asyncio.sleep(0.25)
        current_loop().kill_process("bot")
        await asyncio.sleep(10)
        assert log == [b"last words", "reset"]
        assert net.connections(*IRC) == 0
        net.listen("bot.test", 80, echo)
        log.clear()

    run(body())


def test_a_living_process_can_be_cut_off_by_name() -> None:
    """Its connections end, and the process goes on: what a pulled cable does."""

    async def body() -> None:
        net = network()
        ended: list[bool] = []

        async def bot() -> None:
            _, writer = await net.open(*IRC)
            await asyncio.sleep(2)
            ended.append(writer.is_closing())

        process = current_loop().spawn("bot", bot())
        await asyncio.sleep(1)
        assert net.disconnect("someone else") == 0
        assert net.disconnect("bot") == 1
        assert await process.wait() == "finished"
        assert ended == [True]

    run(body())


def test_a_killed_server_takes_its_handlers_with_it() -> None:
    """Handlers are code of whoever listens, not of whoever connects."""

    async def body() -> None:
        net = MemoryNetwork(random.Random(1))
        log: list[str] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            finally:
                log.append("finally")

        async def server() -> None:
            net.listen(*IRC, handler)
            await asyncio.Event().wait()

        current_loop().spawn("server", server())
        await asyncio.sleep(1)
        reader, writer = await net.open(*IRC)
        await asyncio.sleep(1)
        current_loop().kill_process("server")
        assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await net.open(*IRC)
        writer.close()
        assert log == []

    run(body())


def test_the_failure_of_a_handler_fails_the_run() -> None:
    """A bug in a fake is not swallowed, and its client sees the connection end."""

    async def fails(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise KeyError("bug")

    async def body() -> None:
        net = MemoryNetwork(random.Random(1))
        net.listen(*IRC, fails)
        reader, writer = await net.open(*IRC)
        assert await reader.read() == b""
        writer.close()

    with pytest.raises(UnhandledError, match=r"handler failed.*KeyError"):
        run(body())


def test_two_listeners_cannot_share_an_address() -> None:
    """EADDRINUSE, as everywhere."""
    net = network()
    with pytest.raises(OSError, match="in use"):
        net.listen(*IRC, echo)


@pytest.mark.parametrize("seed", range(20))
def test_split_and_merged_packets_carry_the_same_bytes(seed: int) -> None:
    """However packets are cut and joined, at run time or from the start, nothing is lost, doubled or reordered."""

    async def body() -> None:
        rng = random.Random(seed)
        net = MemoryNetwork(rng, latency_s=0.01)
        net.listen(*IRC, echo)
        streams = await net.open(*IRC)
        net.chunk(*IRC, Chunking(split=0.9, merge=0.5))
        sent = [f"{number} {'x' * rng.randrange(40)}\r\n".encode() for number in range(100)]

        async def send() -> None:
            for line in sent:
                streams[1].write(line)
                await asyncio.sleep(rng.choice([0.0, 0.001]))

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            received = [await streams[0].readline() for _ in sent]
        assert received == sent
        net.chunk(*IRC, None)
        assert await say(streams, b"plain\n") == b"plain\n"
        streams[1].close()

    run(body(), seed=seed)


def test_traffic_on_one_connection_does_not_change_the_packets_of_another() -> None:
    """Each connection draws from its own generator, so that twin runs stay comparable."""

    async def packets(noise: bool) -> list[bytes]:
        net = MemoryNetwork(random.Random(7), chunking=Chunking(split=1.0, merge=0.0))
        got: list[bytes] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1_000):
                got.append(data)

        net.listen(*IRC, handler)
        net.listen("other.test", 1, echo)
        watched, other = await net.open(*IRC), await net.open("other.test", 1)
        for _ in range(10):
            if noise:
                await say(other, b"something else\n")
            watched[1].write(b"0123456789")
            await asyncio.sleep(1)
        watched[1].close()
        other[1].close()
        await asyncio.sleep(1)
        return got

    quiet = run(packets(noise=False))
    assert quiet == run(packets(noise=True))
    assert len(quiet) > 10


async def test_it_works_on_an_ordinary_loop() -> None:
    """Nothing but process ends needs virtual time."""
    streams = await network().open(*IRC)
    assert await say(streams, b"real\n") == b"real\n"
    streams[1].close()
    await asyncio.sleep(0)
