"""Safeguard: a start without the database takes each channel's configuration from the snapshot: who was told to be silent is."""

from __future__ import annotations

import asyncio

from byte_bot.app import Application
from simulator.faults import Hang
from simulator.world import ApplicationFactory, World, play
from tests.safeguards.journal_variants import StatesOnly
from tests.safeguards.variants import application_with


def test_a_paused_channel_stays_silent_over_a_restart_in_mid_outage() -> None:
    """And it wakes up when a moderator says so."""
    assert what_is_said_after_a_restart(Application) == ("", "I am back.")


def test_without_it_the_bot_talks_where_it_promised_not_to() -> None:
    """Until the database comes back, hours later perhaps."""
    without = application_with(lambda made: made.layer.snapshot, StatesOnly)
    assert what_is_said_after_a_restart(without) == ("Pong!", "I was awake all the time.")


def what_is_said_after_a_restart(application: ApplicationFactory) -> tuple[str, str]:
    """The answers to ``!ping`` and ``!resume`` of a bot that was paused, killed, and started again during an outage."""

    async def story(world: World) -> tuple[str, str]:
        world.start_bot()
        await world.joined()
        assert (await world.ask("mod", "!pause")).startswith("Good night")
        await world.until(world.drained)
        world.break_database(Hang())
        world.crash_bot()
        world.start_bot()
        await world.joined()
        before = len(world.transcript)
        world.say("viewer", "!ping")
        await asyncio.sleep(3.0)
        said = " ".join(line.text for line in world.transcript[before:])
        return said, await world.ask("mod", "!resume")

    return play(story, application=application, strict=False)
