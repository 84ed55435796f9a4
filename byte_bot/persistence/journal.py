"""The journal: what was done here and is not yet known to be in the database; and the gate in front of replies.

Theory of operation
-------------------
Every transaction that changes state appends *writes* (small structs, :mod:`byte_bot.persistence.journal_image`) before
its replies may leave. A store commits them in groups; :meth:`Journal.after` calls back once everything up to a sequence
number is committed. That is the **output gate**: a viewer never sees a confirmation that a crash could take back. It
costs one commit of the store, never a database. When a save is acknowledged, the same journal is trimmed and its snapshot
updated in one write, so that neither can be ahead of the other.

At boot the image that the store reads gives the pending operations of the earlier process (rebased on the loaded rows
before the first save), the last known rows and channels (for a cold start during an outage) and the window of handled
message ids.

**What goes first.** Records, message ids and epochs go with the next commit, all of them. *Bookkeeping* (bases, boundaries,
the list of channels) waits in a :class:`~byte_bot.persistence.journal_backlog.Backlog` and rides along, at most
:data:`BOOKKEEPING_WRITES_MAX` writes and :data:`BOOKKEEPING_BYTES_MAX` bytes a commit: no reply waits for the 500 rows
that a save has just settled. The order within a row is kept: a record takes along what waits about its own row. Whoever
loads a hundred thousand channels asks for :meth:`Journal.room` between two pages, so that what waits stays small.

**When the disk fails.** If the store fails or stalls for :data:`STALL_S`, the journal is *degraded*: announced, counted,
and replies leave ungated until a commit works again. What waits meanwhile is folded row by row, so that it grows with
rows and never with messages; the same happens to more than :data:`WAITING_MAX` writes that wait while the disk is merely
slow. A commit that failed is rolled back whole and folded into what waits; only if the store does not know whether it
arrived (``JournalError.in_doubt``) exactly the same one is tried again, which the store recognises.

What a store is stands in :mod:`byte_bot.persistence.journal_store`; the durable one is
:class:`~byte_bot.persistence.journal_thread.FileJournalStore`.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from byte_bot.errors import JournalError
from byte_bot.persistence.journal_backlog import Backlog, RowWrite
from byte_bot.persistence.journal_image import (
    SEEN_MESSAGES_MAX,
    DeadLettered,
    EpochTaken,
    Handled,
    JournalImage,
    KnownChannel,
    KnownChannels,
    LetterRetired,
    Rebased,
    Recorded,
    RowImage,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.journal_store import JournalStore, MemoryJournalStore, StoreCounts
from byte_bot.persistence.operations import NO_STAMP, RowKey, Stamp

__all__ = [
    "SEEN_MESSAGES_MAX",
    "DeadLettered",
    "EpochTaken",
    "Handled",
    "Journal",
    "JournalImage",
    "JournalStore",
    "KnownChannel",
    "KnownChannels",
    "LetterRetired",
    "MemoryJournalStore",
    "Rebased",
    "Recorded",
    "RowImage",
    "Sending",
    "Settled",
    "StoreCounts",
    "Write",
]

#: A commit that takes longer than this degrades the journal (DESIGN section 3), seconds.
STALL_S = 1.0
#: Seconds between tries while the store fails.
RETRY_S = 1.0
#: Bookkeeping that rides along with one commit of records; chosen: about a millisecond of the disk's thread.
BOOKKEEPING_WRITES_MAX = 64
BOOKKEEPING_BYTES_MAX = 256 * 1024
#: Rows about which bookkeeping waits before :meth:`Journal.room` makes whoever reads many rows wait; chosen: the disk's thread
#: has enough to do for the time of a request, and it is half a megabyte. At boot the 300,000 rows of 100,000 channels would
#: else wait at once: 100 MB, of which the process keeps a part for good.
BOOKKEEPING_ROWS_MAX = 1_000
#: Seconds that it makes them wait at most; chosen: 400 channels are loaded a second however slow the disk is.
ROOM_S = 0.25
#: Writes that wait one by one; what waits beyond is folded. Chosen: a second of 1,000 messages/s, about 1 MB; to fold 10,000
#: at once held the loop for 60 to 120 ms.
WAITING_MAX = 2_000

_log = structlog.get_logger(__name__)


class Journal:
    """Sequence numbers, group commit and the gate, over a store.

    Args:
        store: where writes become durable.
        on_degraded: called with True when the journal stops gating, with False when it works again.
        stall_s, retry_s: seconds, see :data:`STALL_S` and :data:`RETRY_S`.
        bookkeeping_writes_max: see :data:`BOOKKEEPING_WRITES_MAX`.
    """

    def __init__(
        self,
        store: JournalStore,
        *,
        on_degraded: Callable[[bool], None] | None = None,
        stall_s: float = STALL_S,
        retry_s: float = RETRY_S,
        bookkeeping_writes_max: int = BOOKKEEPING_WRITES_MAX,
    ) -> None:
        self._store = store
        self._on_degraded = on_degraded
        self._stall_s = stall_s
        self._retry_s = retry_s
        self._bookkeeping_writes_max = bookkeeping_writes_max
        #: What goes with the next commit, in order; bookkeeping, or everything while the disk does not keep up.
        self._waiting: list[Write] = []
        self._backlog = Backlog()
        self._folding = False
        #: What the commit under way carries, while everything is folded.
        self._carried: Backlog | None = None
        #: The last boundary of rows whose save has not been settled: their records are kept apart at it.
        self._boundaries: dict[RowKey, Stamp] = {}
        self._appended = 0
        #: Number of the oldest bookkeeping that a record took along behind the commit under way, whose end says nothing of it.
        self._moved_since: float = math.inf
        #: Everything that gates up to the first, and everything at all up to the second, is committed.
        self._gate_open = 0
        self._committed = 0
        #: Records after it were never given to the store, or it surely does not have them.
        self._handed_over = 0
        self._gated = _Gate()
        self._waiters = _Gate()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._commit_began_s: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.degraded = False
        self.ungated_replies = 0
        #: How often more than :data:`WAITING_MAX` writes waited and were folded.
        self.overflows = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """What it has counted since the start, and its store: ``replies_ungated``, ``overflows``, :class:`StoreCounts`."""
        own = {"replies_ungated": self.ungated_replies, "overflows": self.overflows}
        return own | self._store.counts._asdict()

    @property
    def appended(self) -> int:
        """The sequence number of the last append."""
        return self._appended

    def append(self, writes: Iterable[Write]) -> int:
        """Queue ``writes`` for a commit; the sequence number that :meth:`after` and :meth:`wait` take."""
        self._appended += 1
        for write in writes:
            kind = type(write)
            if kind is Handled or kind is EpochTaken:
                if self._folding:
                    self._backlog.add(write, self._appended)
                else:
                    self._waiting.append(write)
            elif kind is KnownChannels:
                self._backlog.add(write, self._appended)
            else:
                self._append_about_row(write)  # type: ignore[arg-type]  # the others are told apart above
        if len(self._waiting) > WAITING_MAX:
            self.overflows += 1
            self._fold(())
        self._idle.clear()
        self._wake.set()
        return self._appended

    def _append_about_row(self, write: RowWrite) -> None:
        key = write.key
        if not self._folding and type(write) is Recorded:
            if key in self._backlog:
                self._moved_since = min(self._moved_since, self._backlog.since(key))
                self._waiting += self._backlog.take_row(key)
            self._waiting.append(write)
            return
        self._backlog.add(write, self._appended, self._boundaries.get(key, NO_STAMP))
        if type(write) is Sending:
            self._boundaries[key] = write.stamp
        elif isinstance(write, Settled | Rebased) and key in self._boundaries:
            boundary = self._boundaries[key]
            if boundary.epoch == write.base.epoch and boundary.revision <= write.base.revision:
                # What could still be recorded at or below it is contained in the base.
                del self._boundaries[key]

    def after(self, sequence: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` once every record up to ``sequence`` is committed: at once if it is.

        Callbacks are called in the order of their sequences, those of the same one in the order of the calls.
        While the journal is degraded they are called at once, and counted.
        """
        if sequence <= self._gate_open:
            callback()
        elif self.degraded:
            self.ungated_replies += 1
            callback()
        else:
            self._gated.add(sequence, callback)

    async def wait(self, sequence: int) -> None:
        """Wait until everything up to ``sequence`` is committed, or as long as the journal is not degraded."""
        if sequence <= self._committed or self.degraded:
            return
        committed = asyncio.Event()
        self._waiters.add(sequence, committed.set)
        await committed.wait()

    async def room(self) -> None:
        """Wait while bookkeeping about more than :data:`BOOKKEEPING_ROWS_MAX` rows waits, at most :data:`ROOM_S` seconds.

        For whoever takes over rows by the thousand: no faster than the disk does. Nobody waits for one that does not work.
        """
        if self._backlog.rows <= BOOKKEEPING_ROWS_MAX:
            return
        try:
            async with asyncio.timeout(ROOM_S):
                while self._backlog.rows > BOOKKEEPING_ROWS_MAX and not self.degraded:
                    oldest = self._backlog.oldest
                    assert oldest is not None, "rows wait"
                    await self.wait(oldest)
        except TimeoutError:
            pass

    def committed(self, sequence: int) -> bool:
        """True if everything up to ``sequence`` is committed, bookkeeping too."""
        return sequence <= self._committed

    def may_hold(self, sequence: int) -> bool:
        """True if the store may have what was recorded under ``sequence``, or get it before what is appended now.

        False only while everything is folded: then the next commit has a row's last state, and nothing of how it came about.
        """
        return not self._folding or sequence <= self._handed_over

    async def run(self) -> None:
        """Commit what is appended, group by group, until cancelled."""
        try:
            while True:
                if not (self._waiting or self._backlog):
                    self._idle.set()
                    self._wake.clear()
                    await self._wake.wait()
                await self._commit_group()
        finally:
            if self._watch is not None:
                self._watch.cancel()

    async def drain(self) -> None:
        """Wait until everything appended is committed."""
        await self._idle.wait()

    async def _commit_group(self) -> None:
        """Commit what waits; while it does not work the journal is degraded, and what waits is folded."""
        group, upto = self._take(), self._appended
        while True:
            try:
                await self._commit(group)
                break
            except JournalError as error:
                self._set_degraded(True, str(error))
                if not error.in_doubt:
                    self._handed_over = self._gate_open
                    self._fold(group)
                    group = []
                await asyncio.sleep(self._retry_s)
                if not group:
                    group, upto = self._take(), self._appended
        self._gate_open = upto
        waiting_since = min(self._moved_since, self._backlog.oldest or math.inf)
        # What was folded waits for the commit after this one, and is as old as its oldest.
        self._committed = upto if waiting_since > upto else int(waiting_since) - 1
        self._gated.open(upto)
        self._waiters.open(self._committed)
        if self._folding:
            self._folding = False
            self._waiting = self._backlog.take_all()
        if self.degraded:
            self._set_degraded(False)

    def _take(self) -> list[Write]:
        """The writes of the next commit."""
        self._moved_since = math.inf
        self._handed_over = self._appended
        if self._folding:
            self._carried, self._backlog = self._backlog, Backlog()
            return self._carried.writes()
        self._carried = None
        group, self._waiting = self._waiting, []
        if self._backlog:
            group += self._backlog.take(self._bookkeeping_writes_max, BOOKKEEPING_BYTES_MAX)
        return group

    def _fold(self, group: Sequence[Write]) -> None:
        """Put ``group``, a commit that surely did not happen, and what waits into one backlog, row by row in order."""
        writes = [*self._waiting, *self._backlog.take_all()]
        if group and self._carried is not None:
            # It is folded already: only what came since has to be added, however large it is.
            self._backlog, self._carried = self._carried, None
        else:
            writes = [*group, *writes]
        sequence = self._committed + 1
        for write in writes:
            key = getattr(write, "key", None)
            self._backlog.add(
                write, sequence, NO_STAMP if key is None else self._boundaries.get(key, NO_STAMP)
            )
        self._waiting = []
        self._moved_since = math.inf
        self._folding = True

    async def _commit(self, group: list[Write]) -> None:
        # Not in a task of its own, nor under a timeout: a store that answers at once costs no turn of the loop, and one
        # that stalls is not cancelled, since its commit may still reach the disk.
        loop = asyncio.get_running_loop()
        self._commit_began_s = loop.time()
        if self._watch is None:
            self._watch = loop.call_at(self._commit_began_s + self._stall_s, self._look)
        try:
            await self._store.commit(group)
        finally:
            self._commit_began_s = None

    def _look(self) -> None:
        """Is a commit under way for too long? One timer watches over many commits: most of them are over by then."""
        self._watch = None
        if self._commit_began_s is None:
            return
        loop = asyncio.get_running_loop()
        due_s = self._commit_began_s + self._stall_s
        if loop.time() < due_s:
            self._watch = loop.call_at(due_s, self._look)
            return
        self._set_degraded(True, f"a commit takes longer than {self._stall_s:g} s")
        self._fold(())

    def _set_degraded(self, degraded: bool, reason: str = "") -> None:
        if degraded == self.degraded:
            return
        self.degraded = degraded
        if degraded:
            _log.warning(
                "journal_degraded", reason=reason, what_it_means="replies leave before they are durable"
            )
            self.ungated_replies += len(self._gated)
            self._gated.open(self._appended)
            self._waiters.open(self._appended)
        else:
            _log.info("journal_works_again")
        if self._on_degraded:
            self._on_degraded(degraded)


class _Gate:
    """Callbacks by sequence number."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, sequence: int, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when the gate opens for ``sequence``."""
        self._order += 1
        heapq.heappush(self._heap, (sequence, self._order, callback))

    def open(self, sequence: int) -> None:
        """Call what waits for this number or a lower one, in order."""
        while self._heap and self._heap[0][0] <= sequence:
            heapq.heappop(self._heap)[2]()
