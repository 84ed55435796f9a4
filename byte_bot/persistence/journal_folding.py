"""What a journal's file holds with its log applied, as far as it was asked for; pure.

The image that is being folded begins with what the tables say, without reading them: a row is looked up when a write is
about it, unless it is remembered from the fold before. :mod:`byte_bot.persistence.journal_file` saves what has come of it.
"""

from __future__ import annotations

from typing import Protocol

from byte_bot.persistence.journal_image import DeadLettered, JournalImage, RowImage
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.spoken import Spoken


class Tables(Protocol):
    """What was folded before. ``rows_remembered`` is how many rows are kept from one fold to the next."""

    rows_remembered: int

    def stored_row(self, key: RowKey) -> RowImage | None:
        """One row."""
        ...

    def letters(self) -> dict[RowKey, DeadLettered]:
        """The dead letters."""
        ...

    def epochs(self) -> tuple[int, list[str]]:
        """The highest epoch, and who has asked for one."""
        ...

    def spoken(self) -> Spoken:
        """What was said lately."""
        ...


class Folding(JournalImage):
    """An image that begins with what the tables hold; rows come out of them as they are needed, handled ids are new ones.

    Args:
        tables: what was folded before.
        after: the number of the commit up to which they go.
        remembered: rows that are known to be as in the tables.
    """

    def __init__(self, tables: Tables, after: int, remembered: dict[RowKey, RowImage] | None = None) -> None:
        super().__init__()
        self._tables = tables
        self.after = after
        self._remembered = remembered or {}
        self.channels_before = self.channels  # none: a fold needs no list of 100,000 that stays as it is
        self.dead_letters = tables.letters()
        self.letters_before = dict(self.dead_letters)
        self.epoch, self.starts = tables.epochs()
        self.spoken = tables.spoken()

    def successor(self, after: int) -> Folding:
        """The image for what is committed after this one has been saved."""
        remembered = [*(self._remembered | self.rows).items()][-self._tables.rows_remembered :]
        return Folding(self._tables, after, dict(remembered))

    def _row(self, key: RowKey) -> RowImage:
        row = self.rows.get(key)
        if row is None:
            row = self._remembered.get(key) or self._tables.stored_row(key)
            if row is None:
                return super()._row(key)
            self.add_row(key, row)
        return row
