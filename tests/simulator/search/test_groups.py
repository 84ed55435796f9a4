"""Failures that are alike are told once, with the first seed of them and the command that plays it."""

from __future__ import annotations

from simulator.search.groups import SEEDS_SHOWN_MAX, Groups
from simulator.search.outcome import SAME_RUN, Verdict
from simulator.workers import NightLimitError
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


def test_a_night_whose_runs_differ_is_compared() -> None:
    """One run of it ends well and shows nothing."""
    groups = Groups()
    groups.add(bad(20, Verdict.NONDETERMINISM, SAME_RUN, "chat"))
    [group] = groups
    assert group.to_text().endswith("\n  again  byte-sim replay 20 --compare")
    assert group.to_json()["replay"] == "byte-sim replay 20 --compare"


def test_of_a_night_that_never_ends_it_is_said_how_it_is_seen() -> None:
    """By interrupting it; a program gets the command alone."""
    groups = Groups()
    groups.add(bad(20, Verdict.CRASH, NightLimitError.name, "did not end"))
    [group] = groups
    assert group.to_text().endswith(
        "  again  byte-sim replay 20    (Ctrl-C shows how far it came, and where it is)"
    )
    assert group.to_json()["replay"] == "byte-sim replay 20"
