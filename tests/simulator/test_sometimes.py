"""The rare things are told by their words, each with a line that says what it is."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest

from simulator.sometimes import TWINS, Sometimes, what_happened


@pytest.mark.parametrize("one", Sometimes)
def test_each_has_words_and_a_description(one: Sometimes) -> None:
    """And is still itself after a journey between processes."""
    assert one.value and one.description and one.description != one.value
    assert pickle.loads(pickle.dumps(one)) is one
    assert Sometimes(one.value) is one


def test_twins_can_see_some_of_them() -> None:
    """Each once."""
    assert len(set(TWINS)) == len(TWINS) < len(Sometimes)


def test_what_happened_is_counted_and_what_never_did_is_named() -> None:
    """In the order of the list."""
    seen = Counter({Sometimes.BISECTED: 2, Sometimes.CALL_FAILED: 3})
    wanted = (Sometimes.CALL_FAILED, Sometimes.BISECTED, Sometimes.FENCED)
    assert what_happened(seen, wanted, "nights") == (
        "in how many nights: call failed 3, bisection ran 2\nin none: fenced writer"
    )
    assert (
        what_happened(Counter(), wanted[:1], "nights") == "in how many nights: nothing\nin none: call failed"
    )
    assert what_happened(seen, wanted[:1], "nights") == "in how many nights: call failed 3"
