"""The disk under the journal of ``layer_world.py``: one SQLite file, which outlives the processes that write to it.

A commit takes a while, and is in the file at half time: a crash before that loses it, one after that finds it there though nobody was
told. While the disk is *held* a commit waits for the test, which has it written, acknowledged, refused or left in doubt.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

from byte_bot.persistence.journal import JournalImage, Write
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_schema import Owner, make_tables
from tests.byte_bot.persistence.row_disk import FOLD_ROWS, LOG_SLOTS, ROWS_REMEMBERED, SteppedStore

#: Seconds that a commit takes on a disk that has nothing else to do.
COMMIT_S = 0.001


class PacedDisk:
    """See the module's docstring.

    ``commit_s`` is how long the next commit takes, in seconds; None: the disk is held.
    """

    def __init__(self) -> None:
        self.commit_s: float | None = COMMIT_S
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        make_tables(self._connection, Owner("byte_bot", PacedStore.identity))
        self.store = self.open()

    def open(self) -> PacedStore:
        """The store of a new process; the one before has ended."""
        bounds = {"log_slots": LOG_SLOTS, "fold_rows": FOLD_ROWS, "rows_remembered": ROWS_REMEMBERED}
        self.store = PacedStore(SqliteJournal(self._connection, **bounds), self)
        return self.store

    def conduct(self, commit_s: float | None) -> None:
        """Have commits take that long from now on, or wait; what waits is acknowledged if they need not any more."""
        self.commit_s = commit_s
        if commit_s is not None:
            self.store.acknowledge()

    @property
    def waits(self) -> bool:
        """True while a commit waits for the test."""
        return self.store.outcome is not None

    def read(self) -> JournalImage:
        """What is in the file."""
        return self.store.read()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class PacedStore(SteppedStore):
    """One process's store on the disk."""

    identity = "layer-world"

    def __init__(self, file: SqliteJournal, disk: PacedDisk) -> None:
        super().__init__(file)
        self._disk = disk

    async def commit(self, writes: Sequence[Write]) -> None:
        """Take the time that the disk takes, or wait."""
        if self._disk.commit_s is None:
            await super().commit(writes)
            return
        half_s = self._disk.commit_s / 2
        await asyncio.sleep(half_s)
        self.file.apply(writes, self.number)
        await asyncio.sleep(half_s)
        self.number += 1
