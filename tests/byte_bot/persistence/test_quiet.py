"""Quiet rows: what is found, replaced, handed out and dropped; and that they stay as small as they are meant to be."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.operations import Base, RowKey
from byte_bot.persistence.quiet import QuietRow, QuietRows
from byte_bot.persistence.row import CONFIG_TABLE

STATE = RowKey("channel_state", "1")
TALLY = RowKey("component_state", "1", "tally")
CONFIG = RowKey(CONFIG_TABLE, "anna")


def base(revision: int) -> Base:
    """A base told apart by its revision."""
    return Base(b"{}", revision=revision)


def test_a_row_is_found_until_it_is_taken() -> None:
    """Taken once, it is not quiet any more; the channel's other rows are."""
    rows = QuietRows()
    for serial, key in enumerate((STATE, TALLY, CONFIG)):
        rows.put(key, base(serial), serial)
    assert rows.find(TALLY) == QuietRow("component_state", "tally", base(1), 1)
    assert rows.take(TALLY) == QuietRow("component_state", "tally", base(1), 1)
    assert rows.find(TALLY) is None
    assert rows.take(TALLY) is None
    assert list(rows) == [CONFIG, STATE]
    assert rows.take(CONFIG) is not None
    assert rows.take(STATE) is not None
    assert list(rows) == []


def test_a_channel_is_forgotten_without_the_login_that_looks_like_its_id() -> None:
    """Twitch has logins of nothing but digits: their configuration is no row of the channel with that id."""
    rows = QuietRows()
    rows.put(STATE, base(1), 1)
    rows.put(RowKey(CONFIG_TABLE, "1"), base(2), 1)
    assert rows.keys_of("1") == [STATE]
    rows.forget("1")
    assert list(rows) == [RowKey(CONFIG_TABLE, "1")]


KEYS = st.builds(
    RowKey,
    st.sampled_from(["channel_state", "component_state"]),
    st.sampled_from("12"),
    st.sampled_from("ab"),
) | st.builds(RowKey, st.just(CONFIG_TABLE), st.sampled_from("12"), st.just(""))
STEPS = st.lists(st.tuples(st.sampled_from(["put", "take", "forget"]), KEYS), max_size=30)


@given(STEPS)
def test_they_behave_like_a_dict(steps: list[tuple[str, RowKey]]) -> None:
    """However they are laid out, it is one row a key."""
    rows, model = QuietRows(), dict[RowKey, QuietRow]()
    for serial, (step, key) in enumerate(steps):
        if step == "put":
            rows.put(key, base(serial), serial)
            model[key] = QuietRow(key.table, key.key, base(serial), serial)
        elif step == "take":
            assert rows.take(key) == model.pop(key, None)
        else:
            rows.forget(key.channel_id)
            model = {
                other: row
                for other, row in model.items()
                if other.table == CONFIG_TABLE or other.channel_id != key.channel_id
            }
        assert set(rows) == set(model)
        assert all(rows.find(other) == row for other, row in model.items())


def test_a_quiet_row_is_nothing_that_the_garbage_collector_looks_at() -> None:
    """With 100,000 channels it would look at 300,000 of them."""
    assert not gc.is_tracked(QuietRow("channel_state", "", base(1), 1))
    assert not gc.is_tracked(base(1))
