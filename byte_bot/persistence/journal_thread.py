"""The journal's durable store: the thread that commits, and what the event loop has to do with it.

How it works. :class:`~byte_bot.persistence.journal.Journal` hands over one group at a time: the queue is one place long.
A thread of our own commits it (an executor's threads take turns, and none of them would be the connection's) and tells the
loop with ``call_soon_threadsafe``. Nothing on the loop waits for the disk but :meth:`FileJournalStore.read` at boot and
:meth:`FileJournalStore.snapshot`, an indexed look at one channel on a connection of its own: in WAL mode a reader never
waits for the writer.

Every so many commits the thread folds the log into the tables, a piece at a time and only while no commit waits: the next one
waits for one piece at most, also after a start on a full log, which takes up to a second to fold. Then the WAL has to
be moved into the file (:meth:`~byte_bot.persistence.journal_file.SqliteJournal.tidy`), which waits for the disk: 10 to 50 ms
were measured, against 0.04 ms for a commit. So a second thread does that, on a connection of its own, while commits go on;
where threads have priorities it lets everybody else go first.

**The end.** :meth:`FileJournalStore.close` waits :data:`CLOSE_S` at most. Whoever must not act before the last commit is through
(the lock's release) is called by the threads, when they have closed the file, however late that is.

**Errors.** SQLite's become :class:`~byte_bot.errors.JournalError`. The transaction was rolled back, so it is not in doubt,
unless the disk failed in the middle of the commit itself: then the same group is tried again under its number.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from byte_bot.errors import JournalError, JournalRefused
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import JournalImage, Write
from byte_bot.persistence.journal_line import bases_in
from byte_bot.persistence.journal_store import StoreCounts
from byte_bot.persistence.operations import Base, RowKey

#: Commits after which the log is folded and the WAL moved into the file; chosen: some 8 MB of it, four seconds of a chat that is far
#: busier than any, so that what the disk takes for it stays below one part in a hundred. The next commit waits for it once.
TIDY_EVERY: Final = 4_000
#: A commit with bases counts as so many: :meth:`FileJournalStore.snapshot` has to look through those in the log.
BASES_WEIGH: Final = 64
#: Commits after which a fold that failed is tried again.
FOLD_RETRY: Final = 256
#: Priority of the thread that moves the WAL (``nice``; the system's own bound): of 40 ms it needs the processor for 15.
TIDYING_NICENESS: Final = 19
#: Seconds that :meth:`FileJournalStore.close` waits for a commit under way; a container kills soon after.
CLOSE_S: Final = 1.0

_log = structlog.get_logger(__name__)

_Job = tuple[Sequence[Write], int, "asyncio.Future[None]"]


def _give_way() -> None:
    """Have the calling thread yield to all others."""
    # Elsewhere a priority is the whole process's.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), TIDYING_NICENESS)


class FileJournalStore:
    """See the module's docstring.

    Args:
        writer: the journal on the connection that commits; nobody else uses it from now on.
        reader: the same journal on a connection of its own, for the loop's thread.
        tidier: the same once more, for the thread that moves the WAL.
        image: what is pending, if it has been read already.
        on_closed: called once nobody will touch the file any more, from whichever thread is the last.
        close_s: seconds, see :data:`CLOSE_S`.
        give_way: called by the thread that moves the WAL: lets everybody else go first, where the system allows it.
    """

    durable = True

    def __init__(
        self,
        writer: SqliteJournal,
        reader: SqliteJournal,
        tidier: SqliteJournal,
        image: JournalImage | None = None,
        *,
        on_closed: Callable[[], None] = lambda: None,
        close_s: float = CLOSE_S,
        give_way: Callable[[], None] = _give_way,
    ) -> None:
        self._image = image
        self._on_closed = on_closed
        self._close_s = close_s
        self._give_way = give_way
        self._writer = writer
        self._reader = reader
        self._tidier = tidier
        self.identity = writer.identity
        #: The number of the next commit; the same again until it is known to be in the file.
        self._number = writer.commits + 1
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._tidying: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._under_way = False
        self._unreadable = False
        self._unfoldable = False
        self._closed = False
        # Daemons: a disk that hangs must not keep the process from ending.
        self._threads = (
            threading.Thread(target=self._work, name="journal", daemon=True),
            threading.Thread(target=self._tidy, name="journal-wal", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def counts(self) -> StoreCounts:
        """What the committing thread has counted until now."""
        return StoreCounts(self._writer.dropped, self._writer.folds_put_off)

    async def commit(self, writes: Sequence[Write]) -> None:
        """Commit in the journal's thread."""
        if self._closed:
            raise JournalError("the journal is closed")
        if self._under_way:
            raise JournalError("the commit before this one is still under way", in_doubt=True)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._image = None
        self._under_way = True
        self._jobs.put((writes, self._number, done))
        await done

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything committed.

        Raises:
            JournalError: the file cannot be read.
        """
        image, self._image = self._image, None
        if image is not None and pending_only:
            return image
        try:
            return self._reader.read(pending_only=pending_only)
        except sqlite3.Error as error:
            raise JournalError(f"the journal cannot be read: {error}") from None

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows; none, and a line in the log, if the disk does not say them.

        The channel then counts as one never seen, whose first message waits a little for the database.
        """
        try:
            found = self._reader.snapshot(channel_id)
        except (sqlite3.Error, JournalRefused) as error:
            if not self._unreadable:
                _log.error("journal_unreadable", why=str(error))
            self._unreadable = True
            return {}
        self._unreadable = False
        return found

    def close(self) -> None:
        """Finish the commit under way and close the file; after :data:`CLOSE_S` that is left to the threads."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._reader.close()
        for thread in self._threads:
            thread.join(self._close_s / len(self._threads))
        if any(thread.is_alive() for thread in self._threads):
            _log.warning("journal_left_open", what_it_means=f"a commit takes longer than {self._close_s:g} s")

    # ── the thread that commits ─────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        debt = 0
        # What an earlier process left in the log; from then on the journal knows what it has committed.
        folding = True
        while True:
            try:
                job = self._jobs.get(block=not folding)
            except queue.Empty:
                folding = self._fold()
                if not folding and debt >= TIDY_EVERY:
                    debt = TIDY_EVERY - FOLD_RETRY if self._unfoldable else 0
                    self._tidying.put(True)
                continue
            if job is None:
                break
            writes, number, done = job
            error = self._try(writes, number)
            try:
                done.get_loop().call_soon_threadsafe(self._answer, done, error)
            except RuntimeError:
                pass  # the loop has ended; the commit stands
            debt += BASES_WEIGH if bases_in(writes) else 1
            folding = folding or debt >= TIDY_EVERY or self._writer.fold_is_due
        # One piece: all of it but right after a start, and the next one goes on with the rest.
        self._fold()
        self._writer.close()
        self._tidying.put(False)

    def _try(self, writes: Sequence[Write], number: int) -> JournalError | None:
        try:
            self._writer.apply(writes, number)
        except Exception as error:
            # Supervisor: SQLite's errors, and what cannot be encoded in spite of all: never the end of the journal.
            return JournalError(str(error), in_doubt=not self._is_missing(number))
        return None

    def _is_missing(self, number: int) -> bool:
        """True if the commit surely is not in the file."""
        try:
            return self._writer.commits < number
        except sqlite3.Error:
            return False

    def _fold(self) -> bool:
        """Fold a piece; True if more may be left. If it fails: what is committed is in the log, there will be another time."""
        try:
            more = self._writer.fold()
            if not more:
                self._writer.vacuum()
        except Exception as error:
            # Supervisor: a field that cannot be read must not end the journal's thread.
            if not self._unfoldable:
                _log.error("journal_not_folded", why=str(error))
            self._unfoldable = True
            return False
        self._unfoldable = False
        return more

    # ── the other thread ─────────────────────────────────────────────────────────────────────────────────────────

    def _tidy(self) -> None:
        # A sandbox may forbid it (EPERM, ENOSYS); the thread has work to do all the same.
        with contextlib.suppress(OSError):
            self._give_way()
        more = True
        while more:
            more = self._tidying.get()
            try:
                self._tidier.tidy()
            except sqlite3.Error as error:
                _log.debug("journal_not_tidied", why=str(error))
        # The last connection to the file: closing it moves the rest.
        self._tidier.close()
        self._on_closed()

    # ── the loop's thread again ──────────────────────────────────────────────────────────────────────────────────

    def _answer(self, done: asyncio.Future[None], error: JournalError | None) -> None:
        self._under_way = False
        if error is None:
            self._number += 1
        if done.done():
            return  # nobody waits any more
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
