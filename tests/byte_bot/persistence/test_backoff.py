"""Backoff: bounds of the delays, and a server's own word."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.backoff import Backoff


class Highest:
    """Draws the upper bound, so that the bounds can be read."""

    def uniform(self, a: float, b: float) -> float:
        """The upper bound."""
        assert a == 0.0
        return b


def test_bounds_double_up_to_the_cap() -> None:
    """The n-th delay is drawn below base * 2**n, never above the cap, also after a thousand failures."""
    backoff = Backoff(Highest(), base_s=0.5, cap_s=5.0)
    assert [backoff.next_delay_s() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert {backoff.next_delay_s() for _ in range(2000)} == {5.0}


def test_a_success_starts_from_the_shortest_delay() -> None:
    """After a reset the first bound is the base again."""
    backoff = Backoff(Highest(), base_s=0.5, cap_s=5.0)
    for _ in range(4):
        backoff.next_delay_s()
    backoff.reset()
    assert backoff.next_delay_s() == 0.5


@given(st.integers(0, 2**32), st.floats(-10, 1e6))
def test_retry_after_goes_first_up_to_its_limit(seed: int, asked_s: float) -> None:
    """The delay is at least what the server asked for, of which at most a minute is honoured."""
    backoff = Backoff(random.Random(seed), base_s=0.5, cap_s=5.0, retry_after_max_s=60.0)
    delay_s = backoff.next_delay_s(asked_s)
    assert min(max(asked_s, 0.0), 60.0) <= delay_s <= 60.0


def test_delays_are_jittered_over_the_whole_range() -> None:
    """Full jitter: a crowd of clients spreads from zero to the bound."""
    draws = [Backoff(random.Random(seed), base_s=4.0, cap_s=4.0).next_delay_s() for seed in range(200)]
    assert min(draws) < 0.4
    assert max(draws) > 3.6


@pytest.mark.parametrize(("base_s", "cap_s"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0)])
def test_nonsense_bounds_are_refused(base_s: float, cap_s: float) -> None:
    """The base is above zero and not above the cap."""
    with pytest.raises(ValueError, match="0 < base_s <= cap_s"):
        Backoff(Highest(), base_s=base_s, cap_s=cap_s)
