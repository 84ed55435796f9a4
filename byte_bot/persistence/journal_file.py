"""The journal as a SQLite file: the synchronous core, over one connection.

How it works. The tables hold an image (:class:`~byte_bot.persistence.journal_image.JournalImage`), not a log of writes:
each write is applied to them, a group in one transaction. What :meth:`SqliteJournal.read` gives is the image of all that
was committed; the tests compare the two over generated writes.

* ``rows`` has a line for each row ever seen: its last known base (the snapshot) and its boundary.
* ``operations`` has what is pending, clustered by row. A record only adds to it. When a row has more than
  :data:`OPERATIONS_KEPT` and twice what they come to, they are coalesced in the same transaction: the file is as large as
  the rows, however long an outage lasts. The same happens when the boundary moves, which decides what may be combined.
* ``handled`` is the window of message ids, ``dead_letters`` what the server refused, ``channels`` one JSON list.
* ``meta`` has whose file it is, and the number of the last commit. A commit whose fate is not known is tried again under
  the same number, and found done or not done.

**Durability.** WAL. ``synchronous`` NORMAL survives the end of the process at any instant (what the operating system was
given is not lost with it); FULL also a power cut, for a sync of the disk in each commit. A tail of the WAL that was not
written whole is dropped by SQLite: what remains is a prefix of the commits.

**Bounds.** :data:`PAGES_MAX` live pages, then the disk counts as full. :meth:`SqliteJournal.tidy` moves the WAL into the
file and gives free pages back, some at a time.

Left out: threads (:mod:`byte_bot.persistence.journal_thread`), and finding, making, checking and locking the file
(:mod:`byte_bot.persistence.journal_opening`).
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

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
    retires,
)
from byte_bot.persistence.operations import (
    NO_STAMP,
    NO_TOMBSTONES,
    Base,
    Operation,
    RowKey,
    Stamp,
    Tombstones,
    coalesced,
    is_contained,
)

#: Operations of a row that are stored before they are coalesced; chosen: a commit adds a page at most until then.
OPERATIONS_KEPT: Final = 64
#: Rows whose place in the file is remembered; chosen: the rows of a busy minute, 1 MB.
ROWS_REMEMBERED: Final = 4096
PAGE_BYTES: Final = 4096
#: Live pages of the file, 1 GiB: 100 rows of 10 kB in each of 1,000 channels. Beyond, the disk counts as full.
PAGES_MAX: Final = 262_144
#: Bytes that the WAL keeps once it has been moved into the file.
WAL_KEPT_BYTES: Final = 16 * 1024 * 1024
#: Pages after which a commit itself moves the WAL; a bound for when :meth:`SqliteJournal.tidy` does not keep up: 64 MB.
WAL_PAGES_MAX: Final = 16_384
#: Free pages given back to the disk at a time; chosen: a few milliseconds.
VACUUMED_PAGES: Final = 256

FORMAT: Final = 1
SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE rows (
    id INTEGER PRIMARY KEY,
    "table" TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    key TEXT NOT NULL,
    -- The last known base; version is NULL as long as there is none, data is NULL if the database has no such row.
    version INTEGER,
    data BLOB,
    tombstones BLOB,
    epoch INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0,
    edit_no INTEGER,
    boundary_epoch INTEGER NOT NULL DEFAULT 0,
    boundary_revision INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX rows_key ON rows (channel_id, "table", key);
CREATE TABLE operations (
    row INTEGER NOT NULL,
    position INTEGER NOT NULL,
    operation BLOB NOT NULL,
    PRIMARY KEY (row, position)
) WITHOUT ROWID;
CREATE TABLE handled (position INTEGER PRIMARY KEY, message_id TEXT NOT NULL);
CREATE TABLE channels (id INTEGER PRIMARY KEY CHECK (id = 1), logins BLOB NOT NULL);
CREATE TABLE dead_letters (
    "table" TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    sqlstate TEXT NOT NULL,
    words TEXT NOT NULL,
    payload BLOB NOT NULL,
    at_s REAL NOT NULL,
    PRIMARY KEY ("table", channel_id, key)
) WITHOUT ROWID;
"""

_BASE_COLUMNS: Final = "version, data, tombstones, epoch, revision, edit_no"
_KEY: Final = '"table" = ? AND channel_id = ? AND key = ?'


class CommitsMissing(sqlite3.DatabaseError):
    """The file does not have the commits that this process made before: it was replaced or lost its tail."""


class _Place(msgspec.Struct):
    """What has to be known of a row in the file to write about it."""

    id: int
    #: Epoch and revision of the base; None if there is none.
    base: Stamp | None
    boundary: Stamp
    #: Operations stored, the position of the next, and the number at which they are coalesced.
    stored: int
    next_position: int
    limit: int = OPERATIONS_KEPT


