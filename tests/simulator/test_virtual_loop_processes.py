"""Simulated processes: a crash runs nothing, a return cleans up, and an error is noticed."""

from __future__ import annotations

import asyncio

import pytest

from simulator.errors import DeadlockError, ProcessError, UnhandledError
from simulator.loop import current_loop, run
from simulator.process import outside


async def program(log: list[str]) -> None:
    """A process with children, a timer callback and `finally` blocks everywhere."""
    loop = current_loop()

    def tick() -> None:
        log.append("tick")
        loop.call_later(1, tick)

    async def child(name: str) -> None:
        try:
            while True:
                await asyncio.sleep(1)
                log.append(name)
        finally:
            log.append(f"finally {name}")
            await asyncio.sleep(1)
            log.append(f"ended {name}")

    tick()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child("a"))
            group.create_task(child("b"))
    finally:
        log.append("finally root")


def test_a_killed_process_runs_nothing_any_more() -> None:
    """A crash runs no `finally`, no timer, no child; not even after an hour and a garbage collection."""

    async def body() -> None:
        loop = current_loop()
        log: list[str] = []
        process = loop.spawn("bot", program(log))
        await asyncio.sleep(1.5)
        assert [task.get_name() for task in loop.tasks_of("bot")][:1] == ["bot"]
        assert loop.kill_process("bot") == 3
        assert not process.running
        before = list(log)
        await asyncio.sleep(3_600)
        assert log == before == ["tick", "tick", "a", "b"]
        assert loop.tasks_of("bot") == []
        assert await process.wait() == "killed"
        assert loop.kill_process("bot") == 0
        log.clear()  # what the end of the world finalises is nobody's business

    run(body())


def test_a_killed_process_holds_no_time() -> None:
    """Its timers are gone: a world of the dead only is a deadlock, not an hour of empty ticks."""

    async def body() -> None:
        current_loop().spawn("bot", program([]))
        await asyncio.sleep(1.5)
        current_loop().kill_process("bot")
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match=r"at t=1\.500000 s"):
        run(body())


def test_waking_a_dead_task_does_nothing() -> None:
    """A future that others resolve, and a cancellation, reach nobody."""

    async def body() -> list[str]:
        log: list[str] = []
        future = current_loop().create_future()

        async def waits() -> None:
            try:
                await future
                log.append("woken")
            finally:
                log.append("finally")

        process = current_loop().spawn("bot", waits())
        await asyncio.sleep(0)
        current_loop().kill_process("bot")
        future.set_result(None)
        assert process.root is not None
        process.root.cancel()
        await asyncio.sleep(10)
        return list(log)

    assert run(body()) == []


def test_a_process_can_be_started_again_after_a_crash() -> None:
    """The next incarnation lives beside the frozen tasks of the last."""

    async def body() -> list[str]:
        loop = current_loop()
        loop.spawn("bot", program([]))
        await asyncio.sleep(1)
        with pytest.raises(ProcessError, match="still running"):
            loop.spawn("bot", program([]))
        loop.kill_process("bot")
        log: list[str] = []
        again = loop.spawn("bot", program(log))
        await asyncio.sleep(1.5)
        assert again.incarnation == 1
        return list(log)

    assert run(body()) == ["tick", "tick", "a", "b"]


def test_a_process_that_returns_takes_its_tasks_with_it() -> None:
    """What a program leaves behind is cancelled, and runs its `finally` blocks, as with `asyncio.run`."""

    async def body() -> list[str]:
        log: list[str] = []
        keep: list[asyncio.Task[None]] = []

        async def root() -> None:
            keep.append(asyncio.create_task(program(log)))
            await asyncio.sleep(1.5)

        process = current_loop().spawn("bot", root())
        assert await process.wait() == "finished"
        assert not process.running
        return log[4:]

    assert run(body()) == ["finally a", "finally b", "tick", "ended a", "ended b", "finally root"]


