"""Safeguard: a save waits for the journal. What the database has under a stamp, a restarted process finds under that stamp."""

from __future__ import annotations

import asyncio

from simulator.faults import Hang, SlowSync
from simulator.scenario import Scenario
from simulator.world import World
from tests.safeguards.journal_variants import HastyJournal
from tests.safeguards.variants import application_with, begun, deaths_after, judged_after_a_restart

STORY = Scenario(
    "hasty_save",
    "a commit takes most of a second, a save hardly any time",
    fixed=("lobby",),
    settings={"flush_interval_s": 0.1},
)


async def killed_as_soon_as_the_database_has_it(world: World) -> None:
    """One process leaves three deaths in the journal; the next one, in a busy chat, saves them after the outage and dies at once."""
    await begun(world)
    world.break_database(Hang())
    assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
    world.crash_bot()
    world.start_bot()
    await world.joined()
    world.break_disk(SlowSync(sync_s=0.9))
    chatter = asyncio.create_task(small_talk(world), name="chatter")
    world.faults.clear("story")
    await world.until(lambda: world.counter("lobby", "deaths") == 3)
    chatter.cancel()
    await judged_after_a_restart(world)


async def small_talk(world: World) -> None:
    """The disk is never idle: each message is remembered as handled."""
    while True:
        world.say("viewer", "hello")
        await asyncio.sleep(0.05)


def test_the_next_process_sees_that_the_row_has_them() -> None:
    """With the wait the journal has the new stamps before the database does."""
    assert deaths_after(killed_as_soon_as_the_database_has_it, STORY) == 3


def test_without_it_they_count_twice() -> None:
    """Without the wait the row is there under stamps that the journal does not know."""
    hasty = application_with(lambda application: application.layer.journal, HastyJournal)
    assert deaths_after(killed_as_soon_as_the_database_has_it, STORY, without=hasty) == 6
