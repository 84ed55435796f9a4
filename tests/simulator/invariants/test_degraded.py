"""A bot that opens its gate without a reason, or leaves it open, is seen."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import DiskFull, DiskReadOnly, Fault, SlowSync
from simulator.invariants.degraded import Degraded
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.safeguards.journal_variants import NervousJournal
from tests.safeguards.variants import become, broken
from tests.simulator.invariants.broken_worlds import watched, working_bot

LOBBY = Scenario("lobby", "one channel")


@pytest.mark.parametrize("fault", [DiskFull(), DiskReadOnly(), SlowSync(1.5)])
def test_a_disk_in_trouble_is_a_reason(fault: Fault) -> None:
    """As long as it lasts, and for the moment in which the bot finds out that it is over."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.break_disk(fault)
        for _ in range(10):
            world.say("mod", "!count deaths +1")
            await asyncio.sleep(0.9)
        assert world.bot.ungated_replies > 5
        world.heal()
        await asyncio.sleep(3)
        assert world.app is not None and not world.app.layer.journal.degraded
        await world.converge()

    assert watched(story, Degraded()) == []


def test_a_commit_that_is_on_its_way_when_the_trouble_ends_is_waited_for() -> None:
    """The bot knows that the disk works again when it is through, however slow it is by then."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.break_disk(DiskReadOnly())
        world.say("mod", "!count deaths +1")
        await asyncio.sleep(0.1)
        world.break_disk(SlowSync(0.95))
        await asyncio.sleep(4)
        assert world.app is not None and not world.app.layer.journal.degraded
        await world.converge()

    assert watched(story, Degraded()) == []


def test_without_a_reason_it_is_seen() -> None:
    """Every second, and in the end by the replies that left."""

    async def story(world: World) -> None:
        await working_bot(world)
        assert world.app is not None
        become(world.app.layer.journal, NervousJournal)
        await asyncio.sleep(2)
        assert broken(world) == ["degraded"]

    play(story, LOBBY, strict=False, judge=False)


def test_replies_that_left_ungated_over_a_disk_that_never_failed_are_seen() -> None:
    """Between two looks, too."""

    async def story(world: World) -> None:
        await working_bot(world)
        assert world.app is not None
        world.app.layer.journal.ungated_replies += 1
        await world.converge()
        world.judge()
        assert broken(world) == ["degraded"]

    play(story, LOBBY, strict=False, judge=False)
