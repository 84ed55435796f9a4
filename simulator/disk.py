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

**Faults.** The board is asked at the instant of the write. ``disk_full`` strikes in SQLite's COMMIT, in SQLite's words;
``disk_read_only`` is SQLite's own refusal; ``slow_sync`` makes the write and its acknowledgement later. Either way it is
the journal's own code that rolls back.

Left out: a disk that cannot be read or opened, one that is damaged, commits whose fate is not known, and a write that
is torn within a sector: the tests of the real file have those.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import RETRY_S, STALL_S
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import SEEN_MESSAGES_MAX, Handled, JournalImage, Recorded, Write
from byte_bot.persistence.journal_opening import Owner, make_tables
from byte_bot.persistence.journal_thread import TIDY_EVERY
from byte_bot.persistence.operations import Base, RowKey
from simulator.faults import DiskFull, DiskReadOnly, FaultBoard, SlowSync
from simulator.rng import SeedTree
from simulator.scenario import DiskLatency

Durability = Literal["process", "power", "off"]

#: What SQLite says when there is no room for a commit.
NO_ROOM = "database or disk is full"
#: Commits after which the journal's log is folded into its tables; fewer than in the shipped bot, so that nights see both.
FOLD_EVERY = 50
#: Empty files that are kept to be copied: one for each name of a disk, of which a world has two or three.
EMPTY_FILES_MAX = 16


class _File(sqlite3.Connection):
    """A connection to a file in memory that may have no room: neither a line of the log nor a transaction gets in then."""

    full = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement; what commits fails while there is no room."""
        if self.full and (sql == "COMMIT" or sql.startswith("REPLACE INTO log")):
            error = sqlite3.OperationalError(NO_ROOM)
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return super().execute(sql, parameters)


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
        self._faults = faults
        self._latency = latency
        #: The file at the last sync of all of it; the commits since, in order, and how many of them are acknowledged.
        self._synced_file = _empty_file(identity)
        self._since: list[Sequence[Write]] = []
        self._acknowledged = 0
        self._file = _file(self._synced_file)
        self._journal = SqliteJournal(self._file)
        self._commits = 0
        self._handled: dict[str, None] = {}
        #: How often it failed, or took so long that a journal gives up waiting; and until when that is an excuse.
        self.troubles = 0
        self.trouble_until_s = float("-inf")

    def open(self) -> InlineJournalStore:
        """The journal's store for a process that begins; the one before it is dead."""
        self._journal = SqliteJournal(self._file)
        return InlineJournalStore(self)

    def holds(self, message_id: str) -> bool:
        """True if the commit that says that this message was handled is written."""
        return message_id in self._handled

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything written."""
        return self._journal.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        return self._journal.snapshot(channel_id)

    def sync(self) -> None:
        """Everything written is on the disk for good."""
        self._fold()
        self._synced_file = self._file.serialize()
        self._since.clear()
        self._acknowledged = 0

    def cut_power(self) -> list[str]:
        """Lose a tail of the commits; the ids of messages whose *acknowledged* commits are lost."""
        synced = self._acknowledged if self.durability == "power" else 0
        kept = self._rng.randint(synced, len(self._since))
        lost = self._since[kept : self._acknowledged]
        again = self._since[:kept]
        self._file.close()
        self._file = _file(self._synced_file)
        self._journal = SqliteJournal(self._file)
        self._commits = self._journal.commits
        for writes in again:
            self._commits += 1
            self._journal.apply(writes, self._commits)
        self._handled = dict(self.read(pending_only=True).handled)
        self.sync()
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
        return latency_s * self._rng.random(), latency_s

    def write(self, writes: Sequence[Write], now_s: float) -> None:
        """Write one commit, or raise :class:`JournalError`: nothing of it is on the disk."""
        faults = () if self.durability == "off" else self._faults.disk_draw()
        self._file.full = any(isinstance(fault, DiskFull) for fault in faults)
        read_only = any(isinstance(fault, DiskReadOnly) for fault in faults)
        if read_only:
            self._file.execute("PRAGMA query_only = ON")
        try:
            self._journal.apply(writes, self._commits + 1)
        except sqlite3.Error as error:
            # Until it has tried again, a journal cannot know better.
            self._in_trouble(now_s + RETRY_S)
            raise JournalError(str(error)) from None
        finally:
            self._file.full = False
            if read_only:
                self._file.execute("PRAGMA query_only = OFF")
        self._commits += 1
        if self._commits % FOLD_EVERY == 0:
            self._fold()
        self._since.append(writes)
        for write in writes:
            if isinstance(write, Handled):
                self._handled[write.message_id] = None
        while len(self._handled) > SEEN_MESSAGES_MAX:
            del self._handled[next(iter(self._handled))]

    def acknowledge(self) -> None:
        """The process is told of everything written."""
        self._acknowledged = len(self._since)
        if self._acknowledged >= TIDY_EVERY:
            self.sync()

    def _fold(self) -> None:
        while self._journal.fold():
            pass

    def _draw_s(self, record: str) -> float:
        latency_s = 0.0 if self._latency is None else self._latency.draw_s(self._seeds.stream(record))
        if self.durability == "off":
            return latency_s
        slow = (fault.sync_s for fault in self._faults.disk_now() if isinstance(fault, SlowSync))
        return latency_s + max(slow, default=0.0)

    def _in_trouble(self, until_s: float) -> None:
        self.troubles += 1
        self.trouble_until_s = max(self.trouble_until_s, until_s)


class InlineJournalStore:
    """A :class:`~byte_bot.persistence.journal.JournalStore` on a :class:`Disk`; made by :meth:`Disk.open`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.identity = disk.identity
        self.durable = disk.durability != "off"

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
