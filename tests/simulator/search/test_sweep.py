"""The search itself, as `make test` makes it: some two hundred nights in which nothing fails.

What happened in them is asked too: nights in which no breaker ever opened and no process ever died have shown nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.search.outcome import judge_seed
from simulator.sometimes import Sometimes

pytestmark = pytest.mark.usefixtures("no_log")

SEEDS_PER_TEST = 15
FIRST_SEEDS = range(1, 166, SEEDS_PER_TEST)
#: What so few nights have seen by chance only; thousands have.
RARE: frozenset[Sometimes] = frozenset()


@pytest.fixture
def testimonies(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this test run, the same for all of its processes."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "search"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("first", FIRST_SEEDS)
def test_no_night_breaks_the_bot(first: int, testimonies: Path) -> None:
    """Whatever a seed draws; and all of them together have seen what there is to see."""
    outcomes = [judge_seed(seed) for seed in range(first, first + SEEDS_PER_TEST)]
    bad = [f"{outcome.replay}: {outcome.failure}" for outcome in outcomes if not outcome.ok]
    assert not bad, "\n\n".join(bad)
    mine = testimonies / f"{first}.json"
    # Renamed into place: another process may look at any moment.
    draft = mine.with_suffix(".part")
    draft.write_text(json.dumps(sorted({seen for outcome in outcomes for seen in outcome.seen})))
    draft.rename(mine)
    told = sorted(testimonies.glob("*.json"))
    if len(told) == len(FIRST_SEEDS):
        # Whoever is last has them all.
        seen = {words for file in told for words in json.loads(file.read_text())}
        never = sorted(set(Sometimes) - RARE - seen)
        assert not never, f"the nights have become quiet, never happened: {never}"
