"""Safeguard: commit numbers. A commit of which nobody knows whether it arrived counts once, and what came after it counts too."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from byte_bot.persistence.journal import Journal
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Recorded, Write
from byte_bot.persistence.journal_opening import configure, connect
from byte_bot.persistence.journal_schema import Owner, make_tables
from byte_bot.persistence.journal_thread import FileJournalStore
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp

KEY = RowKey("component_state", "1", "deaths")


class Doubtful(sqlite3.Connection):
    """A connection that once fails after a commit was carried out, as a disk does that loses the last answer."""

    strikes = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement."""
        cursor = super().execute(sql, parameters)
        if self.strikes and sql.startswith("REPLACE INTO log"):
            self.strikes = False
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


class Numberless(SqliteJournal):
    """Takes each commit for a new one."""

    def apply(self, writes: Iterable[Write], number: int) -> None:
        """Commit behind the last, whatever its number."""
        super().apply(writes, self.commits + 1)


class NeverInDoubt(FileJournalStore):
    """Takes each commit that failed for one that did not happen."""

    def _is_missing(self, number: int) -> bool:
        return True


def add(revision: int) -> Recorded:
    """One more."""
    return Recorded(KEY, [Operation(Kind.ADD, "total", None, 1, Stamp(1, revision))])


async def counted(
    path: Path,
    journal_class: type[SqliteJournal] = SqliteJournal,
    store_class: type[FileJournalStore] = FileJournalStore,
) -> int:
    """How many the next process finds of three adds; the commit of the second is carried out and fails, the third waits."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Doubtful)
    make_tables(connection, Owner("my_bot", "here"))
    configure(connection)
    reader, tidier = SqliteJournal(connect(path, read_only=True)), SqliteJournal(connect(path))
    store = store_class(journal_class(connection), reader, tidier)
    journal = Journal(
        store, on_degraded=lambda degraded: degraded and journal.append([add(3)]), retry_s=0.001
    )
    service = asyncio.create_task(journal.run())
    await journal.wait(journal.append([add(1)]))
    connection.strikes = True
    await journal.wait(journal.append([add(2)]))
    await journal.drain()
    assert not journal.degraded and journal.committed(journal.appended)
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
    store.close()
    following = SqliteJournal(connect(path))
    values = [operation.value for operation in following.read().rows[KEY].pending]
    following.close()
    return sum(value for value in values if isinstance(value, int))


async def test_a_commit_in_doubt_counts_once(tmp_path: Path) -> None:
    """With numbers it is tried again as it was, and the file is found to have it."""
    assert await counted(tmp_path / "my_bot.journal") == 3


async def test_without_numbers_it_counts_twice(tmp_path: Path) -> None:
    """Without them the second try is another commit."""
    assert await counted(tmp_path / "my_bot.journal", Numberless) == 4


async def test_without_the_doubt_what_came_meanwhile_is_lost(tmp_path: Path) -> None:
    """Put together with what came since, it is taken for the commit that the file has already."""
    assert await counted(tmp_path / "my_bot.journal", store_class=NeverInDoubt) == 2
