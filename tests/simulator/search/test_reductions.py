"""Reductions: each takes away what is not needed and nothing else, asked with conditions that need no world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.audience import CommandStorm, Spoken, Utterance
from simulator.faults import (
    CommitThenDrop,
    Crash,
    Fault,
    Flapping,
    Hang,
    HumanEdit,
    Latency,
    SlowRecovery,
    Status503,
)
from simulator.scenario import DiskLatency, Scenario
from simulator.search.plan import SearchPlan
from simulator.search.reductions import (
    PLAIN_DISK,
    REDUCTIONS,
    closer,
    fewer_channels,
    fewer_faults,
    fewer_lines,
    fewest,
    lines_of,
    plain_channel,
    plainer,
    shorter,
    simpler_faults,
    simpler_lines,
    spoken,
)
from tests.simulator.search.planted import LOUD_NIGHT

Condition = Callable[[SearchPlan], bool]


def night(*faults: Fault, lines: tuple[Utterance, ...] = (), **values: object) -> SearchPlan:
    """A night of these faults and lines."""
    scenario = Scenario("night", "", faults=faults, crowds=(Spoken(lines),) if lines else ())
    return SearchPlan(1, replace(scenario, **values), "fifo")  # type: ignore[arg-type]


def says(plan: SearchPlan, text: str) -> bool:
    """Whether somebody says this in the night."""
    return any(line.text == text for line in lines_of(plan))


@given(st.sets(st.integers(0, 39)))
def test_the_fewest_are_those_that_are_needed(needed: set[int]) -> None:
    """In their order, whichever they are."""
    assert fewest(range(40), lambda items: needed <= set(items)) == tuple(sorted(needed))


def test_few_questions_find_few_items_among_many() -> None:
    """Two of a thousand: in the order of the logarithm, not of the number."""
    asked = 0

    def fails(items: tuple[int, ...]) -> bool:
        nonlocal asked
        asked += 1
        return {123, 811} <= set(items)

    assert fewest(range(1000), fails) == (123, 811)
    assert asked < 80


def test_no_item_of_the_fewest_can_be_left_out() -> None:
    """Where each choice may fail or not, without any order in it: an odd number of them."""
    assert len(fewest(range(9), lambda items: len(items) % 2 == 1)) == 1


def test_a_night_written_down_says_the_same() -> None:
    """Line by line what its crowds say, at the same moments; written down again it is itself."""
    plan = spoken(LOUD_NIGHT)
    assert len(lines_of(plan)) > 50 and len(plan.scenario.crowds) == 1
    assert spoken(plan) == plan


def test_a_plain_night_is_as_by_default() -> None:
    """What is not needed is as a scenario has it; what is needed stays."""
    plan = plainer(LOUD_NIGHT, lambda other: "config_refresh_s" in other.scenario.settings)
    assert dict(plan.scenario.settings) == {"config_refresh_s": 20.0}
    assert (plan.ready_order, plan.scenario.disk_latency, plan.scenario.latency_ms) == ("fifo", None, 10.0)
    assert (plan.scenario.listed, plan.scenario.fixed) == (None, ())
    slow = plainer(LOUD_NIGHT, lambda other: other.scenario.disk_latency is not None)
    assert slow.scenario.disk_latency == DiskLatency(median_ms=3.0) and not slow.scenario.settings


def test_a_disk_that_must_be_slow_is_plainly_slow() -> None:
    """By a round number, without stalls."""
    disk = DiskLatency(median_ms=41.82, spread=1.0, stall_probability=0.02, stall_ms=2500.0)
    slow = plainer(night(disk_latency=disk), lambda other: other.scenario.disk_latency is not None)
    assert slow.scenario.disk_latency == DiskLatency(median_ms=20.0)
    slower = plainer(
        night(disk_latency=disk), lambda other: (other.scenario.disk_latency or PLAIN_DISK).median_ms > 40
    )
    assert slower.scenario.disk_latency == DiskLatency(median_ms=42)


def test_a_night_ends_as_soon_as_it_may() -> None:
    """And nothing is left that came after its end."""
    plan = shorter(spoken(LOUD_NIGHT), lambda other: other.scenario.duration_s >= 12.3)
    assert 12.3 <= plan.scenario.duration_s < 14
    assert all(line.at_s < plan.scenario.duration_s for line in lines_of(plan))
    assert [fault.kind for fault in plan.scenario.faults] == ["hang", "twitch_disconnect", "commit_then_drop"]


def test_channels_go_with_what_is_said_in_them() -> None:
    """The lists of the others stay lists of the others."""
    plan = fewer_channels(spoken(LOUD_NIGHT), lambda other: "cinema" in other.scenario.channels)
    assert plan.scenario.channels == plan.scenario.fixed == ("cinema",)
    assert {line.channel for line in lines_of(plan)} == {"cinema"}


def test_crowds_that_cannot_be_written_down_go_as_a_whole() -> None:
    """If the night written down did not fail."""
    storm = CommandStorm("arcade", 0.6, start_s=5.0)
    plan = replace(
        LOUD_NIGHT, scenario=replace(LOUD_NIGHT.scenario, crowds=(*LOUD_NIGHT.scenario.crowds, storm))
    )
    assert fewer_lines(plan, lambda other: storm in other.scenario.crowds).scenario.crowds == (storm,)


def test_lines_and_faults_go_one_by_one() -> None:
    """Those that are needed stay."""
    plan = spoken(LOUD_NIGHT)
    needed = lines_of(plan)[7], lines_of(plan)[40]
    assert lines_of(fewer_lines(plan, lambda other: set(needed) <= set(lines_of(other)))) == needed
    faults = fewer_faults(
        plan, lambda other: any(isinstance(fault, Crash) for fault in other.scenario.faults)
    )
    assert len(faults.scenario.faults) == 1
    assert fewer_lines(plan, lambda other: True).scenario.crowds == ()


@pytest.mark.parametrize(
    ("fault", "simple"),
    [
        (Hang(start_s=3.482011, duration_s=40.0, probability=0.37), Hang(start_s=3.0, duration_s=0.5)),
        (Flapping(up_s=1.0, down_s=2.0, inner=Status503(), start_s=3.0), Status503(start_s=3.0, duration_s=0.5)),
        (Crash(start_s=8.111, down_s=3.7), Crash(start_s=8.0)),
        (Latency(ms=300.0, jitter_ms=20.0, start_s=1.5), Latency(start_s=1.0, duration_s=0.5)),
    ],
)  # fmt: skip
def test_a_fault_becomes_as_simple_as_it_can(fault: Fault, simple: Fault) -> None:
    """Certain, short, at a round moment, with default values: all of it, if nothing of it is needed."""
    plan = night(fault, duration_s=30.0)
    for _ in range(5):
        plan = simpler_faults(plan, lambda other: True)
    assert plan.scenario.faults == (simple,)


def test_what_a_fault_needs_stays() -> None:
    """Its probability, its time, and a duration without which it could not be."""
    drop = CommitThenDrop(start_s=3.25, duration_s=4.0, probability=0.4)
    assert simpler_faults(night(drop), lambda other: other.scenario.faults == (drop,)).scenario.faults == (
        drop,
    )
    slow = night(SlowRecovery(start_s=1.0, duration_s=200.0))
    assert (
        simpler_faults(slow, lambda other: other.scenario.faults[0].duration_s > 60).scenario == slow.scenario
    )


def test_pauses_are_closed() -> None:
    """All that follows moves with them, and the end of the night too."""
    lines = tuple(Utterance(at_s, "lobby", "mod", "!ping", "moderator") for at_s in (20.0, 20.2, 50.0))
    plan = closer(
        night(Hang(start_s=10.0, duration_s=60.0), lines=lines, duration_s=90.0), lambda other: True
    )
    assert [line.at_s for line in lines_of(plan)] == [1.0, 1.2, 1.7]
    assert plan.scenario.faults == (Hang(start_s=0.5, duration_s=1.7),) and plan.scenario.duration_s == 2.7


def test_a_pause_that_is_needed_stays() -> None:
    """And is not asked about for ever."""
    lines = tuple(Utterance(at_s, "lobby", "mod", "!ping", "moderator") for at_s in (1.0, 31.0))
    plan = closer(
        night(lines=lines, duration_s=60.0),
        lambda other: lines_of(other)[1].at_s - lines_of(other)[0].at_s >= 16,
    )
    assert 16 <= lines_of(plan)[1].at_s - lines_of(plan)[0].at_s <= 32


def test_lines_become_plain() -> None:
    """Round moments, one moderator, the default channel, plain words; not the words that are needed."""
    lines = (
        Utterance(3.171, "arcade", "sub_2", "!vibe mood 3", "subscriber"),
        Utterance(3.871, "arcade", "arcade", "!quote add it", "broadcaster"),
    )
    edit = HumanEdit(table="channels_config", where={"login": "arcade"}, values={"paused": True}, start_s=4.0)
    plan = simpler_lines(
        night(edit, lines=lines, channels=("arcade",)), lambda other: says(other, "!quote add it")
    )
    plan = plain_channel(plan, lambda other: True)
    assert lines_of(plan) == (
        Utterance(3.0, "lobby", "mod", "!ping", "moderator"), Utterance(3.0, "lobby", "mod", "!quote add it", "moderator"),
    )  # fmt: skip
    assert plan.scenario.channels == ("lobby",)
    silent = plain_channel(night(channels=("arcade",)), lambda other: True)
    assert silent.scenario.channels == ("lobby",), "also where nobody speaks"
    assert plan.scenario.faults == (replace(edit, where={"login": "lobby"}),)


def test_a_night_that_needs_everything_stays_as_it_is() -> None:
    """No reduction gives anything but what failed."""
    plan = spoken(LOUD_NIGHT)
    for reduction in REDUCTIONS:
        assert reduction(plan, lambda other: False) is plan


def test_reductions_come_to_an_end() -> None:
    """Whatever fails: in the end nothing is proposed that has not been asked about, and nothing is left."""
    plan = spoken(LOUD_NIGHT)
    asked: set[str] = set()

    def fails(other: SearchPlan) -> bool:
        nonlocal plan
        if repr(other) in asked:
            return False
        asked.add(repr(other))
        plan = other
        return True

    for _ in range(20):
        before = plan
        for reduction in REDUCTIONS:
            reduction(plan, fails)
        if plan == before:
            break
    else:
        pytest.fail("twenty rounds, and still something smaller")
    assert not plan.scenario.faults and not plan.scenario.crowds and len(plan.scenario.channels) == 1
    assert plan.scenario.duration_s <= 0.1
