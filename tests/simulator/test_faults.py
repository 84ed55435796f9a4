"""The faults and the board; what a fault does to a request is tested beside the faces of the fake Supabase."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.faults import (
    KINDS,
    ClockJump,
    ClockSkew,
    Crash,
    DiskFull,
    DiskReadOnly,
    Drip,
    EventsubClose,
    EventsubRevoke,
    Fault,
    FaultBoard,
    FaultError,
    Flapping,
    Hang,
    HelixSlow,
    HumanEdit,
    Latency,
    MissingFunction,
    MissingGrant,
    PowerCut,
    ReadOnly,
    Refused,
    Restart,
    SlowRecovery,
    SlowSync,
    TokenExpires,
    TooLarge,
    TooManyRequests,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchPackets,
    TwitchReconnect,
    TwitchRefusals,
    TwitchReordering,
    fault_from_json,
    fault_to_json,
)

EXAMPLES: dict[str, Fault] = {
    "latency": Latency(200, 50, "lognormal", 3000, 0.01, start_s=1, duration_s=5),
    "slow_recovery": SlowRecovery(800, duration_s=4),
    "too_many_requests": TooManyRequests(30.0, probability=0.5),
    "drip": Drip(5),
    "missing_grant": MissingGrant("channel_state"),
    "missing_function": MissingFunction("byte_bot_save"),
    "too_large": TooLarge(5_000, start_s=2),
    "flapping": Flapping(2, 3, Hang(), start_s=1),
    "human_edit": HumanEdit("component_state", {"key": "a"}, {"version": 2}, {"b": {"c": None}}, start_s=3),
    "twitch_reconnect": TwitchReconnect(5, start_s=2),
    "twitch_packets": TwitchPackets(0.2, 0.3),
    "twitch_disconnect": TwitchDisconnect(face="irc", start_s=4),
    "twitch_reordering": TwitchReordering(1.5, probability=0.1),
    "eventsub_close": EventsubClose(code=4003, start_s=1),
    "eventsub_revoke": EventsubRevoke("version_removed", "channel.follow"),
    "helix_slow": HelixSlow(250),
    "token_expires": TokenExpires("somebody", start_s=3),
    "twitch_duplicates": TwitchDuplicates(probability=0.25),
    "crash": Crash(4, start_s=9),
    "power_cut": PowerCut(3, start_s=9),
    "slow_sync": SlowSync(0.5, start_s=1),
    "twitch_refusals": TwitchRefusals("msg_rejected", probability=0.5),
    "clock_jump": ClockJump(-86_400.0, start_s=9),
    "clock_skew": ClockSkew(0.5),
}


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def board(*timeline: Fault, seed: int = 1) -> tuple[FaultBoard, Clock]:
    clock = Clock()
    return FaultBoard(clock, random.Random(seed), timeline), clock


def acting_at(fault: Fault, *instants_s: float) -> list[bool]:
    one, clock = board(fault)
    answers = []
    for clock.now_s in instants_s:
        answers.append(bool(one.database_now() + one.twitch_now() + one.disk_now() + one.clock_now()))
    return answers


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not KINDS[kind].instant])
def test_a_fault_acts_from_its_start_for_its_duration(kind: str) -> None:
    """The start is included, the end is not."""
    example = EXAMPLES.get(kind) or KINDS[kind]()
    fault = fault_from_json(fault_to_json(example) | {"start_s": 2, "duration_s": 3, "probability": 1})
    assert acting_at(fault, 1.9, 2.0, 4.9, 5.0)[0::3] == [False, False]
    assert acting_at(fault, 2.0)[0]


def test_without_a_duration_a_fault_stays() -> None:
    """Infinity is the default."""
    assert acting_at(Hang(start_s=1), 0, 1, 1e9) == [False, True, True]


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_fault_survives_json(kind: str) -> None:
    """The control address reads back what it shows."""
    example = EXAMPLES.get(kind) or KINDS[kind]()
    assert fault_from_json(fault_to_json(example)) == example


def test_a_named_fault_counts_from_when_it_was_set() -> None:
    """Setting again replaces; clearing says whether there was one."""
    one, clock = board()
    clock.now_s = 100.0
    one.set("db", Hang(start_s=1, duration_s=10))
    assert one.database_now() == ()
    clock.now_s = 101.0
    assert [fault.kind for fault in one.database_now()] == ["hang"]
    one.set("db", Refused())
    assert one.database_now() == (Refused(),)
    assert one.clear("db")
    assert not one.clear("db")
    assert one.database_now() == ()


def test_clearing_all_heals_the_timeline_too() -> None:
    """What was still to come does not come."""
    one, clock = board(Hang(start_s=5), HumanEdit("t", {}, {"a": 1}, start_s=5))
    one.set("x", Refused())
    one.clear_all()
    clock.now_s = 6.0
    assert one.database_now() == ()
    assert one.take_due(HumanEdit) == []


def test_the_timeline_comes_before_the_named_faults() -> None:
    """The order of the answer is fixed."""
    one, _ = board(Latency(10), Hang())
    one.set("b", ReadOnly())
    one.set("a", Refused())
    assert [fault.kind for fault in one.database_now()] == ["latency", "hang", "read_only", "refused"]


def test_families_are_kept_apart() -> None:
    """A database face never sees Twitch's faults."""
    one, _ = board(TwitchPackets(), Hang(), DiskFull(), DiskReadOnly(), ClockSkew(2.0))
    assert one.database_now() == (Hang(),)
    assert one.twitch_now() == (TwitchPackets(),)
    assert one.disk_now() == one.disk_draw() == (DiskFull(), DiskReadOnly())
    assert one.clock_now() == (ClockSkew(2.0),)
    assert one.to_json()["acting"] == ["hang", "twitch_packets", "disk_full", "disk_read_only", "clock_skew"]


