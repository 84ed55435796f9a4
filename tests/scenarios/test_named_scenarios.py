"""Every named night keeps every promise, whatever the seed and the order of what is ready at the same instant."""

from __future__ import annotations

import asyncio
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


#: Twitch gives one account 900 channels over EventSub's WebSockets: three with 300 subscriptions each.
EVENTSUB_CHANNELS_MAX = 900


@pytest.mark.parametrize(
    "name", [name for name, night in SCENARIOS.items() if len(night.channels) <= EVENTSUB_CHANNELS_MAX]
)
def test_the_night_keeps_every_promise_over_eventsub(name: str) -> None:
    """With TwitchIO's own code on the bot's side; Twitch's faults strike EventSub then."""
    scenario = SCENARIOS[name]
    report = simulate(
        replace(scenario, faults=over_sockets(scenario.faults)), 1, transport="eventsub", ready_order="random"
    )
    assert report.ok, report.to_text()
    assert report.counts["confirmed_counter_changes"] > 20
    assert "irc_logins" not in report.counts


def test_the_poisoned_row_waits_alone() -> None:
    """It is refused while it is poisoned, the others are saved past it, and in the end nothing waits."""
    seen: list[tuple[int, int]] = []

    async def watch(world: World) -> None:
        for at_s in (11.0, 39.0):
            await asyncio.sleep(at_s - world.loop.time())
            assert world.app is not None
            counters = world.app.layer.telemetry.counters
            seen.append((counters["dead_letters"], counters["rows_saved"]))

    async def night(world: World) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch(world))
            report = await world.night()
        assert report.ok, report.to_text()

    play(night, SCENARIOS["poison_row"], seed=4, judge=False)
    (letters_before, saved_before), (letters, saved) = seen
    assert letters_before == 0 < letters
    assert saved > saved_before + 10


@pytest.mark.parametrize("name", ["disk_full", "slow_sync"])
def test_the_disk_is_in_trouble_in_its_nights(name: str) -> None:
    """The bot announces it, replies leave all the same, and most of the night they wait as always."""

    async def night(world: World) -> None:
        report = await world.night()
        assert report.ok, report.to_text()
        assert 20 < world.bot.ungated_replies < len(report.transcript) * 0.7

    play(night, SCENARIOS[name], seed=4, judge=False)


def test_what_people_look_for_is_there() -> None:
    """Each kind of trouble has its night, and the storm of reconnects its cut packets."""
    wanted = {
        "queda", "outage", "slow", "flapping", "reconnect_storm", "raid_during_outage", "command_storm", "restart",
        "crash", "lost_answers", "human_edit", "quiet", "disk_full", "slow_sync", "power_cut", "hype_train", "token_expiry",
        "poison_row", "two_instances", "clock_jump", "thousand_quiet_channels",
    }  # fmt: skip
    assert wanted <= set(SCENARIOS)
    assert any(isinstance(fault, TwitchPackets) for fault in SCENARIOS["reconnect_storm"].faults)
