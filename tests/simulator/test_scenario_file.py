"""Scenario files: what they say, what is written is what is read, and every mistake with its line."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.audience import ROLES, Chatter, CommandStorm, Crowd, Raid, Spoken, Utterance
from simulator.faults import (
    KINDS,
    Crash,
    Fault,
    FaultError,
    Flapping,
    Hang,
    HumanEdit,
    MissingFunction,
    MissingGrant,
    Refused,
    SlowRecovery,
    Status503,
    fault_from_json,
)
from simulator.scenario import DiskLatency, Scenario
from simulator.scenario_file import (
    CROWDS,
    NightFile,
    ScenarioFileError,
    names_a_file,
    night_toml,
    parse_night,
    read_night,
)
from simulator.scripts import SCRIPTS
from simulator.world import simulate

WHOLE = """
name = "everything"
summary = "one of each"
seed = 7
ready_order = "random"
transport = "eventsub"
duration_s = 30
channels = ["lobby", "arcade"]
listed = ["arcade"]
fixed = ["lobby"]
moderated = false
verified = false
disk = "lost"
latency_ms = 2.5
renewable_token = true
script = "edit_by_hand"

[disk_latency]
median_ms = 8.0
stall_probability = 0.1
stall_ms = 900

[settings]
flush_interval_s = 0.5
components = ["my_bot.deaths"]

[[crowds]]
kind = "chatter"
channel = "lobby"
rate_per_s = 1.5
duration_s = inf

[[crowds]]
kind = "raid"
channel = "arcade"
at_s = 20
viewers = 300

[[crowds]]
kind = "command_storm"
channel = "lobby"
rate_per_s = 2
commands = ["!ping"]
roles = ["viewer", "vip"]

[[crowds]]
kind = "spoken"
lines = [
    { at_s = 1, channel = "lobby", login = "ana", text = "hi" },
    { at_s = 1.5, channel = "arcade", login = "mod", text = "!ping", role = "moderator" },
]

[[faults]]
kind = "flapping"
start_s = 5
up_s = 2.5
inner = { kind = "status_503", probability = 0.5 }

[[faults]]
kind = "human_edit"
start_s = 9
table = "channels_config"
where = { login = "lobby" }
values = { paused = true, "a key" = [1, 2.5, { x = "y" }] }

[[faults]]
kind = "human_edit"
start_s = 10
table = "component_state"
merge = { values = { falls = 7 } }

[[faults]]
kind = "crash"
start_s = 12
down_s = 0.5
"""

EVERYTHING = NightFile(
    Scenario(
        "everything",
        "one of each",
        duration_s=30,
        channels=("lobby", "arcade"),
        listed=("arcade",),
        fixed=("lobby",),
        moderated=False,
        verified=False,
        crowds=(
            Chatter("lobby", 1.5),
            Raid("arcade", at_s=20, viewers=300),
            CommandStorm("lobby", 2, ("!ping",), ("viewer", "vip")),
            Spoken(
                (Utterance(1, "lobby", "ana", "hi"), Utterance(1.5, "arcade", "mod", "!ping", "moderator"))
            ),
        ),
        faults=(
            Flapping(start_s=5, up_s=2.5, inner=Status503(probability=0.5)),
            HumanEdit(
                "channels_config",
                {"login": "lobby"},
                {"paused": True, "a key": [1, 2.5, {"x": "y"}]},
                start_s=9,
            ),
            HumanEdit("component_state", merge={"values": {"falls": 7}}, start_s=10),
            Crash(start_s=12, down_s=0.5),
        ),
        settings={"flush_interval_s": 0.5, "components": ("my_bot.deaths",)},
        disk="lost",
        disk_latency=DiskLatency(8.0, stall_probability=0.1, stall_ms=900),
        latency_ms=2.5,
        script=SCRIPTS["edit_by_hand"],
        renewable_token=True,
    ),
    seed=7,
    ready_order="random",
    transport="eventsub",
)


# ── reading and writing ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_says_everything_of_a_night(tmp_path: Path) -> None:
    """Each field of a scenario, crowds and faults of all shapes, and what stands beside; nothing is left out."""
    file = tmp_path / "x.toml"
    file.write_text(WHOLE, encoding="utf-8")
    assert read_night(file) == EVERYTHING
    assert parse_night(night_toml(EVERYTHING), "again.toml") == EVERYTHING
    for part in (EVERYTHING.scenario, EVERYTHING):
        for field in dataclasses.fields(part):
            assert getattr(part, field.name) != field.default, f"{field.name} is not tried here"


def test_what_a_file_leaves_out_is_the_default() -> None:
    """The name is the file's; an empty file is a quiet night."""
    assert parse_night("", "some/where/calm.toml") == NightFile(Scenario("calm", ""))
    assert night_toml(NightFile(Scenario("calm", "nothing"))) == 'name = "calm"\nsummary = "nothing"\n'


