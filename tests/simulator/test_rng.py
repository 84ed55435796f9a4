"""Streams of randomness are named, independent, and the same everywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.rng import SeedTree


def test_same_seed_and_name_give_the_same_sequence() -> None:
    """A stream is a function of the seed and its name."""
    assert SeedTree(7).stream("audience").random() == SeedTree(7).stream("audience").random()


def test_values_are_pinned_across_processes_and_releases() -> None:
    """A recorded seed replays for ever: the derivation must not change."""
    assert SeedTree(7).integer("audience") == 275215278343004974089774977430316439739
    assert SeedTree(7).child("bot").integer("ids") == 171756931931114707505240968265917808036


def test_drawing_from_one_stream_leaves_the_others_alone() -> None:
    """One more draw in one place must not move every other place."""
    tree = SeedTree(1)
    alone = tree.stream("b").random()
    first = tree.stream("a")
    for _ in range(100):
        first.random()
    assert tree.stream("b").random() == alone


def test_a_child_and_a_stream_of_one_name_differ() -> None:
    """The tree keeps its two kinds of descent apart."""
    tree = SeedTree(1)
    assert tree.child("x").stream("x").random() != tree.stream("x").random()
    assert tree.child("boot-1").integer("ids") != tree.child("boot-2").integer("ids")


@given(st.integers(), st.lists(st.text(min_size=1), min_size=1, max_size=3), st.text(), st.text())
def test_different_paths_give_different_seeds(seed: int, path: list[str], left: str, right: str) -> None:
    """No two names share a stream, however they are cut ("ab" + "c" is not "a" + "bc")."""
    tree = SeedTree(seed)
    joined = tree.child("".join(path))
    nested = tree
    for name in path:
        nested = nested.child(name)
    assert (joined.integer("ids") == nested.integer("ids")) == (len(path) == 1)
    assert (tree.integer(left) == tree.integer(right)) == (left == right)
    assert nested.path == tuple(path)
