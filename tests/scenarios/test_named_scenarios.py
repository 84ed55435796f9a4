"""Every named night keeps every promise, on both transports."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from simulator.audience import Chatter, CommandStorm
from simulator.faults import TwitchPackets
from simulator.loop import ReadyOrder
from simulator.report import Report
from simulator.scenario import Scenario
from simulator.scenarios import SCENARIOS
from simulator.world import World, play
from tests.scenarios.places import PLACES, Place, over_sockets

#: Each night is spent in one of them: three hundred twins and the sweep go through both.
READY_ORDERS: tuple[ReadyOrder, ...] = ("fifo", "random")
#: The nights in which the disk under the journal is in trouble for long.
DISK_NIGHTS = ("disk_full", "slow_sync")
#: The night that is spent by a test of its own, in every place: `test_the_poisoned_row_waits_alone`.
WATCHED = "poison_row"
#: What one account can hear over EventSub's WebSockets: three with 300 subscriptions each, six a channel.
EVENTSUB_CHANNELS_MAX = 150


def over_real_sockets(scenario: Scenario) -> Scenario:
    """The night as real sockets can have it; those being dear, the same people speak a third as often.

    Half as often where the token runs out: some have to speak while the bot is away.
    """
    fewer = 2 if scenario.name == "token_expiry" else 3
    crowds = (
        replace(crowd, rate_per_s=crowd.rate_per_s / fewer)
        if isinstance(crowd, Chatter | CommandStorm)
        else crowd
        for crowd in scenario.crowds
    )
    return replace(scenario, faults=over_sockets(scenario.faults), crowds=tuple(crowds))


def spend(
    name: str,
    seed: int,
    ready_order: ReadyOrder,
    place: Place,
    watch: Callable[[World], Coroutine[Any, Any, None]] | None = None,
) -> Report:
    """Spend a night in a place, in which no promise may be broken, beside whoever watches it.

    Where the disk is in trouble the bot announces it and replies leave all the same; most of the night they wait as always. Where the
    token runs out, the bot is away for a time.
    """
    scenario = SCENARIOS[name] if place == PLACES["memory"] else over_real_sockets(SCENARIOS[name])

    async def night(world: World) -> Report:
        async with asyncio.TaskGroup() as tasks:
            if watch is not None:
                tasks.create_task(watch(world))
            report = await world.night()
        if name in DISK_NIGHTS:
            assert 0.05 < world.bot.ungated_replies / len(report.transcript) < 0.7
        return report

    report = play(night, scenario, seed=seed, ready_order=ready_order, **place, strict=False, judge=False)
    assert report.ok, report.to_text()
    assert report.counts["confirmed_counter_changes"] > 20
    assert name != "token_expiry" or report.unanswered_away > 5
    return report


@pytest.mark.parametrize(
    ("name", "ready_order"),
    [pair for pair in zip(SCENARIOS, itertools.cycle(READY_ORDERS), strict=False) if pair[0] != WATCHED],
)
def test_the_night_keeps_every_promise(name: str, ready_order: ReadyOrder) -> None:
    """No invariant breaks, the bot recovers in time, and the night had something to lose; one order in every other night."""
    spend(name, 1, ready_order, PLACES["memory"])


@pytest.mark.parametrize("name", ["outage", "restart"])
def test_the_night_is_the_same_kind_of_night_over_sockets(name: str) -> None:
    """Real loopback sockets in virtual time: the promises hold there too."""
    spend(name, 1, "fifo", PLACES["tcp"])


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, night in SCENARIOS.items()
        if len(night.channels) <= EVENTSUB_CHANNELS_MAX and name != WATCHED
    ],
)
def test_the_night_keeps_every_promise_over_eventsub(name: str) -> None:
    """With TwitchIO's own code on the bot's side; Twitch's faults strike EventSub then.

    Not `thousand_quiet_channels`: an account's WebSockets carry 3 x 300 subscriptions
    (dev.twitch.tv/docs/eventsub/handling-websocket-events), which is 150 channels at six each. Cut down to 150 it would be another
    night: 900 subscriptions at Helix's 800 points a minute take longer than it lasts, and after its broken connection once more.
    """
    assert "irc_logins" not in spend(name, 1, "random", PLACES["eventsub"]).counts


@pytest.mark.parametrize(("where", "ready_order"), [("memory", "fifo"), ("eventsub", "random")])
def test_the_poisoned_row_waits_alone(where: str, ready_order: ReadyOrder) -> None:
    """It is refused while it is poisoned, the others are saved past it, and in the end nothing waits."""
    seen: list[tuple[int, int]] = []

    async def watch(world: World) -> None:
        for at_s in (11.0, 39.0):
            await asyncio.sleep(at_s - world.loop.time())
            assert world.app is not None
            counters = world.app.layer.telemetry.counters
            seen.append((counters["dead_letters"], counters["rows_saved"]))

    spend(WATCHED, 4, ready_order, PLACES[where], watch)
    (letters_before, saved_before), (letters, saved) = seen
    assert letters_before == 0 < letters
    assert saved > saved_before + 10


def test_what_people_look_for_is_there() -> None:
    """Each kind of trouble has its night, and the storm of reconnects its cut packets."""
    wanted = {
        "queda", "outage", "slow", "flapping", "reconnect_storm", "raid_during_outage", "command_storm", "restart",
        "crash", "lost_answers", "human_edit", "quiet", "disk_full", "slow_sync", "power_cut", "hype_train", "token_expiry",
        "poison_row", "two_instances", "clock_jump", "thousand_quiet_channels",
    }  # fmt: skip
    assert wanted <= set(SCENARIOS)
    assert any(isinstance(fault, TwitchPackets) for fault in SCENARIOS["reconnect_storm"].faults)
