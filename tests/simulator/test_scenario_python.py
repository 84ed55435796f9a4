"""A night as Python: what runs is the night, and what cannot be written is named."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from simulator.audience import Chatter, CommandStorm, Raid, Spoken, Utterance
from simulator.faults import KINDS, CommitThenDrop, Flapping, Hang, HumanEdit, SlowRecovery, Status503
from simulator.scenario import DiskLatency, Scenario
from simulator.scenario_file import NightFile
from simulator.scenario_python import COLUMNS, ScenarioPythonError, night_python

EVERYTHING = Scenario(
    "every'thing",
    'quotes " and \\ and \n',
    duration_s=30,
    channels=("lobby", "arcade"),
    listed=(),
    fixed=("lobby",),
    moderated=False,
    crowds=(
        Chatter("lobby", 0.5, duration_s=9.5),
        Raid("arcade", at_s=4.0, viewers=3),
        CommandStorm("lobby", 1.0, ("!ping",), roles=("vip", "viewer"), people=2),
        Spoken(
            (
                Utterance(1.5, "lobby", "mod", "!quote add 'it\"s'", "moderator"),
                Utterance(2.0, "lobby", "ana", "hi"),
            )
        ),
    ),
    faults=(
        Hang(start_s=3, duration_s=4.0, probability=0.5),
        Flapping(up_s=2.0, down_s=0.5, inner=Status503(), start_s=12.0),
        SlowRecovery(start_s=20.0, duration_s=5.0),
        HumanEdit(
            table="channels_config",
            where={"login": "lobby"},
            values={"paused": True, "note": None},
            start_s=9.0,
        ),
        HumanEdit(table="component_state", merge={"values": {"falls": 7, "note": None}}),
        CommitThenDrop(duration_s=math.inf),
    ),
    settings={"config_refresh_s": 5.0, "components": ("a.b", "c.d"), "durability": "power"},
    disk_latency=DiskLatency(median_ms=3.0, stall_ms=20.0),
)


def run_without_its_call(script: str) -> dict[str, Any]:
    """The names that a script makes when it is imported."""
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script, "night.py", "exec", dont_inherit=True), names)
    return names


def test_what_is_written_is_the_scenario() -> None:
    """Value for value, of every crowd and of faults with all sorts of fields."""
    script = night_python(NightFile(EVERYTHING, seed=7))
    assert run_without_its_call(script)["NIGHT"] == EVERYTHING
    assert "start_s=3," in script, "5 and 5.0 are one time and two traces"


def test_every_kind_of_fault_can_be_written() -> None:
    """And is imported from where users find it."""
    needs: dict[str, dict[str, Any]] = {
        "missing_grant": {"table": "t"},
        "missing_function": {"name": "f"},
        "human_edit": {"table": "t", "values": {"a": 1}},
        "slow_recovery": {"duration_s": 3.0},
        "latency": {"ms": 5.0},
    }
    faults = tuple(kind(**needs.get(name, {})) for name, kind in KINDS.items())
    night = Scenario("faults", "", faults=faults)
    assert run_without_its_call(night_python(NightFile(night)))["NIGHT"] == night


def test_only_what_differs_is_written_in_lines_that_fit() -> None:
    """As a formatter would."""
    short = night_python(NightFile(Scenario("short", "", faults=(Hang(start_s=2.0),))))
    assert 'NIGHT = Scenario("short", "", faults=(Hang(start_s=2.0),))\n' in short
    assert "simulate(NIGHT, seed=1)" in short
    longer = night_python(NightFile(EVERYTHING, ready_order="random", transport="eventsub"))
    assert all(len(line) <= COLUMNS for line in longer.splitlines())
    assert 'simulate(NIGHT, seed=1, transport="eventsub", ready_order="random")' in longer


def test_a_night_that_keeps_its_promises_ends_with_0(tmp_path: Any) -> None:
    """In a process of its own, with its report."""
    night = NightFile(
        Scenario(
            "short",
            "",
            duration_s=3.0,
            crowds=(Spoken((Utterance(2.0, "lobby", "mod", "!ping", "moderator"),)),),
        )
    )
    script = tmp_path / "night.py"
    script.write_text(night_python(night, comment='ends """ here\\'), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "short  seed 1  ok" in done.stdout
    assert done.stdout.endswith(f"  again          python {script}\n"), "it is no scenario of byte-sim's"


def test_a_bot_of_ones_own_is_named() -> None:
    """By module and function; anything else is refused."""
    script = night_python(NightFile(EVERYTHING), application="my_bot.parts:build")
    assert "from my_bot.parts import build\n" in script and "application=build" in script
    with pytest.raises(ScenarioPythonError, match="module:function"):
        night_python(NightFile(EVERYTHING), application="my_bot; import os")


async def a_script(world: Any) -> None:
    """Does nothing."""


def test_what_has_no_name_cannot_be_written() -> None:
    """A script that is a function of a module can."""
    script = night_python(NightFile(Scenario("x", "", script=a_script)))
    assert f"from {__name__} import a_script\n" in script and "script=a_script" in script
    with pytest.raises(ScenarioPythonError, match="no name to import"):
        night_python(NightFile(Scenario("x", "", script=partial(a_script))))
