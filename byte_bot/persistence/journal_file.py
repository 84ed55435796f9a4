"""The journal as a SQLite file: the synchronous core that writes, over one connection.

How it works. A commit writes **one** line of the table ``log``: all its writes, as they are. That is all a reply waits for, and
it touches the fewest pages, so the WAL has to reach the disk seldom. The log is a ring of :data:`LOG_SLOTS` lines.

:meth:`SqliteJournal.fold` applies the commits in the log to the other tables, which hold an image
(:class:`~byte_bot.persistence.journal_image.JournalImage`, the same code) of everything that was folded:

* ``rows`` has a line for each row ever seen: its last known base (the snapshot), its pending operations, coalesced, and its
  boundary. However long an outage lasts, the file is as large as the rows.
* ``handled`` is the window of message ids in pieces, ``dead_letters`` what the server refused, ``channels`` one JSON list.
* ``meta`` has whose file it is, epoch and starts, what was said, and the number of the last folded commit: up to it no log counts.

A connection that has folded once keeps the image of what it commits after that, so the next fold reads nothing back; any other
one reads the log. What is in the file is read in :mod:`byte_bot.persistence.journal_reading`. A commit whose fate is not known
is tried again under the same number, and found done or not done. What no JSON can hold is left out of a commit, and a row that the
tables cannot hold out of a fold; both are named in the log and counted.

**Durability.** WAL. ``synchronous`` NORMAL survives the end of the process at any instant (what the operating system was
given is not lost with it); FULL also a power cut, for a sync of the disk in each commit. A tail of the WAL that was not
written whole is dropped by SQLite: what remains is a prefix of the commits.

**Bounds.** When the ring is full a commit folds first. :data:`PAGES_MAX` live pages, then the disk counts as full: a commit is
then folded at once with everything before it, since what it trims may be what makes room; as long as that does not help it is
put off more and more (:data:`FOLD_ALL_TRIES_MAX`). :meth:`SqliteJournal.vacuum` gives free pages back, some at a time.

Left out: threads (:mod:`.journal_thread`), and finding, making, checking and locking the file (:mod:`.journal_opening`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
import structlog

from byte_bot.persistence.journal_damage import CommitsMissing, damage_named
from byte_bot.persistence.journal_folding import Folding
from byte_bot.persistence.journal_image import SEEN_MESSAGES_MAX, Write
from byte_bot.persistence.journal_line import SAVE_ROW, UNENCODABLE_ERRORS, bases_in, encodable, line_of
from byte_bot.persistence.journal_reading import ROWS_REMEMBERED, StoredJournal

#: Lines of the log; chosen: a boot reads them in a quarter of a second, some 5 MB.
LOG_SLOTS: Final = 8_192
#: Rows, and commits read back from the log, that are folded at a time; measured: some 15 ms (1,024 commits: 65), a commit waits.
FOLD_ROWS: Final = 256
FOLD_COMMITS: Final = 256
#: While the disk stays full, everything is folded at the 1st, 2nd and 4th try, and then at every 8th: a fold of the whole log
#: takes a quarter of a second, and a journal tries once a second.
FOLD_ALL_TRIES_MAX: Final = 8
PAGE_BYTES: Final = 1024
#: Live pages of the file, 1 GiB: 100 rows of 10 kB in each of 1,000 channels. Beyond, the disk counts as full.
PAGES_MAX: Final = 1_048_576
#: Bytes that the WAL keeps once it has been moved into the file; growing again costs more than keeping them.
WAL_KEPT_BYTES: Final = 64 * 1024 * 1024
#: Pages after which a commit itself moves the WAL; a bound for when :meth:`SqliteJournal.tidy` does not keep up: 64 MB.
WAL_PAGES_MAX: Final = 65_536
#: Free pages that the file keeps, 16 MiB: the log needs them again at once. Beyond, some are given back at a time.
FREE_PAGES_KEPT: Final = 16_384
VACUUMED_PAGES: Final = 1024

FORMAT: Final = 1

#: What SQLite and the encoder raise for values of one row that no table can hold.
UNSTORABLE_ERRORS: Final = (*UNENCODABLE_ERRORS, sqlite3.DataError)
#: The ends of SQLite's INTEGER.
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**63 - 1

_log = structlog.get_logger(__name__)


class SqliteJournal(StoredJournal):
    """See the module's docstring. One connection, one thread at a time; several may be open on one file.

    Args:
        connection: to a file with the tables, in autocommit mode (``isolation_level=None``).
        log_slots, fold_rows, rows_remembered: see the constants; the first is a property of the file.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        log_slots: int = LOG_SLOTS,
        fold_rows: int = FOLD_ROWS,
        rows_remembered: int = ROWS_REMEMBERED,
    ) -> None:
        super().__init__(connection, rows_remembered=rows_remembered)
        self._log_slots = log_slots
        self._fold_rows = fold_rows
        #: The number of the last commit; None: to be read.
        self._last: int | None = None
        #: The number of the last folded commit, as far as this connection knows.
        self._folded = 0
        #: What was committed since this connection has folded; None: nothing is known, the log has to be read.
        self._image: Folding | None = None
        #: How often in a row a commit found no room; and how often it was not folded with everything for that.
        self._full_tries = 0
        self.folds_put_off = 0
        #: Operations and writes that were left out of commits because they cannot be encoded, and rows that were left out of folds.
        self.dropped = 0
        self._encode = msgspec.json.Encoder().encode

    @property
    def folded(self) -> int:
        """The number of the last commit that is in the tables; what the log still has of them does not count."""
        self._folded = super().folded
        return self._folded

    def close(self) -> None:
        """Close the connection; the last one to a file moves its WAL into it."""
        self._connection.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, writes: Iterable[Write], number: int) -> None:
        """Commit ``writes`` as the commit ``number``, all or none; nothing if that commit is in the file already.

        Raises:
            sqlite3.Error: nothing of it was committed, as far as this connection can tell.
        """
        if self._last is None:
            self._last, self._image = self.commits, None
        if number == self._last:
            return
        if number != self._last + 1:
            raise CommitsMissing(
                f"the journal's last commit is {self._last}, not {number - 1}: another program wrote to it"
            )
        writes = list(writes)
        try:
            encoded = self._encode(writes)
        except UNENCODABLE_ERRORS:
            writes = self._without_unencodable(writes)
            encoded = self._encode(writes)
        try:
            while number - self._folded >= self._log_slots and number - self.folded >= self._log_slots:
                self.fold()
            self._last = None
            self._connection.execute(
                "REPLACE INTO log VALUES (?, ?, ?, ?)",
                (number % self._log_slots, number, bases_in(writes), encoded),
            )
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                raise
            self._full_tries += 1
            tries = self._full_tries
            if tries % FOLD_ALL_TRIES_MAX and tries not in (1, 2, 4):
                self.folds_put_off += 1
                raise
            self._fold_all(writes, number)
        self._full_tries = 0
        self._last = number
        try:
            if self._image is not None:
                self._image.apply(writes)
        except Exception:
            self._image = None  # supervisor: the commit is in the file and must not count as failed; a fold reads the log

    def _without_unencodable(self, writes: Iterable[Write]) -> list[Write]:
        kept, left_out = encodable(writes)
        self.dropped += len(left_out)
        for what, why in left_out:
            _log.error(
                "journal_write_dropped", what=what, why=why, what_it_means="in memory only until it is saved"
            )
        return kept

    @property
    def fold_is_due(self) -> bool:
        """True if this connection has as many rows to fold as it should at a time."""
        return self._image is not None and len(self._image.rows) >= self._fold_rows

    def fold(self) -> bool:
        """Apply commits in the log to the tables, all or some of them; False if there was none.

        Raises:
            sqlite3.Error: nothing was folded.
        """
        folded = self.folded
        image, last = self._image, self._last
        with damage_named():
            if image is None or last is None or image.after != folded:
                image, last = Folding(self, folded), folded
                for number, writes in self._log(FOLD_COMMITS):
                    last = number
                    image.apply(writes)
                    if len(image.rows) >= self._fold_rows:
                        break
            if last == folded:
                if self._image is None:
                    self._image, self._last = image.successor(last), last
                return False
        with self._transaction():
            if self.folded != image.after:
                raise CommitsMissing("another connection has folded meanwhile")
            self._save(image, last)
        self._folded = last
        # If another one commits, or more is left, the log knows more than the next image would.
        self._image = image.successor(last) if last == self._last else None
        return True

    def _fold_all(self, more: Sequence[Write], number: int) -> None:
        """Fold all of the log and then ``more``, as the commit ``number``: on a full disk that may be what makes room."""
        self._image = None
        with damage_named():
            image = Folding(self, self.folded)
            for writes in (*(writes for _, writes in self._log()), more):
                image.apply(writes)
        with self._transaction():
            self._connection.execute("DELETE FROM log")
            self._save(image, number)
        self._folded = number

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            yield
            execute("COMMIT")
        except BaseException:
            # To be looked up again: the ring must not overwrite what was not folded after all.
            self._image, self._folded = None, 0
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _save(self, image: Folding, last: int) -> None:
        """Write an image that was begun with what the tables hold, and goes up to the commit ``last``."""
        execute, executemany = self._connection.execute, self._connection.executemany
        try:
            executemany(SAVE_ROW, [(*key, *line_of(row)) for key, row in image.rows.items()])
        except UNSTORABLE_ERRORS:
            self._save_one_by_one(image)
        if image.handled:
            execute(
                "INSERT INTO handled (count, message_ids) VALUES (?, ?)",
                (len(image.handled), self._encode(list(image.handled))),
            )
            newer = 0
            for position, count in execute(
                "SELECT position, count FROM handled ORDER BY position DESC"
            ).fetchall():
                if newer >= SEEN_MESSAGES_MAX:
                    execute("DELETE FROM handled WHERE position <= ?", (position,))
                    break
                newer += count
        if image.channels is not image.channels_before:
            execute("INSERT OR REPLACE INTO channels VALUES (1, ?)", (self._encode(image.channels),))
        if image.dead_letters != image.letters_before:
            execute("DELETE FROM dead_letters")
            executemany(
                "INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *letter.key,
                        _held(letter.revision),
                        letter.sqlstate,
                        letter.words,
                        letter.payload,
                        letter.at_s,
                    )
                    for letter in image.dead_letters.values()
                ],
            )
        meta = (image.epoch, " ".join(image.starts), self._encode(image.spoken))
        execute("REPLACE INTO meta VALUES ('epoch', ?), ('starts', ?), ('spoken', ?)", meta)
        execute("UPDATE meta SET value = ? WHERE name = 'folded'", (last,))

    def _save_one_by_one(self, image: Folding) -> None:
        """Save the rows past one that the tables cannot hold, which would else keep all others from being folded, for ever."""
        for key, row in list(image.rows.items()):
            try:
                self._connection.execute(SAVE_ROW, (*key, *map(_held, line_of(row))))
            except UNSTORABLE_ERRORS as error:
                del image.rows[key]  # the tables say something else of it, or nothing
                self.dropped += 1
                _log.error(
                    "journal_write_dropped",
                    what=f"what was done to {key.name}",
                    why=str(error) or type(error).__name__,
                    what_it_means="in memory only until it is saved",
                )

    def tidy(self) -> bool:
        """Move the WAL into the file; True if all of it was moved.

        From another connection than the one that commits, it holds up nobody but for the disk's own time.
        """
        _, pages, moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return bool(pages == moved)

    def vacuum(self) -> None:
        """Give up to :data:`VACUUMED_PAGES` free pages back to the disk, if there are more than :data:`FREE_PAGES_KEPT`."""
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free > FREE_PAGES_KEPT:
            # Not execute(): each page is a step of the pragma, and Python's cursor stops at the first (a row without columns).
            self._connection.executescript(f"PRAGMA incremental_vacuum({VACUUMED_PAGES});")


def _held(value: object) -> object:
    """The value, or the nearest that an INTEGER can be: a stamp beyond it is nobody's, and is not believed when it is read."""
    return max(_INTEGER_MIN, min(value, _INTEGER_MAX)) if type(value) is int else value
