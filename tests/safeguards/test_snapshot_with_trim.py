"""Safeguard: one write trims the journal and updates its snapshot. What is no longer pending is known as stored."""

from __future__ import annotations

from byte_bot.app import Application
from simulator.faults import Hang
from simulator.world import ApplicationFactory, World, play
from tests.safeguards.journal_variants import TrimOnly, application_on


def test_a_cold_start_during_an_outage_knows_the_last_number() -> None:
    """From the snapshot: the row was saved and trimmed, and the database cannot be asked."""
    assert answer_of_a_cold_start(Application) == "deaths: 3"


def test_without_it_a_cold_start_answers_with_an_old_number() -> None:
    """The journal has dropped what was saved, and its snapshot is from before."""
    assert answer_of_a_cold_start(application_on(TrimOnly)) == "deaths: 1"


def answer_of_a_cold_start(application: ApplicationFactory) -> str:
    """What ``!count deaths`` says right after a process was killed and another one started, all during an outage."""

    async def story(world: World) -> str:
        world.store_counters("lobby", deaths=1)
        world.start_bot()
        await world.joined()
        assert await world.ask("viewer", "!count deaths") == "deaths: 1"
        assert await world.ask("mod", "!count deaths +2") == "deaths: 3"
        await world.until(world.drained)
        world.break_database(Hang())
        world.crash_bot()
        world.start_bot()
        await world.joined()
        return await world.ask("viewer", "!count deaths")

    return play(story, application=application, strict=False)
