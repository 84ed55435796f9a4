"""The virtual loop: order, processes and crashes, threads, and real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from simulator.errors import DeadlockError, NotSimulatedError, ProcessError, UnhandledError
from simulator.loop import current_loop, new_loop, run
from simulator.process import outside
from simulator.trace import Trace

# -- order --------------------------------------------------------------------------------------------------------------


def test_random_order_permutes_task_steps_and_nothing_else() -> None:
    """Callbacks of transports keep their order; tasks that are ready together run in an order drawn from the seed."""

    async def body() -> tuple[list[int], list[int]]:
        tasks: list[int] = []
        callbacks: list[int] = []

        async def step(number: int) -> None:
            tasks.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(step(number))
                current_loop().call_soon(callbacks.append, number)
        return tasks, callbacks

    tasks, callbacks = run(body(), seed=1, ready_order="random")
    assert sorted(tasks) == list(range(20)) == callbacks
    assert tasks != list(range(20))
    assert run(body(), seed=2, ready_order="random")[0] != tasks
    assert run(body())[0] == list(range(20))


def test_an_unknown_order_is_refused() -> None:
    """A typing error does not silently mean "fifo"."""
    with pytest.raises(ValueError, match="'fifo' or 'random'"):
        new_loop(ready_order="lifo")  # type: ignore[arg-type]


# -- processes -------------------------------------------------------------------------------------------------------------


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
        assert [task.get_name() for task in loop.tasks_of("bot")][0] == "bot"
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

        async def numbers():  # type: ignore[no-untyped-def]  # noqa: ANN202 - an asynchronous generator
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


# -- threads and the machine ----------------------------------------------------------------------------------------------


def test_executor_jobs_take_no_virtual_time() -> None:
    """A blocking function runs while time stands still, and its error reaches the caller."""

    async def body() -> None:
        loop = current_loop()
        await asyncio.sleep(1)
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)
        assert await asyncio.to_thread(asyncio.run, asyncio.sleep(0, "own loop")) == "own loop"
        assert asyncio.get_running_loop() is loop
        assert loop.time() == 1.0

    run(body())
    run(body(), hybrid=True)


@pytest.mark.parametrize("hybrid", [False, True])
def test_other_threads_are_refused(hybrid: bool) -> None:
    """Real time must not leak into a world through a thread that it knows nothing of."""

    async def body() -> list[BaseException]:
        loop = current_loop()
        errors: list[BaseException] = []

        def foreign() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except NotSimulatedError as error:
                errors.append(error)

        thread = threading.Thread(target=foreign)
        thread.start()
        thread.join()
        return errors

    errors = run(body(), hybrid=hybrid)
    assert "a thread that virtual time does not know" in str(errors[0])


def test_a_job_may_call_back_in_hybrid_mode() -> None:
    """`run_coroutine_threadsafe` from a job works, and time stands still meanwhile."""

    async def body() -> float:
        loop = current_loop()

        async def answer() -> float:
            return loop.time()

        def job() -> float:
            return asyncio.run_coroutine_threadsafe(answer(), loop).result(timeout=30)

        beat = asyncio.create_task(asyncio.sleep(1_000))
        result = await asyncio.to_thread(job)
        beat.cancel()
        return result

    assert run(body(), hybrid=True) == 0.0


def test_pure_mode_refuses_what_is_real() -> None:
    """No packet, no lookup and no signal gets out of a pure world."""

    async def body() -> None:
        loop = current_loop()
        with pytest.raises(NotSimulatedError, match="MemoryNetwork"):
            await asyncio.open_connection("127.0.0.1", 9)
        with pytest.raises(NotSimulatedError, match="getaddrinfo"):
            await asyncio.open_connection("irc.example", 6667)
        left, right = socket.socketpair()
        with left, right, pytest.raises(NotSimulatedError, match="file descriptor"):
            loop.add_reader(left, print)
        with pytest.raises(NotImplementedError):
            loop.add_signal_handler(2, print)

    run(body())


# -- hybrid ------------------------------------------------------------------------------------------------------------------


async def loopback_world() -> str:
    """An echo server and five clients on real sockets, with waits drawn from the seed."""
    loop = current_loop()
    trace = Trace(loop.time)
    rng = loop.seeds.stream("clients")

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(0.05)
            writer.write(line.upper())
        writer.close()

    async def client(name: str, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(4):
            await asyncio.sleep(rng.choice([0.1, 0.3, 1.0]))
            writer.write(f"{name} {number}\n".encode())
            trace.record("echo", line=(await reader.readline()).decode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(client(f"client{number}", port))
    trace.record("end")
    return trace.digest


def test_real_loopback_sockets_are_deterministic_in_hybrid_mode() -> None:
    """A hundred seeds over TCP, each run twice, give each the same trace at the same virtual instants."""
    digests = [run(loopback_world(), seed=seed, hybrid=True) for seed in range(100)]
    assert digests == [run(loopback_world(), seed=seed, hybrid=True) for seed in range(100)]
    assert len(set(digests)) > 90


def test_hybrid_deadlocks_are_found_although_sockets_are_open() -> None:
    """An idle listener is nothing to wait for: its clients would be in this process."""

    async def body() -> None:
        async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0):
            await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(body(), hybrid=True)


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
