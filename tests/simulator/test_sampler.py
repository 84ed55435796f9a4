"""Invariants look every second in which something may have come of what happened, and at no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulator.loop import run
from simulator.scenario import Scenario
from simulator.world import World


class Watcher:
    """Notes when it was asked to look; ``restless`` says nothing."""

    name = "watcher"

    def __init__(self) -> None:
        self.looked_s: list[float] = []

    def started(self, world: World) -> None:
        """Nothing."""

    def sampled(self, world: World) -> None:
        """Note it."""
        self.looked_s.append(world.loop.time())

    def converged(self, world: World) -> None:
        """Nothing."""


class Calm(Watcher):
    """Never restless: what it watches changes only when something happens."""

    restless = False


class Moody(Watcher):
    """Restless when a test says so."""

    def __init__(self, restless: bool) -> None:
        super().__init__()
        self.restless = restless


def looks(
    watcher: Watcher, story: Callable[[World], Awaitable[None]], *, hybrid: bool = False
) -> list[float]:
    """The seconds at which it looked in a world without a bot."""

    async def body() -> None:
        network = "tcp" if hybrid else "memory"
        async with World(
            Scenario("quiet", "nobody is there"), 1, network=network, invariants=(watcher,)
        ).standing() as world:
            await story(world)

    run(body(), hybrid=hybrid)
    return watcher.looked_s


async def ten_seconds(world: World) -> None:
    """Nothing happens; half a second later somebody would notice that they are over."""
    await asyncio.sleep(10.5)


def test_seconds_in_which_nothing_happens_are_passed_over() -> None:
    """But for the first."""
    assert looks(Calm(), ten_seconds) == [1.0]


@pytest.mark.parametrize("watcher", [Watcher(), Moody(restless=True)])
def test_whoever_is_restless_or_does_not_say_looks_every_second(watcher: Watcher) -> None:
    """Time alone matters to one of them, and nobody knows of the other."""
    assert looks(watcher, ten_seconds) == [float(second) for second in range(1, 11)]


def test_one_that_is_not_restless_now_is_passed_over_too() -> None:
    """As long as it says so."""
    assert looks(Moody(restless=False), ten_seconds) == [1.0]


def test_what_happens_is_looked_at_in_its_second_and_once_more() -> None:
    """Others may act in the very instant of a look, after it."""

    async def story(world: World) -> None:
        await asyncio.sleep(5.5)
        world.say("viewer", "hello")
        await asyncio.sleep(5.0)

    assert looks(Calm(), story) == [1.0, 6.0, 7.0]


def test_what_happens_at_the_instant_of_a_look_is_not_missed() -> None:
    """Before it or after it: the next look sees it."""

    async def story(world: World) -> None:
        world.loop.call_at(6.0, lambda: None)
        await asyncio.sleep(10.5)

    assert looks(Calm(), story) == [1.0, 6.0, 7.0]


def test_over_real_sockets_everybody_looks() -> None:
    """There the kernel can begin something."""
    assert looks(Calm(), ten_seconds, hybrid=True) == [float(second) for second in range(1, 11)]
