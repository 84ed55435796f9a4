"""`run` behaves as `asyncio.run` does, in no time, the same way every time, and ends what cannot end."""

from __future__ import annotations

import asyncio
import gc
import os
import pathlib
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator

import pytest

from simulator.errors import DeadlockError, RunawayError, SimulatorError, UnhandledError
from simulator.loop import START_UNIX_S, Limits, VirtualLoop, current_loop, in_virtual_time, new_loop, run
from simulator.trace import Trace


def test_sleep_takes_exactly_its_time() -> None:
    """Time moves to the instant of the next timer, to the microsecond."""

    async def body() -> list[int]:
        loop = current_loop()
        instants = [loop.time_us()]
        for delay_s in (0.1, 0.2, 86_400.0, 0.000001):
            await asyncio.sleep(delay_s)
            instants.append(loop.time_us())
        return instants

    assert run(body()) == [0, 100_000, 300_000, 86_400_300_000, 86_400_300_001]


def test_polling_a_deadline_ends() -> None:
    """The usual `while remaining > 0` loop does not spin on a rounding error."""

    async def body() -> int:
        loop = current_loop()
        deadline = loop.time() + 0.1 + 0.2
        rounds = 0
        while (remaining := deadline - loop.time()) > 0:
            await asyncio.sleep(remaining)
            rounds += 1
        return rounds

    assert run(body()) == 1


def test_wall_time_is_start_plus_virtual_time() -> None:
    """Everything that shows a date gets it from the loop."""

    async def body() -> float:
        await asyncio.sleep(2.5)
        return current_loop().unix_time()

    assert run(body()) == START_UNIX_S + 2.5
    assert run(body(), start_unix_s=1_000.0) == 1_002.5


def test_timeouts_queues_and_groups_work_as_they_are() -> None:
    """asyncio's own tools need no change."""

    async def body() -> tuple[int, float]:
        queue: asyncio.Queue[int] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.wait_for(queue.put(5), 1))
            value = await queue.get()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.Event().wait()
        return value, current_loop().time()

    assert run(body()) == (5, 3.0)


def test_nothing_scheduled_is_a_deadlock_with_stacks() -> None:
    """A test that would hang fails at once, and says who waits where."""

    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    async def body() -> None:
        await asyncio.create_task(waits_for_ever(), name="the culprit")

    with pytest.raises(DeadlockError, match=r"(?s)main:.*the culprit:.*waits_for_ever.*awaits <") as caught:
        run(body())
    assert "at t=0.000000 s" in str(caught.value)


def test_an_infinite_timeout_does_not_hide_a_deadlock() -> None:
    """A timer that never fires is nothing to wait for."""

    async def body() -> None:
        async with asyncio.timeout(float("inf")):
            await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(body())


def test_a_loop_that_takes_no_time_is_stopped() -> None:
    """`while True: await sleep(0)` ends with the name of the task that spins."""

    async def body() -> None:
        while True:  # noqa: ASYNC110 - this is the mistake that is caught
            await asyncio.sleep(0)

    with pytest.raises(RunawayError, match=r"1000 iterations passed without time moving.*name='main'"):
        run(body(), limits=Limits(iterations_per_instant_max=1_000))


def test_a_world_that_never_ends_is_stopped() -> None:
    """Heartbeats keep a world alive although what it waits for never comes: virtual time has a limit."""

    async def beat() -> None:
        while True:  # noqa: ASYNC110 - a heartbeat
            await asyncio.sleep(10)

    async def body() -> None:
        heart = asyncio.create_task(beat())
        await asyncio.Event().wait()
        await heart

    with pytest.raises(RunawayError, match=r"limit of 100\.0 s"):
        run(body(), limits=Limits(virtual_s_max=100.0))
    with pytest.raises(RunawayError, match="limit of 500 iterations"):
        run(body(), limits=Limits(iterations_max=500))


def test_clean_up_cancels_what_is_left_and_lets_it_finish() -> None:
    """`finally` blocks run to their end, in virtual time, before `run` returns."""
    ended: list[float] = []

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(30)
            ended.append(current_loop().time())

    async def body() -> None:
        current_loop().set_debug(False)
        keep.append(asyncio.create_task(slow_to_end()))
        await asyncio.sleep(1)

    keep: list[asyncio.Task[None]] = []
    run(body())
    assert ended == [31.0]


def test_a_task_that_fails_unnoticed_fails_the_run() -> None:
    """asyncio would only log it."""

    async def fails() -> None:
        raise KeyError("lost")

    async def body() -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(1)
        assert task.done()

    with pytest.raises(UnhandledError, match=r"never retrieved: KeyError\('lost'\)") as caught:
        run(body())
    assert isinstance(caught.value.__cause__, KeyError)
    run(body(), strict=False)


def test_a_callback_that_fails_fails_the_run() -> None:
    """Its instant is named."""

    async def body() -> None:
        current_loop().call_later(2, [].pop)
        await asyncio.sleep(5)

    with pytest.raises(UnhandledError, match=r"t=2\.000000 s.*IndexError"):
        run(body())


