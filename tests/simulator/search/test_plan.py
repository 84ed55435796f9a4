"""A night is a function of its seed, keeps within its bounds, and a thousand of them have everything they should."""

from __future__ import annotations

import hashlib
import math
import re
from functools import cache

import pytest

from byte_bot.persistence.journal import WAITING_MAX
from simulator.audience import Chatter, CommandStorm, utterances
from simulator.faults import Crash, HumanEdit, PowerCut, Restart, SecondInstance
from simulator.night_draws import CHANGES
from simulator.rng import SeedTree
from simulator.scenario_file import night_toml
from simulator.scripts import SCRIPTS
from simulator.search.fault_draws import TOKEN_DRAWN, family_of
from simulator.search.plan import (
    BIG_CHANNELS_MAX,
    CHANNELS_MAX,
    CUT_SHORT_EVERY,
    ENTERED_EVERY,
    LOUD_EVERY,
    MESSAGES_MAX,
    STAGED_EVERY,
    TOKEN_EVERY,
    SearchPlan,
    draw_night,
)
from simulator.search.plan_file import night_file
from simulator.search.staged_draws import COUNTS, CUT_SHORT_MAX_S, LOUD_COMMANDS, TALK_PER_S, TYPED_VERSION
from simulator.world_twitch import night_options

SEEDS = range(1, 1_001)


@cache
def plans() -> tuple[SearchPlan, ...]:
    """A thousand nights."""
    return tuple(draw_night(seed) for seed in SEEDS)


def spoken(plan: SearchPlan) -> list[float]:
    """When anybody speaks, as the world has it."""
    scenario = plan.scenario
    lines = utterances(scenario.crowds, SeedTree(plan.seed).child("audience"), scenario.duration_s)
    return [line.at_s for line in lines]


def test_the_same_seed_is_the_same_night() -> None:
    """Another one is not."""
    assert draw_night(7) == plans()[6]
    assert draw_night(7).summary() != draw_night(8).summary()
    assert "channel" in draw_night(7).summary() and "faults: " in draw_night(7).summary()


def test_most_nights_are_small() -> None:
    """So that ten thousand can be played; the others are what some bugs need."""
    sizes = [(len(plan.scenario.channels), len(spoken(plan))) for plan in plans()[:300]]
    small = [size for size in sizes if size[0] <= CHANNELS_MAX and size[1] <= MESSAGES_MAX * 1.5 + 40]
    assert len(small) > 280
    assert max(channels for channels, _ in sizes) > 10


def test_some_nights_are_big() -> None:
    """Many channels, past the look for idle ones, which are spoken to again at the end."""
    big = [plan.scenario for plan in plans() if len(plan.scenario.channels) > CHANNELS_MAX]
    assert 10 <= len(big) <= 50
    assert max(len(it.channels) for it in big) > BIG_CHANNELS_MAX / 2
    assert any(it.duration_s > 70 and it.settings["context_idle_s"] == 10.0 for it in big)
    assert all(it.verified and it.moderated for it in big)


def test_a_flood_fills_the_journals_queue() -> None:
    """More messages than it keeps one by one, while a commit stalls."""
    floods = [plan for plan in plans() if any(fault.kind == "slow_sync" for fault in plan.scenario.faults)]
    most = max(floods, key=lambda plan: len(plan.scenario.crowds) and len(spoken(plan)))
    assert len(spoken(most)) > WAITING_MAX


