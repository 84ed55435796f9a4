"""A plan is a function of its seed, keeps within its bounds, and three hundred of them cover everything they should."""

from __future__ import annotations

import bisect
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from simulator.audience import ROLES, Chatter, CommandStorm, Raid, utterances
from simulator.faults import KINDS, Fault, Flapping, HumanEdit, SlowRecovery, TooLarge
from simulator.night_draws import COMMANDS, CUSTOM_COMMANDS, FUNCTIONS, TABLES
from simulator.process_faults import Crash, Restart
from simulator.rng import SeedTree
from simulator.scenario import Scenario
from simulator.twin_plan import (
    CHANNELS_MAX,
    EVENTSUB_FAULTS_MAX,
    LOUD_CHANNELS,
    LOUD_MESSAGES_MAX,
    LOUD_MESSAGES_MIN,
    LOUD_NARROW_BYTES,
    NARROW_BYTES,
    QUIET_S,
    READY_S,
    RESTART_QUIET_AFTER_S,
    RESTART_QUIET_BEFORE_S,
    Plan,
    draw_plan,
    over_eventsub,
)
from simulator.world import World, simulate

SEEDS = range(1, 301)


@cache
def plans() -> tuple[Plan, ...]:
    """The plans of `make test`."""
    return tuple(draw_plan(seed) for seed in SEEDS)


def storms() -> list[CommandStorm]:
    """Everybody who types commands in them."""
    return [crowd for plan in plans() for crowd in plan.scenario.crowds if isinstance(crowd, CommandStorm)]


def kinds(faults: Iterable[Fault]) -> set[str]:
    """What kinds there are."""
    return {fault.kind for fault in faults}


def test_every_command_is_typed_by_people_of_every_role() -> None:
    """Custom commands too."""
    wanted = {*itertools.chain.from_iterable(COMMANDS.values()), *CUSTOM_COMMANDS}
    assert {(line, role) for storm in storms() for line in storm.commands for role in storm.roles} == set(
        itertools.product(wanted, ROLES)
    )


def test_every_kind_of_database_fault_acts_alone_and_flapping() -> None:
    """A human's edit is no part of the promise, what a list says moves the bot, not its words; what recovers slowly cannot flap."""
    faults = [fault for plan in plans() for fault in plan.faults]
    left_out = {HumanEdit.kind, "empty_list"}
    database = {kind for kind, fault in KINDS.items() if fault.family == "database"} - left_out
    assert kinds(faults) == database
    inner = kinds(fault.inner for fault in faults if isinstance(fault, Flapping))
    assert inner == database - {
        Flapping.kind,
        SlowRecovery.kind,
        "missing_grant",
        "missing_function",
        "too_large",
    }
    assert {fault.probability < 1 for fault in faults} == {True, False}
    assert {math.isinf(fault.duration_s) for fault in faults} == {True, False}
    assert {getattr(fault, "table", "") for fault in faults} >= set(TABLES)
    assert {getattr(fault, "name", "") for fault in faults} >= set(FUNCTIONS)


def test_some_gateways_take_no_large_save() -> None:
    """One night in six and more of the loud ones: from another fault on to after its end, in the world with faults alone."""
    narrow = [plan for plan in plans() if any(isinstance(fault, TooLarge) for fault in plan.faults)]
    assert 40 <= sum(not plan.loud for plan in narrow) <= 70
    assert 3 <= sum(plan.loud for plan in narrow) <= 12
    for plan in narrow:
        *others, fault = plan.faults
        assert isinstance(fault, TooLarge) and not any(isinstance(other, TooLarge) for other in others)
        assert fault.bytes_max in (LOUD_NARROW_BYTES if plan.loud else NARROW_BYTES)
        assert plan.scenario.duration_s >= fault.start_s + fault.duration_s
        outages = [other for other in others if other.start_s == fault.start_s]
        assert any(
            fault.duration_s > other.duration_s or math.isinf(other.duration_s)
            or fault.start_s + fault.duration_s > plan.scenario.duration_s - 1e-5
            for other in outages
        )  # fmt: skip


