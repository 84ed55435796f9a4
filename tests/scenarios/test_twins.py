"""P1: under any schedule of database faults the bot says the same things, in the same order, at the same microsecond.

Each seed is a night played twice (`byte-sim twin`); `tests/simulator/test_twin_plan.py` shows what these seeds cover.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from simulator.twin import run_seed

SEEDS_PER_TEST = 30


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """The bot's log of six hundred nights would cost as much as the nights."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("first", range(1, 301, SEEDS_PER_TEST))
def test_the_database_does_not_interfere_with_chat(first: int) -> None:
    """Every pair of twins says the same, recovers, and loses nothing."""
    outcomes = [run_seed(seed) for seed in range(first, first + SEEDS_PER_TEST)]
    bad = [outcome.to_text() for outcome in outcomes if not outcome.ok]
    assert not bad, "\n\n".join(bad)
    assert sum(outcome.lines for outcome in outcomes) > 300, "silence is easily equal"
