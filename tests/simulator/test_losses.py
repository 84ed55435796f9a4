"""What a death may cost is taken back from the account, and nothing else is."""

from __future__ import annotations

import asyncio

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


async def saved_by_the_next_process(world: World) -> None:
    """One process leaves three deaths on its disk, and the next one saves them."""
    world.start_bot()
    await world.joined()
    await world.until(world.drained)
    world.break_database(Hang())
    assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
    world.crash_bot()
    world.bot.disk.sync()
    world.faults.clear("story")
    world.start_bot()
    await world.joined()
    await world.until(lambda: world.counter("lobby", "deaths") == 3)


async def counted_in_the_end(world: World) -> int:
    """What a third process makes of it."""
    world.heal()
    world.start_bot()
    await world.joined()
    await world.converge()
    world.judge()
    return world.counter("lobby", "deaths")


def test_a_sum_saved_under_a_stamp_that_a_power_cut_took_may_count_twice() -> None:
    """The disk has it under an older one: the third process adds it once more. Where nothing was lost it may not."""

    async def story(world: World) -> tuple[tuple[int, int] | None, int]:
        await saved_by_the_next_process(world)
        # A message whose commit is lost tells the account that there was a loss.
        assert await world.ask("mod", "!count wins +1") == "wins: 1"
        world.cut_power()
        allowed = world.account.range_of("lobby", "deaths")
        return allowed, await counted_in_the_end(world)

    ends = {play(story, LOBBY, seed=seed) for seed in range(20)}
    assert ends == {((3, 3), 3), ((3, 6), 6)}


def test_a_death_over_a_full_disk_doubles_no_sum() -> None:
    """The second process was killed when it could not write anything: the account allows nothing for that."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
        world.crash_bot()
        world.break_disk(DiskFull())
        world.faults.clear("story")
        world.start_bot()
        await world.joined()
        await asyncio.sleep(10)
        world.crash_bot()
        assert world.account.range_of("lobby", "deaths") == (3, 3)
        assert await counted_in_the_end(world) == 3

    play(story, LOBBY)


async def two_processes(world: World) -> None:
    """A bot has ten deaths in the database; a second process has taken the next epoch and hears nothing yet."""
    world.start_bot()
    await world.joined()
    await world.ask("mod", "!count deaths +10")
    await world.until(world.drained)
    world.start_rival()
    await world.until(lambda: world.supabase.rows("bot_writer")[0]["epoch"] == 2)


def test_what_the_superseded_process_confirmed_alone_is_taken_back() -> None:
    """It is on its disk and not in the database; the ten before it are held against the bot as before."""

    async def story(world: World) -> None:
        await two_processes(world)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 11"
        await world.until(lambda: world.bot.rival is None, 20)
        assert list(world.account.forsaken)
        assert world.account.range_of("lobby", "deaths") == (10, 11)
        assert world.counter("lobby", "deaths") == 10
        await world.joined()
        assert await world.ask("viewer", "!count deaths") == "deaths: 10"
        await world.until(world.drained)

    play(story, LOBBY)


def test_what_the_other_process_passed_over_is_taken_back_too() -> None:
    """It has read another prefix: it has handled the message as well, and changed nothing by it."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +10")
        await world.until(world.drained)
        world.supabase.human_update("channels_config", {"login": "lobby"}, {"prefix": "?"})
        world.start_rival()
        rival = world.bot.rival
        assert rival is not None
        await world.until(lambda: rival.app is not None and "lobby" in rival.app.transport.joined)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 11"
        await world.until(lambda: world.bot.rival is None, 20)
        assert world.bot.disk.holds(next(iter(world.account.forsaken)))
        assert world.account.range_of("lobby", "deaths") == (10, 11)
        assert world.counter("lobby", "deaths") == 10

    play(story, LOBBY)


def test_what_two_processes_without_a_database_confirmed_may_be_made_twice() -> None:
    """Nothing tells them apart: each adds it to what it finds. A sum and a quote may be there twice, and nothing else is excused."""

    async def story(world: World) -> int:
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +10") == "deaths: 10"
        await world.until(world.drained)
        world.break_database(Hang())
        world.start_rival()
        rival = world.bot.rival
        assert rival is not None
        await world.until(lambda: rival.app is not None and "lobby" in rival.app.transport.joined)
        await world.ask("mod", "!count deaths +1")
        await world.ask("mod", "!quote add words")
        await asyncio.sleep(5)
        world.heal()
        await asyncio.sleep(10)
        world.say(
            "viewer", "!ping"
        )  # the older one has saved all it had, and learns of the other at its next save
        await world.until(lambda: world.bot.rival is None, 20)
        await world.until(world.drained, 20)
        assert world.account.range_of("lobby", "deaths") == (10, 12)
        return world.counter("lobby", "deaths")

    assert play(story, Scenario("away", "two bots, no database", fixed=("lobby",))) in (11, 12)


def test_an_orderly_end_keeps_no_more_than_the_disk_and_the_database_take() -> None:
    """Both are away when the bot is stopped in order: what left ungated may be lost, as with a kill."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        world.break_disk(DiskFull())
        assert await world.ask("mod", "!count deaths +10") == "deaths: 10"
        await world.restart_bot()
        assert world.account.range_of("lobby", "deaths") == (0, 10)
        world.heal()
        await world.joined()
        await world.converge()
        assert world.counter("lobby", "deaths") == 0
        world.judge()

    play(story, LOBBY)


def test_a_reply_on_its_way_when_a_power_cut_takes_its_commit_confirms_nothing() -> None:
    """With DURABILITY=process: it is heard when the loss has been reckoned with already."""

    async def story(world: World) -> bool:
        world.start_bot()
        await world.joined()
        assert world.app is not None
        asked = world.say("mod", "!count deaths +10")
        sent = world.app.telemetry.counters
        before = sent["replies_sent"]
        while sent["replies_sent"] == before:  # noqa: ASYNC110  # the instant between sending and hearing
            await asyncio.sleep(0.001)
        world.cut_power()
        await asyncio.sleep(1)
        assert world.chat.answer_to(asked) is not None
        lost = not world.bot.disk.holds(asked)
        assert world.account.range_of("lobby", "deaths") == ((0, 10) if lost else (10, 10))
        world.start_bot()
        await world.joined()
        await world.converge()
        world.judge()
        return lost

    far = Scenario("far", "a viewer hears the bot 100 ms later", fixed=("lobby",), latency_ms=100.0)
    assert {play(story, far, seed=seed) for seed in range(60)} == {True, False}
