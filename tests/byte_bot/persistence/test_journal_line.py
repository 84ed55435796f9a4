"""A row of a journal and its line in the file: nothing is lost on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.journal_image import RowImage
from byte_bot.persistence.journal_line import LINE_COLUMNS, line_of, row_of
from tests.byte_bot.persistence.journal_writes import BASES, LISTS, STAMPS


@given(st.builds(RowImage, st.none() | BASES, LISTS, STAMPS))
def test_a_row_comes_back_from_its_line(row: RowImage) -> None:
    """Base, operations and boundary, each of them there or not."""
    line = line_of(row)
    assert len(line) == len(LINE_COLUMNS)
    assert row_of(*line) == row  # type: ignore[arg-type]
