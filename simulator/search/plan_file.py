"""The night of a seed as what a scenario file would say of it, so that every command that takes a file takes a seed too."""

from __future__ import annotations

from simulator.scenario_file import NightFile
from simulator.search.plan import SearchPlan, draw_night


def seed_night(seed: int) -> NightFile:
    """The night that the search draws from a seed."""
    return night_file(draw_night(seed))


def night_file(plan: SearchPlan) -> NightFile:
    """What a scenario file says of a night of the search."""
    return NightFile(plan.scenario, plan.seed, plan.ready_order)


def plan_of(night: NightFile) -> SearchPlan:
    """The other way round; of nights over IRC only, since the search plays no others."""
    assert night.transport == "irc", "a night of the search is over IRC"
    return SearchPlan(night.seed, night.scenario, night.ready_order)
