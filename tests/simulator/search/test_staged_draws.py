"""What is staged in a night is drawn in an order that makes sense, and each of the planted bugs of that sort is what it is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from byte_bot.chat.outbox import Outbox
from byte_bot.context.manager import EVICTION_PERIOD_S
from simulator.audience import Chatter, CommandStorm
from simulator.faults import Crash, DiskFull, DiskReadOnly, Fault, HumanEdit, PowerCut, TooLarge
from simulator.night_draws import CHANGES, COMMANDS, CUSTOM_COMMANDS
from simulator.rng import SeedTree
from simulator.search.fault_draws import BEFORE_HEAL_S
from simulator.search.plan import LOOK_S
from simulator.search.staged_draws import (
    COUNTS,
    CUT_SHORT_MAX_S,
    FLOOD_CHANNELS,
    HALVED_BYTES,
    LOUD_LASTS_S,
    STAGED,
    Hours,
    Staging,
    draw_cold_start,
    draw_cut_short,
    draw_flood,
    draw_loud,
    draw_talk_at_the_look,
    draw_typo,
)

HOURS = Hours(5.0, 25.0, 28.0)
CHANNELS = ("channel_1", "channel_2", "channel_3")
NIGHTS = 200


def staged(name: str) -> Iterator[Staging]:
    """Many nights of one sort."""
    for number in range(NIGHTS):
        yield STAGED[name](SeedTree(number).stream("stagings"), CHANNELS, HOURS)


def end_s(fault: Fault) -> float:
    """When a fault is over."""
    return fault.start_s + fault.duration_s


@pytest.mark.parametrize("name", list(STAGED))
def test_a_seed_is_one_night_and_no_two_are_the_same(name: str) -> None:
    """Everything about it is drawn; what begins begins before the heal, and who speaks speaks in a channel that there is."""
    nights = list(staged(name))
    assert nights == list(staged(name))
    assert len({repr(night) for night in nights}) > (5 if name == "halved" else NIGHTS * 0.9)
    for night in nights:
        assert all(0.0 <= fault.start_s <= HOURS.heal_s - BEFORE_HEAL_S for fault in night.faults)
        assert all(fault.duration_s > 0 for fault in night.faults)
        assert {crowd.channel for crowd in night.crowds} == set(CHANNELS)


def test_in_a_doubted_night_a_lost_answer_is_followed_by_an_outage_and_a_reader() -> None:
    """The save may be there, the next try is surely not, and then somebody looks: another process, or a human's save of the row."""
    ends = Counter[type[Fault]]()
    for night in staged("doubted"):
        lost, away, end = night.faults
        assert lost.kind in ("commit_then_drop", "cut_body", "latency") and end_s(lost) == pytest.approx(
            away.start_s
        )
        assert lost.duration_s >= night.settings["flush_interval_s"], "or nothing is saved meanwhile"
        assert away.start_s + 3.0 < end.start_s <= end_s(away), "or the row has no time to change"
        assert all(isinstance(crowd, CommandStorm) and crowd.commands == COUNTS for crowd in night.crowds)
        ends[type(end)] += 1
    assert set(ends) == {Crash, PowerCut, HumanEdit}


def test_in_an_inherited_night_the_disk_fails_between_two_deaths() -> None:
    """After the second process has begun, and before the database is back; up to its death at least."""
    for night in staged("inherited"):
        away, first, disk, second = night.faults
        assert isinstance(first, Crash | PowerCut) and isinstance(second, Crash | PowerCut)
        assert isinstance(disk, DiskReadOnly | DiskFull)
        assert away.start_s < first.start_s < first.start_s + first.down_s < disk.start_s < end_s(away)
        assert end_s(away) < second.start_s <= end_s(disk) + 1e-6


def test_in_a_halved_night_the_gateway_is_narrow_up_to_the_heal() -> None:
    """And every row of every channel changes until people fall silent, and nobody else speaks."""
    for night in staged("halved"):
        (narrow,) = night.faults
        assert isinstance(narrow, TooLarge) and narrow.bytes_max in HALVED_BYTES
        assert end_s(narrow) > HOURS.heal_s and narrow.start_s < HOURS.until_s
        assert night.alone and night.settings == {"flush_interval_s": 4.0}
        said = Counter(
            (crowd.channel, *crowd.commands) for crowd in night.crowds if isinstance(crowd, CommandStorm)
        )
        assert said == Counter((channel, change) for channel in CHANNELS for change in CHANGES)


