"""Tasks hash by their number, are recognised in handles, and show where they wait."""

from __future__ import annotations

import asyncio
import random

from simulator.loop import current_loop, run
from simulator.rng import SeedTree
from simulator.tasks import StepOrder, describe, permute_steps, task_of


def test_tasks_are_numbered_by_their_loop() -> None:
    """Neither asyncio's global name counter nor an address gets into a run."""

    async def body() -> list[tuple[str, int]]:
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]
        await asyncio.gather(*tasks)
        return [(task.get_name(), hash(task)) for task in tasks]

    assert run(body()) == run(body()) == [("Task-2", 2), ("Task-3", 3)]


def test_steps_and_wake_ups_belong_to_their_task() -> None:
    """Both kinds of handle are recognised, and no other."""

    async def body() -> None:
        loop = current_loop()
        future = loop.create_future()

        async def waits() -> None:
            await future

        task = asyncio.create_task(waits())
        assert task_of(loop._ready[-1]) is task
        await asyncio.sleep(0)
        future.set_result(None)
        assert task_of(loop._ready[-1]) is task
        assert task_of(loop.call_soon(list)) is None
        await task

    run(body())


def test_permuting_moves_steps_among_their_own_places() -> None:
    """The places of other callbacks are untouched."""

    async def body() -> None:
        loop = current_loop()
        tasks = []
        for _ in range(10):
            tasks.append(asyncio.create_task(asyncio.sleep(0)))
            loop.call_soon(list)
        before = list(loop._ready)
        after = list(before)
        permute_steps(after, random.Random(1).shuffle)
        assert after != before
        assert after[1::2] == before[1::2]
        assert sorted(map(id, after)) == sorted(map(id, before))
        alone = before[:2]
        permute_steps(alone, random.Random(1).shuffle)
        assert alone == before[:2]
        await asyncio.gather(*tasks)

    run(body())


def test_a_step_never_overtakes_another_callback_of_the_future_it_waited_for() -> None:
    """asyncio itself relies on it: the callback that comes first tidies up what the task would trip over."""

    async def body() -> None:
        loop = current_loop()
        order: list[str] = []
        future = loop.create_future()
        future.add_done_callback(lambda _: order.append("tidied"))

        async def waits() -> None:
            await future
            order.append("went on")

        async def bystander() -> None:
            await asyncio.sleep(0)

        tasks = [asyncio.create_task(waits())]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(bystander()) for _ in range(5)]
        future.set_result(None)
        for seed in range(20):
            batch = list(loop._ready)
            permute_steps(batch, random.Random(seed).shuffle)
            callback = next(place for place, handle in enumerate(batch) if task_of(handle) is None)
            step = next(place for place, handle in enumerate(batch) if task_of(handle) is tasks[0])
            assert callback < step
        await asyncio.gather(*tasks)
        assert order == ["tidied", "went on"]

    run(body())


def test_two_tasks_have_the_same_order_whoever_else_is_ready() -> None:
    """What the database does beside chat must not decide which of two channels speaks first."""

    async def body() -> None:
        async def chat() -> None:
            await asyncio.sleep(0)

        async def database() -> None:
            await asyncio.sleep(0)

        loop = current_loop()
        tasks = [asyncio.create_task(chat()) for _ in range(8)]
        alone = list(loop._ready)
        tasks += [asyncio.create_task(database()) for _ in range(8)]
        among_others = list(loop._ready)
        assert list(alone) == among_others[:8]
        fifo = list(alone)
        StepOrder(SeedTree(1), lambda: 5).permute(alone)
        StepOrder(SeedTree(1), lambda: 5).permute(among_others)
        assert alone != fifo
        assert [handle for handle in among_others if handle in alone] == alone
        await asyncio.gather(*tasks)

    run(body())


def test_the_order_differs_from_seed_to_seed_instant_to_instant_and_step_to_step() -> None:
    """Else only one order of two tasks would ever be seen in a run."""

    async def body() -> None:
        loop = current_loop()
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(8)]
        fifo = list(loop._ready)
        orders = []
        for seed, at_us in ((1, 5), (2, 5), (1, 6)):
            order = StepOrder(SeedTree(seed), lambda at_us=at_us: at_us)  # type: ignore[misc]
            for _ in range(2):
                orders.append(list(fifo))
                order.permute(orders[-1])
        assert len({tuple(map(id, steps)) for steps in orders}) == 6
        await asyncio.gather(*tasks)

    run(body())


def test_a_suspended_task_shows_its_chain_of_awaits() -> None:
    """The innermost line is where it really waits."""

    async def inner() -> None:
        await asyncio.Event().wait()

    async def outer() -> None:
        await inner()

    async def body() -> str:
        task = asyncio.create_task(outer(), name="shown")
        await asyncio.sleep(0)
        return describe(task)

    lines = run(body()).splitlines()
    assert lines[0].strip() == "shown:"
    assert [line.rpartition(".")[2] for line in lines[1:4]] == ["outer", "inner", "wait"]
    assert "awaits" in lines[-1]
