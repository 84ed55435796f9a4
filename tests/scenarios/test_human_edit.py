"""A human changes a row of state in Supabase's table editor while the bot runs."""

from __future__ import annotations

import asyncio

from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place


def test_an_edit_is_merged_and_never_overwritten_unseen(place: Place) -> None:
    """The bot's next save is refused, the human's value arrives in RAM, and local changes go on top."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        row = {"channel_id": world.channels["lobby"], "key": "counters"}
        world.supabase.human_update("component_state", row, {"data": {"values": {"deaths": 100, "falls": 7}}})
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        await world.until(world.drained)
        assert world.counter("lobby", "deaths") == 101
        assert world.counter("lobby", "falls") == 7
        assert await world.ask("viewer", "!count deaths") == "deaths: 101"

    play(story, Scenario("edit", "a human's edit"), **place)


def test_a_row_deleted_by_a_human_comes_back_with_what_was_done_since_only(place: Place) -> None:
    """After a deletion in the table editor the next change starts from nothing."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +5")
        await world.until(world.drained)
        world.supabase.human_delete(
            "component_state", {"channel_id": world.channels["lobby"], "key": "counters"}
        )
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        assert world.counter("lobby", "deaths") == 1

    # What a human deleted is gone, rightly; the world's account of what viewers were told does not know that.
    play(story, Scenario("deleted", "a human deletes a row"), **place, judge=False)


def listed(world: World) -> list[str]:
    """The logins in channels_config, without the sentinel."""
    return [row["login"] for row in world.supabase.rows("channels_config") if row["login"] != ".sentinel"]


def test_a_channel_deleted_just_before_a_command_stays_deleted(place: Place) -> None:
    """What the command changed in the row is given up with it, and the bot leaves; the channels of its settings it lists itself."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade", "cinema")
        await world.until(world.drained)
        for login in ("lobby", "cinema"):
            world.supabase.human_delete("channels_config", {"login": login})
            assert await world.ask("mod", "!pause", channel=login)
        await world.until(lambda: "lobby" not in world.faces.bot_channels(), 90)
        await world.until(world.drained)
        assert sorted(listed(world)) == ["arcade", "cinema"]
        assert sorted(world.faces.bot_channels()) == ["arcade", "cinema"]

    scenario = Scenario(
        "unlisted", "a channel is deleted", channels=("lobby", "arcade", "cinema"), fixed=("cinema",)
    )
    play(story, scenario, **place)


def test_a_command_does_not_list_one_channel_of_an_emptied_table(place: Place) -> None:
    """A list of that one alone would part all the others; the change waits until the rows are there again."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade")
        await world.until(world.drained)
        for login in ("lobby", "arcade"):
            world.supabase.human_delete("channels_config", {"login": login})
        assert await world.ask("mod", "!pause")
        await asyncio.sleep(130 - world.loop.time())
        assert listed(world) == []
        assert sorted(world.faces.bot_channels()) == ["arcade", "lobby"]
        for login in ("lobby", "arcade"):
            world.supabase.human_insert("channels_config", {"login": login})
        await world.until(lambda: world.config("lobby")["paused"] is True, 90)
        assert sorted(world.faces.bot_channels()) == ["arcade", "lobby"]

    play(story, Scenario("emptied", "the table is emptied", channels=("lobby", "arcade")), **place)


def test_a_typo_in_the_table_editor_is_not_overwritten(place: Place) -> None:
    """A row that no longer fits its types is left alone until it is corrected; then the changes are saved."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        row = {"channel_id": world.channels["lobby"], "key": "counters"}
        world.supabase.human_update("component_state", row, {"data": {"values": {"deaths": "many"}}})
        await world.ask("mod", "!count deaths +1")
        await asyncio.sleep(30 - world.loop.time())
        assert world.stored("component_state", world.channels["lobby"], "counters") == {
            "values": {"deaths": "many"}
        }
        world.supabase.human_update("component_state", row, {"data": {"values": {"deaths": 10}}})
        await world.until(lambda: world.counter("lobby", "deaths") == 11, 90)
        await world.until(world.drained)

    # The human changed a counter by hand; the world's account of what viewers were told does not know that.
    play(story, Scenario("typo", "a human's typo"), **place, judge=False)


def test_a_cell_that_is_no_object_concerns_its_row_alone(place: Place) -> None:
    """`[]` typed into one cell: that row waits for its human, all others load and are saved, and nothing is "down"."""

    async def story(world: World) -> None:
        for channel in world.scenario.channels:
            world.store_counters(channel, deaths=5)
        row = {"channel_id": world.channels["lobby"], "key": "counters"}
        world.supabase.engine.connection.execute("pragma ignore_check_constraints = on")
        world.supabase.human_update("component_state", row, {"data": []})
        world.start_bot()
        await world.joined("lobby", "arcade")
        assert await world.ask("mod", "!count deaths +1", channel="arcade") == "deaths: 6"
        assert await world.ask("mod", "!count deaths +1", channel="lobby") == "deaths: 1"
        await world.until(lambda: world.counter("arcade", "deaths") == 6, 10)
        assert world.app is not None
        assert world.app.layer.link.circuit == "closed"
        assert world.stored("component_state", world.channels["lobby"], "counters") == []
        world.supabase.human_update("component_state", row, {"data": {"values": {"deaths": 10}}})
        await world.until(lambda: world.counter("lobby", "deaths") == 11, 90)

    # The human changed a counter by hand; the world's account of what viewers were told does not know that.
    play(
        story,
        Scenario("cell", "a cell that is no object", channels=("lobby", "arcade")),
        **place,
        judge=False,
    )
