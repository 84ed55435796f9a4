"""Safeguard: the output gate. A reply leaves once what it confirms is in the journal, on the disk."""

from __future__ import annotations

import asyncio

from simulator.faults import Hang
from simulator.scenario import DiskLatency, Scenario
from simulator.world import World, play
from tests.safeguards.journal_variants import OpenGate
from tests.safeguards.variants import application_with, broken

STORY = Scenario(
    "slow_disk",
    "a commit takes half a second",
    fixed=("lobby",),
    disk_latency=DiskLatency(median_ms=500.0, spread=0.0),
)


async def killed_as_soon_as_it_has_spoken(world: World) -> None:
    """A change is confirmed during an outage, and in that very moment the process dies; another one takes over."""
    world.start_bot()
    await world.joined()
    await asyncio.sleep(5)
    world.break_database(Hang())
    assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
    world.crash_bot()
    world.heal()
    world.start_bot()
    await world.joined()
    await world.converge()
    world.judge()


def test_what_was_confirmed_survives() -> None:
    """With the gate, whenever the commit is written and whenever the process dies."""

    async def story(world: World) -> None:
        await killed_as_soon_as_it_has_spoken(world)
        assert world.counter("lobby", "deaths") == 1

    for seed in range(5):
        play(story, STORY, seed=seed)


def test_without_it_a_confirmed_change_is_lost() -> None:
    """Without the gate a viewer was told of a change that nobody knows any more."""

    async def story(world: World) -> None:
        await killed_as_soon_as_it_has_spoken(world)
        assert world.counter("lobby", "deaths") == 0
        assert broken(world) == ["agreement", "gated"]

    ungated = application_with(lambda application: application.layer.journal, OpenGate)
    play(story, STORY, strict=False, application=ungated)
