"""The disks under the journal of ``row_world.py``.

:class:`PlainDisk` keeps the journal's image, and a list of what was not committed: fast, for many walks.

:class:`FileDisk` is the shipped :class:`~byte_bot.persistence.journal.Journal` over the shipped
:class:`~byte_bot.persistence.journal_file.SqliteJournal`, one step at a time: a commit waits until the test has it written,
acknowledged, refused, left in doubt (written or not) or stall. A crash may come between any two of these.

The log has few lines and a fold takes few rows, so that commits fold too, and folds leave some for the next. :class:`Trouble` says at
which statement SQLite fails, in a commit or in a fold: what the journal is told then is what the shipped store would say.
A few *neighbours*, rows that only the journal knows, are changed in between; what the disk holds of them must be what was told.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import msgspec

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import Journal, JournalImage, Recorded, Write
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_schema import Owner, make_tables
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp

#: Turns of the loop after which the journal has done what it can without its disk.
TURNS = 6
STALL_S = 1.0
#: Few enough that a walk of forty steps meets every bound.
LOG_SLOTS, FOLD_ROWS, ROWS_REMEMBERED = 5, 2, 2
CHANNEL_ID = "1"
NEIGHBOURS = tuple(RowKey("component_state", CHANNEL_ID, f"neighbour-{number}") for number in range(3))


class Trouble(NamedTuple):
    """SQLite fails with ``code`` at the writing statement number ``at``, counted from 0, and at all that follow if it ``lasts``.

    ``ends`` says that it ends an open transaction by itself then, as it may; ``done`` that the statement was carried out
    all the same, which after an I/O error nobody can know.
    """

    code: int
    at: int
    lasts: bool = True
    ends: bool = False
    done: bool = False


class TroubledConnection(sqlite3.Connection):
    """A connection whose writes may fail; see :class:`Trouble`."""

    trouble: Trouble | None = None
    written = 0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement, or fail."""
        trouble = self.trouble
        if trouble is None or sql.startswith(("SELECT", "PRAGMA", "ROLLBACK")) or sql == "BEGIN":
            return super().execute(sql, parameters)
        reached = self.written - trouble.at
        self.written += 1
        if reached < 0 or (reached > 0 and not trouble.lasts):
            return super().execute(sql, parameters)
        if trouble.done and reached == 0 and trouble.code == sqlite3.SQLITE_IOERR:
            super().execute(sql, parameters)
        if trouble.ends and self.in_transaction:
            super().execute("ROLLBACK")
        error = sqlite3.OperationalError(f"in trouble at {' '.join(sql.split()[:3])}")
        error.sqlite_errorcode = trouble.code
        raise error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """The same once for each, so that it can fail in the midst of them."""
        cursor = self.cursor()
        for values in parameters:
            cursor = self.execute(sql, values)
        return cursor

    @contextmanager
    def in_trouble(self, trouble: Trouble) -> Iterator[None]:
        """Everything inside meets it."""
        self.trouble, self.written = trouble, 0
        try:
            yield
        finally:
            self.trouble = None


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
        self._image.apply(self._waiting)
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
        """Have the commit under way in the file, which the journal does not know yet; again, and nothing happens."""
        if self.outcome is not None:
            self.file.apply(self.group, self.number)

    def acknowledge(self) -> None:
        """The commit under way has worked."""
        if self.outcome is not None:
            self.write()
            self.outcome.set_result(None)

    def fail(self) -> None:
        """The commit under way has not worked, which is certain."""
        if self.outcome is not None and self.file.commits < self.number:
            self.outcome.set_exception(JournalError("database or disk is full"))

    def leave_in_doubt(self, *, written: bool) -> None:
        """Nobody can say whether the commit under way has worked."""
        if self.outcome is not None:
            if written:
                self.write()
            self.outcome.set_exception(JournalError("disk I/O error", in_doubt=True))

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of what is in the file."""
        return self.file.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases."""
        return self.file.snapshot(channel_id)


class FileDisk:
    """See the module's docstring."""

    def __init__(self, journal_class: type[SqliteJournal] = SqliteJournal) -> None:
        self._loop = SteppedLoop()
        self._journal_class = journal_class
        self._connection = sqlite3.connect(":memory:", isolation_level=None, factory=TroubledConnection)
        make_tables(self._connection, Owner("byte_bot", "row-world"))
        #: What was added to each neighbour: all of it, and as far as it is surely on the disk.
        self._added = dict.fromkeys(NEIGHBOURS, 0)
        self._told = dict.fromkeys(NEIGHBOURS, 0)
        self._revision = 0
        self._boot()

    def _over_file(self) -> SqliteJournal:
        bounds = {"log_slots": LOG_SLOTS, "fold_rows": FOLD_ROWS, "rows_remembered": ROWS_REMEMBERED}
        return self._journal_class(self._connection, **bounds)

    def _boot(self) -> None:
        self._store = SteppedStore(self._over_file())
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
        self._store.write()

    def acknowledge(self) -> None:
        """The commit under way has worked."""
        self._store.acknowledge()
        self._turn()

    def fail(self) -> None:
        """The commit under way has not worked, which is certain."""
        self._store.fail()
        self._turn()

    def leave_in_doubt(self, *, written: bool) -> None:
        """Nobody can say whether the commit under way has worked."""
        self._store.leave_in_doubt(written=written)
        self._turn()

    def write_in_trouble(self, trouble: Trouble) -> None:
        """The disk is in trouble while the commit under way is written; the journal is told what the shipped store would say."""
        store = self._store
        if store.outcome is None:
            return
        try:
            with self._connection.in_trouble(trouble):
                store.write()
        except sqlite3.Error as error:
            in_doubt = store.file.commits >= store.number
            store.outcome.set_exception(JournalError(str(error), in_doubt=in_doubt))
        else:
            store.outcome.set_result(None)
        self._turn()

    def fold(self) -> None:
        """Some of the log is folded."""
        self._store.file.fold()

    def fold_in_trouble(self, trouble: Trouble) -> None:
        """The same, and the disk is in trouble."""
        try:
            with self._connection.in_trouble(trouble):
                self._store.file.fold()
        except sqlite3.Error:
            pass  # the shipped store tries again later

    def add_to_neighbour(self, index: int) -> None:
        """One of the other rows is changed."""
        key = NEIGHBOURS[index % len(NEIGHBOURS)]
        self._revision += 1
        self._added[key] += 1
        number = self._added[key]
        operation = Operation(
            Kind.ADD, "total", None, 1, Stamp(1, self._revision), f"neighbour-{self._revision}"
        )
        told = self._told

        def durable() -> None:
            told[key] = max(told[key], number)

        self.append([Recorded(key, [operation])], durable)

    def _check_neighbours(self, image: JournalImage) -> None:
        for key in NEIGHBOURS:
            pending = image.rows[key].pending if key in image.rows else []
            found = sum(operation.value for operation in pending)
            assert self._told[key] <= found <= self._added[key], f"{key}: {found} on the disk"
            self._added[key] = found

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
        image = self.read()
        self._check_neighbours(image)
        return image

    def read(self) -> JournalImage:
        """The image of what is in the file."""
        return self._store.read()

    def snapshot(self) -> dict[RowKey, Base]:
        """The bases in the file, as the shipped journal looks them up."""
        found = self._store.snapshot(CHANNEL_ID)
        assert found == {key: row.base for key, row in self.read().rows.items() if row.base is not None}
        return found

    def close(self) -> None:
        """Let everything go."""
        self._running.cancel()
        self._turn()
        self._loop.close()
        self._connection.close()
