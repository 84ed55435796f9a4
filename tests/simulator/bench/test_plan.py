"""Loads, conditions and their order."""

from __future__ import annotations

import random

import pytest

from simulator.bench.plan import CONDITIONS, Load, UnknownChoice, chosen_conditions, shuffled
from simulator.bench.results import HEALTHY, HEALTHY_AGAIN
from simulator.faults import fault_from_json


def test_every_condition_is_a_fault_that_the_control_address_takes() -> None:
    """A misspelt fault would be found in the middle of an hour's run."""
    for condition in CONDITIONS:
        if condition.fault is not None:
            fault_from_json(dict(condition.fault))
    assert [one.name for one in CONDITIONS if one.fault is None] == [HEALTHY, HEALTHY_AGAIN]


def test_the_way_back_from_an_outage_is_measured_too() -> None:
    """After a hang of two calls; it is no outage itself."""
    (back,) = [one for one in CONDITIONS if one.heals]
    assert (back.name, back.fault, back.lead_s) == ("back again", {"kind": "hang"}, 12.0)
    assert [one.is_outage for one in CONDITIONS] == [False] * 2 + [True] * 9 + [False]


def test_conditions_are_chosen_by_name_in_one_order() -> None:
    """The order of the tables does not depend on the order of the words."""
    assert [one.name for one in chosen_conditions(["hang", HEALTHY])] == [HEALTHY, "hang"]
    assert chosen_conditions(None) == tuple(CONDITIONS)


def test_an_unknown_condition_is_refused_with_those_there_are() -> None:
    """The way out is in the message."""
    with pytest.raises(UnknownChoice, match="'slow'; there are: healthy"):
        chosen_conditions(["slow"])


def test_the_seed_decides_the_order_of_a_round() -> None:
    """Every condition once, another order in the next round, the same for the same seed."""
    rng = random.Random(5)
    first, second = shuffled(CONDITIONS, rng), shuffled(CONDITIONS, rng)
    assert sorted(one.name for one in first) == sorted(one.name for one in CONDITIONS)
    assert first != second
    assert shuffled(CONDITIONS, random.Random(5)) == first


def test_a_load_counts_its_messages_and_has_a_name() -> None:
    """As `--loads` takes it, and for people."""
    load = Load(20, 1_000, 3)
    assert (load.count(), load.name, load.words) == (3_000, "20x1000", "20 channels, 1,000 messages/s")
    assert Load(1, 0.5, 1).words == "1 channel, 0.5 messages/s"
    assert Load(1, 0.1, 1).count() == 1