def test_flapping_begins_down_and_goes_on_in_turns() -> None:
    """down_s acting, up_s not, from the fault's start."""
    fault = Flapping(up_s=2, down_s=1, inner=Hang(), start_s=10)
    assert acting_at(fault, 9.9, 10.0, 10.9, 11.0, 12.9, 13.0, 14.0) == [
        False, True, True, False, False, True, False,
    ]  # fmt: skip


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 1000), st.integers(0, 50))
def test_every_change_is_announced_exactly_when_it_happens(
    up_ms: int, down_ms: int, start_ms: int, steps: int
) -> None:
    """Going from announced change to announced change, a flapping fault acts in turns: no edge is missed."""
    one, clock = board(Flapping(up_ms / 1000, down_ms / 1000, start_s=start_ms / 1000))
    clock.now_s = one.next_change_s() or 0.0 if start_ms else 0.0
    acting = bool(one.database_now())
    assert acting
    for _ in range(steps):
        following = one.next_change_s()
        assert following is not None
        assert following > clock.now_s
        clock.now_s = following
        assert bool(one.database_now()) is not acting
        acting = not acting


def test_next_change_names_starts_and_ends() -> None:
    """The earliest of all, and None when nothing will ever change."""
    one, clock = board(Hang(start_s=5, duration_s=2), Crash(start_s=6))
    seen = []
    while (change_s := one.next_change_s()) is not None:
        seen.append(change_s)
        clock.now_s = change_s
    assert seen == [5, 6, 7]


def test_probability_is_drawn_from_the_seed_by_those_who_act() -> None:
    """The same seed hits the same requests; looking at the board draws nothing."""
    hits = []
    for looks in (0, 3):
        one, _ = board(Refused(probability=0.5), seed=42)
        row = []
        for _ in range(50):
            for _ in range(looks):
                one.database_now()
            row.append(bool(one.database_draw()))
        hits.append(row)
    assert hits[0] == hits[1]
    assert 10 < sum(hits[0]) < 40


def test_drawing_can_be_restricted_to_what_one_carries_out() -> None:
    """A part of the fake draws only for its own faults."""
    one, _ = board(Refused(), ReadOnly(), TwitchDuplicates())
    assert one.database_draw(ReadOnly) == (ReadOnly(),)
    assert one.twitch_draw() == (TwitchDuplicates(),)


@pytest.mark.parametrize(
    "fault",
    [
        HumanEdit("t", {}, {"a": 1}, start_s=2),
        TwitchDisconnect(start_s=2),
        TwitchHalfOpen(start_s=2),
        TwitchReconnect(3, start_s=2),
        Crash(1, start_s=2),
        PowerCut(1, start_s=2),
        Restart(start_s=2),
    ],
    ids=lambda fault: fault.kind,
)
def test_an_instant_fault_is_taken_once_when_due(fault: Fault) -> None:
    """It never counts as acting, and nobody carries it out twice."""
    one, clock = board(fault)
    assert one.take_due(type(fault)) == []
    clock.now_s = 2.0
    assert one.database_now() == one.twitch_now() == ()
    assert one.take_due(type(fault)) == [fault]
    assert one.take_due(type(fault)) == []


