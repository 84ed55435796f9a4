"""What a death may cost is taken back from the account, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import DiskFull, Hang
from simulator.scenario import Scenario
from simulator.world import World, play

LOBBY = Scenario("lobby", "one channel", fixed=("lobby",))


async def killed_over_a_full_disk(world: World) -> str:
    """One change is journaled, one is told of while the disk is full and the database is away; then the bot is killed."""
    world.start_bot()
    await world.joined()
    world.break_database(Hang())
    assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
    world.break_disk(DiskFull())
    ungated = world.say("mod", "!count deaths +10")
    await asyncio.sleep(0.5)
    world.crash_bot()
    return ungated


def test_what_was_told_while_degraded_may_be_lost() -> None:
    """The account says so, and judges everything else as before."""

    async def story(world: World) -> None:
        await killed_over_a_full_disk(world)
        assert world.account.range_of("lobby", "deaths") == (1, 11)
        world.heal()
        world.start_bot()
        await world.joined()
        await world.converge()
        assert world.counter("lobby", "deaths") == 1
        world.judge()

    play(story, LOBBY)


def test_what_was_told_while_degraded_and_written_since_may_not() -> None:
    """Once the disk works again everything waits for it anew, and a death takes nothing."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        world.break_disk(DiskFull())
        assert await world.ask("mod", "!count deaths +10") == "deaths: 10"
        world.faults.clear("disk")
        await asyncio.sleep(3)
        world.crash_bot()
        assert world.account.range_of("lobby", "deaths") == (10, 10)
        world.heal()
        world.start_bot()
        await world.joined()
        await world.converge()
        assert world.counter("lobby", "deaths") == 10
        world.judge()

    play(story, LOBBY)


@pytest.mark.parametrize("full", [False, True])
def test_a_sum_saved_under_a_stamp_that_the_disk_does_not_know_may_count_twice(full: bool) -> None:
    """A second process saves over a full disk what the first one left, and is killed: the third adds it once more."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
        world.crash_bot()
        if full:
            world.break_disk(DiskFull())
        world.faults.clear("story")
        world.start_bot()
        await world.joined()
        await world.until(lambda: world.counter("lobby", "deaths") == 3)
        world.crash_bot()
        assert world.account.range_of("lobby", "deaths") == (3, 6 if full else 3)
        world.heal()
        world.start_bot()
        await world.joined()
        await world.converge()
        assert world.counter("lobby", "deaths") == (6 if full else 3)
        world.judge()

    play(story, LOBBY)
