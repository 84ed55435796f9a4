"""Database, RAM and what viewers were told: any two that disagree are seen."""

from __future__ import annotations

from simulator.faults import Hang
from simulator.invariants.agreement import Agreement
from simulator.world import World
from tests.simulator.invariants.broken_worlds import overwrite, watched, working_bot


def test_a_working_bot_breaks_nothing() -> None:
    """All three agree."""
    assert watched(working_bot, Agreement()) == []


def test_a_row_that_still_waits_is_seen() -> None:
    """At the end nothing in RAM may wait."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")

    words = watched(story, Agreement())
    assert any("/counters still waits with 1 operations" in line for line in words)


def test_a_row_changed_behind_the_bots_back_is_seen() -> None:
    """The database has another value than RAM, and no human edited it."""

    async def story(world: World) -> None:
        await working_bot(world)
        overwrite(world, "channel_state", {"data": {"vibe": "lost"}}, channel_id=world.channels["lobby"])

    (words,) = watched(story, Agreement())
    assert 'database {"vibe": "lost"}, RAM {' in words


def test_a_lost_row_is_seen() -> None:
    """RAM believes that a row is stored, and it is not there."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.supabase.human_delete("channel_state", {"channel_id": world.channels["lobby"]})

    (words,) = watched(story, Agreement())
    assert "database null, RAM {" in words


def test_a_humans_edit_that_the_bot_has_not_seen_yet_is_no_disagreement() -> None:
    """It is learned at the next save of the row."""

    async def story(world: World) -> None:
        await working_bot(world)
        where = {"channel_id": world.channels["lobby"]}
        world.supabase.human_update("channel_state", where, {"data": {"vibe": "edited"}})

    assert watched(story, Agreement()) == []


def test_a_confirmed_change_that_was_lost_or_applied_twice_is_seen() -> None:
    """Viewers were told changes that make 1; 0 and 2 are both wrong."""
    for value in (0, 2):

        async def story(world: World, value: int = value) -> None:
            await working_bot(world)
            world.crash_bot()
            data = {"values": {"deaths": value}}
            overwrite(world, "component_state", {"data": data}, key="counters")

        (words,) = watched(story, Agreement())
        assert words.endswith(f"viewers were told changes that make 1 to 1, the database has {value}")
