"""The search itself, as `make test` makes it: a hundred and sixty-five nights in which nothing fails.

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
#: Without a flood among them, which costs as much as twenty others.
FIRST_SEEDS = range(120, 285, SEEDS_PER_TEST)
#: What so few nights see by chance only, or in a flood; thousands have.
RARE = frozenset(
    {
        Sometimes.EVICTED_AMID_CHAT,
        Sometimes.DIED_IN_FLIGHT,
        Sometimes.DIED_UNCOMMITTED,
        Sometimes.FULL_SAVE,
        Sometimes.FULL_SAVE_OF_HISTORY,
        Sometimes.JOURNAL_FOLDED,
        Sometimes.OUTBOX_FULL,
        Sometimes.OVERTAKEN,
        Sometimes.BURST,
    }
)


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
