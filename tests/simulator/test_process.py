"""Whose code runs, and what the graveyard keeps from running; crashes as a whole are in test_virtual_loop_processes.py."""

from __future__ import annotations

import asyncio
import warnings

from simulator.loop import current_loop, current_process, outside, run
from simulator.process import Graveyard, context_for, process_in


def test_code_belongs_to_the_process_that_started_it() -> None:
    """Tasks, their children and their timers inherit it; the world belongs to none."""

    async def body() -> list[str | None]:
        seen: list[str | None] = []

        def look() -> None:
            process = current_process()
            seen.append(process.name if process else None)

        async def child() -> None:
            look()
            current_loop().call_later(1, look)

        async def root() -> None:
            await asyncio.create_task(child())
            await outside(child())
            await asyncio.sleep(2)

        look()
        await current_loop().spawn("bot", root()).wait()
        return seen

    assert run(body()) == [None, "bot", None, "bot", None]


def test_a_context_can_be_made_for_any_process() -> None:
    """Callbacks of the world can be scheduled from within a process."""

    async def body() -> None:
        process = current_loop().spawn("bot", asyncio.sleep(1))
        assert process_in(context_for(process)) is process
        assert process_in(context_for(None)) is None
        assert repr(process) == "<Process bot#0 running>"
        await process.wait()
        assert repr(process) == "<Process bot#0 finished>"

    run(body())


async def outside_of_any_world() -> str:
    return "works"


async def test_outside_works_on_an_ordinary_loop() -> None:
    """Faces of fakes use it whether they run in virtual time or not."""
    assert await outside(outside_of_any_world(), name="x") == "works"


def test_the_graveyard_closes_stubborn_coroutines_in_silence() -> None:
    """`finally` blocks that await, fail, or start new things disturb nobody once the world has ended."""
    ended: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await (
                    asyncio.gather()
                )  # outside a loop, asyncio would make a real one here and never close it
                await asyncio.sleep(1)
            finally:
                ended.append("closed")
                task = asyncio.create_task(outside_of_any_world())
                ended.append(task.get_name())
                raise KeyError("late")

    async def body() -> None:
        keep.append(current_loop().spawn("bot", stubborn()))
        await asyncio.sleep(1)
        keep.append(current_loop())
        current_loop().kill_process("bot")
        await asyncio.sleep(1)
        assert ended == []

    keep: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(body())
    assert ended[0] == "closed"
    assert len(ended) == 2


def test_an_empty_graveyard_has_nothing_to_do() -> None:
    """Most worlds crash nobody."""

    async def body() -> None:
        graveyard = Graveyard()
        graveyard.close(asyncio.get_running_loop())
        assert not graveyard.closing
        assert asyncio.current_task() not in graveyard

    run(body())
