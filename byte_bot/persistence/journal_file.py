"""The journal as a SQLite file: the synchronous core, over one connection.

How it works. A commit writes **one** line of the table ``log``: all its writes, as they are. That is all a reply waits for, and
it touches the fewest pages, so the WAL has to reach the disk seldom. The log is a ring of :data:`LOG_SLOTS` lines.

:meth:`SqliteJournal.fold` applies the commits in the log to the other tables, which hold an image
(:class:`~byte_bot.persistence.journal_image.JournalImage`, the same code) of everything that was folded:

* ``rows`` has a line for each row ever seen: its last known base (the snapshot), its pending operations, coalesced, and its
  boundary. However long an outage lasts, the file is as large as the rows.
* ``handled`` is the window of message ids in pieces, ``dead_letters`` what the server refused, ``channels`` one JSON list.
* ``meta`` has whose file it is, epoch and starts, what was said, and the number of the last folded commit: up to it no log counts.

A connection that has folded once keeps the image of what it commits after that, so the next fold reads nothing back; any other
one reads the log. What :meth:`SqliteJournal.read` gives is the image in the tables with the log applied: the image of all that
was committed; the tests compare the two over generated writes. A commit whose fate is not known is tried again under the same
number, and found done or not done. What no JSON can hold is left out of a commit, named in the log and counted.

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
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
import structlog

from byte_bot.persistence.journal_folding import Folding
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
from byte_bot.persistence.journal_line import (
    LINE_COLUMNS,
    SAVE_ROW,
    UNENCODABLE_ERRORS,
    CommitsMissing,
    JournalDamaged,
    bases_in,
    damage_named,
    encodable,
    line_of,
    row_of,
)
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.persistence.spoken import NOTHING_SPOKEN, Spoken

#: Lines of the log; chosen: a boot reads them in a quarter of a second, some 5 MB.
LOG_SLOTS: Final = 8_192
#: Rows, and commits read back from the log, that are folded at a time; measured: some 15 ms (1,024 commits: 65), a commit waits.
FOLD_ROWS: Final = 256
FOLD_COMMITS: Final = 256
#: While the disk stays full, everything is folded at the 1st, 2nd and 4th try, and then at every 8th: a fold of the whole log
#: takes a quarter of a second, and a journal tries once a second.
FOLD_ALL_TRIES_MAX: Final = 8
#: Rows that a connection remembers from one fold to the next; chosen: some 10 MB if they are all large.
ROWS_REMEMBERED: Final = 1_024
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

_log = structlog.get_logger(__name__)


class SqliteJournal:
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
        self._connection = connection
        self._log_slots = log_slots
        self._fold_rows = fold_rows
        self.rows_remembered = rows_remembered
        #: The number of the last commit; None: to be read.
        self._last: int | None = None
        #: The number of the last folded commit, as far as this connection knows.
        self._folded = 0
        #: What was committed since this connection has folded; None: nothing is known, the log has to be read.
        self._image: Folding | None = None
        #: How often in a row a commit found no room; and how often it was not folded with everything for that.
        self._full_tries = 0
        self.folds_put_off = 0
        #: Operations and writes that were left out because they cannot be encoded.
        self.dropped = 0
        self._encode = msgspec.json.Encoder().encode
        self._decode_writes = msgspec.json.Decoder(list[Write]).decode
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
        (last,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM log").fetchone()
        return max(int(last), self.folded)

    @property
    def folded(self) -> int:
        """The number of the last commit that is in the tables; what the log still has of them does not count."""
        self._folded = int(str(self._meta("folded")))
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
                for write in writes:
                    self._image.apply(write)
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
                    for write in writes:
                        image.apply(write)
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
                for write in writes:
                    image.apply(write)
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
        executemany(SAVE_ROW, [(*key, *line_of(row)) for key, row in image.rows.items()])
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
                    (*letter.key, letter.revision, letter.sqlstate, letter.words, letter.payload, letter.at_s)
                    for letter in image.dead_letters.values()
                ],
            )
        meta = (image.epoch, " ".join(image.starts), self._encode(image.spoken))
        execute("REPLACE INTO meta VALUES ('epoch', ?), ('starts', ?), ('spoken', ?)", meta)
        execute("UPDATE meta SET value = ? WHERE name = 'folded'", (last,))

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

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything committed; with ``pending_only`` without the rows that have nothing pending."""
        with self.one_look():  # what another connection folds meanwhile must not be missing in both places
            image = Folding(self, self.folded)
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
        with self.one_look():
            image = Folding(self, self.folded)
            self._apply_log(image)
        return image

    def _apply_log(self, image: Folding) -> None:
        image.channels = self.known_channels()
        for _, writes in self._log():
            for write in writes:
                image.apply(write)
        new, image.handled = image.handled, OrderedDict()
        for (piece,) in self._connection.execute("SELECT message_ids FROM handled ORDER BY position"):
            for message_id in msgspec.json.decode(piece, type=list[str]):
                image.remember(message_id)
        for message_id in new:
            image.remember(message_id)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows, in the order in which they came to be known."""
        with self.one_look():
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
        lines = self._connection.execute("SELECT * FROM dead_letters ORDER BY at_s").fetchall()
        return {(key := RowKey(*line[:3])): DeadLettered(key, *line[3:]) for line in lines}

    def known_channels(self) -> list[KnownChannel]:
        """The list of channels in the tables."""
        found = self._connection.execute("SELECT logins FROM channels").fetchall()
        return self._decode_channels(found[0][0]) if found else []

    def epochs(self) -> tuple[int, list[str]]:
        """The highest epoch in the tables, and who has asked for one."""
        starts = self._connection.execute("SELECT value FROM meta WHERE name = 'starts'").fetchall()
        return int(str(self._meta("epoch"))), str(starts[0][0]).split() if starts else []

    def spoken(self) -> Spoken:
        """What was said lately, as the tables have it; a journal of a release that did not note it has nothing."""
        found = self._connection.execute("SELECT value FROM meta WHERE name = 'spoken'").fetchall()
        return msgspec.json.decode(found[0][0], type=Spoken) if found else NOTHING_SPOKEN

    def _log(self, commits_max: int = -1) -> Iterator[tuple[int, list[Write]]]:
        """The commits in the log, oldest first, whatever size the ring had for the process that wrote them."""
        execute, after = self._connection.execute, self.folded
        # The numbers alone first: to put them in order together with their writes takes a tenth of a long replay.
        for slot, number in execute(
            "SELECT slot, number FROM log WHERE number > ? ORDER BY number LIMIT ?", (after, commits_max)
        ).fetchall():
            if number != after + 1:
                raise CommitsMissing(f"the journal lacks the commits from {after + 1} to {number - 1}")
            found = execute("SELECT writes FROM log WHERE slot = ? AND number = ?", (slot, number)).fetchall()
            if not found:  # another connection has folded it meanwhile, and a third one needed its place
                raise CommitsMissing(f"the commit {number} was folded by another connection meanwhile")
            after = number
            yield number, self._decode_writes(found[0][0])

    def _rows(self, only: str, *parameters: str) -> Iterator[tuple[RowKey, RowImage]]:
        after = 0
        while True:
            found = self._connection.execute(
                f'SELECT id, "table", channel_id, key, {", ".join(LINE_COLUMNS)} FROM rows WHERE id > ? {only} ORDER BY id LIMIT {READ_ROWS}',
                (after, *parameters),
            ).fetchall()
            for number, table, channel_id, name, *values in found:
                after = number
                yield RowKey(table, channel_id, name), row_of(*values)
            if len(found) < READ_ROWS:
                return

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Everything inside is read from one state of the file."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            with damage_named():
                yield
        finally:
            self._connection.execute("COMMIT")

    def _meta(self, name: str) -> object:
        for (value,) in self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchall():
            return value
        raise JournalDamaged(f"the journal does not say its {name}")
