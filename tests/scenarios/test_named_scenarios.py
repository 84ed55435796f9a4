"""Every named night keeps every promise, whatever the seed and the order of what is ready at the same instant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.faults import TwitchPackets
from simulator.loop import ReadyOrder
from simulator.scenarios import SCENARIOS
from simulator.world import World, play, simulate
from tests.scenarios.places import over_sockets


@pytest.mark.parametrize(("seed", "ready_order"), [(1, "fifo"), (2, "random"), (3, "random")])
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_night_keeps_every_promise(name: str, seed: int, ready_order: ReadyOrder) -> None:
    """No invariant breaks, the bot recovers in time, and the night had something to lose."""
    report = simulate(SCENARIOS[name], seed, ready_order=ready_order)
    assert report.ok, report.to_text()
    assert report.counts["confirmed_counter_changes"] > 20


@pytest.mark.parametrize("name", ["outage", "restart"])
def test_the_night_is_the_same_kind_of_night_over_sockets(name: str) -> None:
    """Real loopback sockets in virtual time: the promises hold there too."""
    report = simulate(SCENARIOS[name], 1, network="tcp")
    assert report.ok, report.to_text()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_night_keeps_every_promise_over_eventsub(name: str) -> None:
    """With TwitchIO's own code on the bot's side; Twitch's faults strike EventSub then."""
    scenario = SCENARIOS[name]
    report = simulate(
        replace(scenario, faults=over_sockets(scenario.faults)), 1, transport="eventsub", ready_order="random"
    )
    assert report.ok, report.to_text()
    assert report.counts["confirmed_counter_changes"] > 20
    assert "irc_logins" not in report.counts


@pytest.mark.parametrize("name", ["disk_full", "slow_sync"])
def test_the_disk_is_in_trouble_in_its_nights(name: str) -> None:
    """The bot announces it, replies leave all the same, and most of the night they wait as always."""

    async def night(world: World) -> None:
        report = await world.night()
        assert report.ok, report.to_text()
        assert 20 < world.bot.ungated_replies < len(report.transcript) * 0.7

    play(night, SCENARIOS[name], seed=4, judge=False)


def test_names_are_those_of_the_scenarios() -> None:
    """`byte-sim list` shows each under its own name, with a summary; all channels stay below Twitch's limits."""
    assert all(name == scenario.name and scenario.summary for name, scenario in SCENARIOS.items())
    wanted = {
        "queda", "outage", "slow", "flapping", "reconnect_storm", "raid_during_outage", "command_storm", "restart",
        "crash", "lost_answers", "human_edit", "quiet", "disk_full", "slow_sync", "power_cut",
    }  # fmt: skip
    assert wanted <= set(SCENARIOS)
    assert any(isinstance(fault, TwitchPackets) for fault in SCENARIOS["reconnect_storm"].faults)