class SqliteJournal:
    """See the module's docstring. One connection, one thread at a time.

    Args:
        connection: to a file with the tables, in autocommit mode (``isolation_level=None``).
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._places: OrderedDict[RowKey, _Place] = OrderedDict()
        self._letters: dict[RowKey, int] | None = None
        self._handled_next: int | None = None
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Operation).decode
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
        return int(str(self._meta("commits")))

    def close(self) -> None:
        """Close the connection; the last one to a file moves its WAL into it."""
        self._connection.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, writes: Iterable[Write], number: int) -> None:
        """Commit ``writes`` as the commit ``number``, all or none; nothing if that commit is in the file already.

        Raises:
            sqlite3.Error: nothing of it was committed, as far as this connection can tell.
        """
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            numbered = execute(
                "UPDATE meta SET value = ? WHERE name = 'commits' AND value = ?", (number, number - 1)
            )
            if numbered.rowcount == 1:
                self._apply(writes)
            elif self.commits != number:
                raise CommitsMissing(
                    f"the journal's last commit is {self.commits}, not {number - 1}: another program wrote to it"
                )
            execute("COMMIT")
        except BaseException:
            # What is remembered of rows may have been rolled back.
            self._places.clear()
            self._letters = self._handled_next = None
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _apply(self, writes: Iterable[Write]) -> None:
        execute = self._connection.execute
        handled: list[str] = []
        for write in writes:
            match write:
                case Recorded():
                    self._record(write)
                case Handled(message_id):
                    handled.append(message_id)
                case Sending(key, stamp):
                    self._move_boundary(self._place(key), stamp)
                case Settled(key, base):
                    self._retire(write)
                    place = self._place(key)
                    self._set_base(place, base)
                    if place.stored:
                        self._keep(place, [op for op in self._pending(place) if not is_contained(op, base)])
                case Rebased(key, base, operations):
                    self._retire(write)
                    place = self._place(key)
                    self._set_base(place, base)
                    self._keep(place, operations)
                case KnownChannels(channels):
                    execute(
                        "INSERT OR REPLACE INTO channels (id, logins) VALUES (1, ?)",
                        (self._encode(channels),),
                    )
                case EpochTaken(epoch):
                    execute("UPDATE meta SET value = max(value, ?) WHERE name = 'epoch'", (epoch,))
                case DeadLettered(key):
                    execute(
                        "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (*key, write.revision, write.sqlstate, write.words, write.payload, write.at_s),
                    )
                    self._refused()[key] = write.revision
                case LetterRetired(key):
                    self._drop_letter(key)
        if handled:
            self._remember(handled)

    def _record(self, write: Recorded) -> None:
        self._retire(write)
        place = self._place(write.key)
        operations: Sequence[Operation] = write.operations
        if place.base is not None:
            epoch, revision = place.base
            operations = [op for op in operations if op.stamp.epoch != epoch or op.stamp.revision > revision]
        self._add(place, operations)
        if place.stored > place.limit:
            pending = self._pending(place)
            self._keep(place, pending)
            place.limit = max(OPERATIONS_KEPT, 2 * len(pending))

    def _move_boundary(self, place: _Place, stamp: Stamp) -> None:
        if place.boundary == stamp:
            return
        if place.stored:
            # What the old boundary allowed is combined first: the new one may forbid it, and the image has it already.
            self._keep(place, coalesced(self._pending(place), boundary=stamp))
        place.boundary = stamp
        self._connection.execute(
            "UPDATE rows SET boundary_epoch = ?, boundary_revision = ? WHERE id = ?", (*stamp, place.id)
        )

    def _set_base(self, place: _Place, base: Base) -> None:
        self._connection.execute(
            "UPDATE rows SET version = ?, data = ?, tombstones = ?, epoch = ?, revision = ?, edit_no = ? WHERE id = ?",
            (
                base.version,
                base.data,
                self._encode(base.tombstones) if base.tombstones else None,
                base.epoch,
                base.revision,
                base.edit_no,
                place.id,
            ),
        )
        place.base = base.stamp

    def _add(self, place: _Place, operations: Sequence[Operation]) -> None:
        if not operations:
            return
        self._connection.executemany(
            "INSERT INTO operations VALUES (?, ?, ?)",
            [
                (place.id, position, self._encode(operation))
                for position, operation in enumerate(operations, start=place.next_position)
            ],
        )
        place.stored += len(operations)
        place.next_position += len(operations)

    def _keep(self, place: _Place, operations: Sequence[Operation]) -> None:
        """Have exactly these operations stored."""
        if place.stored:
            self._connection.execute("DELETE FROM operations WHERE row = ?", (place.id,))
            place.stored = 0
        self._add(place, operations)
        place.limit = OPERATIONS_KEPT

    def _pending(self, place: _Place) -> list[Operation]:
        stored = self._connection.execute(
            "SELECT operation FROM operations WHERE row = ? ORDER BY position", (place.id,)
        )
        return coalesced((self._decode(operation) for (operation,) in stored), boundary=place.boundary)

    def _place(self, key: RowKey) -> _Place:
        place = self._places.get(key)
        if place is not None:
            self._places.move_to_end(key)
            return place
        execute = self._connection.execute
        found = execute(
            f"SELECT id, version, epoch, revision, boundary_epoch, boundary_revision FROM rows WHERE {_KEY}",
            key,
        ).fetchone()
        if found is None:
            made = execute('INSERT INTO rows ("table", channel_id, key) VALUES (?, ?, ?)', key)
            assert made.lastrowid is not None
            place = _Place(made.lastrowid, None, NO_STAMP, 0, 1)
        else:
            row, version, epoch, revision, *boundary = found
            stored, last = execute(
                "SELECT count(*), max(position) FROM operations WHERE row = ?", (row,)
            ).fetchone()
            base = None if version is None else Stamp(epoch, revision)
            place = _Place(row, base, Stamp(*boundary), stored, (last or 0) + 1)
        self._places[key] = place
        if len(self._places) > ROWS_REMEMBERED:
            self._places.popitem(last=False)
        return place

    def _remember(self, message_ids: Sequence[str]) -> None:
        execute = self._connection.execute
        if self._handled_next is None:
            (last,) = execute("SELECT max(position) FROM handled").fetchone()
            self._handled_next = (last or 0) + 1
        self._connection.executemany(
            "INSERT INTO handled VALUES (?, ?)", enumerate(message_ids, start=self._handled_next)
        )
        self._handled_next += len(message_ids)
        execute("DELETE FROM handled WHERE position < ?", (self._handled_next - SEEN_MESSAGES_MAX,))

    def _refused(self) -> dict[RowKey, int]:
        """The revisions of the dead letters: there are few, and each record asks for them."""
        if self._letters is None:
            letters = self._connection.execute('SELECT "table", channel_id, key, revision FROM dead_letters')
            self._letters = {RowKey(*key): revision for *key, revision in letters}
        return self._letters

    def _retire(self, write: Recorded | Settled | Rebased) -> None:
        revision = self._refused().get(write.key)
        if revision is not None and retires(write, revision):
            self._drop_letter(write.key)

    def _drop_letter(self, key: RowKey) -> None:
        self._refused().pop(key, None)
        self._connection.execute(f"DELETE FROM dead_letters WHERE {_KEY}", key)

    def tidy(self) -> bool:
        """Move the WAL into the file, and give some free pages back; True if all of the WAL was moved.

        From another connection than the one that commits, it holds up nobody.
        """
        execute = self._connection.execute
        _, pages, moved = execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return bool(pages == moved)

    def vacuum(self) -> None:
        """Give up to :data:`VACUUMED_PAGES` free pages back to the disk."""
        self._connection.execute(f"PRAGMA incremental_vacuum({VACUUMED_PAGES})").fetchall()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything committed; with ``pending_only`` without the rows that have nothing pending.

        One pass over each table: operations are coalesced as they are read.
        """
        execute = self._connection.execute
        image = JournalImage()
        image.epoch = int(str(self._meta("epoch")))
        for (message_id,) in execute("SELECT message_id FROM handled ORDER BY position"):
            image.handled[message_id] = None
        for (logins,) in execute("SELECT logins FROM channels"):
            image.channels = self._decode_channels(logins)
        for table, channel_id, name, *letter in execute("SELECT * FROM dead_letters ORDER BY at_s"):
            key = RowKey(table, channel_id, name)
            image.dead_letters[key] = DeadLettered(key, *letter)
        by_id: dict[int, RowImage] = {}
        only = "WHERE id IN (SELECT DISTINCT row FROM operations)" if pending_only else ""
        for row_id, key, row in self._rows(only):
            image.add_row(key, row)
            by_id[row_id] = row
        stored = execute("SELECT row, operation FROM operations ORDER BY row, position")
        for row_id, operations in groupby(stored, key=itemgetter(0)):
            row = by_id[row_id]
            row.pending = coalesced(
                (self._decode(operation) for _, operation in operations), boundary=row.boundary
            )
        return image

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows, in the order in which they came to be known."""
        found = self._rows("WHERE channel_id = ? AND version IS NOT NULL", channel_id)
        return {key: row.base for _, key, row in found if row.base is not None}

    def _rows(self, where: str, *parameters: str) -> Iterator[tuple[int, RowKey, RowImage]]:
        columns = f'id, "table", channel_id, key, boundary_epoch, boundary_revision, {_BASE_COLUMNS}'
        # All at once: an open cursor would keep the WAL from being used anew.
        found = self._connection.execute(
            f"SELECT {columns} FROM rows {where} ORDER BY id", parameters
        ).fetchall()
        for row_id, table, channel_id, name, epoch, revision, *base in found:
            boundary = Stamp(epoch, revision) if revision or epoch else NO_STAMP
            yield row_id, RowKey(table, channel_id, name), RowImage(self._base(*base), boundary=boundary)

    def _base(
        self,
        version: int | None,
        data: bytes | None,
        tombstones: bytes | None,
        epoch: int,
        revision: int,
        edit_no: int | None,
    ) -> Base | None:
        if version is None:
            return None
        graves = self._decode_tombstones(tombstones) if tombstones else NO_TOMBSTONES
        return Base(data, graves, version, epoch, revision, edit_no)

    def _meta(self, name: str) -> object:
        found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0]
