"""A channel is paused: by the database before the bot started, by a human in the table editor, or in chat."""

from __future__ import annotations

import pytest

from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import StoryError, World, play
from tests.scenarios.places import Place

NIGHT = Scenario("pause", "paused", fixed=("lobby",))


def is_paused_in_ram(world: World) -> bool:
    """True if the bot knows that its channel is paused."""
    return world.app is not None and world.app.manager.obtain(world.channels["lobby"], "lobby").config.paused


async def is_silent(world: World) -> bool:
    """True if the bot does not answer a ping."""
    try:
        await world.ask("viewer", "!ping", within_s=3)
    except StoryError:
        return True
    return False


def test_paused_in_the_database_stays_paused(place: Place) -> None:
    """A load that fails must not count as "not paused", and defaults must not be written over the row."""

    async def story(world: World) -> None:
        world.supabase.human_update(
            "channels_config", {"login": "lobby"}, {"paused": True, "language": "pt-br"}
        )
        world.break_database(Hang())
        world.start_bot()
        await world.joined(within_s=10)
        world.heal()
        await world.converge()
        await world.until(lambda: world.app is not None and world.app.directory.reconciled, 70)
        assert await is_silent(world)
        assert world.config("lobby")["paused"] is True
        assert world.config("lobby")["language"] == "pt-br"

    play(story, NIGHT, **place)


def test_a_pause_outlives_an_outage_and_a_crash(place: Place) -> None:
    """Paused in chat during an outage, then kill -9: still paused, and the database learns it."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.break_database(Hang())
        await world.ask("mod", "!pause")
        assert await is_silent(world)
        world.crash_bot()
        world.start_bot()
        await world.joined(within_s=10)
        assert await is_silent(world)
        world.heal()
        await world.converge()
        assert world.config("lobby")["paused"] is True
        assert world.config("lobby")["enabled"] is True, "only the one column was written"
        await world.ask("mod", "!resume")
        await world.until(lambda: world.config("lobby")["paused"] is False)
        assert await world.ask("viewer", "!ping") == "Pong!"

    play(story, NIGHT, **place)


@pytest.mark.parametrize("outage", [False, True], ids=["healthy", "during an outage"])
def test_a_humans_pause_in_the_table_editor_counts(place: Place, outage: bool) -> None:
    """A human's edit is seen at the next refresh, and is never overwritten unseen."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        if outage:
            world.break_database(Hang())
            await world.ask("mod", "!count deaths +1")
        world.supabase.human_update("channels_config", {"login": "lobby"}, {"paused": True})
        if outage:
            assert await world.ask("viewer", "!ping") == "Pong!", "nobody can know yet"
            world.heal()
            await world.converge()
        await world.until(lambda: is_paused_in_ram(world), 70)
        assert await is_silent(world)
        assert world.config("lobby")["paused"] is True
        world.judge()

    play(story, NIGHT, **place)


def test_a_human_edits_another_column_while_the_bot_pauses(place: Place) -> None:
    """Both edits live: the bot's refused patch is rebased on the human's row."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.supabase.human_update("channels_config", {"login": "lobby"}, {"language": "pt-br"})
        await world.ask("mod", "!pause")
        await world.until(lambda: world.config("lobby")["paused"] is True, 10)
        assert world.config("lobby")["language"] == "pt-br"
        await world.until(world.drained)
        world.judge()

    play(story, NIGHT, **place)
