"""Safeguard: the load guard. A row whose base was not read under this process's epoch is never sent."""

from __future__ import annotations

from simulator.faults import Hang, Latency
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.safeguards.row_variants import EagerRow, layer_of
from tests.safeguards.variants import application_with, broken, other_machine

STORY = Scenario("old_disk", "a machine comes back with an old snapshot", fixed=("lobby",))


async def a_machine_returns_with_an_old_snapshot(world: World) -> None:
    """This disk knows 1 death; another machine made it 1,500; this one returns during an outage and counts one more."""
    world.start_bot()
    await world.joined()
    await world.ask("mod", "!count deaths +1")
    await world.stop_bot()
    async with other_machine(world):
        assert await world.ask("mod", "!count deaths +1499") == "deaths: 1500"
    world.break_database(Hang())
    world.start_bot()
    await world.joined(within_s=10)
    assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
    # Loads and saves take a moment: whoever does not wait for the load sends at the same time.
    world.heal()
    world.break_database(Latency(ms=200))
    await world.until(lambda: world.supabase.rows("bot_writer")[0]["epoch"] == 3, 20)
    world.heal()
    await world.converge()
    world.judge()


def test_it_waits_for_the_load_and_adds_up() -> None:
    """With the guard the row is read first; both machines' changes are in it."""

    async def story(world: World) -> None:
        await a_machine_returns_with_an_old_snapshot(world)
        assert world.counter("lobby", "deaths") == 1501

    play(story, STORY)


def test_without_it_an_old_snapshot_overwrites_a_newer_row() -> None:
    """Without the guard what the other machine saved is lost, and viewers had been told of it."""

    async def story(world: World) -> None:
        await a_machine_returns_with_an_old_snapshot(world)
        assert world.counter("lobby", "deaths") < 1500
        assert broken(world) == ["agreement"]

    play(
        story, STORY, strict=False, application=application_with(lambda made: made.layer, layer_of(EagerRow))
    )
