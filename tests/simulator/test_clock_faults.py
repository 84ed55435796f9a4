"""The faults of the clock by themselves; the clock that they strike has its own tests."""

from __future__ import annotations

import math

import pytest

from simulator.clock_faults import CLOCK_KINDS, ClockJump, ClockSkew
from simulator.fault_base import FaultError


def test_all_are_of_the_clock() -> None:
    """So a board keeps them apart from all others."""
    assert {kind.family for kind in CLOCK_KINDS} == {"clock"}


def test_a_jump_may_go_back_and_nothing_else_may_be_negative() -> None:
    """NTP sets a clock that was ahead."""
    assert ClockJump(-3600.0).jump_s == -3600.0
    with pytest.raises(FaultError, match="start_s must not be negative"):
        ClockJump(start_s=-1.0)
    with pytest.raises(FaultError, match="rate must not be negative"):
        ClockSkew(-1.0)


@pytest.mark.parametrize(("kind", "field"), [(ClockJump, "jump_s"), (ClockSkew, "rate")])
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_what_no_clock_can_do_is_refused(kind: type, field: str, value: float) -> None:
    """The message names the field."""
    with pytest.raises(FaultError, match=field):
        kind(value)