def test_whole_numbers_stay_whole() -> None:
    """The trace holds what was planned, and 5 is not 5.0 there: what is written must be the same run."""
    whole, fraction = (
        Scenario("w", "", faults=(Hang(start_s=5),)),
        Scenario("w", "", faults=(Hang(start_s=5.0),)),
    )
    assert "start_s = 5\n" in night_toml(NightFile(whole)) and "start_s = 5.0" in night_toml(
        NightFile(fraction)
    )
    for scenario in (whole, fraction, Scenario("w", "", faults=(Hang(start_s=0),))):
        again = parse_night(night_toml(NightFile(scenario)), "w.toml").scenario
        (fault,), (read,) = scenario.faults, again.faults
        assert type(read.start_s) is type(fault.start_s)


def test_a_night_that_was_written_down_is_the_same_night() -> None:
    """Its trace has the same hash."""
    scenario = Scenario(
        "same",
        "said and written",
        duration_s=8,
        crowds=(CommandStorm("lobby", 1.5, ("!count deaths +1", '!note add "quoted" é {n}')),),
        faults=(Hang(start_s=2, duration_s=3),),
        settings={"flush_interval_s": 0.5},
    )
    again = parse_night(night_toml(NightFile(scenario)), "same.toml").scenario
    assert simulate(again, 3).trace_hash == simulate(scenario, 3).trace_hash


@pytest.mark.parametrize(
    ("name", "is_file"),
    [("outage", False), ("outage.toml", True), ("./outage", True), ("nights/outage", True), ("a\\b", True)],
)
def test_a_path_is_told_from_a_name(name: str, is_file: bool) -> None:
    """By its end or its slash."""
    assert names_a_file(name) == is_file


LOGINS = st.from_regex(r"[a-z0-9_]{1,25}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1, max_size=20
)
SECONDS = st.one_of(st.integers(0, 100), st.floats(0, 100))


@st.composite
def crowds(draw: st.DrawFn, channels: tuple[str, ...]) -> Crowd:
    """A crowd of any kind in one of the channels."""
    channel, seconds = draw(st.sampled_from(channels)), draw(SECONDS)
    kind = draw(st.sampled_from(sorted(CROWDS)))
    if kind == "chatter":
        return Chatter(
            channel, draw(SECONDS), seconds, draw(SECONDS | st.just(math.inf)), draw(st.integers(1, 9))
        )
    if kind == "raid":
        return Raid(channel, seconds, draw(st.integers(1, 9)), draw(st.floats(0.1, 9)))
    if kind == "command_storm":
        commands = tuple(draw(st.lists(TEXTS, min_size=1, max_size=3)))
        roles = tuple(draw(st.lists(st.sampled_from(ROLES), min_size=1, max_size=3)))
        return CommandStorm(channel, draw(SECONDS), commands, roles, seconds)
    moments = sorted(draw(st.lists(SECONDS, max_size=3)))
    roles_said = st.sampled_from(ROLES[:-1])
    return Spoken(
        tuple(Utterance(at_s, channel, draw(LOGINS), draw(TEXTS), draw(roles_said)) for at_s in moments)
    )


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """A fault of any kind, with numbers where it has numbers."""
    name = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[name]
    if kind is HumanEdit:
        values = st.dictionaries(TEXTS, st.booleans() | st.integers() | TEXTS | st.lists(SECONDS), min_size=1)
        merged = draw(values.filter(lambda one: "data" not in one)), draw(st.just({}) | values)
        return HumanEdit(draw(TEXTS), draw(values), *merged, start_s=draw(SECONDS))
    if kind is Flapping:
        inner = draw(st.sampled_from([Refused(), Status503(probability=0.5), Hang()]))
        return Flapping(draw(st.floats(0.1, 9)), draw(st.floats(0.1, 9)), inner, start_s=draw(SECONDS))
    named = {"table": "t"} if kind is MissingGrant else {"name": "f"} if kind is MissingFunction else {}
    numbers = {
        field.name: draw(st.floats(0.001, 1))
        for field in dataclasses.fields(kind)
        if field.type == "float" and (kind is SlowRecovery or draw(st.booleans()))
    }
    try:
        return fault_from_json({"kind": name, **named, **numbers})
    except FaultError:  # a kind with a rule of its own about its numbers
        return Hang()