def test_everything_else_comes_too() -> None:
    """Orders, lists, languages, standings, settings, disks; peaceful nights, and every family of faults."""
    scenarios = [plan.scenario for plan in plans()]
    assert {plan.ready_order for plan in plans()} == {"fifo", "random"}
    assert {it.settings.get("durability", "process") for it in scenarios} == {"process", "power", "off"}
    assert {it.settings["default_language"] for it in scenarios} == {"en", "pt-br"}
    assert {it.moderated for it in scenarios} == {it.verified for it in scenarios} == {True, False}
    for name in ("flush_interval_s", "database_timeout_s", "history_rows_max"):
        assert len({it.settings.get(name) for it in scenarios}) >= 3, name
    assert {bool(it.fixed) for it in scenarios} == {it.listed is None for it in scenarios} == {True, False}
    assert {None if it.disk_latency is None else it.disk_latency.stall_ms > 0 for it in scenarios} == {
        None,
        False,
        True,
    }
    assert any(not it.faults for it in scenarios)
    families = {family_of(fault.kind) for it in scenarios for fault in it.faults}
    assert families >= {"database", "twitch", "process", "disk", "human"}
    deaths = [sum(family_of(fault.kind) == "process" for fault in it.faults) for it in scenarios]
    assert max(deaths) >= 4


def test_in_some_nights_the_token_ends() -> None:
    """In those in which it can be renewed, and in no other; some have somebody who logs the bot in before the heal does."""
    scenarios = [plan.scenario for plan in plans()]
    renewed = [it for it in scenarios if it.renewable_token]
    assert len(plans()) / TOKEN_EVERY / 2 < len(renewed) < len(plans()) / TOKEN_EVERY * 1.5
    for it in scenarios:
        assert it.renewable_token == any(fault.kind in TOKEN_DRAWN for fault in it.faults)
    assert {fault.kind for it in renewed for fault in it.faults} >= set(TOKEN_DRAWN)
    assert {it.script for it in renewed} == {None, SCRIPTS["log_in_anew"]}
    assert any("token renewed" in plan.summary() for plan in plans())


def entries_in(plan: SearchPlan) -> list[HumanEdit]:
    """What a human enters in a night's rows of state."""
    return [fault for fault in plan.scenario.faults if isinstance(fault, HumanEdit) and fault.merge]


def storms_in(plan: SearchPlan) -> list[CommandStorm]:
    """Who gives commands in a night."""
    return [crowd for crowd in plan.scenario.crowds if isinstance(crowd, CommandStorm)]


def test_in_some_nights_a_human_enters_something() -> None:
    """Under names that nobody says, or nobody could tell what is left of it; in some of these all rows change all the time."""
    nights = [plan for plan in plans() if entries_in(plan)]
    assert len(plans()) / ENTERED_EVERY / 2 < len(nights) < len(plans()) / ENTERED_EVERY * 1.5
    changing = [
        {crowd.commands for crowd in storms_in(plan)}.issuperset((one,) for one in CHANGES) for plan in nights
    ]
    assert 0.3 < sum(changing) / len(nights) < 0.8
    names = {
        next(iter(entry)) for plan in nights for edit in entries_in(plan) for entry in edit.merge.values()
    }
    assert names == {"falls", "rules", "series"}
    for plan in nights:
        scenario = plan.scenario
        lines = utterances(scenario.crowds, SeedTree(plan.seed).child("audience"), scenario.duration_s)
        assert not names & {word for line in lines for word in re.findall(r"[\w-]+", line.text.casefold())}


def test_a_night_without_entries_is_what_it_was() -> None:
    """They are drawn from a stream of their own, and are all that they change but for people who change each row."""
    kept = [night_toml(night_file(plan)) for plan in plans()[:60] if not entries_in(plan)]
    assert len(kept) > 50
    assert hashlib.blake2b("".join(kept).encode(), digest_size=8).hexdigest() == "207534c7c39a322c"


def test_in_some_nights_a_stop_is_cut_short() -> None:
    """Within seconds of the request the process is killed, while its database is in trouble and people change rows."""
    short = 0
    for plan in plans():
        faults = plan.scenario.faults
        stops = [fault.start_s for fault in faults if isinstance(fault, Restart)]
        kills = [fault.start_s for fault in faults if isinstance(fault, Crash | PowerCut)]
        troubles = [fault.start_s for fault in faults if fault.duration_s == 8.0]
        short += any(
            trouble_s <= stop_s <= kill_s <= stop_s + CUT_SHORT_MAX_S
            for trouble_s in troubles
            for stop_s in stops
            for kill_s in kills
        )
    assert len(plans()) / CUT_SHORT_EVERY / 2 < short < len(plans()) / CUT_SHORT_EVERY * 1.5


