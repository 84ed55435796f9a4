"""What every fault checks about itself, whatever its kind."""

from __future__ import annotations

import math

import pytest

from simulator.fault_base import Fault, FaultError
from simulator.fault_kinds import Flapping, Hang


@pytest.mark.parametrize(
    "wrong", [{"start_s": -1.0}, {"start_s": math.inf}, {"probability": 2.0}, {"duration_s": -1.0}]
)
def test_impossible_times_and_probabilities_are_refused(wrong: dict[str, float]) -> None:
    """At once, where the scenario is written."""
    with pytest.raises(FaultError, match="hang"):
        Hang(**wrong)


def test_equal_faults_are_equal() -> None:
    """Scenarios can be compared."""
    first: Fault = Flapping(1, 2, Hang())
    assert first == Flapping(1, 2, Hang())
    assert first != Flapping(1, 2)
