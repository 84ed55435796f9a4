"""The search for the highest rate that holds, over bots that are functions of the rate."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.rate_search import Found, highest_rate, holds, limit_of
from benchmarks.step import StepResult


def step_at(rate: float, p99_ms: float | None = 5.0, **changes: object) -> StepResult:
    """A step in which everything was answered, unless told otherwise."""
    values: dict[str, object] = {
        "rate": rate,
        "sent": 100,
        "answered": 100,
        "p50_ms": 1.0,
        "p99_ms": p99_ms,
        "max_ms": p99_ms,
        "driver_lag_p99_ms": 1.0,
        "driver_cpu": 0.3,
        "driver_queued": 0.0,
        "duplicates": 0,
        "seconds": 1.0,
        **changes,
    }
    return StepResult(**values)  # type: ignore[arg-type]


def search(capacity: float, start: float, **options: float) -> Found:
    """Search the capacity of a bot that is slow exactly above it."""

    async def measure(rate: float) -> StepResult:
        return step_at(rate, 5.0 if rate <= capacity else 500.0)

    return asyncio.run(highest_rate(measure, start, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("capacity", [40.0, 900.0, 1_000.0, 7_777.0, 60_000.0])
@pytest.mark.parametrize("start", [100.0, 5_000.0])
def test_finds_the_capacity_from_below_and_from_above(capacity: float, start: float) -> None:
    """The result is never above the capacity, and at most the promised factor below it."""
    found = search(capacity, start, growth=1.5, halvings=3)

    assert found.held is not None
    assert found.held.rate <= capacity <= found.held.rate * 1.5 ** (1 / 8) * 1.0001


def test_reports_a_slow_bot_as_slow() -> None:
    """A bot that answers nothing in time at any rate holds none."""
    found = search(0.0, 1_000.0)

    assert found.held is None
    assert found.failed is not None


def test_one_pause_of_the_machine_does_not_end_the_search() -> None:
    """A step that failed is measured again, and the second time counts."""
    rates: list[float] = []

    async def measure(rate: float) -> StepResult:
        rates.append(rate)
        return step_at(rate, 500.0 if rate > 300 or rates.count(rate) == 1 else 5.0)

    found = asyncio.run(highest_rate(measure, 100.0, growth=2.0, halvings=0))

    assert found.held is not None
    assert found.held.rate == 200.0
    assert rates == [100.0, 100.0, 200.0, 200.0, 400.0, 400.0]


@pytest.mark.parametrize(
    "step",
    [
        step_at(10, 50.1),
        step_at(10, None, answered=98),
        step_at(10, 5.0, answered=99),
        step_at(10, 5.0, cut_short="the bot left"),
    ],
)
def test_late_missing_and_broken_off_do_not_hold(step: StepResult) -> None:
    """One unanswered message is too many, even where p99 does not see it."""
    assert not holds(step)
    assert holds(step_at(10, 50.0))


def test_names_what_was_at_its_limit() -> None:
    """The bot's core first, then the driver's, then other programs, then waiting inside the bot."""
    slow = step_at(10, 500.0)

    assert limit_of(None, 1.0, 0.0) == "not reached"
    assert limit_of(slow, 0.99, 0.0) == "CPU"
    assert limit_of(step_at(10, 500.0, driver_cpu=0.99), 0.5, 0.0) == "the driver"
    assert limit_of(step_at(10, 500.0, driver_lag_p99_ms=30.0), 0.5, 0.0) == "the driver"
    assert limit_of(step_at(10, 500.0, driver_queued=0.4), 0.5, 0.1) == "the machine (busy 40%)"
    assert limit_of(slow, 0.3, 0.0) == "pauses (CPU 30%)"
    assert limit_of(slow, None, None) == "unknown"
