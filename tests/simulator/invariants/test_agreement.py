"""Database, RAM and what viewers were told: any two that disagree are seen."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.audience import Spoken, Utterance
from simulator.faults import Hang, TwitchReordering
from simulator.invariants.agreement import Agreement
from simulator.scenario import Scenario
from simulator.world import World, simulate
from tests.safeguards.row_variants import LossyRow, layer_of
from tests.safeguards.variants import application_with
from tests.simulator.invariants.broken_worlds import overwrite, watched, working_bot

LOSSY = application_with(lambda made: made.layer, layer_of(LossyRow))


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


@pytest.mark.parametrize(
    ("left", "seen"),
    [
        ({"commands": {"hug": {"text": "hugs"}}}, False),
        ({"commands": {"hug": {"text": "hugs", "mood": "new"}}}, True),
        ({"commands": {"hug": {"author": "ann"}}}, True),
        ({"commands": {}}, True),
        ({"commands": {"hug": {"text": "hugs"}, "kiss": {"text": "kisses"}}}, True),
    ],
)
def test_a_part_of_an_entry_that_is_not_stored_is_empty(left: dict[str, Any], seen: bool) -> None:
    """A human need not enter a command's author; but no part that is something, and no entry, may be missing in one of the two."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.ask("mod", "!cmd add dance dances")
        await world.until(world.drained)
        entered = {"commands": {"hug": {"text": "hugs"}}, "uses": {}}
        world.supabase.human_update("component_state", {"key": "custom_commands"}, {"data": entered})
        await world.ask("mod", "!cmd del dance")
        await world.until(world.drained)
        await world.ask("mod", "!cmd add dance dances")
        await world.ask("mod", "!cmd del dance")
        await world.until(world.drained)
        overwrite(world, "component_state", {"data": left}, key="custom_commands")

    assert any("/custom_commands: database" in words for words in watched(story, Agreement())) == seen


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


@pytest.mark.parametrize(
    ("said", "row", "told"),
    [
        (
            "!game Celeste",
            "channel_state",
            "game in #lobby: viewers were told 'Celeste', the database has ''",
        ),
        ("!vibe calm", "channel_state", "vibe in #lobby: viewers were told 'calm', the database has ''"),
        ("!style dry", "channel_state", "style in #lobby: viewers were told 'dry', the database has ''"),
        (
            "!scene movie Alien",
            "channel_state",
            "scene movie in #lobby: viewers were told 'Alien', the database has ''",
        ),
        (
            "!note add tea",
            "channel_state",
            "note 'tea' in #lobby: viewers were told of 1 to 1, the database has 0",
        ),
        (
            "!quote add ouch",
            "component_state",
            "quote 'ouch' in #lobby: viewers were told of 1 to 1, the database has 0",
        ),
        (
            "!cmd add hug Hugs!",
            "component_state",
            "cmd hug in #lobby: viewers were told 'Hugs!', the database has ''",
        ),
    ],
)
def test_a_bot_that_does_not_record_what_it_confirms_is_seen(said: str, row: str, told: str) -> None:
    """Its rows are saved without the change: RAM and the viewers know it, the database does not."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.ask("mod", said)
        await world.until(world.drained)

    ram, words = watched(story, Agreement(), application=LOSSY)
    assert ram.startswith(f"{row}/") and ": database " in ram
    assert words == told
    assert watched(story, Agreement()) == [], "the same night with the bot as it is"


def test_a_lost_deletion_is_seen() -> None:
    """What viewers were told is gone must not be stored any more."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.ask("mod", "!quote add ouch")
        await world.until(world.drained)
        stored = world.stored("component_state", world.channels["lobby"], "quotes")
        await world.ask("mod", "!quote del 1")
        await world.until(world.drained)
        world.crash_bot()
        overwrite(world, "component_state", {"data": stored}, key="quotes")

    assert watched(story, Agreement()) == [
        "quote 'ouch' in #lobby: viewers were told of 0 to 0, the database has 1"
    ]


def test_fields_of_a_newer_program_are_no_disagreement() -> None:
    """The bot keeps what it does not know, and RAM does not show it."""

    async def story(world: World) -> None:
        await working_bot(world)
        channel_id = world.channels["lobby"]
        data = {**world.stored("component_state", channel_id, "counters"), "newer": 1}
        overwrite(world, "component_state", {"data": data}, key="counters")

    assert watched(story, Agreement()) == []


def test_a_superseded_process_that_has_had_nothing_to_save_is_not_judged_by_its_memory() -> None:
    """It learns of the other one with its next save, and ends then."""

    async def story(world: World) -> None:
        await working_bot(world)
        overwrite(world, "bot_writer", {"epoch": 9, "holder": "another machine/1"}, id=1)
        overwrite(world, "channel_state", {"data": {"vibe": "theirs"}}, channel_id=world.channels["lobby"])

    assert watched(story, Agreement()) == []


def test_the_game_that_the_bot_heard_last_is_no_disagreement() -> None:
    """Twitch delivers the first one after the second: that is the order in which the bot answers, and the game that stays."""
    crowd = Spoken(
        lines=(
            Utterance(1.5, "lobby", "mod", "!game First", role="moderator"),
            Utterance(2.5, "lobby", "mod", "!game Second", role="moderator"),
        )
    )
    late = TwitchReordering(start_s=1, duration_s=1, probability=1.0, delay_s=1.5)
    night = Scenario("overtaken", "one message overtakes another", 4, crowds=(crowd,), faults=(late,))
    report = simulate(night, seed=1)
    assert [line.text for line in report.transcript] == ["Game: Second", "Game: First"]
    assert report.ok, report.to_text()
