"""A few kills in every run of the tests; `make kill` has hundreds."""

from __future__ import annotations

import dataclasses

import pytest

from tests.kill.killing import Killing
from tests.kill.plan import planned
from tests.kill.report import failure

#: Chosen so that each is another condition, among them a second kill, a cold start in the same outage, and deaths in a fold.
SEEDS = (1, 3, 8, 10, 20)


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_that_was_confirmed_dies_with_the_process(seed: int) -> None:
    """SIGKILL at a moment drawn from the seed: what viewers were told is in the database, once, when all is well again."""
    outcome = await Killing(planned(seed)).run()
    assert outcome.passed, failure(outcome)
    assert outcome.confirmed, "a kill before the first reply shows nothing"


async def test_without_a_journal_the_kills_find_what_is_lost() -> None:
    """The same kill with the journal switched off fails: the judge would see it."""
    outcome = await Killing(dataclasses.replace(planned(SEEDS[0]), durability="off")).run()
    assert not outcome.passed
    assert outcome.lost > 0
    assert outcome.lost + outcome.found == outcome.confirmed
