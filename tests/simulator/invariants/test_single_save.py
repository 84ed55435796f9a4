"""Two saves at once are seen at the end, however short they were."""

from __future__ import annotations

from simulator.invariants.single_save import SingleSave
from simulator.world import World
from tests.simulator.invariants.broken_worlds import watched, working_bot


def test_a_working_bot_breaks_nothing() -> None:
    """One save after the other."""
    assert watched(working_bot, SingleSave()) == []


def test_two_saves_at_once_are_seen() -> None:
    """The meter remembers the most there ever were."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.meter.saves_at_once_max = 2

    assert watched(story, SingleSave()) == ["2 saves were in flight at once"]
