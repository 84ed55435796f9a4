"""The bot as a process: incarnations, ids, disks, a second one beside it."""

from __future__ import annotations

import asyncio

from byte_bot.errors import ExitCode
from byte_bot.persistence.journal import EpochTaken, Handled
from simulator.loop import current_loop, in_virtual_time
from simulator.rng import SeedTree
from simulator.scenario import DiskLatency, Scenario
from simulator.simulated_bot import LoopClock, SlowStore
from simulator.world import World, play


def test_every_incarnation_has_a_number_and_draws_of_its_own() -> None:
    """A restarted process must not repeat the ids of the one before it."""

    async def story(world: World) -> None:
        for incarnation in (1, 2):
            world.bot.start()
            await world.joined()
            assert world.bot.incarnation == incarnation
            assert await world.bot.stop() is ExitCode.OK
            assert world.app is None
        ids = [row["id"] for row in world.supabase.rows("bot_events") if row["kind"] == "start"]
        assert len(dict.fromkeys(ids)) == 2, "an id that comes twice is stored once"
        assert world.bot.exit_codes == [ExitCode.OK, ExitCode.OK]

    play(story)


def test_a_killed_process_leaves_no_task_and_no_exit_code() -> None:
    """Nothing of it runs again; the next one starts as if nothing had been."""

    async def story(world: World) -> None:
        world.bot.start()
        await world.joined()
        assert world.bot.running
        assert world.bot.tasks()
        world.bot.crash()
        assert not world.bot.running
        assert (world.bot.tasks(), world.bot.exit_codes, world.bot.app) == ([], [], None)
        world.bot.start()
        await world.joined()
        assert await world.ask("viewer", "!ping") == "Pong!"

    play(story)


def test_a_restart_of_a_process_that_only_just_begins_is_no_restart() -> None:
    """There is nothing to stop yet, and it is not started twice."""

    async def story(world: World) -> None:
        world.bot.start()
        await world.bot.restart()
        assert world.bot.incarnation == 1
        await world.joined()
        await world.bot.restart()
        assert world.bot.incarnation == 2

    play(story)


def test_a_second_bot_has_its_own_disk_and_parts() -> None:
    """It takes the next epoch, and the world's own bot is fenced."""

    async def story(world: World) -> None:
        world.bot.start()
        await world.joined()
        first = world.app
        second = asyncio.create_task(world.bot.run_second())
        await world.until(lambda: world.second is not None and bool(world.second.transport.joined))
        assert world.second is not None
        assert world.second is not first
        assert world.second.layer.epoch == 2
        world.second.stop()
        assert await second is ExitCode.OK

    play(story, Scenario("second", "two bots"))


def test_the_bots_clock_is_the_worlds() -> None:
    """Wall time starts at a fixed instant and passes with the loop."""

    async def story(world: World) -> None:
        clock = LoopClock(world.loop)
        before = clock.unix()
        await asyncio.sleep(5)
        assert clock.unix() - before == 5.0

    play(story)


DISK = DiskLatency(median_ms=20.0)


@in_virtual_time()
async def test_a_slow_disk_takes_as_long_for_a_record_whatever_it_is_committed_with() -> None:
    """The slowest record decides, bookkeeping takes no time, and order and company change no draw."""
    first, second, bookkeeping = Handled("m1"), Handled("m2"), EpochTaken(1)

    async def took(*groups: list[Handled | EpochTaken]) -> list[float]:
        store = SlowStore("disk", DISK, SeedTree(1))
        times = []
        for group in groups:
            began_s = current_loop().time()
            await store.commit(group)
            times.append(round(current_loop().time() - began_s, 6))
        return times

    alone = await took([first], [second], [bookkeeping])
    assert alone[2] == 0.0 < min(alone[:2])
    assert alone[0] != alone[1]
    assert await took([second], [bookkeeping, first]) == [alone[1], alone[0]]
    assert await took([first, second]) == [max(alone)]


def test_a_reply_waits_for_a_slow_disk() -> None:
    """And what a crash interrupts was never written."""

    async def story(world: World) -> None:
        world.bot.start()
        await world.joined()
        began_s = world.loop.time()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert world.loop.time() - began_s >= 0.5
        world.say("mod", "!count deaths +1")
        await asyncio.sleep(0.2)
        world.crash_bot()
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        assert world.counter("lobby", "deaths") == 1

    play(story, Scenario("disk", "a slow disk", disk_latency=DiskLatency(median_ms=500.0, spread=0.0)))