def test_the_process_that_reads_a_typo_is_the_one_that_begins_anew() -> None:
    """So there is no second one: it would read the corrected row a minute later, when the night is over."""
    typos = [
        plan.scenario.faults
        for plan in plans()
        if any(
            isinstance(fault, HumanEdit) and fault.values.get("version") == TYPED_VERSION
            for fault in plan.scenario.faults
        )
    ]
    assert len(typos) > 5
    assert not [fault for faults in typos for fault in faults if isinstance(fault, SecondInstance)]


def test_some_nights_are_staged() -> None:
    """Each order of events as often as the others, and never where nothing is promised of what dies with a process."""
    counting = [plan for plan in plans() if any(crowd.commands == COUNTS for crowd in storms_in(plan))]
    halved = [
        plan
        for plan in plans()
        if any(fault.kind == "too_large" and math.isinf(fault.duration_s) for fault in plan.scenario.faults)
        and len(storms_in(plan)) == len(CHANGES) * len(plan.scenario.channels)
        and len(plan.scenario.channels) > 1
    ]
    expected = len(plans()) / STAGED_EVERY
    assert expected / 6 < len(halved) < expected / 1.5 < len(counting) + len(halved) < expected * 1.3
    assert expected / 3 < len(counting)
    for plan in (*counting, *halved):
        assert plan.scenario.settings.get("durability") != "off"
        assert plan.scenario.duration_s > 20.0
    assert {len(plan.scenario.faults) <= 4 for plan in counting} == {True, False}, (
        "alone, and amid everything"
    )


def test_some_channels_are_loud_and_people_talk_while_the_bot_looks() -> None:
    """Loud where a bot has no rights; small talk where channels that idle leave memory."""
    loud = [plan for plan in plans() if any(crowd.commands == LOUD_COMMANDS for crowd in storms_in(plan))]
    assert len(plans()) / LOUD_EVERY / 2 < len(loud) < len(plans()) / LOUD_EVERY * 1.5
    assert not any(plan.scenario.moderated or plan.scenario.verified for plan in loud)
    talking = [
        plan
        for plan in plans()
        if any(
            isinstance(crowd, Chatter) and crowd.rate_per_s == TALK_PER_S for crowd in plan.scenario.crowds
        )
    ]
    assert len(talking) >= 4
    assert all(plan.scenario.settings["context_idle_s"] == 10.0 for plan in talking)


def test_no_fault_begins_with_the_heal() -> None:
    """It would never strike; a file of such a night would be refused."""
    for plan in plans():
        assert all(fault.start_s < plan.scenario.duration_s for fault in plan.scenario.faults)


def test_nothing_is_drawn_of_which_nothing_is_promised() -> None:
    """With DURABILITY=off what is not saved dies with the process."""
    for plan in plans():
        if plan.scenario.settings.get("durability") == "off":
            assert all(family_of(fault.kind) != "process" for fault in plan.scenario.faults)
        assert plan.scenario.disk == "kept"


@pytest.mark.parametrize("seed", SEEDS[:40])
def test_a_night_keeps_within_its_bounds(seed: int) -> None:
    """Everybody speaks in a channel that there is, before the heal, and faults come in the order of time."""
    plan = draw_night(seed)
    scenario = plan.scenario
    assert scenario.name == str(plan.seed)
    assert set(scenario.fixed) | set(scenario.listed or ()) <= set(scenario.channels)
    assert scenario.listed is None or set(scenario.fixed) | set(scenario.listed) == set(scenario.channels)
    assert all(at_s < scenario.duration_s for at_s in spoken(plan))
    starts = [fault.start_s for fault in scenario.faults]
    assert starts == sorted(starts) and all(start_s < scenario.duration_s for start_s in starts)
    assert night_options("memory", "irc", plan.ready_order) in ((), ("--order", "random"))
