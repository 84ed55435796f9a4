"""The library: every file of the folder by its name, read when it is asked for."""

from __future__ import annotations

import importlib.resources

import pytest

from simulator.scenario import Scenario
from simulator.scenario_file import NightFile, night_toml, parse_night
from simulator.scenarios import SCENARIOS, Library


def test_each_file_is_a_night_of_its_name() -> None:
    """In the order of the alphabet, with a summary of one line."""
    assert list(SCENARIOS) == sorted(SCENARIOS) and len(SCENARIOS) == len(list(SCENARIOS)) >= 15
    for name, scenario in SCENARIOS.items():
        assert isinstance(scenario, Scenario) and scenario.name == name
        assert scenario.summary and "\n" not in scenario.summary


def test_no_file_says_seed_order_or_transport() -> None:
    """A named night is for every seed, in any order, on both transports: nothing of it would be read."""
    for name, scenario in SCENARIOS.items():
        file = importlib.resources.files("simulator.scenarios") / f"{name}.toml"
        assert parse_night(file.read_text(encoding="utf-8"), file.name) == NightFile(scenario)


def test_every_night_can_be_written_anew() -> None:
    """What is written is what was read."""
    for scenario in SCENARIOS.values():
        assert parse_night(night_toml(NightFile(scenario)), "again.toml").scenario == scenario


def test_a_night_that_there_is_not_is_no_night() -> None:
    """As in any mapping."""
    with pytest.raises(KeyError):
        SCENARIOS["no_such_night"]
    assert "no_such_night" not in SCENARIOS and "../__init__" not in SCENARIOS


def test_making_a_library_reads_nothing() -> None:
    """Also one whose folder does not exist: the command line builds it at every start."""
    library = Library("no.such.package")
    with pytest.raises(ModuleNotFoundError):
        list(library)
