"""Every named night keeps every promise, whatever the seed and the order of what is ready at the same instant, on both transports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.audience import Chatter, CommandStorm
from simulator.faults import TwitchPackets
from simulator.loop import ReadyOrder
from simulator.report import Report
from simulator.scenario import Scenario
from simulator.scenarios import SCENARIOS
from simulator.world import World, play
from tests.scenarios.places import PLACES, Place, over_sockets

#: The nights in which the disk under the journal is in trouble for long.
DISK_NIGHTS = ("disk_full", "slow_sync")


def over_real_sockets(scenario: Scenario) -> Scenario:
    """The night as real sockets can have it; those being dear, the same people speak half as often."""
    crowds = (
        replace(crowd, rate_per_s=crowd.rate_per_s / 2)
        if isinstance(crowd, Chatter | CommandStorm)
        else crowd
        for crowd in scenario.crowds
    )
    return replace(scenario, faults=over_sockets(scenario.faults), crowds=tuple(crowds))


def spend(name: str, seed: int, ready_order: ReadyOrder, place: Place) -> Report:
    """Spend a night in a place, in which no promise may be broken.

    Where the disk is in trouble the bot announces it and replies leave all the same; most of the night they wait as always.
    """
    scenario = SCENARIOS[name] if place == PLACES["memory"] else over_real_sockets(SCENARIOS[name])

    async def night(world: World) -> Report:
        report = await world.night()
        if name in DISK_NIGHTS:
            assert 0.05 < world.bot.ungated_replies / len(report.transcript) < 0.7
        return report

    report = play(night, scenario, seed=seed, ready_order=ready_order, **place, strict=False, judge=False)
    assert report.ok, report.to_text()
    assert report.counts["confirmed_counter_changes"] > 20
    return report


@pytest.mark.parametrize(("seed", "ready_order"), [(1, "fifo"), (2, "random")])
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_night_keeps_every_promise(name: str, seed: int, ready_order: ReadyOrder) -> None:
    """No invariant breaks, the bot recovers in time, and the night had something to lose."""
    spend(name, seed, ready_order, PLACES["memory"])


@pytest.mark.parametrize("name", ["outage", "restart"])
def test_the_night_is_the_same_kind_of_night_over_sockets(name: str) -> None:
    """Real loopback sockets in virtual time: the promises hold there too."""
    spend(name, 1, "fifo", PLACES["tcp"])


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_night_keeps_every_promise_over_eventsub(name: str) -> None:
    """With TwitchIO's own code on the bot's side; Twitch's faults strike EventSub then."""
    assert "irc_logins" not in spend(name, 1, "random", PLACES["eventsub"]).counts


def test_names_are_those_of_the_scenarios() -> None:
    """`byte-sim list` shows each under its own name, with a summary; all channels stay below Twitch's limits."""
    assert all(name == scenario.name and scenario.summary for name, scenario in SCENARIOS.items())
    wanted = {
        "queda", "outage", "slow", "flapping", "reconnect_storm", "raid_during_outage", "command_storm", "restart",
        "crash", "lost_answers", "human_edit", "quiet", "disk_full", "slow_sync", "power_cut",
    }  # fmt: skip
    assert wanted <= set(SCENARIOS)
    assert any(isinstance(fault, TwitchPackets) for fault in SCENARIOS["reconnect_storm"].faults)