def test_in_some_of_these_nights_nothing_else_happens() -> None:
    """In others all that was drawn goes on: what disturbs an order finds another one."""
    for name in ("doubted", "inherited"):
        assert {night.alone for night in staged(name)} == {True, False}
        silent = [
            max(crowd.start_s + crowd.duration_s for crowd in night.crowds if isinstance(crowd, CommandStorm))
            for night in staged(name)
        ]
        assert min(silent) < HOURS.until_s - 1.0 and max(silent) == pytest.approx(HOURS.until_s)


def test_nobody_else_says_what_is_counted() -> None:
    """Else nobody could tell what it must come to."""
    lines = {line for lines in COMMANDS.values() for line in lines} | set(CUSTOM_COMMANDS) | set(CHANGES)
    assert not [line for line in lines if "tries" in line]


def test_the_look_is_the_bots() -> None:
    """The search does not know the bot; this knows both."""
    assert LOOK_S == EVICTION_PERIOD_S


def test_people_talk_while_the_bot_looks() -> None:
    """From just before the look on, without a pause."""
    for number in range(NIGHTS):
        talk = draw_talk_at_the_look(SeedTree(number).stream("looks"), CHANNELS, LOOK_S)
        assert isinstance(talk, Chatter) and talk.channel in CHANNELS
        assert talk.start_s <= LOOK_S and talk.start_s + talk.duration_s >= LOOK_S + 2.0


def test_a_loud_channel_has_more_to_answer_than_waits() -> None:
    """One reply leaves in each second, and all come within fewer seconds than one is kept for."""
    most = Outbox.__init__.__kwdefaults__["queue_max"]
    for number in range(NIGHTS):
        loud = draw_loud(SeedTree(number).stream("loud"), "channel_1", 5.0)
        assert isinstance(loud, CommandStorm) and loud.duration_s == LOUD_LASTS_S
        assert most < (loud.rate_per_s - 1.0) * LOUD_LASTS_S


def test_a_typo_is_corrected_and_the_bot_begins_anew() -> None:
    """In this order, while people speak."""
    for number in range(NIGHTS):
        typed, corrected, restart = draw_typo(SeedTree(number).stream("typo"), HOURS.begin_s, HOURS.until_s)
        assert HOURS.begin_s < typed.start_s < corrected.start_s < restart.start_s < HOURS.until_s


def test_a_cold_start_is_asked_for_what_was_counted() -> None:
    """Counted and saved before the outage, asked in it, after the death."""
    for number in range(NIGHTS):
        (count, ask), (outage, end) = draw_cold_start(SeedTree(number).stream("cold"), "channel_1", 5.0)
        assert isinstance(count, CommandStorm) and isinstance(ask, CommandStorm)
        assert count.start_s + count.duration_s < outage.start_s < end.start_s < ask.start_s
        assert ask.start_s + ask.duration_s < end_s(outage)


def test_a_stop_is_cut_short_while_the_database_is_in_trouble() -> None:
    """Trouble, then the request, then the kill."""
    for number in range(NIGHTS):
        trouble, stop, kill = draw_cut_short(SeedTree(number).stream("cut_short"), 5.0, 25.0, 28.0)
        assert trouble.start_s <= stop.start_s <= kill.start_s <= stop.start_s + CUT_SHORT_MAX_S
        assert kill.start_s < end_s(trouble)


@pytest.mark.parametrize("count", [1, FLOOD_CHANNELS])
def test_a_flood_comes_while_the_disk_stalls(count: int) -> None:
    """As loud in one channel as in many together."""
    channels = tuple(f"channel_{number}" for number in range(count))
    storms, stall = draw_flood(SeedTree(1).stream("flood"), channels, 5.0)
    storming = [storm for storm in storms if isinstance(storm, CommandStorm)]
    assert sum(storm.rate_per_s for storm in storming) == pytest.approx(1_000.0)
    assert all(
        stall.start_s < storm.start_s and storm.start_s + storm.duration_s < end_s(stall)
        for storm in storming
    )
