"""A human's edit that is written over by who has not seen it is seen."""

from __future__ import annotations

from functools import partial

from simulator.invariants.human_edits import HumanEdits
from simulator.supabase.functions import save
from simulator.world import World
from tests.simulator.invariants.broken_worlds import watched, working_bot

EDITED = {"data": {"values": {"deaths": 1, "falls": 7}}}


def counters(world: World) -> dict[str, str]:
    """Where the row is that :func:`working_bot` has saved."""
    return {"channel_id": world.channels["lobby"], "key": "counters"}


def no_guard(world: World) -> None:
    """The database saves a row whatever humans have done to it."""
    world.supabase.replace_function("byte_bot_save", partial(save, edit_guard=False))


async def change(world: World) -> None:
    """The bot changes the row and saves it."""
    await world.ask("mod", "!count deaths +1")
    await world.until(world.drained)


def test_edits_that_the_bot_was_told_of_may_be_written_over() -> None:
    """Refused, the bot sees the edit; then it saves with the new number, again and again. A new row has none."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.supabase.human_update("component_state", counters(world), EDITED)
        await change(world)
        await change(world)
        await world.ask("mod", "!game Celeste")
        world.supabase.human_update("channels_config", {"login": "lobby"}, {"language": "pt-br"})
        await world.ask("mod", "!pause")
        await world.until(world.drained)
        world.supabase.human_delete("component_state", counters(world))
        await world.ask("mod", "!resume")
        await change(world)

    assert watched(story, HumanEdits()) == []


def test_an_edit_overwritten_unseen_is_seen() -> None:
    """The save carries the number from before the edit, and the row changes all the same."""

    async def story(world: World) -> None:
        no_guard(world)
        await working_bot(world)
        world.supabase.human_update("component_state", counters(world), EDITED)
        await change(world)

    words = watched(story, HumanEdits())
    assert len(words) == 1
    assert "/counters had the edit number 1, and a save that knew 0 wrote over it" in words[0]


def test_a_row_made_by_a_human_and_overwritten_unseen_is_seen() -> None:
    """The bot believes that there is no row, and saves one over the human's."""

    async def story(world: World) -> None:
        no_guard(world)
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        await world.ask("viewer", "!count deaths")
        row = world.supabase.human_insert("component_state", {**counters(world), "version": 1, **EDITED})
        numbers.append(row["edit_no"])
        await change(world)

    numbers: list[int] = []
    words = watched(story, HumanEdits())
    assert len(words) == 1
    assert f"/counters had the edit number {numbers[0]}, and a save that knew None wrote over it" in words[0]


def test_a_deleted_row_brought_back_unseen_is_seen() -> None:
    """A human's deletion is an edit too."""

    async def story(world: World) -> None:
        no_guard(world)
        await working_bot(world)
        world.supabase.human_delete("component_state", counters(world))
        await change(world)

    words = watched(story, HumanEdits())
    assert len(words) == 1
    assert "/counters was deleted by a human, and a save that did not know it brought it back" in words[0]


def test_a_number_that_a_save_has_moved_is_seen() -> None:
    """Only humans count edits: a save that does would hide theirs."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.supabase.engine.connection.execute(
            "create trigger miscount after update on component_state when new.revision > old.revision begin"
            " update component_state set edit_no = 5 where key = new.key; end"
        )
        await world.ask("mod", "!count deaths +1")
        await world.until(lambda: world.counter("lobby", "deaths") == 2)

    words = watched(story, HumanEdits())
    assert words
    assert "/counters had the edit number 0, and a save made it 5" in words[0]
