"""A reply that is heard before its command is in the journal is seen, unless the bot has announced it."""

from __future__ import annotations

import asyncio

from simulator.faults import DiskFull
from simulator.invariants.gated import Gated
from simulator.scenario import DiskLatency, Scenario
from simulator.world import World, play
from tests.safeguards.journal_variants import OpenGate
from tests.safeguards.variants import become, broken
from tests.simulator.invariants.broken_worlds import watched, working_bot

SLOW = Scenario("slow_disk", "a slow disk", disk_latency=DiskLatency(median_ms=300.0))


def test_replies_that_wait_break_nothing() -> None:
    """On a slow disk, and on one that fails: then the bot says that it does not wait."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.break_disk(DiskFull())
        for number in range(2, 5):
            assert await world.ask("mod", "!count deaths +1") == f"deaths: {number}"
        assert world.bot.ungated_replies == 3

    assert watched(story, Gated()) == []


def test_a_reply_on_its_way_when_its_sender_dies_was_announced_too() -> None:
    """It is heard when the death has been reckoned with already."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.break_disk(DiskFull())
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        asked = world.say("mod", "!count deaths +1")
        before = world.bot.ungated_replies
        while world.bot.ungated_replies == before:  # noqa: ASYNC110  # the instant between sending and hearing
            await asyncio.sleep(0.001)
        world.crash_bot()
        await asyncio.sleep(1)
        assert world.chat.answer_to(asked) is not None

    assert watched(story, Gated()) == []


def test_a_reply_before_its_commit_is_seen() -> None:
    """Also if nobody dies."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert world.app is not None
        become(world.app.layer.journal, OpenGate)
        world.say("mod", "!count deaths +1")
        await asyncio.sleep(1)
        assert broken(world) == ["gated"]

    play(story, SLOW, strict=False)


def test_where_nothing_is_durable_nothing_is_asked() -> None:
    """DURABILITY=off."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert world.app is not None
        become(world.app.layer.journal, OpenGate)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"

    play(story, Scenario("off", "no journal", settings={"durability": "off"}))
