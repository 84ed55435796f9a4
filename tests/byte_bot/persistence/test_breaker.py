"""The breaker: the table in its docstring, state by state."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.breaker import Breaker, Circuit


class Highest:
    """Draws the upper bound: delays of 0.5, 1, 2, 4, 5, 5… seconds."""

    def uniform(self, a: float, b: float) -> float:
        """The upper bound."""
        return b


def breaker() -> Breaker:
    """A breaker whose delays are known."""
    return Breaker(Backoff(Highest()))


def fail(circuit: Breaker, now_s: float, times: int = 1) -> float:
    """That many failures, each as early as it is allowed; the time after them."""
    for _ in range(times):
        now_s += circuit.wait_s(now_s)
        circuit.trying(now_s)
        circuit.failed(now_s)
    return now_s


def test_a_healthy_circuit_lets_any_number_through() -> None:
    """Closed and without failures nobody waits for anybody."""
    circuit = breaker()
    for _ in range(5):
        assert circuit.wait_s(0.0) == 0.0
        circuit.trying(0.0)
    assert circuit.circuit is Circuit.CLOSED


def test_a_failure_below_the_threshold_waits_and_stays_closed() -> None:
    """One failure is a blip: the next try waits out the backoff, alone."""
    circuit = breaker()
    fail(circuit, 10.0)
    assert circuit.circuit is Circuit.CLOSED
    assert circuit.wait_s(10.0) == 0.5
    assert circuit.wait_s(10.5) == 0.0
    circuit.trying(10.5)
    assert circuit.wait_s(10.5) == math.inf


def test_failures_in_a_row_open_the_circuit() -> None:
    """The third failure opens it; one call may try when the delay has passed, and is half-open meanwhile."""
    circuit = breaker()
    now_s = fail(circuit, 0.0, times=3)
    assert circuit.circuit is Circuit.OPEN
    assert circuit.wait_s(now_s) == 2.0
    circuit.trying(now_s + 2.0)
    assert circuit.circuit is Circuit.HALF_OPEN
    assert circuit.wait_s(now_s + 2.0) == math.inf


def test_a_success_in_between_starts_the_count_again() -> None:
    """Failures that are not in a row do not open the circuit."""
    circuit = breaker()
    now_s = 0.0
    for _ in range(5):
        now_s = fail(circuit, now_s, times=2)
        now_s += circuit.wait_s(now_s)
        circuit.trying(now_s)
        circuit.succeeded()
        assert circuit.circuit is Circuit.CLOSED
        assert circuit.wait_s(now_s) == 0.0


def test_a_failed_probe_opens_again_and_a_good_one_closes() -> None:
    """Half-open is one call: its outcome decides."""
    circuit = breaker()
    now_s = fail(circuit, 0.0, times=4)
    assert circuit.circuit is Circuit.OPEN
    now_s += circuit.wait_s(now_s)
    circuit.trying(now_s)
    circuit.succeeded()
    assert circuit.circuit is Circuit.CLOSED


def test_an_outage_is_probed_at_least_every_five_seconds() -> None:
    """However long it lasts, the next try is at most 5 s away."""
    circuit = breaker()
    now_s = 0.0
    for _ in range(100):
        now_s = fail(circuit, now_s)
        assert circuit.wait_s(now_s) <= 5.0


def test_a_cancelled_call_teaches_nothing() -> None:
    """An abandoned probe leaves the circuit open and lets the next one try at once."""
    circuit = breaker()
    now_s = fail(circuit, 0.0, times=3) + 2.0
    circuit.trying(now_s)
    circuit.abandoned()
    assert circuit.circuit is Circuit.OPEN
    assert circuit.wait_s(now_s) == 0.0


def test_a_pause_says_what_to_do_and_is_probed() -> None:
    """Only a human can heal it: advice stays until a call succeeds, one probe every 5 s."""
    circuit = breaker()
    circuit.trying(0.0)
    circuit.paused(0.0, "apply the schema")
    assert (circuit.circuit, circuit.pause_advice) == (Circuit.PAUSED, "apply the schema")
    assert circuit.wait_s(0.0) == 5.0
    circuit.trying(5.0)
    assert circuit.circuit is Circuit.PAUSED
    assert circuit.wait_s(5.0) == math.inf
    circuit.succeeded()
    assert (circuit.circuit, circuit.pause_advice) == (Circuit.CLOSED, "")


def test_an_outage_during_a_pause_is_an_outage() -> None:
    """A paused database that stops answering is open, and no advice is given any more."""
    circuit = breaker()
    circuit.trying(0.0)
    circuit.paused(0.0, "apply the schema")
    circuit.trying(5.0)
    circuit.failed(5.0)
    assert (circuit.circuit, circuit.pause_advice) == (Circuit.OPEN, "")


def test_retry_after_is_waited_out() -> None:
    """What the server asked for is the earliest next try."""
    circuit = breaker()
    circuit.trying(0.0)
    circuit.failed(0.0, retry_after_s=30.0)
    assert circuit.wait_s(0.0) == 30.0


def test_a_call_that_may_not_start_is_a_bug() -> None:
    """Starting while the circuit forbids it trips the assertion."""
    circuit = breaker()
    fail(circuit, 0.0)
    with pytest.raises(AssertionError, match="forbids"):
        circuit.trying(0.0)


@given(
    st.lists(st.tuples(st.sampled_from(["ok", "fail", "pause", "cancel"]), st.integers(0, 80)), max_size=40)
)
def test_once_something_failed_one_call_at_a_time_may_try(steps: list[tuple[str, int]]) -> None:
    """In every order of outcomes: while a probe is under way nobody else starts, and after it somebody may soon."""
    circuit, now_s = breaker(), 0.0
    for outcome, quarters in steps:
        wait_s = circuit.wait_s(now_s)
        assert 0.0 <= wait_s <= 5.0
        now_s += wait_s
        suspicious = circuit.circuit is not Circuit.CLOSED
        circuit.trying(now_s)
        if suspicious:
            assert circuit.wait_s(now_s) == math.inf
        now_s += quarters / 4  # binary fractions: sums are exact
        if outcome == "ok":
            circuit.succeeded()
            assert circuit.circuit is Circuit.CLOSED
        elif outcome == "fail":
            circuit.failed(now_s)
        elif outcome == "pause":
            circuit.paused(now_s, "act")
            assert circuit.circuit is Circuit.PAUSED
        else:
            circuit.abandoned()
        assert circuit.circuit is not Circuit.HALF_OPEN
