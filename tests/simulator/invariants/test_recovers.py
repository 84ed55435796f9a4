"""A bot that recovers too late, or keeps changes for itself while all is well, is seen."""

from __future__ import annotations

import asyncio

from simulator.faults import Hang
from simulator.invariants.recovers import Recovers
from simulator.scenario import Scenario
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.world import World
from tests.safeguards.bot_variants import LazyWriter
from tests.safeguards.variants import become
from tests.simulator.invariants.broken_worlds import watched, working_bot


async def lazy_bot(world: World) -> None:
    """A bot that saved until now keeps the next change for itself."""
    await working_bot(world)
    assert world.app is not None
    become(world.app.layer.writer, LazyWriter)
    await asyncio.sleep(10)
    await world.ask("mod", "!count deaths +1")


def test_a_working_bot_breaks_nothing() -> None:
    """Its changes are saved in time, one after the other."""

    async def story(world: World) -> None:
        await working_bot(world)
        for _ in range(60):
            await world.ask("mod", "!count deaths +1")
            await asyncio.sleep(0.5)
        await world.converge()

    assert watched(story, Recovers()) == []


def test_a_change_that_waits_while_all_is_well_is_seen() -> None:
    """No fault acts, the circuit is closed, and the change is not in the database after three seconds."""

    async def story(world: World) -> None:
        await lazy_bot(world)
        await asyncio.sleep(4)

    (words,) = watched(story, Recovers())
    assert words.startswith("all is well, and a change waits for")


def test_a_longer_flush_interval_is_kept() -> None:
    """Whoever sets it to 20 s is promised 21 s."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await asyncio.sleep(12)
        await world.ask("mod", "!count deaths +1")
        await asyncio.sleep(19)

    scenario = Scenario("rare", "rare saves", settings={"flush_interval_s": 20.0})
    assert watched(story, Recovers(), scenario) == []


def test_a_shorter_flush_interval_promises_no_more() -> None:
    """A save waits for two commits, whatever the interval: with a slow disk they may take more than what is left of a second."""

    async def story(world: World) -> None:
        await lazy_bot(world)
        await asyncio.sleep(2.5)

    assert (
        watched(story, Recovers(), Scenario("often", "many saves", settings={"flush_interval_s": 0.2})) == []
    )


def test_in_an_outage_and_shortly_after_nothing_is_held_against_the_bot() -> None:
    """Waiting is right then."""

    async def story(world: World) -> None:
        await lazy_bot(world)
        world.break_database(Hang())
        await asyncio.sleep(30)
        world.heal()
        await asyncio.sleep(5)

    assert watched(story, Recovers()) == []


def test_who_may_not_log_in_saves_nothing_yet() -> None:
    """A process that waits for its first login has taken no epoch: what the one before it left waits for a human."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")
        world.twitch.credentials.disconnect(DEFAULT_CLIENT_ID, world.bot_login)
        world.crash_bot()
        world.faults.clear_all()
        world.start_bot()
        await asyncio.sleep(30)
        assert world.app is not None and world.app.keeper.waiting
        world.heal()
        await world.joined()
        await world.converge()

    renewed = Scenario("renewed", "a token that is renewed", renewable_token=True)
    assert watched(story, Recovers(), renewed) == []


def test_a_fault_between_two_looks_counts_too() -> None:
    """A save that was caught by half a second of hanging waits for its deadline: nobody else was to blame."""

    async def story(world: World) -> None:
        await working_bot(world)
        await asyncio.sleep(12.2 - world.loop.time() % 1.0)
        await world.ask("mod", "!count deaths +1")
        world.break_database(Hang())
        assert world.app is not None
        world.app.layer.writer.work_arrived()
        flushing = asyncio.ensure_future(world.app.layer.writer.flush())
        await asyncio.sleep(0.3)
        world.heal()
        await asyncio.sleep(6)
        await flushing

    assert watched(story, Recovers()) == []


def test_a_backlog_that_does_not_drain_is_seen() -> None:
    """P6 has a limit: who has not recovered by then has broken it."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")
        await world.converge()

    (words,) = watched(story, Recovers())
    assert "after the heal: 2 rows wait, circuit " in words, "the counter, and what was said"
