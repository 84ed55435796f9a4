"""A kill is drawn from its seed."""

from __future__ import annotations

from tests.kill.plan import CONDITIONS, planned
from tests.kill.test_kills import SEEDS


def test_a_seed_is_one_plan() -> None:
    """The command that replays a kill tells the same story."""
    assert planned(17) == planned(17)
    assert planned(17) != planned(17 + len(CONDITIONS))


def test_every_condition_comes_up_alike() -> None:
    """As many seeds in a row as there are conditions have each of them once."""
    conditions = [planned(seed).condition for seed in range(5, 5 + len(CONDITIONS))]
    assert sorted(conditions) == sorted(CONDITIONS)


def test_the_kills_of_every_test_run_differ() -> None:
    """Among them are five conditions, one killed again and one started in the same outage."""
    plans = [planned(seed) for seed in SEEDS]
    assert len({plan.condition for plan in plans}) == len(plans)
    assert any(plan.kills_again_s for plan in plans)
    assert any(plan.fault is not None and not plan.heals_before for plan in plans)
