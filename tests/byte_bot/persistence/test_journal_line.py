"""A row of a journal and its line in the file: nothing is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.journal_damage import JournalDamaged, damage_named
from byte_bot.persistence.journal_image import Handled, Rebased, Recorded, RowImage, Settled, Write
from byte_bot.persistence.journal_line import LINE_COLUMNS, bases_in, check_writes, encodable, line_of, row_of
from byte_bot.persistence.operations import ABSENT, Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.journal_writes import BASES, LISTS, STAMPS


@given(st.builds(RowImage, st.none() | BASES, LISTS, STAMPS))
def test_a_row_comes_back_from_its_line(row: RowImage) -> None:
    """Base, operations and boundary, each of them there or not."""
    line = line_of(row)
    assert len(line) == len(LINE_COLUMNS)
    assert row_of(*line) == row  # type: ignore[arg-type]


def test_the_channels_of_bases_are_told_with_a_blank_around_each() -> None:
    """So that one is never found inside another's name."""
    assert bases_in([Handled("a")]) is None
    writes = [Settled(RowKey("t", "1"), ABSENT), Rebased(RowKey("u", "12"), ABSENT, [])]
    assert bases_in(writes) == " 1 12 "


def test_a_damaged_line_is_called_so() -> None:
    """Whatever is wrong with it."""
    with pytest.raises(JournalDamaged, match="damaged"), damage_named():
        row_of(1, b"{}", b"{", 0, 0, None, 0, 0, None)


def test_what_is_nested_too_deeply_to_be_read_is_no_damage() -> None:
    """A human can put it into the database; the file is whole, and every other row is in it."""
    deep = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    row = row_of(1, deep, None, 1, 1, 0, 0, 0, None)
    assert row.base is not None
    assert row.base.data == deep
    check_writes([Settled(RowKey("component_state", "1", "deaths"), row.base)])


def test_only_what_cannot_be_encoded_is_left_out() -> None:
    """Of a row's operations the bad ones, of other writes the whole; each is named, with what is wrong with it."""
    key = RowKey("component_state", "1", "deaths")
    good = Operation(Kind.ADD, "total", None, 1, Stamp(1, 1))
    bad = Operation(Kind.PUT, "names", "a", object(), Stamp(1, 2))
    endless: list[object] = []
    for _ in range(100_000):
        endless = [endless]
    worse = Operation(Kind.SET, "last", None, endless, Stamp(1, 3))
    whole: list[Write] = [Rebased(key, ABSENT, [good, bad, worse]), Recorded(key, [good]), Handled("a")]
    none = Operation(Kind.ADD, "total", None, float("inf"), Stamp(1, 4))
    kept, left_out = encodable([*whole, Recorded(key, [none, good]), Handled("\ud800")])
    assert kept == [Rebased(key, ABSENT, [good]), *whole[1:], Recorded(key, [good])]
    assert [what for what, _ in left_out] == [
        "put names of component_state/1/deaths",
        "set last of component_state/1/deaths",
        "add total of component_state/1/deaths",
        "Handled",
    ]
    assert all(why for _, why in left_out)
