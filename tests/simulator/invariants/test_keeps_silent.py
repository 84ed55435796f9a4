"""A bot that talks where it has promised not to is seen, whoever has forgotten the promise."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from byte_bot.app import Application
from simulator.faults import Hang
from simulator.invariants.keeps_silent import KeepsSilent
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, World
from tests.safeguards.journal_variants import StatesOnly
from tests.safeguards.variants import application_with
from tests.simulator.invariants.broken_worlds import Words, watched

KEPT = Scenario("kept", "one channel", fixed=("lobby",))
FORGETFUL = application_with(lambda made: made.layer.snapshot, StatesOnly)


def after_a_restart(
    scenario: Scenario = KEPT,
    application: ApplicationFactory = Application,
    *,
    edited: bool = False,
    resumed: bool = False,
) -> Words:
    """What is seen when a process that was paused dies during an outage, and somebody pings the next one twice."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert (await world.ask("mod", "!pause")).startswith("Good night")
        await world.until(world.drained)
        if resumed:
            assert await world.ask("mod", "!resume") == "I am back."
        if edited:
            world.supabase.human_update("channels_config", {"login": "lobby"}, {"paused": False})
        world.break_database(Hang())
        world.crash_bot()
        world.start_bot()
        await world.joined()
        for _ in range(2):
            world.say("viewer", "!ping")
            await asyncio.sleep(2)
        world.heal()
        await world.converge()

    return watched(story, KeepsSilent(), scenario, application)


def test_a_bot_that_keeps_silent_breaks_nothing() -> None:
    """Nor one that was woken up."""
    assert after_a_restart() == []
    assert after_a_restart(resumed=True) == []


def test_the_first_line_of_one_that_does_not_is_seen() -> None:
    """Once: what it says then is no news."""
    words = after_a_restart(application=FORGETFUL)
    assert words == ["'Pong!' was said in #lobby, where viewers were told that nothing is said until !resume"]


def test_a_bot_is_awake_as_soon_as_a_moderator_has_said_so() -> None:
    """Its answer may come later than others, or never: Twitch's limits hold it back. A viewer cannot wake it."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        for login, line in (("mod", "!pause"), ("mod", "!resume"), ("viewer", "!ping")):
            world.say(login, line)
        await asyncio.sleep(3)
        assert await world.ask("mod", "!pause")
        world.say("viewer", "!resume")
        world.say("viewer", "!ping")
        await asyncio.sleep(3)

    assert watched(story, KeepsSilent(), KEPT) == []


def test_where_nothing_is_promised_nothing_is_said() -> None:
    """A disk that is lost with its process, a bot that keeps nothing, a human who has woken it up."""
    for scenario in (replace(KEPT, disk="lost"), replace(KEPT, settings={"durability": "off"})):
        assert after_a_restart(scenario, FORGETFUL) == []
    assert after_a_restart(application=FORGETFUL, edited=True) == []
