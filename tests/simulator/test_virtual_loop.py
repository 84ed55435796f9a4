"""The virtual loop: order, threads, and real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from simulator.errors import DeadlockError, NotSimulatedError
from simulator.loop import current_loop, new_loop, run
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


# -- threads and the machine ----------------------------------------------------------------------------------------------


def test_executor_jobs_take_no_virtual_time() -> None:
    """A blocking function runs while time stands still, and its error reaches the caller."""

    async def body() -> None:
        loop = current_loop()
        await asyncio.sleep(1)
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)
        with pytest.raises(RuntimeError, match="no running event loop"):
            await asyncio.to_thread(asyncio.get_running_loop)
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
    """Twenty-five seeds over TCP, each run twice, give each the same trace at the same virtual instants."""
    digests = [run(loopback_world(), seed=seed, hybrid=True) for seed in range(25)]
    assert digests == [run(loopback_world(), seed=seed, hybrid=True) for seed in range(25)]
    assert len(set(digests)) > 22


def test_hybrid_deadlocks_are_found_although_sockets_are_open() -> None:
    """An idle listener is nothing to wait for: its clients would be in this process."""

    async def body() -> None:
        async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0):
            await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(body(), hybrid=True)
