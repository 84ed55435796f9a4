"""The bot is told to stop."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.errors import ExitCode
from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place


def test_a_stop_flushes_what_waits(place: Place) -> None:
    """SIGTERM right after a command: the change is in the database when the process has ended, exit code 0."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        assert world.counter("lobby", "deaths") == 0, "the flush interval has not passed yet"
        assert await world.stop_bot() is ExitCode.OK
        assert world.counter("lobby", "deaths") == 1

    play(story, Scenario("stop", "an orderly stop"), **place)


@pytest.mark.parametrize("delay_s", [0.0, 1.0, 3.0])
def test_a_stop_during_an_outage_takes_less_than_eight_seconds(place: Place, delay_s: float) -> None:
    """Containers kill after ten seconds: a hanging save is cut short, and the journal keeps what it carried."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")
        await asyncio.sleep(delay_s)
        started_s = world.loop.time()
        assert await world.stop_bot() is ExitCode.OK
        assert world.loop.time() - started_s < 8.0
        world.heal()
        world.start_bot()
        await world.joined()
        await world.converge()
        assert world.counter("lobby", "deaths") == 1
        world.judge()

    play(story, Scenario("stop_outage", "a stop during an outage"), **place)
