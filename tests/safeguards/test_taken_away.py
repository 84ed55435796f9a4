"""Safeguard: what is taken away before it is loaded is recorded, although RAM shows no difference."""

from __future__ import annotations

import pytest

from byte_bot.context.channel import ChannelContext
from byte_bot.context.manager import ContextManager
from byte_bot.persistence.state import ChannelState
from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, World, play
from tests.safeguards.altered import altered
from tests.safeguards.variants import application_with, broken, other_machine

STORY = Scenario("taken_away", "a game is taken away before it is loaded", fixed=("lobby",))


class ComparingContext(ChannelContext):
    """Records only what differs in RAM before and after."""

    __slots__ = ()

    def mark_assigned(self, cls: type[ChannelState], assigned: tuple[str, str | None]) -> None:
        """Whatever was assigned, the comparison says."""

    def mark_dropped(self, state: ChannelState, field: str, key: str) -> None:
        """Whatever was dropped, the comparison says."""


Comparing = altered(ContextManager, {"ChannelContext": ComparingContext}, obtain=None)


def stored(taking: str, making: str, *, without: ApplicationFactory | None = None) -> list[str]:
    """Another machine stores something; this one takes it away before it has loaded it. The promises that were broken."""

    async def story(world: World) -> list[str]:
        async with other_machine(world):
            await world.ask("mod", making)
        world.break_database(Hang())
        world.start_bot()
        await world.joined(within_s=20)
        await world.ask("mod", taking)
        world.crash_bot()
        world.start_bot()
        await world.joined(within_s=20)
        world.heal()
        await world.converge()
        world.judge()
        return broken(world)

    if without is None:
        return play(story, STORY)
    return play(story, STORY, strict=False, application=without)


TAKING = pytest.mark.parametrize(
    ("making", "taking"),
    [
        ("!game Celeste", "!game -"),
        ("!scene movie Alien", "!scene movie -"),
        ("!note add milk", "!note clear"),
        ("!count deaths =41", "!count deaths del"),
        ("!cmd add hug hugs", "!cmd del hug"),
    ],
)


@TAKING
def test_it_is_gone_when_the_load_has_come(making: str, taking: str) -> None:
    """As shipped: chat and database agree, after a kill -9 too."""
    assert stored(taking, making) == []


@TAKING
def test_without_it_what_is_stored_comes_back(making: str, taking: str) -> None:
    """A transaction that only compares before and after finds nothing, and the judge sees it."""
    variant = application_with(lambda made: made.manager, Comparing)
    assert stored(taking, making, without=variant) == ["agreement"]
