"""The faults by themselves; what they do to a request is tested beside the faces of the fake Supabase."""

from __future__ import annotations

import random

import pytest

from simulator.fault_kinds import KINDS, Hang, Latency, SlowRecovery


def test_a_fixed_latency_is_exact_and_split_in_half() -> None:
    """Nothing is drawn for it."""
    rng = random.Random(1)
    state = rng.getstate()
    assert Latency(250).draw_s(rng) == 0.25
    assert Latency(250).draw_share_before(rng) == 0.5
    assert rng.getstate() == state


def test_jitter_stays_within_its_bounds() -> None:
    """ms give or take jitter_ms, never below zero."""
    rng = random.Random(1)
    delays = [Latency(100, 30).draw_s(rng) for _ in range(500)]
    assert 0.07 <= min(delays) < 0.08
    assert 0.12 < max(delays) <= 0.13
    assert min(Latency(10, 50).draw_s(rng) for _ in range(200)) == 0.0


def test_a_lognormal_latency_has_the_stated_median_and_spread() -> None:
    """Half of the requests below ms, 84 % below ms + jitter_ms."""
    rng = random.Random(1)
    delays = [Latency(100, 50, "lognormal").draw_s(rng) for _ in range(20_000)]
    assert abs(sum(delay < 0.1 for delay in delays) / 20_000 - 0.5) < 0.02
    assert abs(sum(delay < 0.15 for delay in delays) / 20_000 - 0.841) < 0.02


def test_spikes_come_with_their_probability() -> None:
    """A spike is added to the delay."""
    rng = random.Random(1)
    delays = [Latency(10, spike_ms=1000, spike_probability=0.1).draw_s(rng) for _ in range(2000)]
    assert 120 < sum(delay > 1 for delay in delays) < 280


def test_a_slow_recovery_falls_in_a_straight_line() -> None:
    """From ms at its beginning to nothing at its end."""
    fault = SlowRecovery(1000, duration_s=10)
    assert [fault.delay_s(elapsed_s) for elapsed_s in (0, 5, 10, 20)] == [1.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_is_frozen_and_explains_itself(kind: str) -> None:
    """A fault is a value with a docstring, found under its own name."""
    fault = KINDS[kind]
    assert fault.kind == kind
    assert fault.__doc__
    assert not fault.__doc__.startswith(fault.__name__ + "(")
    with pytest.raises(AttributeError):
        Hang().start_s = 1.0  # type: ignore[misc]  # that is the point