@st.composite
def nights(draw: st.DrawFn) -> NightFile:
    """A night with a few of everything."""
    channels = tuple(draw(st.lists(LOGINS, min_size=1, max_size=3, unique=True)))
    some = st.lists(st.sampled_from(channels), unique=True).map(tuple)
    probability = st.floats(0, 1)
    disk = st.builds(DiskLatency, SECONDS, SECONDS, probability, SECONDS)
    script = draw(st.sampled_from([None, *SCRIPTS.values()]))
    duration_s = draw(st.integers(1, 100) | st.floats(0.5, 100))
    # A fault that could not strike is refused, where no script makes the night longer.
    striking = faults().filter(lambda fault: script is not None or fault.start_s < duration_s)
    scenario = Scenario(
        draw(TEXTS),
        draw(st.text(st.characters(exclude_categories=["Cs"]))),
        duration_s=duration_s,
        channels=channels,
        listed=draw(st.none() | some),
        fixed=draw(some),
        moderated=draw(st.booleans()),
        verified=draw(st.booleans()),
        crowds=tuple(draw(st.lists(crowds(channels), max_size=3))),
        faults=tuple(draw(st.lists(striking, max_size=4))),
        settings=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "flush_interval_s": st.floats(0.1, 60),
                    "durability": st.sampled_from(["process", "power", "off"]),
                    "bot_owners": some,
                    "history_rows_max": st.integers(0, 9),
                },
            )
        ),
        disk=draw(st.sampled_from(["kept", "lost"])),
        disk_latency=draw(st.none() | disk),
        latency_ms=draw(SECONDS),
        script=script,
        renewable_token=draw(st.booleans()),
    )
    return NightFile(
        scenario,
        draw(st.integers()),
        draw(st.sampled_from(["fifo", "random"])),  # type: ignore[arg-type]
        draw(st.sampled_from(["irc", "eventsub"])),  # type: ignore[arg-type]
    )


@given(nights())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(night: NightFile) -> None:
    """Any night; and what is read is written in the same words."""
    text = night_toml(night)
    read = parse_night(text, "any.toml")
    assert read == night
    assert night_toml(read) == text


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (
            Scenario("n", "", faults=(HumanEdit("t", {}, {"x": None}),)),
            "'n' cannot be written as a file: TOML has no null",
        ),
        (Scenario("n", "\ud800"), "half a surrogate pair"),
        (
            Scenario("n", "", script=lambda world: world.until(lambda: True)),
            "its script is none of edit_by_hand",
        ),
        (Scenario("n", "", settings={"supabase_url": ""}), "supabase_url is not for a file"),
        (Scenario("n", "", settings={"components": ["a.b"]}), "what was read back differs"),
        (Scenario("n", "", crowds=(Chatter("arcade", 1.0),)), "unknown channel 'arcade'; allowed: lobby"),
    ],
)
def test_a_night_that_no_file_can_say_is_refused(scenario: Scenario, words: str) -> None:
    """When it is written, not when somebody wants to play it."""
    with pytest.raises(ScenarioFileError) as refused:
        night_toml(NightFile(scenario))
    assert words in str(refused.value)
