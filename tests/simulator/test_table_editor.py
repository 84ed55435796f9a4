"""Looking at the database like a human: past all faults."""

from __future__ import annotations

import pytest

from simulator.conversation import StoryError
from simulator.faults import Refused
from simulator.scenario import Scenario
from simulator.world import World, play


def test_stored_counters_are_there_and_the_account_knows_them() -> None:
    """What an earlier process would have left is in the table before the bot starts, whatever the faults."""

    async def story(world: World) -> None:
        world.break_database(Refused())
        world.editor.store_counters("lobby", deaths=7, wins=1)
        assert world.editor.counter("lobby", "deaths") == 7
        assert world.editor.counter("lobby", "unknown") == 0
        assert world.editor.counter("arcade", "deaths") == 0
        assert world.account.range_of("lobby", "deaths") == (7, 7)
        stored = world.editor.stored("component_state", world.channels["lobby"], "counters")
        assert stored == {"values": {"deaths": 7, "wins": 1}}
        assert world.editor.stored("component_state", world.channels["lobby"], "quotes") is None

    play(story, Scenario("editor", "two channels", channels=("lobby", "arcade")))


def test_a_channels_configuration_is_its_row() -> None:
    """The row as it stands; there is none for a channel that is not listed."""

    async def story(world: World) -> None:
        assert world.editor.config("lobby")["enabled"] is True
        with pytest.raises(StoryError, match="no row for 'arcade'"):
            world.editor.config("arcade")

    play(story)