def test_due_faults_come_in_order_of_time() -> None:
    """Whatever their order on the board."""
    one, clock = board(Crash(1, start_s=5), Crash(2, start_s=3))
    clock.now_s = 9.0
    assert [crash.down_s for crash in one.take_due(Crash)] == [2, 1]


def test_observers_hear_of_changes_by_hand_until_they_leave() -> None:
    """A face can close its listener at once."""
    one, _ = board()
    heard: list[str] = []
    leave: Callable[[], None] = one.subscribe(lambda: heard.append("changed"))
    one.set("a", Hang())
    one.clear("a")
    one.clear("a")
    one.add(Hang())
    one.clear_all()
    leave()
    one.set("a", Hang())
    assert heard == ["changed"] * 4


def test_a_slow_recovery_acts_as_a_falling_latency() -> None:
    """From ms to nothing over the duration."""
    one, clock = board(SlowRecovery(1000, start_s=10, duration_s=10))
    seen = []
    for clock.now_s in (10.0, 15.0, 19.0):
        (latency,) = one.database_now()
        assert isinstance(latency, Latency)
        seen.append(round(latency.ms))
    assert seen == [1000, 500, 100]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "JSON object"),
        ({"kind": "earthquake"}, "allowed: latency, slow_recovery, refused"),
        ({}, "unknown kind of fault None"),
        (
            {"kind": "hang", "seconds": 3},
            "hang: unknown field 'seconds'; allowed: start_s, duration_s, probability",
        ),
        ({"kind": "hang", "duration_s": "long"}, "hang: duration_s must be a number"),
        ({"kind": "hang", "duration_s": True}, "hang: duration_s must be a number"),
        ({"kind": "hang", "start_s": -1}, "hang: start_s must not be negative"),
        ({"kind": "hang", "start_s": math.inf}, "start_s must be finite"),
        ({"kind": "hang", "probability": 1.5}, "hang: probability must be between 0 and 1"),
        ({"kind": "latency", "ms": math.nan}, "latency: ms must not be negative"),
        ({"kind": "latency", "distribution": "normal"}, "fixed or lognormal"),
        ({"kind": "latency", "distribution": "lognormal"}, "needs a median"),
        ({"kind": "drip", "bytes_per_s": 0}, "bytes_per_s must be above 0"),
        ({"kind": "missing_grant"}, "table must name the table"),
        ({"kind": "missing_grant", "table": 3}, "table must be a string"),
        ({"kind": "missing_function"}, "name must name the function"),
        ({"kind": "slow_recovery"}, "duration_s must be finite"),
        ({"kind": "flapping", "up_s": 0}, "up_s must be finite and at least a microsecond"),
        ({"kind": "flapping", "inner": {"kind": "flapping"}}, "inner cannot be flapping"),
        ({"kind": "flapping", "inner": {"kind": "crash"}}, "inner cannot be crash"),
        ({"kind": "flapping", "inner": {"kind": "disk_full"}}, "inner cannot be disk_full"),
        ({"kind": "slow_sync", "sync_s": math.inf}, "sync_s must be finite"),
        ({"kind": "human_edit", "table": "t"}, "must not be empty"),
        ({"kind": "human_edit", "table": "t", "values": 3}, "values must be an object"),
        ({"kind": "human_edit", "table": "t", "merge": 3}, "merge must be an object"),
        (
            {"kind": "human_edit", "table": "t", "values": {"data": {}}, "merge": {"a": 1}},
            "values cannot have data beside merge",
        ),
    ],
)
def test_a_wrong_fault_says_what_would_be_right(value: object, words: str) -> None:
    """The errors of the control address name kind, field and what is allowed."""
    with pytest.raises(FaultError) as caught:
        fault_from_json(value)
    assert words in str(caught.value)


def test_the_board_shows_itself_as_json() -> None:
    """Time, named faults, timeline, and what acts now."""
    one, clock = board(Hang(start_s=5))
    one.set("slow", Latency(100))
    one.set("room", DiskFull())
    clock.now_s = 6.0
    shown = one.to_json()
    assert shown["time_s"] == 6.0
    assert shown["named"]["slow"]["ms"] == 100
    assert shown["named"]["slow"]["duration_s"] is None
    assert shown["timeline"][0]["kind"] == "hang"
    assert shown["acting"] == ["hang", "latency", "disk_full"]
