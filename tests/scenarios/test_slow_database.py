"""Every request takes two seconds."""

from __future__ import annotations

from simulator.audience import CommandStorm
from simulator.faults import Latency
from simulator.scenario import Scenario
from simulator.world import World, play, simulate
from tests.scenarios.places import Place


def test_a_slow_database_is_not_felt_in_chat(place: Place) -> None:
    """Fifty commands during two seconds of latency are all answered at once, and stored in few requests."""

    async def story(world: World) -> None:
        world.break_database(Latency(ms=2000))
        world.start_bot()
        await world.joined(within_s=20)
        # A channel never seen before holds its first message once, for at most 250 ms.
        assert await world.ask("viewer", "!ping") == "Pong!"
        requests = world.meter.requests_total
        for expected in range(1, 51):
            started_s = world.loop.time()
            assert await world.ask("mod", "!count deaths +1") == f"deaths: {expected}"
            assert world.loop.time() - started_s < 0.1
        assert world.meter.requests_total - requests <= 6, "changes are coalesced, not sent one by one"
        await world.until(lambda: world.counter("lobby", "deaths") == 50, 20)
        world.heal()
        await world.converge()
        world.judge()

    play(story, Scenario("slow", "2 s a request"), **place)


def test_a_storm_of_commands_over_a_slow_database_converges(place: Place) -> None:
    """Three commands a second for half a minute: everything confirmed is stored, P6's time is kept."""
    scenario = Scenario(
        "slow_storm",
        "a command storm over a slow database",
        duration_s=30,
        crowds=(
            CommandStorm("lobby", rate_per_s=3, commands=("!count deaths +1", "!count wins +2", "!ping")),
        ),
        faults=(Latency(ms=2000, jitter_ms=500),),
    )
    report = simulate(scenario, seed=3, **place)
    assert report.ok, report.to_text()
    assert report.counts["confirmed_counter_changes"] > 40
