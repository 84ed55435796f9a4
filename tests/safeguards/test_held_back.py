"""Safeguard: what an earlier process left is not saved before the journal has it under the stamps of the save."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import DiskFull, DiskReadOnly, Fault, Hang
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.safeguards.bot_variants import HastyWriter
from tests.safeguards.variants import application_with, begun, deaths_after, judged_after_a_restart

STORY = Scenario("replayed_on_a_full_disk", "a restart that finds no room", channels=("lobby", "arcade"))


async def restarted_on_a_broken_disk(world: World, fault: Fault) -> None:
    """One process leaves three deaths in the journal; the next finds a disk that takes nothing, and a database."""
    await begun(world)
    world.break_database(Hang())
    assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
    world.crash_bot()
    world.heal()
    world.break_disk(fault)
    world.start_bot()
    await world.joined()
    assert await world.ask("mod", "!count deaths +1") == "deaths: 4"
    assert await world.ask("mod", "!count wins +2", channel="arcade") == "wins: 2"
    assert world.app is not None and world.app.layer.journal.degraded
    await asyncio.sleep(10)


@pytest.mark.parametrize("fault", [DiskFull(), DiskReadOnly()])
def test_it_goes_when_the_disk_works_again(fault: Fault) -> None:
    """Until then chat goes on, and what no earlier process left is saved; afterwards nothing has to happen for it to go."""

    async def story(world: World) -> None:
        await restarted_on_a_broken_disk(world, fault)
        assert (world.counter("lobby", "deaths"), world.counter("arcade", "wins")) == (0, 2)
        world.heal()
        await world.converge()
        world.judge()
        assert world.counter("lobby", "deaths") == 4
        world.crash_bot()
        world.start_bot()
        await world.joined()
        assert await world.ask("viewer", "!count deaths") == "deaths: 4"

    play(story, STORY)


async def killed_while_the_disk_takes_nothing(world: World) -> None:
    """And a third process, on a disk that works."""
    await restarted_on_a_broken_disk(world, DiskFull())
    await judged_after_a_restart(world)


def test_a_death_meanwhile_doubles_nothing() -> None:
    """What the first process was told of counts once; what the second said ungated is gone with it."""
    assert deaths_after(killed_while_the_disk_takes_nothing, STORY) == 3


def test_without_it_the_third_process_adds_it_again() -> None:
    """The database has the three deaths under a stamp that the journal does not know."""
    hasty = application_with(lambda application: application.layer.writer, HastyWriter)
    assert deaths_after(killed_while_the_disk_takes_nothing, STORY, without=hasty) == 7


async def changed_before_the_load(world: World) -> None:
    """Disk and database are away when a channel is changed that nobody has changed before; then the database is back."""
    await begun(world)
    world.crash_bot()
    world.break_database(Hang())
    world.break_disk(DiskFull())
    world.start_bot()
    await world.joined()
    assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
    world.faults.clear("story")
    await asyncio.sleep(20)


def test_what_the_disk_surely_does_not_have_need_not_wait() -> None:
    """A full disk keeps nothing from the database that would be safe there: no restart can count it twice."""

    async def story(world: World) -> None:
        await changed_before_the_load(world)
        assert world.app is not None and world.app.layer.journal.degraded
        assert world.counter("lobby", "deaths") == 3
        world.crash_bot()
        world.heal()
        world.start_bot()
        await world.joined()
        assert await world.ask("viewer", "!count deaths") == "deaths: 3"
        await world.converge()
        world.judge()

    play(story, STORY)
