"""The disk under a bot's journal: the bot's own SQLite file, inline, in virtual time; what it forgets is drawn from the seed.

How it works. A :class:`Disk` outlives the processes that use it. Each opens it (:meth:`Disk.open`) and gets the journal's
store: :class:`~byte_bot.persistence.journal_file.SqliteJournal`, the code of the shipped bot, on a database in memory,
without a thread. A commit of records is *written* at one virtual instant and *acknowledged* at a later one; how long it
takes is the slowest of its records', each drawn by itself, from a stream named after the message that it records. So no
latency depends on what is committed together, on how operations were combined meanwhile, or on what the database does. What
bookkeeping alone costs (saves on their way, rows acknowledged) is left out: a real disk does that between two commits of
records, or beside them.

**What is kept.** SQLite in WAL mode appends each commit to the WAL, and drops a tail that is not whole. So:

* *A process that is killed* loses the commit that was not written yet. What was written stays, acknowledged or not: the
  operating system has it.
* *A power cut* leaves a prefix of the commits, with ``DURABILITY=process`` (``synchronous=NORMAL``) any that is at least as
  long as the last sync: the WAL is synced only when it is moved into the file (every
  :data:`~byte_bot.persistence.journal_thread.TIDY_EVERY` commits, and when the file is closed). With ``power`` (``FULL``)
  every commit is synced before it is acknowledged, so only the one under way may be missing. The seed decides where the
  cut is.

**Folds.** The journal's log is folded into its tables when a process opens the file, every :data:`FOLD_EVERY` tries to commit, and
when the file is closed. A fold is begun at one instant and through at a later one: it takes some milliseconds, and as much more as
``slow_sync`` says. A process that is killed in between, or whose machine loses its power, leaves the file as it was before, and a
power cut may take a fold with the commits behind it. Commits do not wait for a fold, unlike on a real disk: how many there are
depends on bookkeeping, so on the database.

**Faults.** The board is asked at the instant of the write. ``disk_full`` strikes a commit as a whole, and a fold at a statement that
is drawn, its COMMIT at the latest, in SQLite's words; after that SQLite may have ended the transaction by itself or not.
``disk_read_only`` is SQLite's own refusal; ``slow_sync`` makes the write and its acknowledgement later. Either way it is
the journal's own code that rolls back. A fold that has failed is tried again :data:`FOLD_RETRY` tries later.

Left out: a disk that cannot be read or opened, one that is damaged, commits whose fate is not known, and a write that
is torn within a sector: the tests of the real file have those.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, Literal

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import RETRY_S, STALL_S
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import (
    SEEN_MESSAGES_MAX,
    Handled,
    JournalImage,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.journal_opening import Owner, make_tables
from byte_bot.persistence.journal_store import StoreCounts
from byte_bot.persistence.journal_thread import TIDY_EVERY
from byte_bot.persistence.operations import Base, RowKey, Stamp
from simulator.faults import DiskFull, DiskReadOnly, Fault, FaultBoard, SlowSync
from simulator.rng import SeedTree
from simulator.scenario import DiskLatency

Durability = Literal["process", "power", "off"]

#: What SQLite says when there is no room for a commit.
NO_ROOM = "database or disk is full"
#: Tries to commit after which the journal's log is folded into its tables, and after which that is tried again if it failed;
#: and the lines of the log. All fewer than in the shipped bot, so that nights see everything.
FOLD_EVERY = 50
FOLD_RETRY = 10
LOG_SLOTS = 200
#: Seconds that a fold takes at most; measured on real disks: 2 to 15 ms.
FOLD_MAX_S = 0.015
#: Statements of a fold within which a full disk strikes if not at its COMMIT; a fold of a few rows has eight to twenty.
FOLD_STATEMENTS = 20
#: Empty files that are kept to be copied: one for each name of a disk, of which a world has two or three.
EMPTY_FILES_MAX = 16


class _File(sqlite3.Connection):
    """A connection to a file in memory that may have no room: then no line of the log gets in, and no transaction is committed."""

    full = False
    #: Statements of a transaction that may still be carried out, and whether SQLite ends it then; what it failed at.
    statements_left = 0
    ends_by_itself = False
    failed_at = ""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement, or fail while there is no room."""
        if self.full:
            self.statements_left -= self.in_transaction
            exhausted = self.in_transaction and self.statements_left < 0 and sql != "ROLLBACK"
            if exhausted or sql == "COMMIT" or sql.startswith("REPLACE INTO log"):
                self.failed_at = " ".join(sql.split()[:3])
                if self.in_transaction and self.ends_by_itself:
                    super().execute("ROLLBACK")
                error = sqlite3.OperationalError(NO_ROOM)
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """The same once for each, so that it can fail in the midst of them."""
        cursor = self.cursor()
        for values in parameters:
            cursor = self.execute(sql, values)
        return cursor


