"""The bot as a process: incarnations, ids, disks, a second one beside it."""

from __future__ import annotations

import asyncio
import math

import pytest

from byte_bot.errors import ExitCode
from simulator.faults import DiskFull, Hang
from simulator.scenario import DiskLatency, Scenario
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


@pytest.mark.parametrize("before", [0, 1])
def test_a_process_that_is_killed_while_it_stops_has_no_exit_code(before: int) -> None:
    """Not that of an earlier one either; who waited for its end learns of it at once."""

    async def story(world: World) -> None:
        for _ in range(before):
            world.bot.start()
            await world.joined()
            assert await world.bot.stop() is ExitCode.OK
        world.bot.start()
        await world.joined()
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")
        stop = asyncio.create_task(world.bot.stop())
        await asyncio.sleep(1)
        assert world.bot.stopping and world.bot_runs
        killed_s = world.loop.time()
        world.bot.crash()
        assert not world.bot.stopping
        assert await stop is None
        assert (world.loop.time(), world.bot.exit_codes) == (killed_s, [ExitCode.OK] * before)
        world.heal()
        world.bot.start()
        await world.joined()
        await world.converge()
        assert world.counter("lobby", "deaths") == 1

    play(story)


def test_a_restart_whose_process_is_killed_is_over() -> None:
    """Nobody but the killer starts the next one; a second restart meanwhile was none."""

    async def story(world: World) -> None:
        world.bot.start()
        await world.joined()
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")
        restart = asyncio.create_task(world.bot.restart())
        await asyncio.sleep(1)
        assert world.bot.restarting
        began_s = world.loop.time()
        await world.bot.restart()
        assert world.loop.time() == began_s, "being restarted, it was left alone"
        world.bot.crash()
        await restart
        assert (world.bot.restarting, world.bot_runs, world.bot.incarnation) == (False, False, 1)

    play(story, judge=False)


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


async def overlapping(world: World) -> str:
    """A bot that has saved ten deaths gets a rival; the id of a message that both have answered."""
    world.start_bot()
    await world.joined()
    await world.ask("mod", "!count deaths +10")
    await world.until(world.drained)
    world.start_rival()
    rival = world.bot.rival
    assert rival is not None
    await world.until(lambda: rival.app is not None and "lobby" in rival.app.transport.joined)
    twice = world.say("mod", "!count deaths +1")
    await world.until(lambda: sum(line.reply_to == twice for line in world.transcript) == 2)
    return twice


def test_the_older_of_two_is_fenced_and_the_other_is_the_bot() -> None:
    """What both confirmed counts once, what came after is the newer one's, and all promises hold."""

    async def story(world: World) -> None:
        twice = await overlapping(world)
        await world.until(lambda: world.bot.rival is None, 20)
        assert world.exit_codes == [ExitCode.FENCED]
        assert world.app is not None and world.app.layer.epoch == 2
        assert list(world.bot.heard_by_two) and twice in world.bot.heard_by_two
        assert await world.ask("mod", "!count deaths +1") == "deaths: 12"
        await world.until(world.drained)
        assert world.account.range_of("lobby", "deaths") == (12, 12)
        assert world.counter("lobby", "deaths") == 12
        # It is the bot in every way: its disk outlives it.
        world.crash_bot()
        assert not world.bot_runs
        world.start_bot()
        await world.joined()
        assert await world.ask("viewer", "!count deaths") == "deaths: 12"

    play(story, Scenario("rival", "two bots"))


def test_a_death_of_the_older_one_leaves_the_other() -> None:
    """Nobody needs to start anything, and a third process is not let in beside two."""

    async def story(world: World) -> None:
        await overlapping(world)
        world.start_rival()
        assert world.bot.incarnation == 2
        world.cut_power()
        assert world.bot_runs
        assert world.bot.rival is None
        assert await world.ask("mod", "!count deaths +1") == "deaths: 12"
        await world.until(world.drained)
        world.start_rival()
        assert world.bot.incarnation == 3

    play(story, Scenario("rival", "two bots"))


