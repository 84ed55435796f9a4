"""The bot ends and starts again: in order, or killed."""

from __future__ import annotations

from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place

THREE = Scenario("restart", "three channels", channels=("lobby", "arcade", "cinema"))


async def fill(world: World) -> None:
    """Give every channel a context of its own."""
    for number, channel in enumerate(world.scenario.channels, start=1):
        await world.ask("mod", f"!game Game {number}", channel=channel)
        await world.ask("mod", f"!vibe cosy {number}", channel=channel)
        await world.ask("mod", f"!count deaths +{number}", channel=channel)
        await world.ask("mod", f"!cmd add hello Hello from {channel}", channel=channel)
        await world.ask("mod", f"!note add remember {channel}", channel=channel)


async def check(world: World) -> None:
    """Every channel answers from what it was given."""
    for number, channel in enumerate(world.scenario.channels, start=1):
        assert f"Game {number}" in await world.ask("viewer", "!game", channel=channel)
        assert f"cosy {number}" in await world.ask("viewer", "!vibe", channel=channel)
        assert await world.ask("viewer", "!count deaths", channel=channel) == f"deaths: {number}"
        assert await world.ask("viewer", "!hello", channel=channel) == f"Hello from {channel}"
        assert f"remember {channel}" in await world.ask("viewer", "!note", channel=channel)


def test_an_orderly_restart_restores_every_context(place: Place) -> None:
    """SIGTERM, then a new process with an empty disk: everything comes back from the database."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await fill(world)
        await world.stop_bot()
        world.start_bot()
        await world.joined()
        await check(world)

    play(story, Scenario(**{**vars(THREE), "disk": "lost"}), **place)


def test_a_crash_after_the_save_restores_every_context(place: Place) -> None:
    """kill -9 when everything was saved, and the disk is gone too: the database has it all."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await fill(world)
        await world.until(world.drained)
        world.crash_bot()
        world.start_bot()
        await world.joined()
        await check(world)

    play(story, Scenario(**{**vars(THREE), "disk": "lost"}), **place)


def test_a_crash_before_the_save_restores_every_context_from_the_journal(place: Place) -> None:
    """kill -9 during an outage: the journal has what the database has not, and the new process saves it."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        await fill(world)
        world.crash_bot()
        world.start_bot()
        await world.joined(within_s=10)
        await check(world)
        world.heal()
        await world.converge()
        world.judge()
        world.crash_bot()
        world.start_bot()
        await world.joined()
        await check(world)

    play(story, THREE, **place)
