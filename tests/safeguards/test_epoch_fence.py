"""Safeguard: the epoch fence. Who was superseded writes nothing any more, and stops."""

from __future__ import annotations

import asyncio
from functools import partial

from byte_bot.errors import ExitCode
from simulator.faults import Latency
from simulator.scenario import Scenario
from simulator.supabase.functions import save
from simulator.world import World, play
from tests.safeguards.variants import broken

TWO = Scenario("two", "a second process is started by mistake")
LATE = Scenario("late", "a save of a dead process arrives after its successor has read the row", disk="lost")


def switch_off(world: World) -> None:
    """The database writes whatever the epoch."""
    world.supabase.replace_function("byte_bot_save", partial(save, epoch_fence=False))


async def a_dead_process_writes(world: World) -> None:
    """A process dies with a save on its way; its successor only reads the row, then the save arrives."""
    world.start_bot()
    await world.joined()
    await world.ask("mod", "!count deaths +1")
    await world.until(world.drained)
    world.break_database(Latency(ms=24_000, late_probability=1.0))
    assert await world.ask("mod", "!count deaths +10") == "deaths: 11"
    await world.until(lambda: world.meter.saves_now == 1)
    sent_at_s = world.loop.time()
    world.crash_bot()
    world.heal()
    world.start_bot()
    await world.joined()
    # The disk is lost, and with it the journal: the successor knows what the database has.
    assert await world.ask("viewer", "!count deaths") == "deaths: 1"
    assert world.loop.time() < sent_at_s + 12, "the old save must still be on its way"
    await asyncio.sleep(sent_at_s + 12.1 - world.loop.time())
    await world.converge()
    assert await world.ask("viewer", "!count deaths") == "deaths: 1"


def test_it_keeps_a_dead_process_out() -> None:
    """With the fence the late save writes nothing: the row is what the successor has read and answers from."""

    async def story(world: World) -> None:
        await a_dead_process_writes(world)
        assert world.counter("lobby", "deaths") == 1
        assert [record.epoch for record in world.supabase.saves if record.status == "fenced"] == [1]

    # Not judged: the +10 that was confirmed died with the disk.
    play(story, LATE, judge=False)


def test_without_it_a_dead_process_writes_below_its_successor() -> None:
    """Without the fence the late save reaches the row, and the successor goes on answering from what it has read."""

    async def story(world: World) -> None:
        switch_off(world)
        await a_dead_process_writes(world)
        assert world.counter("lobby", "deaths") == 11
        assert [record.epoch for record in world.supabase.saves if record.status == "fenced"] == []
        assert "single_writer" in broken(world)

    play(story, LATE, strict=False)


def test_it_stops_the_superseded_process() -> None:
    """With the fence the first process learns at its next save that it was superseded, and ends with its own code."""

    async def story(world: World) -> None:
        async with second_bot(world):
            await world.until(lambda: not world.bot_runs, 20)
            assert world.exit_codes == [ExitCode.FENCED]
            assert broken(world) == []

    play(story, TWO)


def test_without_it_the_superseded_process_goes_on_confirming_what_is_never_saved() -> None:
    """Without the fence two processes write; the older one's rows are refused for ever, and it does not stop."""

    async def story(world: World) -> None:
        switch_off(world)
        async with second_bot(world):
            await world.ask("mod", "!count wins +1")
            await asyncio.sleep(20)
            assert world.bot_runs
            assert world.exit_codes == []
            assert world.app is not None
            assert world.app.layer.epoch == 1
            assert "single_writer" in broken(world)

    play(story, TWO, strict=False)


class second_bot:  # noqa: N801  # used as a block
    """The first bot works, then a second process takes the next epoch, and a command is given to both."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def __aenter__(self) -> None:
        world = self._world
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +10")
        await world.until(world.drained)
        self._second = asyncio.create_task(world.start_second_bot(), name="second")
        await world.until(lambda: world.supabase.rows("bot_writer")[0]["epoch"] == 2, 20)
        await world.ask("mod", "!count deaths +1")

    async def __aexit__(self, *_: object) -> None:
        self._second.cancel()
        await asyncio.wait([self._second])
