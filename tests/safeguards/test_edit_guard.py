"""Safeguard: the edit numbers. A save that does not know of a human's edit must not write over it."""

from __future__ import annotations

from functools import partial

from simulator.scenario import Scenario
from simulator.scenarios import SCENARIOS
from simulator.supabase.functions import save
from simulator.world import World, play
from tests.safeguards.variants import broken, names

STORY = Scenario("edit", "a human edits a row that the bot holds in RAM and is about to change")


def switch_off(world: World) -> None:
    """The database saves a row whatever humans have done to it."""
    world.supabase.replace_function("byte_bot_save", partial(save, edit_guard=False))


async def a_row_is_edited(world: World) -> None:
    """A human adds a counter of their own to a row that the bot knows; then the bot changes that row."""
    world.start_bot()
    await world.joined()
    await world.ask("mod", "!count deaths +1")
    await world.until(world.drained)
    row = {"channel_id": world.channels["lobby"], "key": "counters"}
    world.supabase.human_update("component_state", row, {"data": {"values": {"deaths": 1, "falls": 7}}})
    await world.ask("mod", "!count deaths +1")
    await world.converge()
    world.judge()


def test_it_keeps_what_the_human_set() -> None:
    """With the guard the save is refused, and repeated on top of the edit."""

    async def story(world: World) -> None:
        await a_row_is_edited(world)
        assert world.counter("lobby", "falls") == 7
        assert world.counter("lobby", "deaths") == 2
        assert sum(record.refused for record in world.supabase.saves) == 1

    play(story, STORY)


def test_without_it_the_edit_is_gone() -> None:
    """Without the guard the row becomes what the bot had in RAM, and nobody but two invariants notices."""

    async def story(world: World) -> None:
        switch_off(world)
        await a_row_is_edited(world)
        assert world.counter("lobby", "falls") == 0
        assert world.counter("lobby", "deaths") == 2
        assert broken(world) == ["human_edits", "human_values"]

    play(story, STORY, strict=False)


def test_without_it_a_night_of_edits_is_not_clean() -> None:
    """The scenario `human_edit` tells the two databases apart."""

    async def night(world: World) -> list[str]:
        switch_off(world)
        report = await world.night()
        return names(violation.invariant for violation in report.violations)

    assert "human_edits" in play(night, SCENARIOS["human_edit"], strict=False)
