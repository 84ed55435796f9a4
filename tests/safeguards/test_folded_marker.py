"""Safeguard: the number of the last folded commit. What the tables have is not applied again from the log."""

from __future__ import annotations

import shutil
from pathlib import Path

from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_folding import Folding
from byte_bot.persistence.journal_image import Recorded
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp

KEY = RowKey("component_state", "1", "deaths")
OWNER = Owner("my_bot", "here")


class Unmarked(SqliteJournal):
    """Saves what it has folded, and not how far that goes."""

    def _save(self, image: Folding, last: int) -> None:
        super()._save(image, image.after)


def found_after_a_kill(folder: Path, journal_class: type[SqliteJournal]) -> list[object]:
    """What is pending for the process after one that was killed: two adds were folded, a third was not."""
    path, left = folder / "my_bot.journal", folder / "left.journal"
    journal = journal_class(open_journal(path, OWNER, durability="process", now_s=0.0))
    for number in range(1, 4):
        journal.apply([Recorded(KEY, [Operation(Kind.ADD, "total", None, 1, Stamp(1, number))])], number)
        if number == 2:
            assert journal.fold()
    for suffix in ("", "-wal"):  # as a killed process leaves them
        shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    journal.close()
    following = SqliteJournal(open_journal(left, OWNER, durability="process", now_s=0.0))
    assert following.commits == 3
    pending = following.read().rows[KEY].pending
    following.close()
    return [operation.value for operation in pending]


def test_what_was_folded_counts_once(tmp_path: Path) -> None:
    """With the number, which is saved in the transaction of the fold, only the third add is taken from the log."""
    assert found_after_a_kill(tmp_path, SqliteJournal) == [3]


def test_without_it_what_was_folded_counts_twice(tmp_path: Path) -> None:
    """Without it the log is applied to tables that have most of it already."""
    assert found_after_a_kill(tmp_path, Unmarked) == [5]