def test_the_error_of_a_process_reaches_whoever_waits_or_fails_the_run() -> None:
    """A program that dies of its own bug does not do so unnoticed."""

    async def fails() -> None:
        raise KeyError("bug")

    async def waits() -> None:
        with pytest.raises(KeyError):
            await current_loop().spawn("bot", fails()).wait()

    async def looks_away() -> None:
        current_loop().spawn("bot", fails())
        await asyncio.sleep(1)

    run(waits())
    with pytest.raises(UnhandledError, match="KeyError"):
        run(looks_away())


def test_what_runs_outside_survives_the_crash_of_its_caller() -> None:
    """A fake server called in its client's task finishes the request."""

    async def body() -> list[str]:
        log: list[str] = []

        async def serve() -> None:
            await asyncio.sleep(5)
            log.append("committed")

        async def client() -> None:
            await outside(serve())
            log.append("answered")

        current_loop().spawn("bot", client())
        await asyncio.sleep(1)
        current_loop().kill_process("bot")
        await asyncio.sleep(10)
        return list(log)

    assert run(body()) == ["committed"]


def test_a_process_that_kills_itself_runs_to_its_next_suspension() -> None:
    """A step cannot be stopped half-way; everything after it is."""

    async def body() -> list[str]:
        log: list[str] = []

        async def root() -> None:
            try:
                current_loop().kill_process("bot")
                log.append("same step")
                keep.append(asyncio.create_task(program(log)))
                await asyncio.sleep(0)
                log.append("next step")
            finally:
                log.append("finally")

        keep: list[asyncio.Task[None]] = []
        assert await current_loop().spawn("bot", root()).wait() == "killed"
        await asyncio.sleep(10)
        return list(log)

    assert run(body()) == ["same step"]


def test_single_tasks_can_be_abandoned() -> None:
    """For a crash smaller than a process."""

    async def body() -> list[str]:
        log: list[str] = []

        async def waits(name: str) -> None:
            try:
                await asyncio.sleep(1)
            finally:
                log.append(name)

        frozen, free = asyncio.create_task(waits("frozen")), asyncio.create_task(waits("free"))
        await asyncio.sleep(0)
        current_loop().abandon([frozen])
        await free
        with pytest.raises(ProcessError, match="not a task of this loop"):
            current_loop().abandon([object()])  # type: ignore[list-item]
        return list(log)

    assert run(body()) == ["free"]


def test_killing_an_unknown_process_names_the_known_ones() -> None:
    """A typing error in a scenario is found at once."""

    async def body() -> None:
        current_loop().spawn("bot", asyncio.sleep(1))
        with pytest.raises(ProcessError, match="no process 'bto'; known: bot"):
            current_loop().kill_process("bto")

    run(body())


def test_abandoned_generators_of_a_crashed_process_stay_frozen() -> None:
    """Not even the garbage collector ends them while the world lasts."""

    async def body() -> list[str]:
        log: list[str] = []

        async def numbers():  # type: ignore[no-untyped-def]
            try:
                while True:
                    await asyncio.sleep(1)
                    yield 1
            finally:
                log.append("finally")

        async def root() -> None:
            async for _ in numbers():
                await asyncio.Event().wait()

        current_loop().spawn("bot", root())
        await asyncio.sleep(3)
        current_loop().kill_process("bot")
        for _ in range(50_000):  # past two collections
            await asyncio.sleep(0)
        return list(log)

    assert run(body()) == []


def test_a_killed_process_loses_its_real_sockets() -> None:
    """Its peer sees the connection end, and its port is free for the next incarnation."""

    async def body() -> None:
        loop = current_loop()
        received: list[bytes] = []
        port = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello\n")
            received.append(await reader.readline())

        async def serve() -> None:
            nonlocal port
            server = await asyncio.start_server(handle, "127.0.0.1", port)
            port = server.sockets[0].getsockname()[1]
            async with server:
                await server.serve_forever()

        for _ in range(2):
            loop.spawn("server", serve())
            await asyncio.sleep(1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.readline() == b"hello\n"
            loop.kill_process("server")
            assert await reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            writer.close()
        assert received == []

    run(body(), hybrid=True)
