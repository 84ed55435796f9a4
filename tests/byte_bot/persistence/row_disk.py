"""The disks under the journal of ``row_world.py``.

:class:`PlainDisk` keeps the journal's image, and a list of what was not committed: fast, for many walks.

:class:`FileDisk` is the shipped :class:`~byte_bot.persistence.journal.Journal` over the shipped
:class:`~byte_bot.persistence.journal_file.SqliteJournal`, one step at a time: a commit waits until the test has it written,
acknowledged, refused, left in doubt (written or not) or stall. A crash may come between any two of these.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import Journal, JournalImage, Write
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_opening import Owner, make_tables
from byte_bot.persistence.operations import Base, RowKey

#: Turns of the loop after which the journal has done what it can without its disk.
TURNS = 6
STALL_S = 1.0


class RowDisk(Protocol):
    """What a world needs of a disk."""

    def append(self, writes: Sequence[Write], durable: Callable[[], object] | None = None) -> None:
        """Journal ``writes``; ``durable`` is called once they are committed, and not if the process dies before."""
        ...

    def sync(self) -> None:
        """Commit everything."""
        ...

    def crash(self) -> JournalImage:
        """Forget what is not on the disk; the image that the next process reads."""
        ...

    def read(self) -> JournalImage:
        """The image of what is on the disk."""
        ...

    def snapshot(self) -> dict[RowKey, Base]:
        """The last known bases."""
        ...


class PlainDisk:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._image = JournalImage()
        self._waiting: list[Write] = []
        self._callbacks: list[Callable[[], object]] = []

    def append(self, writes: Sequence[Write], durable: Callable[[], object] | None = None) -> None:
        """Put it on the list."""
        self._waiting += writes
        if durable is not None:
            self._callbacks.append(durable)

    def sync(self) -> None:
        """Apply the list."""
        for write in self._waiting:
            self._image.apply(write)
        for callback in self._callbacks:
            callback()
        self._waiting, self._callbacks = [], []

    def crash(self) -> JournalImage:
        """Drop the list."""
        self._waiting, self._callbacks = [], []
        return self.read()

    def read(self) -> JournalImage:
        """A copy, as a file would be read back."""
        read = JournalImage()
        for key, row in self._image.rows.items():
            read.add_row(key, msgspec.structs.replace(row, pending=list(row.pending)))
        read.handled.update(self._image.handled)
        return read

    def snapshot(self) -> dict[RowKey, Base]:
        """The image's bases."""
        return {key: row.base for key, row in self._image.rows.items() if row.base is not None}


class SteppedLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes when the test says so."""

    now_s = 0.0

    def time(self) -> float:
        """Seconds."""
        return self.now_s


class SteppedStore:
    """A store whose commits wait for the test; numbers its commits as the shipped one does."""

    durable = True
    identity = "row-world"

    def __init__(self, file: SqliteJournal) -> None:
        self.file = file
        self.number = file.commits + 1
        self.group: Sequence[Write] = ()
        self.outcome: asyncio.Future[None] | None = None

    async def commit(self, writes: Sequence[Write]) -> None:
        """Wait until the test has decided."""
        self.group, self.outcome = writes, asyncio.get_running_loop().create_future()
        try:
            await self.outcome
        finally:
            self.outcome = None
        self.number += 1

    def write(self) -> None:
        """Have the commit in the file; again, and nothing happens."""
        self.file.apply(self.group, self.number)

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of what is in the file."""
        return self.file.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases."""
        return self.file.snapshot(channel_id)


class FileDisk:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._loop = SteppedLoop()
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        make_tables(self._connection, Owner("byte_bot", "row-world"))
        self._boot()

    def _boot(self) -> None:
        self._store = SteppedStore(SqliteJournal(self._connection))
        self._journal = Journal(self._store, stall_s=STALL_S, retry_s=0.0)
        self._running = self._loop.create_task(self._journal.run())
        #: What left the gate ungated: durable once the journal says that everything is committed.
        self._ungated: list[Callable[[], object]] = []
        self._turn()

    def _turn(self) -> None:
        async def turns() -> None:
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self._loop.run_until_complete(turns())
        if not self._journal.degraded and self._journal.committed(self._journal.appended):
            for durable in self._ungated:
                durable()
            self._ungated.clear()

    def append(self, writes: Sequence[Write], durable: Callable[[], object] | None = None) -> None:
        """Append to the journal; for what leaves the gate ungated ``durable`` is called when the journal has caught up."""
        sequence, journal, ungated = self._journal.append(writes), self._journal, self._ungated

        def through() -> None:
            assert durable is not None
            if journal.degraded:
                ungated.append(durable)
            else:
                durable()

        if durable is not None:
            journal.after(sequence, through)
        self._turn()

    def write(self) -> None:
        """The commit under way is in the file; the journal does not know it yet."""
        if self._store.outcome is not None:
            self._store.write()

    def acknowledge(self) -> None:
        """The commit under way has worked."""
        if self._store.outcome is not None:
            self._store.write()
            self._store.outcome.set_result(None)
            self._turn()

    def fail(self) -> None:
        """The commit under way has not worked, which is certain."""
        if self._store.outcome is not None and self._store.file.commits < self._store.number:
            self._store.outcome.set_exception(JournalError("database or disk is full"))
            self._turn()

    def leave_in_doubt(self, *, written: bool) -> None:
        """Nobody can say whether the commit under way has worked."""
        if self._store.outcome is not None:
            if written:
                self._store.write()
            self._store.outcome.set_exception(JournalError("disk I/O error", in_doubt=True))
            self._turn()

    def stall(self) -> None:
        """The commit under way takes too long."""
        self._loop.now_s += 2 * STALL_S
        self._turn()

    def sync(self) -> None:
        """Everything appended is committed."""
        while not self._journal.committed(self._journal.appended):
            self.acknowledge()

    def crash(self) -> JournalImage:
        """The process dies: what is in the file is all there is."""
        self._ungated.clear()
        self._running.cancel()
        self._turn()
        self._boot()
        return self.read()

    def read(self) -> JournalImage:
        """The image of what is in the file."""
        return self._store.read()

    def snapshot(self) -> dict[RowKey, Base]:
        """The bases in the file."""
        return {key: row.base for key, row in self.read().rows.items() if row.base is not None}

    def close(self) -> None:
        """Let everything go."""
        self._running.cancel()
        self._turn()
        self._loop.close()
        self._connection.close()
