"""A stored row that goes back is seen, whoever did it; a human's edit is no step back."""

from __future__ import annotations

import pytest

from simulator.invariants.newest_wins import NewestWins
from simulator.world import World
from tests.simulator.invariants.broken_worlds import overwrite, save_nothing, watched, working_bot


async def saved_twice(world: World) -> None:
    """A row of component_state has a revision above 1."""
    await working_bot(world)
    await world.ask("mod", "!count deaths +1")
    await world.until(world.drained)


def test_a_working_bot_breaks_nothing() -> None:
    """Revisions only rise."""
    assert watched(saved_twice, NewestWins()) == []


@pytest.mark.parametrize("column", ["revision", "epoch"])
@pytest.mark.parametrize("look", ["after a save", "at the end"])
def test_an_older_stamp_is_seen(column: str, look: str) -> None:
    """A lower revision or epoch of the same row, at the next save or at the end."""

    async def story(world: World) -> None:
        await saved_twice(world)
        world.crash_bot()
        overwrite(world, "component_state", {column: 0}, key="counters")
        if look == "after a save":
            save_nothing(world)

    words = watched(story, NewestWins())
    assert len(words) == 1
    assert words[0].startswith("component_state/")
    assert "/counters went back from epoch 1, revision " in words[0]


def test_a_human_may_do_what_they_want() -> None:
    """An edit moves the edit count, and a deleted row that is made anew starts from zero."""

    async def story(world: World) -> None:
        await saved_twice(world)
        where = {"channel_id": world.channels["lobby"], "key": "counters"}
        world.supabase.human_update("component_state", where, {"revision": 0})
        save_nothing(world)
        world.supabase.human_delete("component_state", where)
        save_nothing(world)
        world.store_counters("lobby", deaths=1)

    assert watched(story, NewestWins()) == []
