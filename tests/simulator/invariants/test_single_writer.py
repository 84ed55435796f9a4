"""A row that is written under an older epoch than the newest taken is seen."""

from __future__ import annotations

from simulator.invariants.single_writer import SingleWriter
from simulator.world import World
from tests.simulator.invariants.broken_worlds import overwrite, save_nothing, watched, working_bot


def test_one_process_after_the_other_breaks_nothing() -> None:
    """Rows of an earlier epoch stay as they are until the successor writes them."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.restart_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1", channel="arcade")
        await world.until(world.drained)

    assert watched(story, SingleWriter()) == []


def test_a_write_of_a_superseded_process_is_seen() -> None:
    """The first process writes a row after the second has taken its epoch."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.crash_bot()
        overwrite(world, "bot_writer", {"epoch": 2}, id=1)
        overwrite(world, "component_state", {"revision": 99}, key="counters")
        save_nothing(world)

    words = watched(story, SingleWriter())
    assert len(words) == 1
    assert "/counters was written under epoch 1, revision 99, although 2 was taken" in words[0]


def test_rows_made_by_humans_have_no_epoch() -> None:
    """A human's new row is stamped with nothing, and nobody is accused."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.store_counters("arcade", wins=3)
        save_nothing(world)

    assert watched(story, SingleWriter()) == []
