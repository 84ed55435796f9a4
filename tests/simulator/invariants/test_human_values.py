"""What a human entered and the bot has lost is seen, in the database and in RAM; what chat or a human has changed since is not judged."""

from __future__ import annotations

from typing import Any

import pytest

from byte_bot.persistence.operations import RowKey
from simulator.invariants.human_values import HumanValues
from simulator.world import World
from tests.mutants.catalogue import MUTANTS
from tests.simulator.invariants.broken_worlds import overwrite, watched, working_bot


def counters(world: World) -> RowKey:
    """The row that :func:`working_bot` has saved."""
    return RowKey("component_state", world.channels["lobby"], "counters")


def enter(world: World, **values: Any) -> None:
    """A human enters counters in that row, and leaves the others as they are."""
    world.supabase.human_update("component_state", {"key": "counters"}, {}, {"values": values})


async def change(world: World) -> None:
    """The bot changes the row, is refused, and saves it on top of the edit."""
    await world.ask("mod", "!count deaths +1")
    await world.until(world.drained)


def test_values_that_are_there_are_no_violation() -> None:
    """Merged, merged once more, and taken away again; of a row that a human deletes nothing is left to be asked for."""

    async def story(world: World) -> None:
        await working_bot(world)
        enter(world, falls=1, jumps=2)
        await change(world)
        enter(world, falls=3)
        await change(world)
        assert (world.counter("lobby", "falls"), world.counter("lobby", "jumps")) == (3, 2)
        enter(world, jumps=None)
        await change(world)
        world.judge()
        world.supabase.human_delete("component_state", {"key": "counters"})
        await change(world)

    assert watched(story, HumanValues()) == []


def test_a_value_that_the_database_has_lost_is_seen() -> None:
    """Also where RAM has lost it with the database, as after a merge that left it out."""
    mutant = MUTANTS["edit_known_by_its_number"].application

    async def story(world: World) -> None:
        await working_bot(world)
        enter(world, falls=7)
        await change(world)

    words = watched(story, HumanValues(), application=mutant)
    assert [one.partition(": ")[2] for one in words] == [
        "a human entered 7 as falls, the database has nothing",
        "a human entered 7 as falls, RAM has nothing",
    ]


def test_another_value_in_its_place_is_seen() -> None:
    """The human's own earlier one is another as well; a value may lie deeper than its name."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.ask("mod", "!cmd add hug hugs")
        await world.until(world.drained)
        enter(world, falls=1)
        enter(world, falls=2)
        rules = {"commands": {"rules": {"text": "be kind"}}}
        world.supabase.human_update("component_state", {"key": "custom_commands"}, {}, rules)
        overwrite(world, "component_state", {"data": {"values": {"deaths": 1, "falls": 1}}}, key="counters")
        left = {"commands": {"rules": {"text": "be nice"}, "hug": {"text": "hugs"}}}
        overwrite(world, "component_state", {"data": left}, key="custom_commands")

    words = watched(story, HumanValues())
    assert [one.partition(": ")[2] for one in words] == [
        "a human entered 2 as falls, the database has 1",
        'a human entered "be kind" as rules.text, the database has "be nice"',
    ]


@pytest.mark.parametrize("superseded", [False, True])
def test_a_value_that_ram_has_lost_is_seen(superseded: bool) -> None:
    """Once the bot knows of the edit; before that it cannot have it, and a process that another one has superseded need not."""

    async def story(world: World) -> None:
        await working_bot(world)
        enter(world, falls=7)
        world.judge()
        await change(world)
        world.judge()
        assert world.app is not None
        spec = world.app.manager.find_spec(counters(world))
        assert spec is not None
        state: Any = world.app.layer.row(counters(world)).view(spec)
        del state.values["falls"]
        if superseded:
            overwrite(world, "bot_writer", {"epoch": 9, "holder": "another machine/1"}, id=1)

    told = [one.partition(": ")[2] for one in watched(story, HumanValues())]
    assert told == ([] if superseded else ["a human entered 7 as falls, RAM has nothing"])


def test_a_row_that_cannot_be_read_is_judged_in_the_database_alone() -> None:
    """A typo of a later moment keeps the bot from seeing what was entered before it."""

    async def story(world: World) -> None:
        await working_bot(world)
        enter(world, falls=7)
        await change(world)
        enter(world, deaths="many")
        await world.ask("mod", "!count deaths +1")
        await world.until(lambda: world.supabase.saves[-1].refused == 1)

    assert watched(story, HumanValues()) == []


def test_a_name_that_chat_has_said_is_not_judged() -> None:
    """Before the edit or after it, in that channel; what the bot itself says is no such thing."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.ask("mod", "!count jumps +1")
        await world.until(world.drained)
        enter(world, falls=7, jumps=8, rolls=9)
        await change(world)
        assert "rolls 9" in (await world.ask("viewer", "!count") or "")
        await world.ask("mod", "!count Falls del")
        await world.ask("mod", "!count rolls +1", channel="arcade")
        await world.until(world.drained)
        data = {"values": {"deaths": 3}}
        overwrite(
            world, "component_state", {"data": data}, key="counters", channel_id=world.channels["lobby"]
        )

    words = watched(story, HumanValues())
    assert [one.partition(": ")[2] for one in words] == [
        "a human entered 9 as rolls, the database has nothing"
    ]


def test_rows_and_fields_that_chat_calls_by_numbers_are_not_judged() -> None:
    """A note, a quote, a mood; a cell that is no object has no values."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.ask("mod", "!quote add hello")
        await world.until(world.drained)
        everywhere = {"version": 1}
        for table in ("channel_state", "component_state"):
            notes = {
                "vibe": "calm",
                "notes": {"1": {"text": "hello"}},
                "quotes": {"1": {"number": 1, "text": "hi"}},
            }
            world.supabase.human_update(table, everywhere, {}, notes)
        world.supabase.human_update("channels_config", {"login": "lobby"}, {"language": "pt-br"})
        for table in ("channel_state", "component_state"):
            overwrite(world, table, {"data": {}}, version=1)

    assert watched(story, HumanValues()) == []
