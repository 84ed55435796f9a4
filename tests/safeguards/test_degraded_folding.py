"""Safeguard: folding. What waits while the disk does not work is kept, and written when it works again."""

from __future__ import annotations

import asyncio

from simulator.faults import DiskFull, Hang
from simulator.scenario import Scenario
from simulator.world import World
from tests.safeguards.journal_variants import DroppingJournal
from tests.safeguards.variants import application_with, begun, deaths_after, judged_after_a_restart

STORY = Scenario("full_disk", "the disk is full for a while, during an outage", fixed=("lobby",))


async def killed_after_the_disk_works_again(world: World) -> None:
    """Five deaths are told of while the disk is full and the database away; the disk works, and the process dies."""
    await begun(world)
    world.break_database(Hang())
    world.break_disk(DiskFull())
    for number in range(1, 6):
        assert await world.ask("mod", "!count deaths +1") == f"deaths: {number}"
    world.faults.clear("disk")
    await asyncio.sleep(3)
    assert world.app is not None and not world.app.layer.journal.degraded
    await judged_after_a_restart(world)


def test_it_is_written_once_the_disk_works() -> None:
    """With folding all of it is on the disk, one record for each row."""
    assert deaths_after(killed_after_the_disk_works_again, STORY) == 5


def test_without_it_what_was_told_meanwhile_is_lost() -> None:
    """The journal says that everything is committed, and it is not."""
    dropping = application_with(lambda application: application.layer.journal, DroppingJournal)
    assert deaths_after(killed_after_the_disk_works_again, STORY, without=dropping) < 5
