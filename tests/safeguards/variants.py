"""How a safeguard is switched off: an application is built as shipped, then one part of it becomes a variant.

A variant is a subclass that lacks the safeguard and has no state of its own, so an object can become one after it was
made. Nothing in any module is swapped: other bots of the same test run stay as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from byte_bot.app import Application, Surroundings
from byte_bot.errors import ExitCode
from byte_bot.settings import Settings
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, World, play


def become(instance: object, variant: type) -> None:
    """Turn an object into one of ``variant``, a subclass of its class."""
    assert issubclass(variant, type(instance)), f"{variant} is no variant of {type(instance)}"
    instance.__class__ = variant


def application_with(part: Callable[[Application], object], variant: type) -> ApplicationFactory:
    """A factory of applications one part of which is a ``variant``."""

    def build(settings: Settings, surroundings: Surroundings) -> Application:
        application = Application(settings, surroundings)
        become(part(application), variant)
        return application

    return build


def broken(world: World) -> list[str]:
    """The names of the invariants that were broken, each once, sorted."""
    return names(violation.invariant for violation in world.violations)


def names(found: Iterable[str]) -> list[str]:
    """Each name once, sorted."""
    return sorted(dict.fromkeys(found))


async def begun(world: World) -> None:
    """The first bot is in its channels, and nothing waits to be saved."""
    world.start_bot()
    await world.joined()
    await world.until(world.drained)


async def judged_after_a_restart(world: World) -> None:
    """The process dies, all is healed, the next one starts and must catch up; then every invariant judges."""
    world.crash_bot()
    world.heal()
    world.start_bot()
    await world.joined()
    await world.converge()
    world.judge()


def deaths_after(
    story: Callable[[World], Awaitable[None]],
    scenario: Scenario | None = None,
    *,
    without: ApplicationFactory | None = None,
) -> int:
    """Play a story that ends judged; how many deaths the database has of the lobby then.

    With the bot as shipped every promise must be kept. ``without`` one of its safeguards chat and database must disagree, and
    nothing else be broken.
    """

    async def told(world: World) -> int:
        await story(world)
        assert broken(world) == ([] if without is None else ["agreement"])
        return world.counter("lobby", "deaths")

    if without is None:
        return play(told, scenario)
    return play(told, scenario, strict=False, application=without)


@asynccontextmanager
async def other_machine(world: World) -> AsyncIterator[None]:
    """A bot with a disk of its own is in the channels; afterwards it was stopped in order."""
    running = asyncio.create_task(world.start_second_bot(), name="other machine")
    await world.until(
        lambda: world.second is not None and world.second.transport.joined == world.scenario.channels
    )
    yield
    assert world.second is not None
    world.second.stop()
    assert await running is ExitCode.OK
