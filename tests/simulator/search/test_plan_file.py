"""A seed of the search, wherever a scenario file can stand."""

from __future__ import annotations

import pytest

from simulator.scenario_file import night_toml, parse_night
from simulator.search.plan import draw_night
from simulator.search.plan_file import names_a_seed, night_file, plan_of, seed_night


def test_a_seed_is_the_night_that_the_search_draws() -> None:
    """The same scenario, seed and order, there and back."""
    assert plan_of(seed_night(41)) == draw_night(41)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_can_be_written_as_a_file(seed: int) -> None:
    """And read back as the same night."""
    night = night_file(draw_night(seed))
    assert parse_night(night_toml(night), "seed.toml") == night


def test_numbers_are_seeds() -> None:
    """Names and files are not."""
    assert names_a_seed("41") and names_a_seed("0")
    assert not any(map(names_a_seed, ("outage", "41.toml", "", "-", "-3", "٣", "1.5")))