def test_any_single_row_of_a_night_fits() -> None:
    """The gateway refuses saves for what is in them together: a row too large by itself would be a dead letter."""
    # One channel that has as many quotes as it may, and the ordinary night that says most in one channel.
    loud = next(plan for plan in plans() if plan.loud and len(plan.scenario.channels) == 1)
    alone = [plan for plan in plans() if not plan.loud and len(plan.scenario.channels) == 1]
    quiet = max(
        alone,
        key=lambda plan: sum(
            crowd.rate_per_s * crowd.duration_s
            for crowd in plan.scenario.crowds
            if isinstance(crowd, CommandStorm)
        ),
    )
    assert 15_000 < largest_row(loud) * 1.2 < min(LOUD_NARROW_BYTES)
    assert 1_000 < largest_row(quiet) * 1.2 < min(NARROW_BYTES)


def largest_row(plan: Plan) -> int:
    """The bytes of the largest request for one row of a night without faults."""
    sizes: list[int] = []

    async def watched(world: World) -> None:
        def look(arguments: Mapping[str, Any]) -> None:
            for part in ("p_rows", "p_patches", "p_history", "p_events"):
                for one in arguments.get(part) or ():
                    alone = {"p_epoch": 1, "p_rows": [], "p_patches": [], "p_history": [], "p_events": [one]}
                    sizes.append(len(json.dumps(alone, ensure_ascii=False).encode()))

        world.supabase.observe_saves(look)

    report = simulate(replace(plan.scenario, script=watched), plan.seed, ready_order=plan.ready_order)
    assert report.ok, report.to_text()
    return max(sizes)


def test_faults_overlap_and_follow_each_other() -> None:
    """Both happen often."""

    def overlap(plan: Plan) -> bool:
        pairs = itertools.combinations(sorted(plan.faults, key=lambda fault: fault.start_s), 2)
        return any(second.start_s < first.start_s + first.duration_s for first, second in pairs)

    counted = Counter(overlap(plan) for plan in plans())
    assert min(counted[True], counted[False]) > 50


def test_audiences_are_quiet_and_loud() -> None:
    """From a message in minutes to tens a second, one channel to thirty, some with a raid."""
    rates = [storm.rate_per_s for storm in storms()]
    assert min(rates) < 0.01
    assert max(rates) > 20
    sizes = {len(plan.scenario.channels) for plan in plans() if not plan.loud}
    assert {1, 2, 3, 5, 10} <= sizes
    assert max(sizes) == CHANNELS_MAX
    everybody = {type(crowd) for plan in plans() for crowd in plan.scenario.crowds}
    assert everybody == {Chatter, CommandStorm, Raid}


def test_one_night_in_twenty_is_loud() -> None:
    """A thousand messages and more in bursts, over one channel and over hundreds; with every disk, and both lengths of history."""
    loud = [plan.scenario for plan in plans() if plan.loud]
    assert 10 <= len(loud) <= 20
    assert {len(it.channels) for it in loud} >= {1, 30, max(LOUD_CHANNELS)}
    assert {it.settings["history_rows_max"] for it in loud} == {300, 10_000}
    assert {None if it.disk_latency is None else it.disk_latency.stall_ms > 0 for it in loud} == {
        None,
        False,
        True,
    }
    for it in loud:
        spoken = sorted(line.at_s for line in utterances(it.crowds, SeedTree(1), it.duration_s))
        assert LOUD_MESSAGES_MIN * 0.8 < len(spoken) < LOUD_MESSAGES_MAX * 1.2 + 4 * max(LOUD_CHANNELS)
        assert all(READY_S <= at_s < it.duration_s - QUIET_S for at_s in spoken)
    assert max(most_in_a_second(it) for it in loud) > 900


def most_in_a_second(scenario: Scenario) -> int:
    """How many messages are said within the loudest second."""
    spoken = [line.at_s for line in utterances(scenario.crowds, SeedTree(1), scenario.duration_s)]
    return max(bisect.bisect(spoken, at_s + 1.0) - number for number, at_s in enumerate(spoken))


def test_everything_else_comes_in_every_combination_of_two() -> None:
    """Orders, disks, languages, standing, latency of the network, idle channels."""
    scenarios = [(plan.ready_order, plan.scenario) for plan in plans()]
    assert {
        (order, None if it.disk_latency is None else it.disk_latency.stall_ms > 0) for order, it in scenarios
    } == set(itertools.product(("fifo", "random"), (None, False, True)))
    assert len({(it.moderated, it.verified, it.latency_ms) for _, it in scenarios}) == 8
    assert (
        len({tuple(it.settings.values()) for _, it in scenarios if "history_rows_max" not in it.settings})
        == 8
    )
    twitch = kinds(fault for _, it in scenarios for fault in it.faults if fault.family == "twitch")
    assert twitch == {"twitch_disconnect", "twitch_reconnect", "twitch_duplicates", "twitch_packets"}


