"""The journal as a SQLite file: the synchronous core, over one connection.

How it works. A commit appends **one** line to the table ``log``: all its writes, as they are. That is all a reply waits for,
and it touches the fewest pages: the WAL grows by a kilobyte or two a commit, so it has to reach the disk seldom.

:meth:`SqliteJournal.fold` applies lines at the front of the log to the other tables, which hold an image
(:class:`~byte_bot.persistence.journal_image.JournalImage`, the same code) of everything that was folded; then
:meth:`SqliteJournal.trim` deletes them:

* ``rows`` has a line for each row ever seen: its last known base (the snapshot), its pending operations, coalesced, and its
  boundary. However long an outage lasts, the file is as large as the rows.
* ``handled`` is the window of message ids, ``dead_letters`` what the server refused, ``channels`` one JSON list.
* ``meta`` has whose file it is, and the number of the last commit that was folded.

What :meth:`SqliteJournal.read` gives is the image in the tables with the rest of the log applied: the image of all that was
committed; the tests compare the two over generated writes. A commit whose fate is not known is tried again under the same
number, and found done or not done.

**Durability.** WAL. ``synchronous`` NORMAL survives the end of the process at any instant (what the operating system was
given is not lost with it); FULL also a power cut, for a sync of the disk in each commit. A tail of the WAL that was not
written whole is dropped by SQLite: what remains is a prefix of the commits.

**Bounds.** :data:`LOG_MAX` lines of the log, then a commit folds by itself. :data:`PAGES_MAX` live pages, then the disk
counts as full: a commit is then folded at once with everything before it, since what it trims may be what makes room.
:meth:`SqliteJournal.tidy` moves the WAL into the file, :meth:`SqliteJournal.vacuum` gives free pages back, some at a time.

**Measured** (two shared cores, ext4; 1,000 commits a second of a chat line each, in 20 channels; acknowledged within, p99):
each write applied to tables at once, in pages of 4 KiB, 43 ms, since moving 30 MB of WAL every two seconds held commits up
for 70 ms; in pages of 1 KiB 9 ms. What this way comes to stands in the benchmarks.

Left out: threads (:mod:`byte_bot.persistence.journal_thread`), and finding, making, checking and locking the file
(:mod:`byte_bot.persistence.journal_opening`).
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from byte_bot.persistence.journal_image import (
    SEEN_MESSAGES_MAX,
    DeadLettered,
    JournalImage,
    KnownChannel,
    Rebased,
    RowImage,
    Settled,
    Write,
)
from byte_bot.persistence.operations import (
    NO_STAMP,
    NO_TOMBSTONES,
    Base,
    Operation,
    RowKey,
    Stamp,
    Tombstones,
)

#: Lines of the log that are folded at a time, and rows that they may touch; chosen: the tables are held for 2 ms. A row is
#: written whole, so few large folds write less than many small ones.
FOLD_COMMITS: Final = 1024
FOLD_ROWS: Final = 64
#: Lines of the log that are deleted at a time; measured: 2 ms.
TRIM_COMMITS: Final = 64
#: Lines of the log, if nobody folds; chosen: a boot reads them in a quarter of a second, some 10 MB.
LOG_MAX: Final = 16_384
#: Commits after which one looks how long the log is.
LOG_LOOK: Final = 512
#: Rows that are read at a time, so that a large journal is not in memory twice.
READ_ROWS: Final = 500
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

_COLUMNS: Final = (
    'id, "table", channel_id, key, version, data, tombstones, epoch, revision, edit_no, '
    "boundary_epoch, boundary_revision, pending"
)
_SAVE_ROW: Final = """
INSERT INTO rows ("table", channel_id, key, version, data, tombstones, epoch, revision, edit_no,
                  boundary_epoch, boundary_revision, pending)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel_id, "table", key) DO UPDATE SET
    version = excluded.version, data = excluded.data, tombstones = excluded.tombstones, epoch = excluded.epoch,
    revision = excluded.revision, edit_no = excluded.edit_no, boundary_epoch = excluded.boundary_epoch,
    boundary_revision = excluded.boundary_revision, pending = excluded.pending
