"""Somebody takes away what the bot does not know of yet: the database that has it is out of reach, and so is the snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.safeguards.variants import other_machine
from tests.scenarios.places import Place

NIGHT = Scenario("taken_away", "taken away before it was loaded", fixed=("lobby",))

#: What another machine has stored: this one's journal knows nothing of it.
STORED = (
    "!game Celeste",
    "!vibe calm",
    "!style dry",
    "!scene movie Alien",
    "!scene topic taxes",
    "!note add one",
    "!note add two",
    "!count deaths =41",
    "!count wins =7",
    "!cmd add hug {user} hugs, {count}",
    "!cmd add bye Bye!",
)
#: How it is taken away, and what the bot says that knows of none of it.
TAKEN_AWAY: Mapping[str, str] = {
    "!game -": "No game is set.",
    "!vibe clear": "No vibe is set.",
    "!scene movie -": "On screen: no movie that I know of.",
    "!note clear": "All notes are gone (0).",
    "!count deaths del": "There is no counter called deaths.",
    "!cmd del hug": "There is no command !hug of this channel's own.",
}


def stored(world: World) -> dict[str, Any]:
    """What the database has of all that."""
    lobby = world.channels["lobby"]
    stream = world.stored("channel_state", lobby)
    return {
        "game": stream["current_game"],
        "vibe": stream["vibe"],
        "style": stream["style_profile"],
        "scene": stream["observability"],
        "notes": [note["text"] for _, note in sorted(stream["notes"].items())],
        "counters": world.stored("component_state", lobby, "counters")["values"],
        "commands": list(world.stored("component_state", lobby, "custom_commands")["commands"]),
        "uses": world.stored("component_state", lobby, "custom_commands")["uses"],
    }


async def meets_an_outage(world: World) -> None:
    """All that is stored by another machine; then this one starts, and reaches no database."""
    async with other_machine(world):
        for wish in STORED:
            await world.ask("mod", wish)
        assert await world.ask("viewer", "!hug") == "viewer hugs, 1"
    world.break_database(Hang())
    world.start_bot()
    await world.joined(within_s=20)


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_what_is_taken_away_before_its_load_stays_away(place: Place, killed: bool) -> None:
    """Whoever was told that there is none finds none: in chat and in the database, and after a kill -9 too."""

    async def story(world: World) -> None:
        await meets_an_outage(world)
        for wish, reply in TAKEN_AWAY.items():
            assert await world.ask("mod", wish) == reply
        await world.ask("mod", "!note add three")
        await world.ask("mod", "!count deaths +2")
        if killed:
            world.crash_bot()
            world.start_bot()
            await world.joined(within_s=20)
        world.heal()
        await world.converge()
        assert await world.ask("viewer", "!game") == "No game is set."
        assert await world.ask("viewer", "!vibe") == "No vibe is set."
        assert await world.ask("viewer", "!scene") == "On screen: topic: taxes"
        assert await world.ask("viewer", "!note") == "Notes: 1) three"
        assert await world.ask("viewer", "!cmd") == "Commands of this channel: !bye"
        await world.until(world.drained)
        assert stored(world) == {
            "game": "",
            "vibe": "",
            "style": "dry",
            "scene": {"topic": "taxes"},
            "notes": ["three"],
            "counters": {"deaths": 2, "wins": 7},
            "commands": ["bye"],
            "uses": {},
        }
        world.judge()

    play(story, NIGHT, **place)


def test_a_resumed_channel_stays_awake(place: Place) -> None:
    """A bot that does not know that its channel is paused obeys `!resume` all the same."""

    async def story(world: World) -> None:
        async with other_machine(world):
            await world.ask("mod", "!pause")
        world.break_database(Hang())
        world.start_bot()
        await world.joined(within_s=20)
        assert await world.ask("mod", "!resume") == "I was awake all the time."
        world.heal()
        await world.converge()
        await world.until(lambda: world.app is not None and world.app.directory.reconciled, 70)
        assert await world.ask("viewer", "!ping") == "Pong!"
        await world.until(lambda: world.config("lobby")["paused"] is False, 70)

    play(story, NIGHT, **place)
