"""A bot that goes back in time for its viewers is seen, also if it catches up before anybody compares."""

from __future__ import annotations

from dataclasses import replace

from byte_bot.app import Application
from simulator.faults import Hang
from simulator.invariants.remembers import Remembers
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, World
from tests.safeguards.journal_variants import TrimOnly, application_on
from tests.simulator.invariants.broken_worlds import Words, watched

KEPT = Scenario("kept", "one channel", fixed=("lobby",))


def after_a_restart(scenario: Scenario = KEPT, application: ApplicationFactory = Application) -> Words:
    """What is seen when a process that has saved 3 deaths dies, and the next one is asked during an outage."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
        await world.until(world.drained)
        world.break_database(Hang())
        world.crash_bot()
        world.start_bot()
        await world.joined()
        await world.ask("viewer", "!count deaths")
        await world.ask("mod", "!count deaths +1")
        world.heal()
        await world.converge()

    return watched(story, Remembers(), scenario, application)


def test_a_bot_that_remembers_breaks_nothing() -> None:
    """It goes on where the process before it ended, database or not."""
    assert after_a_restart() == []


def test_an_older_number_is_seen() -> None:
    """Its first change since is told from where it believed to be; the database ends up right."""
    words = after_a_restart(application=application_on(TrimOnly))
    assert words == [
        "'There is no counter called deaths.' was said in #lobby, where viewers were told changes that make 3 to 3",
        "'deaths: 1' was said in #lobby, where viewers were told changes that make 4 to 4",
    ]


def test_where_nothing_is_promised_nothing_is_said() -> None:
    """A disk that is lost with its process, and a bot that keeps nothing."""
    for scenario in (replace(KEPT, disk="lost"), replace(KEPT, settings={"durability": "off"})):
        assert after_a_restart(scenario) == []


def test_a_counter_that_was_there_before_is_not_judged() -> None:
    """Nor one that a human has edited."""

    async def story(world: World) -> None:
        world.store_counters("lobby", wins=7)
        world.break_database(Hang())
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count wins +1")
        world.heal()
        await world.converge()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        await world.until(world.drained)
        row = {"channel_id": world.channels["lobby"], "key": "counters"}
        world.supabase.human_update("component_state", row, {"data": {"values": {"deaths": 9}}})
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 11"

    assert watched(story, Remembers(), KEPT) == []