class Disk:
    """See the module's docstring.

    Args:
        identity: the journal's.
        seeds: latencies and cuts are drawn from here.
        faults: what is wrong with it.
        latency: how long records take; None: no time.
        durability: as the bot's setting; ``off`` makes a store that says it is not durable, and that no fault strikes.
    """

    def __init__(
        self,
        identity: str,
        seeds: SeedTree,
        faults: FaultBoard,
        *,
        latency: DiskLatency | None = None,
        durability: Durability = "process",
    ) -> None:
        self.identity = identity
        self.durability = durability
        self._seeds = seeds
        self._rng = seeds.stream("disk")
        #: Another stream: how many folds there are must not change how long a record takes.
        self._fold_rng = seeds.stream("folds")
        self._faults = faults
        self._latency = latency
        #: The file at the last sync of all of it; the commits since, in order, how many of them are acknowledged, and
        #: how many there were at each fold.
        self._synced_file = _empty_file(identity)
        self._since: list[Sequence[Write]] = []
        self._acknowledged = 0
        self._folded_at: list[int] = []
        self._file = _file(self._synced_file)
        self._journal = self._over_file()
        self._commits = 0
        self._tries = 0
        #: When the fold under way is through; None: there is none.
        self._fold_ends_s: float | None = None
        #: When it was written that a message was handled; infinity: nobody knows any more.
        self._handled: dict[str, float] = {}
        #: The rows that each of them changed, where that is known.
        self._changed: dict[str, frozenset[RowKey]] = {}
        #: When it was first written that a row is being sent up to a stamp, since it was last saved (whatever was handled later is not in
        #: that save, however often it is tried again); and the same of the last save.
        self._sending_s: dict[RowKey, dict[Stamp, float]] = {}
        self._saved_s: dict[RowKey, float] = {}
        #: How often it failed, or took so long that a journal gives up waiting; and until when that is an excuse.
        self.troubles = 0
        self.trouble_until_s = float("-inf")
        #: True from a trouble to the next commit that works.
        self._troubled = False
        #: Folds that a fault struck, by the statement at which it did.
        self.folds_struck: Counter[str] = Counter()

    @property
    def folded(self) -> int:
        """The number of the last commit that is folded."""
        return self._journal.folded

    @property
    def counts(self) -> StoreCounts:
        """What the journal over the file has counted since it was opened."""
        return StoreCounts(self._journal.dropped, self._journal.folds_put_off)

    def open(self) -> InlineJournalStore:
        """The journal's store for a process that begins; the one before it is dead."""
        self._journal = self._over_file()
        self._begin_fold()
        return InlineJournalStore(self)

    def holds(self, message_id: str) -> bool:
        """True if the commit that says that this message was handled is written."""
        return message_id in self._handled

    def changed_by(self, message_id: str, key: RowKey) -> bool:
        """True if this message was handled, and changed this row, as far as is known."""
        return self.holds(message_id) and key in self._changed.get(message_id, (key,))

    def handled_since(self, message_id: str, key: RowKey) -> bool:
        """True if the message was handled, and not before this row was last sent and then saved, as far as is known."""
        return self._handled.get(message_id, -math.inf) >= self._saved_s.get(key, 0.0)

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything written."""
        return self._journal.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        return self._journal.snapshot(channel_id)

    def sync(self) -> None:
        """Everything written is on the disk for good."""
        self._fold()
        self._settle()

    def cut_power(self) -> list[str]:
        """Lose a tail of the commits; the ids of messages whose *acknowledged* commits are lost."""
        synced = self._acknowledged if self.durability == "power" else 0
        kept = self._rng.randint(synced, len(self._since))
        lost = self._since[kept : self._acknowledged]
        again = self._since[:kept]
        # Of a fold right behind the last commit that is left nobody knows on which side of the cut it is.
        folds = [number for number in self._folded_at if number < kept or self._fold_rng.random() < 0.5]
        self._file.close()
        self._file = _file(self._synced_file)
        self._journal = self._over_file()
        self._commits = self._journal.commits
        for done in range(kept + 1):
            if done:
                self._commits += 1
                self._journal.apply(again[done - 1], self._commits)
            if done in folds:
                self._fold_all()
        self._fold_ends_s = None
        self._handled = dict.fromkeys(self.read(pending_only=True).handled, math.inf)
        self._changed.clear()
        self._sending_s.clear()
        self._saved_s.clear()
        self._settle()
        return [write.message_id for writes in lost for write in writes if isinstance(write, Handled)]

    # ── what a store asks for ────────────────────────────────────────────────────────────────────────────────────

    def draw_times_s(self, writes: Iterable[Write], now_s: float) -> tuple[float, float]:
        """After how many seconds this commit is written, and acknowledged."""
        if self._latency is None and not self._faults.disk_now():
            return 0.0, 0.0
        latency_s = max((self._draw_s(record) for record in _records(writes)), default=0.0)
        if latency_s <= 0.0:
            return 0.0, 0.0
        if latency_s >= STALL_S:
            self._in_trouble(now_s + latency_s)
        elif self._troubled:
            # Whether the disk works again is known when this commit is through.
            self.trouble_until_s = max(self.trouble_until_s, now_s + latency_s)
        return latency_s * self._rng.random(), latency_s

    def write(self, writes: Sequence[Write], now_s: float) -> None:
        """Write one commit, or raise :class:`JournalError`: nothing of it is on the disk."""
        if self._fold_ends_s is not None and now_s >= self._fold_ends_s:
            self._fold()
        self._tries += 1
        if self._tries >= FOLD_EVERY:
            self._begin_fold()
        try:
            with self._struck():
                self._journal.apply(writes, self._commits + 1)
        except sqlite3.Error as error:
            # Until it has tried again, a journal cannot know better.
            self._in_trouble(now_s + RETRY_S)
            raise JournalError(str(error)) from None
        self._commits += 1
        self._since.append(writes)
        changed: list[RowKey] = []
        for write in writes:
            if isinstance(write, Recorded):
                changed.append(write.key)
            elif isinstance(write, Handled):
                # It stands behind all that its message changed.
                self._handled[write.message_id] = now_s
                self._changed[write.message_id] = frozenset(changed)
                changed.clear()
            elif isinstance(write, Sending):
                self._sending_s.setdefault(write.key, {}).setdefault(write.stamp, now_s)
            elif isinstance(write, Settled):
                sent_s = self._sending_s.pop(write.key, {})
                self._saved_s[write.key] = sent_s.get(write.base.stamp, max(sent_s.values(), default=0.0))
        while len(self._handled) > SEEN_MESSAGES_MAX:
            oldest = next(iter(self._handled))
            del self._handled[oldest]
            self._changed.pop(oldest, None)

    def acknowledge(self) -> None:
        """The process is told of everything written."""
        self._troubled = False
        self._acknowledged = len(self._since)
        if self._acknowledged >= TIDY_EVERY:
            self.sync()

    def _begin_fold(self) -> None:
        """It is through at an instant that is drawn, if the process lives to see it."""
        self._tries = 0
        slow = max((fault.sync_s for fault in self._acting() if isinstance(fault, SlowSync)), default=0.0)
        self._fold_ends_s = self._faults.time_s + slow + self._fold_rng.uniform(0.0, FOLD_MAX_S)

    def _fold(self) -> None:
        self._fold_ends_s = None
        try:
            with self._struck(in_fold=True):
                self._fold_all()
        except sqlite3.Error:
            # What is committed is in the log, and there will be another time.
            self.folds_struck[self._file.failed_at] += 1
            self._tries = FOLD_EVERY - FOLD_RETRY
            return
        self._folded_at.append(len(self._since))

    def _fold_all(self) -> None:
        while self._journal.fold():
            pass

    def _settle(self) -> None:
        self._synced_file = self._file.serialize()
        self._since.clear()
        self._folded_at.clear()
        self._acknowledged = 0

    def _over_file(self) -> SqliteJournal:
        return SqliteJournal(self._file, log_slots=LOG_SLOTS)

    def _struck(self, *, in_fold: bool = False) -> AbstractContextManager[None]:
        """What is written meanwhile meets the faults of this instant."""
        faults = () if self.durability == "off" else self._faults.disk_draw()
        file = self._file
        file.failed_at = "query_only"
        # Drawn without a fault too: one must not change what is drawn after it.
        file.statements_left = self._fold_rng.randrange(FOLD_STATEMENTS) if in_fold else FOLD_STATEMENTS
        file.ends_by_itself = self._fold_rng.random() < 0.5
        return self._under(faults) if faults else nullcontext()

    @contextmanager
    def _under(self, faults: Sequence[Fault]) -> Iterator[None]:
        file = self._file
        file.full = any(isinstance(fault, DiskFull) for fault in faults)
        read_only = any(isinstance(fault, DiskReadOnly) for fault in faults)
        if read_only:
            file.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            file.full = False
            if read_only:
                file.execute("PRAGMA query_only = OFF")

    def _acting(self) -> tuple[Fault, ...]:
        return () if self.durability == "off" else self._faults.disk_now()

    def _draw_s(self, record: str) -> float:
        latency_s = 0.0 if self._latency is None else self._latency.draw_s(self._seeds.stream(record))
        slow = (fault.sync_s for fault in self._acting() if isinstance(fault, SlowSync))
        return latency_s + max(slow, default=0.0)

    def _in_trouble(self, until_s: float) -> None:
        self.troubles += 1
        self._troubled = True
        self.trouble_until_s = max(self.trouble_until_s, until_s)


class InlineJournalStore:
    """A :class:`~byte_bot.persistence.journal.JournalStore` on a :class:`Disk`; made by :meth:`Disk.open`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.identity = disk.identity
        self.durable = disk.durability != "off"

    @property
    def counts(self) -> StoreCounts:
        """What the journal over the file has counted."""
        return self._disk.counts

    async def commit(self, writes: Sequence[Write]) -> None:
        """Write, and return when it is acknowledged."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        written_s, acknowledged_s = self._disk.draw_times_s(writes, began_s)
        if not acknowledged_s:
            self._disk.write(writes, began_s)
            self._disk.acknowledge()
            return
        await _until(loop, began_s + written_s)
        self._disk.write(writes, loop.time())
        # Not "so many seconds later": the sum of two floats would depend on where between them the write was.
        await _until(loop, began_s + acknowledged_s)
        self._disk.acknowledge()

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything written."""
        return self._disk.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        return self._disk.snapshot(channel_id)


def _records(writes: Iterable[Write]) -> Iterator[str]:
    """The names of what chat did: of each message, and of what was recorded without one."""
    writes = list(writes)
    messages = {write.message_id: None for write in writes if isinstance(write, Handled)}
    yield from messages
    for write in writes:
        if isinstance(write, Recorded) and write.operations:
            op_id = write.operations[0].op_id
            # "message:step". Which operations of a message are left may depend on when a save was sent.
            if op_id.rpartition(":")[0] not in messages:
                yield op_id


async def _until(loop: asyncio.AbstractEventLoop, at_s: float) -> None:
    reached: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(at_s, reached.set_result, None)
    try:
        await reached
    finally:
        timer.cancel()


def _file(content: bytes) -> _File:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=_File)
    connection.deserialize(content)
    return connection


@lru_cache(maxsize=EMPTY_FILES_MAX)
def _empty_file(identity: str) -> bytes:
    """An empty journal of this identity: making the tables takes ten times as long as copying them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    make_tables(connection, Owner("byte_bot", identity))
    content = connection.serialize()
    connection.close()
    return content
