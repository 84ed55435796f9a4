"""What grows beyond its limit is seen within a second."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.persistence.operations import Kind, Operation, Stamp
from simulator.faults import Hang
from simulator.invariants.bounded import OPERATIONS_PER_ROW_MAX, REQUESTS_MAX, TASKS_MAX, Bounded
from simulator.process import context_for
from simulator.world import World
from tests.simulator.invariants.broken_worlds import watched, working_bot


def test_a_working_bot_breaks_nothing() -> None:
    """Far below every limit, also during an outage."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.break_database(Hang())
        for _ in range(30):
            await world.ask("mod", "!count deaths +1")
            await asyncio.sleep(1)
        world.heal()

    assert watched(story, Bounded()) == []


@pytest.mark.parametrize("what", ["tasks", "requests", "operations"])
def test_what_grows_is_seen(what: str) -> None:
    """Tasks, requests in flight, operations of a row: each has its limit, and the words name it."""

    async def story(world: World) -> None:
        await working_bot(world)
        assert world.app is not None
        if what == "tasks":
            bot = context_for(world.bot_tasks()[0].process)
            tasks = [world.loop.create_task(asyncio.sleep(1000), context=bot) for _ in range(TASKS_MAX + 10)]
            assert len(world.bot_tasks()) > len(tasks)
        elif what == "requests":
            world.meter.requests_at_once_max = REQUESTS_MAX + 1
        else:
            world.break_database(Hang())
            row = next(iter(world.app.layer.rows.values()))
            operation = Operation(Kind.SET, "language", None, "en", Stamp(1, 99))
            row.pending.extend([operation] * (OPERATIONS_PER_ROW_MAX + 1))
        await asyncio.sleep(1.5)

    words = watched(story, Bounded())
    assert words
    expected = {
        "tasks": "tasks: ",
        "requests": "requests in flight: 5, at most 4 allowed",
        "operations": "pending operations of one row: 941, at most 940 allowed",
    }
    assert expected[what] in words[0]