"""


class CommitsMissing(sqlite3.DatabaseError):
    """The file does not have the commits that this process made before: it was replaced or lost its tail."""


class SqliteJournal:
    """See the module's docstring. One connection, one thread at a time; several may be open on one file.

    Args:
        connection: to a file with the tables, in autocommit mode (``isolation_level=None``).
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        #: The number of the last commit; None: to be read.
        self._last: int | None = None
        self._encode = msgspec.json.Encoder().encode
        self._decode_writes = msgspec.json.Decoder(list[Write]).decode
        self._decode_operations = msgspec.json.Decoder(list[Operation]).decode
        self._decode_tombstones = msgspec.json.Decoder(Tombstones).decode
        self._decode_channels = msgspec.json.Decoder(list[KnownChannel]).decode

    @property
    def identity(self) -> str:
        """What tells this journal from every other."""
        return str(self._meta("identity"))

    @property
    def login(self) -> str:
        """The bot whose journal it is."""
        return str(self._meta("login"))

    @property
    def commits(self) -> int:
        """The number of the last commit."""
        (last,) = self._connection.execute("SELECT max(number) FROM log").fetchone()
        return self.folded if last is None else int(last)

    @property
    def folded(self) -> int:
        """The number of the last commit that is in the tables; what the log still has of them does not count."""
        return int(str(self._meta("folded")))

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
            self._last = self.commits
        if number == self._last:
            return
        if number != self._last + 1:
            raise CommitsMissing(
                f"the journal's last commit is {self._last}, not {number - 1}: another program wrote to it"
            )
        writes = list(writes)
        self._last = None
        try:
            self._connection.execute(
                "INSERT INTO log VALUES (?, ?, ?)", (number, _bases_in(writes), self._encode(writes))
            )
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                raise
            self._fold(writes, number)
        self._last = number
        if number % LOG_LOOK == 0 and number - self.folded > LOG_MAX:
            while self.fold() or self.trim():
                pass

    def fold(self) -> bool:
        """Apply some commits at the front of the log to the tables; False if none was left.

        From another connection than the one that commits, that one waits only while the tables are written.

        Raises:
            sqlite3.Error: nothing was folded.
        """
        return self._fold((), 0)

    def _fold(self, more: Sequence[Write], number: int) -> bool:
        """Fold the front of the log; or all of it and then ``more`` too, as the commit ``number``."""
        image = _Folding(self)
        last = 0
        commits = self._log() if number else self._log(FOLD_COMMITS)
        for commit, writes in commits:
            last = commit
            for write in writes:
                image.apply(write)
            if len(image.rows) >= FOLD_ROWS and not number:
                break
        for write in more:
            image.apply(write)
        last = number or last
        if not last:
            return False
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            if number:
                # First: on a full disk it makes the room for what follows.
                execute("DELETE FROM log WHERE number <= ?", (last,))
            self._save(image)
            execute("UPDATE meta SET value = ? WHERE name = 'folded'", (last,))
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return True

    def trim(self) -> bool:
        """Delete some of the commits that were folded; False if none was left. Apart from the fold: it takes ten times as long.

        Raises:
            sqlite3.Error: nothing was deleted.
        """
        deleted = self._connection.execute(
            "DELETE FROM log WHERE number <= ? AND number < (SELECT min(number) FROM log) + ?",
            (self.folded, TRIM_COMMITS),
        )
        return deleted.rowcount > 0

    def _save(self, image: _Folding) -> None:
        """Write an image that was begun with what the tables hold."""
        execute, executemany = self._connection.execute, self._connection.executemany
        executemany(_SAVE_ROW, [self._row_values(key, row) for key, row in image.rows.items()])
        if image.handled:
            (position,) = execute("SELECT coalesce(max(position), 0) FROM handled").fetchone()
            executemany("INSERT INTO handled VALUES (?, ?)", enumerate(image.handled, start=position + 1))
            execute(
                "DELETE FROM handled WHERE position <= ?",
                (position + len(image.handled) - SEEN_MESSAGES_MAX,),
            )
        if image.channels is not image.channels_before:
            execute("INSERT OR REPLACE INTO channels VALUES (1, ?)", (self._encode(image.channels),))
        if image.dead_letters != image.letters_before:
            execute("DELETE FROM dead_letters")
            executemany(
                "INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*letter.key, letter.revision, letter.sqlstate, letter.words, letter.payload, letter.at_s)
                    for letter in image.dead_letters.values()
                ],
            )
        execute("UPDATE meta SET value = max(value, ?) WHERE name = 'epoch'", (image.epoch,))

    def _row_values(self, key: RowKey, row: RowImage) -> tuple[object, ...]:
        base = row.base
        pending = self._encode(row.pending) if row.pending else None
        if base is None:
            return (*key, None, None, None, 0, 0, None, *row.boundary, pending)
        graves = self._encode(base.tombstones) if base.tombstones else None
        known = (base.version, base.data, graves, base.epoch, base.revision, base.edit_no)
        return (*key, *known, *row.boundary, pending)

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
            self._connection.execute(f"PRAGMA incremental_vacuum({VACUUMED_PAGES})").fetchall()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything committed; with ``pending_only`` without the rows that have nothing pending."""
        # One look: what another connection folds meanwhile must not be missing in both places.
        with self._one_look():
            image = _Folding(self)
            for key, row in self.stored_rows(pending_only=pending_only):
                image.add_row(key, row)
            self._apply_log(image)
        if pending_only:
            rows, image.rows, image.keys_of = image.rows, {}, {}
            for key, row in rows.items():
                if row.pending:
                    image.add_row(key, row)
        return image

    def unfolded(self) -> JournalImage:
        """The rows that the log is about, as :meth:`read` gives them, and everything that is not about rows."""
        with self._one_look():
            image = _Folding(self)
            self._apply_log(image)
        return image

    def _apply_log(self, image: _Folding) -> None:
        for _, writes in self._log():
            for write in writes:
                image.apply(write)
        new, image.handled = image.handled, OrderedDict()
        for (message_id,) in self._connection.execute("SELECT message_id FROM handled ORDER BY position"):
            image.handled[message_id] = None
        for message_id in new:
            image.remember(message_id)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows, in the order in which they came to be known."""
        with self._one_look():
            found = self._rows("AND channel_id = ? AND version IS NOT NULL", channel_id)
            bases = {key: row.base for key, row in found if row.base is not None}
            later = self._connection.execute(
                "SELECT writes FROM log WHERE bases IS NOT NULL AND number > ? AND instr(bases, ?) ORDER BY number",
                (self.folded, f" {channel_id} "),
            ).fetchall()
        for (writes,) in later:
            for write in self._decode_writes(writes):
                if isinstance(write, Settled | Rebased) and write.key.channel_id == channel_id:
                    bases[write.key] = write.base
        return bases

    def stored_row(self, key: RowKey) -> RowImage | None:
        """What the tables hold of one row, the log left out."""
        found = self._rows(
            'AND channel_id = ? AND "table" = ? AND key = ?', key.channel_id, key.table, key.key
        )
        return next((row for _, row in found), None)

    def stored_rows(self, *, pending_only: bool = False) -> Iterator[tuple[RowKey, RowImage]]:
        """What the tables hold of all rows, the log left out; some at a time."""
        return self._rows("AND pending IS NOT NULL" if pending_only else "")

    def letters(self) -> dict[RowKey, DeadLettered]:
        """The dead letters in the tables, oldest first."""
        found = self._connection.execute("SELECT * FROM dead_letters ORDER BY at_s").fetchall()
        return {
            RowKey(*place): DeadLettered(RowKey(*place), *letter)
            for *place, letter in ((table, channel_id, key, rest) for table, channel_id, key, *rest in found)
        }

    def known_channels(self) -> list[KnownChannel]:
        """The list of channels in the tables."""
        found = self._connection.execute("SELECT logins FROM channels").fetchone()
        return [] if found is None else self._decode_channels(found[0])

    @property
    def epoch(self) -> int:
        """The highest epoch in the tables."""
        return int(str(self._meta("epoch")))

    def _log(self, commits_max: int = -1) -> Iterator[tuple[int, list[Write]]]:
        """The commits in the log, oldest first."""
        after = self.folded
        while commits_max:
            at_once = READ_ROWS if commits_max < 0 else min(READ_ROWS, commits_max)
            # Some at a time, each to its end: an open cursor would keep the WAL from being used anew.
            lines = self._connection.execute(
                "SELECT number, writes FROM log WHERE number > ? ORDER BY number LIMIT ?", (after, at_once)
            ).fetchall()
            for after, writes in lines:
                yield after, self._decode_writes(writes)
            if len(lines) < at_once:
                return
            commits_max -= len(lines) if commits_max > 0 else 0

    def _rows(self, only: str, *parameters: str) -> Iterator[tuple[RowKey, RowImage]]:
        after = 0
        while True:
            found = self._connection.execute(
                f"SELECT {_COLUMNS} FROM rows WHERE id > ? {only} ORDER BY id LIMIT {READ_ROWS}",
                (after, *parameters),
            ).fetchall()
            for number, table, channel_id, name, *values in found:
                after = number
                yield RowKey(table, channel_id, name), self._row_image(*values)
            if len(found) < READ_ROWS:
                return

    def _row_image(
        self,
        version: int | None,
        data: bytes | None,
        tombstones: bytes | None,
        epoch: int,
        revision: int,
        edit_no: int | None,
        boundary_epoch: int,
        boundary_revision: int,
        pending: bytes | None,
    ) -> RowImage:
        base = None
        if version is not None:
            graves = self._decode_tombstones(tombstones) if tombstones else NO_TOMBSTONES
            base = Base(data, graves, version, epoch, revision, edit_no)
        stamp = Stamp(boundary_epoch, boundary_revision)
        boundary = stamp if stamp != NO_STAMP else NO_STAMP
        return RowImage(base, self._decode_operations(pending) if pending else [], boundary)

    @contextmanager
    def _one_look(self) -> Iterator[None]:
        """Everything inside is read from one state of the file."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def _meta(self, name: str) -> object:
        found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0]


class _Folding(JournalImage):
    """An image that begins with what the tables hold; rows come out of them as they are needed, handled ids are new ones."""

    def __init__(self, journal: SqliteJournal) -> None:
        super().__init__()
        self._journal = journal
        self.channels = self.channels_before = journal.known_channels()
        self.dead_letters = journal.letters()
        self.letters_before = dict(self.dead_letters)
        self.epoch = journal.epoch

    def _row(self, key: RowKey) -> RowImage:
        row = self.rows.get(key)
        if row is None and (row := self._journal.stored_row(key)) is not None:
            self.add_row(key, row)
        return row if row is not None else super()._row(key)


def _bases_in(writes: Iterable[Write]) -> str | None:
    """The channels of which there are bases, as the column ``bases`` has them."""
    channels = dict.fromkeys(write.key.channel_id for write in writes if isinstance(write, Settled | Rebased))
    return f" {' '.join(channels)} " if channels else None