def test_what_was_counted_stays_counted_whichever_process_ends() -> None:
    """Each of two counts for itself, and the one that is left has not seen what the other one saw."""

    async def story(world: World) -> None:
        names = ("messages_seen",)
        assert (world.bot.counted(names), world.bot.last_end_s) == (0, -math.inf)
        await overlapping(world)
        assert world.app is not None and world.bot.rival is not None and world.bot.rival.app is not None
        first, second = (app.telemetry.counters for app in (world.app, world.bot.rival.app))
        before = world.bot.counted(names)
        assert before == first[names[0]] + second[names[0]] > second[names[0]] > 0
        world.crash_bot()
        assert (world.bot.counted(names), world.bot.last_end_s) == (before, world.loop.time())

    play(story, Scenario("rival", "two bots"))


def test_nobody_is_a_rival_of_nobody() -> None:
    """Where no bot runs none is started beside it."""

    async def story(world: World) -> None:
        world.start_rival()
        assert not world.bot_runs
        assert world.bot.incarnation == 0

    play(story)


@pytest.mark.parametrize("restarted", [False, True])
def test_who_is_left_superseded_is_started_anew(restarted: bool) -> None:
    """The one that ended held the newer epoch: the other will be turned away, and knows nothing of what was saved since."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.start_rival()
        rival = world.bot.rival
        assert rival is not None
        await world.until(lambda: rival.app is not None and rival.app.layer.epoch == 2)
        assert world.app is not None
        world.app.layer.renew_epoch(2)
        await world.app.layer.ensure_epoch()
        assert world.app.layer.epoch == 3
        if restarted:
            await world.restart_bot()
        else:
            world.crash_bot()
            assert world.bot_runs
            await world.bot.end_rivalry()
        await world.joined()
        assert (world.bot.incarnation, world.bot.rival) == (3, None)
        assert world.app.layer.epoch == 4
        await world.bot.end_rivalry()
        assert world.bot.incarnation == 3

    play(story, Scenario("rival", "the older one takes an epoch again"))


def test_a_rivalry_that_nobody_notices_is_ended_by_hand() -> None:
    """The older one is stopped in order; a restart of one of two is just that."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.start_rival()
        await asyncio.sleep(20)
        assert world.bot.rival is not None
        await world.bot.end_rivalry()
        assert world.bot.rival is None
        assert world.bot_runs
        assert world.bot.incarnation == 2
        await world.joined()
        assert await world.ask("viewer", "!ping") == "Pong!"

    play(story, Scenario("rival", "two bots, and nobody speaks"))


def test_a_reply_waits_for_a_slow_disk() -> None:
    """And what a crash interrupts is there afterwards if it was written by then, else not; the seed decides."""

    async def story(world: World) -> int:
        world.bot.start()
        await world.joined()
        began_s = world.loop.time()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert world.loop.time() - began_s >= 0.5
        lost = world.say("mod", "!count deaths +1")
        await asyncio.sleep(0.25)
        world.crash_bot()
        written = world.bot.disk.holds(lost)
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        assert world.counter("lobby", "deaths") == (2 if written else 1)
        return int(written)

    slow = Scenario("disk", "a slow disk", disk_latency=DiskLatency(median_ms=500.0, spread=0.0))
    assert 2 <= sum(play(story, slow, seed=seed) for seed in range(10)) <= 8


def test_a_power_cut_is_a_crash_that_may_cost_commits() -> None:
    """With DURABILITY=process what was told last may be gone; the account allows that, and nothing else."""

    async def story(world: World) -> int:
        world.bot.start()
        await world.joined()
        world.break_database(Hang())
        for number in range(1, 7):
            assert await world.ask("mod", "!count deaths +1") == f"deaths: {number}"
        world.cut_power()
        world.heal()
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.judge()
        return world.counter("lobby", "deaths")

    kept = [play(story, seed=seed) for seed in range(24)]
    assert min(kept) < 3 and max(kept) > 4
    strict = Scenario("power", "every commit is synced", settings={"durability": "power"})
    assert [play(story, strict, seed=seed) for seed in range(12)] == [6] * 12


def test_without_durability_nothing_is_left_of_a_process() -> None:
    """DURABILITY=off: no journal outlives it, and no disk can be full."""

    async def story(world: World) -> None:
        world.bot.start()
        await world.joined()
        world.break_database(Hang())
        world.break_disk(DiskFull())
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert world.app is not None and not world.app.layer.journal.degraded
        world.crash_bot()
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"

    play(story, Scenario("off", "no journal", fixed=("lobby",), settings={"durability": "off"}), judge=False)