@pytest.mark.parametrize("seed", SEEDS[:50])
def test_a_plan_keeps_within_its_bounds(seed: int) -> None:
    """Nothing happens before all is loaded, nobody speaks at the end, and only the database's faults differ."""
    plan = draw_plan(seed)
    scenario = plan.scenario
    assert all(fault.start_s >= READY_S for fault in plan.faulty.faults)
    assert all(fault.family == "twitch" or fault == restart_of(plan) for fault in scenario.faults)
    assert set(plan.faulty.faults) == {*scenario.faults, *plan.faults}
    for crowd in scenario.crowds:
        rng = SeedTree(1).stream("bounds")
        spoken = [line.at_s for line in itertools.islice(crowd.draw(rng), 2_000)]
        assert len(spoken) < 500
        assert all(READY_S <= at_s < scenario.duration_s - QUIET_S for at_s in spoken)


def test_over_eventsub_the_same_night_has_faults_of_its_own() -> None:
    """All of their kinds in some seeds, in both worlds, whole, and nothing else is drawn anew."""
    seen: Counter[str] = Counter()
    for plan in plans()[:100]:
        moved = over_eventsub(plan)
        added = moved.scenario.faults[len(plan.scenario.faults) :]
        assert (restart_of(plan) is None) <= len(added) <= EVENTSUB_FAULTS_MAX
        assert replace(moved, scenario=replace(moved.scenario, faults=plan.scenario.faults)) == plan
        assert all(READY_S <= one.start_s <= plan.scenario.duration_s - QUIET_S for one in added)
        assert all(one.family == "twitch" and one.probability == 1.0 for one in added)
        seen.update(one.kind for one in added)
    assert set(seen) == {
        "eventsub_close", "eventsub_mute", "eventsub_revoke", "token_expires", "helix_429", "helix_503", "helix_401", "helix_slow",
    }  # fmt: skip
    assert min(seen.values()) > 10


def restart_of(plan: Plan) -> Fault | None:
    """When the bot is started anew."""
    return next((one for one in plan.scenario.faults if isinstance(one, Restart | Crash)), None)


def test_some_bots_are_started_anew_while_nobody_speaks_and_the_database_is_away() -> None:
    """In both worlds, in order and by a crash; before that there are no faults, so that all is saved, and the night goes on after it."""
    restarted = [(plan, again) for plan in plans() if (again := restart_of(plan)) is not None]
    assert 12 <= len(restarted) <= 35
    assert kinds(again for _, again in restarted) == {"restart", "crash"}
    spoke_after = 0
    for plan, again in restarted:
        scenario = plan.scenario
        assert not plan.loud and scenario.verified and scenario.moderated
        assert min(fault.start_s for fault in plan.faults) == pytest.approx(again.start_s - 0.5)
        outage = plan.faults[0]
        assert outage.start_s < again.start_s and outage.probability == 1.0
        assert outage.duration_s > 4.9 or outage.start_s + outage.duration_s == pytest.approx(
            scenario.duration_s
        )
        spoken = [line.at_s for line in utterances(scenario.crowds, SeedTree(1), scenario.duration_s)]
        quiet_s = (
            again.start_s - RESTART_QUIET_BEFORE_S + 1e-3,
            again.start_s + RESTART_QUIET_AFTER_S - 1e-3,
        )
        assert not [at_s for at_s in spoken if quiet_s[0] < at_s < quiet_s[1]]
        spoke_after += any(at_s > again.start_s for at_s in spoken) and any(
            at_s < again.start_s for at_s in spoken
        )
        moved = over_eventsub(plan).scenario.faults[len(scenario.faults) :]
        assert not [one for one in moved if quiet_s[0] < one.start_s < quiet_s[1]]
    assert spoke_after > len(restarted) * 0.7


def test_the_same_seed_is_the_same_plan() -> None:
    """Another one is not."""
    assert draw_plan(7) == plans()[6]
    assert draw_plan(7).summary() != draw_plan(8).summary()
