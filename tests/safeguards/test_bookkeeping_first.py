"""Safeguard: a record takes along what waits about its row. Nothing overtakes the boundary of a save on its way."""

from __future__ import annotations

import asyncio

from simulator.faults import CommitThenDrop, SlowSync
from simulator.scenario import Scenario
from simulator.world import World
from tests.safeguards.journal_variants import RecordsFirst
from tests.safeguards.variants import application_with, begun, deaths_after, judged_after_a_restart

STORY = Scenario(
    "busy_disk", "a commit takes half a second, and bookkeeping waits behind it", fixed=("lobby",)
)


async def a_change_right_behind_a_boundary(world: World) -> None:
    """The boundary of a save waits behind a commit when chat changes the row again; the answer is lost, the process dies."""
    await begun(world)
    world.break_disk(SlowSync(sync_s=0.5))
    world.break_database(CommitThenDrop())
    began_s = world.loop.time()
    assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
    await asyncio.sleep(began_s + 1.8 - world.loop.time())
    world.say("mod", "hello")  # its commit holds the disk from here on
    await asyncio.sleep(0.3)
    assert world.app is not None
    assert world.app.layer.ledger.in_flight, "the save has begun, its boundary waits behind that commit"
    assert world.counter("lobby", "deaths") == 0
    assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
    await world.until(lambda: world.counter("lobby", "deaths") == 1)
    await judged_after_a_restart(world)


def test_the_order_within_a_row_is_that_of_the_appends() -> None:
    """With it the boundary is written before the second add, which stays apart from the first."""
    assert deaths_after(a_change_right_behind_a_boundary, STORY) == 2


def test_without_it_the_change_that_was_saved_counts_twice() -> None:
    """Without it the journal combines both adds before it hears of the save that carries the first."""
    overtaking = application_with(lambda application: application.layer.journal, RecordsFirst)
    assert deaths_after(a_change_right_behind_a_boundary, STORY, without=overtaking) == 3
