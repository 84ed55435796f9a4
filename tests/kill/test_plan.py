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
    """Among them are five conditions, one killed again, one started in the same outage and one that dies in a fold."""
    plans = [planned(seed) for seed in SEEDS]
    assert len({plan.condition for plan in plans}) == len(plans)
    assert any(plan.kills_again_s for plan in plans)
    assert any(plan.fault is not None and not plan.heals_before for plan in plans)
    assert any(plan.folding is not None and plan.folding.dies_in_fold for plan in plans)


def test_half_of_the_journals_fold_often_and_die_in_it_at_any_point() -> None:
    """The first process, or a later one; never the last, which has to save everything."""
    plans = [planned(seed) for seed in range(200)]
    often = [plan.folding for plan in plans if plan.folding is not None]
    assert 80 < len(often) < 120
    points = sorted(folding.dies_at for folding in often if folding.dies_in_fold)
    assert points[0] < 0.1 < 0.9 < points[-1]
    assert len(points) > 50
    assert any(
        folding is not None and folding.dies_in_fold for plan in plans for folding in plan.folding_again
    )
    assert all(plan.folding_afterwards is None or not plan.folding_afterwards.dies_in_fold for plan in plans)
