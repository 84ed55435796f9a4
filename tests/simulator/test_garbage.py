"""The collector stays off within the block, looks at nothing older, and is put back."""

from __future__ import annotations

import gc
import weakref

from simulator.garbage import garbage_held


class Node:
    """Something that only the collector can free once it refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_nothing_is_collected_until_it_is_asked_for() -> None:
    """Cycles made in the block stay until `gc.collect()`, whatever else is allocated."""
    with garbage_held():
        assert not gc.isenabled()
        gone = weakref.ref(Node())
        _ = [[] for _ in range(100_000)]
        assert gone() is not None
        gc.collect()
        assert gone() is None
    assert gc.isenabled()


def test_what_is_older_is_left_alone() -> None:
    """A cycle from before the block is not finalised within it."""
    old = weakref.ref(Node())
    with garbage_held():
        gc.collect()
        assert old() is not None
    gc.collect()
    assert old() is None


def test_blocks_nest() -> None:
    """The inner block ends nothing."""
    with garbage_held():
        with garbage_held():
            pass
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
