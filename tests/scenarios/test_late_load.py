"""The load of a channel comes after its state was changed in RAM."""

from __future__ import annotations

from simulator.faults import Hang, Latency
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place


def test_a_late_load_never_overwrites_newer_ram(place: Place) -> None:
    """One command before the load, then two restarts: the game that was set stays, and so does the older state."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!game Elden Ring")
        await world.ask("mod", "!vibe calm")
        await world.stop_bot()

        world.break_database(Latency(ms=3000))
        world.start_bot()
        await world.joined(within_s=20)
        await world.ask("mod", "!game Hades")
        assert "Hades" in await world.ask("viewer", "!game")
        await world.until(world.drained, 60)
        assert "Hades" in await world.ask("viewer", "!game"), (
            "the late load must not win over the newer change"
        )
        assert "calm" in await world.ask("viewer", "!vibe"), "what was not changed comes from the load"
        await world.until(world.drained, 60)
        await world.stop_bot()

        world.heal()
        world.start_bot()
        await world.joined()
        assert "Hades" in await world.ask("viewer", "!game")
        assert "calm" in await world.ask("viewer", "!vibe")

    play(story, Scenario("late_load", "the load comes late", disk="lost", fixed=("lobby",)), **place)


def test_a_row_whose_base_is_not_loaded_is_never_sent(place: Place) -> None:
    """While loads hang and saves would work, defaults never replace a good row."""

    async def story(world: World) -> None:
        world.store_counters("lobby", deaths=1500)
        world.break_database(Hang())
        world.start_bot()
        await world.joined(within_s=10)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 1501
        world.judge()

    play(story, Scenario("no_base", "no base", fixed=("lobby",)), **place)


def test_an_absolute_value_discards_what_a_late_load_brings(place: Place) -> None:
    """`!count deaths =5` during an outage means five, whatever was stored."""

    async def story(world: World) -> None:
        world.store_counters("lobby", deaths=1500, wins=7)
        world.break_database(Hang())
        world.start_bot()
        await world.joined(within_s=10)
        assert await world.ask("mod", "!count deaths =5") == "deaths: 5"
        assert await world.ask("mod", "!count deaths +1") == "deaths: 6"
        assert await world.ask("mod", "!count wins +1") == "wins: 1"
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 6
        assert world.counter("lobby", "wins") == 8
        world.judge()

    play(story, Scenario("assign", "an absolute value", fixed=("lobby",)), **place)
