"""The window of notifications seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.eventsub.seen import SeenWindow


def test_a_copy_is_turned_away_and_counted() -> None:
    """EventSub delivers at least once, a copy with the same id."""
    seen = SeenWindow(10)
    assert [seen.is_new(one) for one in ("a", "b", "a")] == [True, True, False]
    assert seen.repeated == 1


@given(st.lists(st.integers(0, 20).map(str), max_size=200), st.integers(1, 8))
def test_the_newest_ids_are_remembered_and_no_more(ids: list[str], ids_max: int) -> None:
    """A simple model: the last distinct ids, in the order in which they were first new."""
    seen, model = SeenWindow(ids_max), list[str]()
    for one in ids:
        assert seen.is_new(one) is (one not in model)
        if one not in model:
            model = [*model, one][-ids_max:]
        assert len(seen) == len(model)