def test_the_error_of_main_is_not_hidden_by_what_failed_beside_it() -> None:
    """The first error is raised, the others are notes on it."""

    async def body() -> None:
        current_loop().call_soon([].pop)
        await asyncio.sleep(1)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first") as caught:
        run(body())
    assert "IndexError" in caught.value.__notes__[0]


def test_a_task_that_resists_cancellation_is_reported() -> None:
    """`run` returns in any case."""

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def body() -> None:
        keep.append(asyncio.create_task(stubborn(), name="stubborn"))
        await asyncio.sleep(0)

    keep: list[asyncio.Task[None]] = []
    with pytest.raises(DeadlockError, match="stubborn"):
        run(body())


def test_runs_do_not_nest() -> None:
    """As with asyncio, and without a warning about the coroutine that was not run."""

    async def inner() -> None:
        """Never runs."""

    async def body() -> None:
        run(inner())

    with pytest.raises(SimulatorError, match="while an event loop is running"):
        run(body())


async def test_current_loop_needs_virtual_time() -> None:
    """Code for worlds says so when it runs elsewhere."""
    with pytest.raises(SimulatorError, match="needs virtual time"):
        current_loop()


def test_garbage_is_collected_at_fixed_steps_only_and_restored() -> None:
    """The collector's own timing must not reach the world."""

    async def body() -> bool:
        return gc.isenabled()

    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    assert run(body()) is False
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_the_loop_works_with_asyncios_runner() -> None:
    """Whatever takes a loop factory (pytest-asyncio does) can have virtual time."""

    async def body() -> float:
        await asyncio.sleep(7_200)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(body()) == 7_200.0
        assert isinstance(runner.get_loop(), VirtualLoop)


@in_virtual_time(seed=3)
async def test_a_decorated_test_runs_in_virtual_time() -> None:
    """`in_virtual_time` makes a plain test of a coroutine, whatever plugin collects it."""
    await asyncio.sleep(3_600)
    assert current_loop().time() == 3_600.0
    assert current_loop().seeds.seed == 3


# -- determinism ------------------------------------------------------------------------------------------------------


async def ticks(count: int) -> AsyncIterator[int]:
    """An asynchronous generator that its consumer abandons, so that a finaliser has to end it."""
    try:
        for number in range(count):
            await asyncio.sleep(0.01)
            yield number
    finally:
        await asyncio.sleep(0.001)


async def busy_world(names: list[str]) -> Trace:
    """Use what is known to differ between runs: sets of tasks, group aborts, abandoned generators, executor jobs."""
    loop = current_loop()
    trace = Trace(loop.time, keep=True)
    rng = loop.seeds.stream("world")

    async def worker(name: str) -> None:
        try:
            for step in range(5):
                await asyncio.sleep(rng.choice([0.1, 0.2]))
                trace.record("step", name=name, step=step)
                async for number in ticks(5):
                    if number == 2:
                        break
                await asyncio.to_thread(trace.record, "job", name=name)
            if name == names[-1]:
                raise ValueError(name)
        except asyncio.CancelledError:
            trace.record("cancelled", name=name)
            raise

    try:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(worker(name), name=name)
    except* ValueError as errors:
        trace.record("failed", count=len(errors.exceptions))
    done, _ = await asyncio.wait({asyncio.create_task(asyncio.sleep(1), name=name) for name in names})
    for task in done:  # the order of a set: what the counter as a hash is for
        trace.record("done", name=task.get_name())
    trace.record("end", iterations=loop.iterations)
    return trace


NAMES = [f"task{number}" for number in range(20)]


@pytest.mark.parametrize("ready_order", ["fifo", "random"])
def test_one_seed_is_one_trace(ready_order: str) -> None:
    """Runs in one process agree, also after other worlds have used asyncio's global counters."""
    first = run(busy_world(NAMES), seed=5, ready_order=ready_order)  # type: ignore[arg-type]
    run(busy_world(NAMES), seed=6)
    second = run(busy_world(NAMES), seed=5, ready_order=ready_order)  # type: ignore[arg-type]
    assert first.lines == second.lines


def test_another_seed_is_another_trace() -> None:
    """The comparison above can fail."""
    assert run(busy_world(NAMES), seed=5).digest != run(busy_world(NAMES), seed=6).digest
    fifo, shuffled = run(busy_world(NAMES), seed=5), run(busy_world(NAMES), seed=5, ready_order="random")
    assert fifo.digest != shuffled.digest


def test_the_trace_does_not_depend_on_the_hash_seed() -> None:
    """Two processes with different PYTHONHASHSEED agree with each other and with this one."""
    here = pathlib.Path(__file__)
    program = textwrap.dedent(
        f"""
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("worlds", {str(here)!r})
        worlds = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(worlds)
        print(worlds.run(worlds.busy_world(worlds.NAMES), seed=5, ready_order="random").digest)
        """
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(here.parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]
    assert digests == [run(busy_world(NAMES), seed=5, ready_order="random").digest] * 2
