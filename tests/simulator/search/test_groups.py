"""Failures that are alike are told once, with the first seed of them and the command that plays it."""

from __future__ import annotations

from simulator.search.groups import SEEDS_SHOWN_MAX, Groups
from simulator.search.outcome import Verdict
from tests.simulator.search.nights import bad


def test_what_fails_alike_is_one_group() -> None:
    """By class, invariant and place; the first seed is the smallest, whenever it came."""
    groups = Groups()
    assert groups.add(bad(7))
    assert not groups.add(bad(3))
    assert groups.add(bad(4, place="elsewhere"))
    assert groups.add(bad(5, Verdict.LIVENESS, "recovers"))
    assert [(group.first.plan.seed, group.seeds) for group in groups] == [(3, [7, 3]), (4, [4]), (5, [5])]
    assert len(groups) == 3
    assert groups.nights(Verdict.SAFETY) == 3


def test_the_worst_is_told_first() -> None:
    """What cannot be replayed, then what is lost, then what ended, then what is slow."""
    groups = Groups()
    assert groups.worst is Verdict.OK
    for seed, verdict in enumerate(
        (Verdict.LIVENESS, Verdict.CRASH, Verdict.SAFETY, Verdict.NONDETERMINISM), 1
    ):
        groups.add(bad(seed, verdict))
        assert groups.worst is verdict
    assert [group.first.plan.seed for group in groups] == [4, 3, 2, 1]


def test_a_group_says_how_to_play_its_first_night_again() -> None:
    """One line; of many other seeds some."""
    groups = Groups()
    for seed in range(20, 40):
        groups.add(bad(seed))
    [group] = groups
    text = group.to_text()
    assert text.startswith("SAFETY  agreement  N lost  (20 nights)\n")
    assert "again  byte-sim replay 20" in text
    assert f"and {19 - SEEDS_SHOWN_MAX} more" in text
    assert "20 lost" in text
    data = group.to_json()
    assert (data["nights"], data["replay"], data["verdict"]) == (20, "byte-sim replay 20", "safety")
    assert data["seeds"] == list(range(20, 40))
