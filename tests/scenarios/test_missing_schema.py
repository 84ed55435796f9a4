"""The schema was never applied, or without its grants."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.persistence.schema import SCHEMA_DIR
from simulator.faults import Fault, MissingFunction, MissingGrant
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place

FAULTS = (
    MissingFunction(name="byte_bot_take_epoch"),
    MissingFunction(name="byte_bot_save"),
    MissingGrant(table="component_state"),
)


@pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda fault: f"{fault.kind}-{getattr(fault, 'name', '') or fault.table}"
)
def test_the_bot_pauses_its_writes_says_what_to_do_and_loses_nothing(place: Place, fault: Fault) -> None:
    """Whatever is missing: chat goes on, the log names the way out, and after it was applied everything is saved."""

    async def story(world: World) -> None:
        world.break_database(fault)
        world.start_bot()
        await world.joined(within_s=10)
        for expected in range(1, 6):
            assert await world.ask("mod", "!count deaths +1") == f"deaths: {expected}"
        await asyncio.sleep(30 - world.loop.time())
        assert world.app is not None
        assert "byte-bot migrate --print" in world.app.layer.link.last_error
        assert world.counter("lobby", "deaths") == 0
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 5
        world.judge()

    play(story, Scenario("missing", "something is missing", fixed=("lobby",)), **place)


def test_a_missing_grant_on_the_channel_list_keeps_the_last_known_channels(place: Place) -> None:
    """Only the list cannot be read: state is saved, nobody is parted, and the list counts again after the grant."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade")
        world.break_database(MissingGrant(table="channels_config"))
        world.supabase.human_update("channels_config", {"login": "arcade"}, {"enabled": False})
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        await asyncio.sleep(100 - world.loop.time())
        assert world.counter("lobby", "deaths") == 1
        assert sorted(world.faces.bot_channels()) == ["arcade", "lobby"]
        world.heal()
        await world.until(lambda: world.faces.bot_channels() == ("lobby",), 90)

    play(story, Scenario("no_list", "the list cannot be read", channels=("lobby", "arcade")), **place)


def test_a_missing_table_pauses_and_resumes(place: Place) -> None:
    """A project without the table at all: 404 with PGRST205, the same advice, the same end."""

    async def story(world: World) -> None:
        world.supabase.drop_table("component_state")
        world.start_bot()
        await world.joined(within_s=10)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        await asyncio.sleep(20 - world.loop.time())
        assert world.app is not None
        assert "byte-bot migrate --print" in world.app.layer.link.last_error
        world.supabase.apply_schema(SCHEMA_DIR)
        await world.converge()
        assert world.counter("lobby", "deaths") == 1

    play(story, Scenario("no_table", "a table is missing", fixed=("lobby",)), **place)
