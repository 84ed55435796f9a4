"""Safeguard: folding for room. On a full disk a commit that trims is folded at once with all before it, which makes the room."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Recorded, Settled
from byte_bot.persistence.operations import Base, Kind, Operation, Stamp
from tests.byte_bot.persistence.journal_in_memory import KEY, in_memory
from tests.safeguards.altered import altered
from tests.safeguards.variants import become

Resigned = altered(SqliteJournal, apply=("self._fold_all(writes, number)", "raise"))


def fill(journal: SqliteJournal, size: int) -> None:
    """Record texts of that size, until the disk has no room for one more."""
    while True:
        revision = journal.commits + 1
        text = Operation(Kind.SET, f"text_{revision}", None, "x" * size, Stamp(1, revision))
        journal.apply([Recorded(KEY, [text])], revision)


def tries_until_settled(journal: SqliteJournal) -> int | None:
    """An outage fills the disk; then all is saved. How often that has to be told the journal until it is in it; None: never."""
    for size in (8_000, 400, 10):  # to the last page
        with pytest.raises(sqlite3.OperationalError, match="full"):
            fill(journal, size)
    saved = Settled(KEY, Base(b"{}", {}, 1, 1, journal.commits, 0))
    for tries in range(1, 100):
        with contextlib.suppress(sqlite3.OperationalError):
            journal.apply([saved], journal.commits + 1)
            assert journal.read().rows[KEY].pending == []
            return tries
    return None


def test_what_was_saved_makes_room() -> None:
    """With it the journal works again as soon as the database does, although nobody has made room."""
    journal, _ = in_memory(pages_max=300)
    assert tries_until_settled(journal) == 1
    journal.close()


def test_without_it_a_full_disk_stays_full() -> None:
    """Without it the very commit that would make room needs some itself: degraded until a human comes."""
    journal, _ = in_memory(pages_max=300)
    become(journal, Resigned)
    assert tries_until_settled(journal) is None
    journal.close()
