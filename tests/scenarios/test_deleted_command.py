"""A custom command is deleted while the database is away."""

from __future__ import annotations

from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import StoryError, World, play
from tests.scenarios.places import Place


async def is_gone(world: World) -> bool:
    """True if nobody answers ``!hello``."""
    try:
        await world.ask("viewer", "!hello", within_s=3)
    except StoryError:
        return True
    return False


def test_a_command_deleted_during_an_outage_stays_deleted(place: Place) -> None:
    """The load that comes after the deletion still has the command, and must not bring it back."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!cmd add hello Hello!")
        await world.ask("mod", "!cmd add bye Bye!")
        await world.stop_bot()
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.break_database(Hang())
        await world.ask("mod", "!cmd del hello")
        assert await is_gone(world)
        world.crash_bot()
        world.start_bot()
        await world.joined(within_s=10)
        assert await is_gone(world)
        world.heal()
        await world.converge()
        assert await is_gone(world)
        assert await world.ask("viewer", "!bye") == "Bye!"
        await world.until(world.drained)
        world.judge()
        world.crash_bot()
        world.start_bot()
        await world.joined()
        assert await is_gone(world)

    play(story, Scenario("deleted_command", "deleted during an outage", fixed=("lobby",)), **place)
