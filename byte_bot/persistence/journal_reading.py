"""What stands in a journal's file, read and checked: the half of the synchronous core that changes nothing.

How it works. What :meth:`StoredJournal.read` gives is the image in the tables with the log applied: the image of all that was
committed; the tests compare the two over generated writes. Each look is of one state of the file (:meth:`StoredJournal.one_look`).

**Damage.** SQLite keeps no checksums: what a flipped bit has made of a field comes out of it. So nothing leaves this module that
was not written so: every value has the type that was written, every JSON can be read, a base's own too, the commits in the log
follow one another up to the last. Else it is :class:`~byte_bot.persistence.journal_damage.JournalDamaged`, where the file is
opened, and not a defect in whatever meets it later. Left out: a number or a text that became another one.

What the tables are stands in :mod:`byte_bot.persistence.journal_file`.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from byte_bot.persistence.fresh_stack import on_fresh_stack
from byte_bot.persistence.journal_damage import CommitsMissing, JournalDamaged, damage_named
from byte_bot.persistence.journal_folding import Folding
from byte_bot.persistence.journal_image import (
    DeadLettered,
    JournalImage,
    KnownChannel,
    Rebased,
    RowImage,
    Settled,
    Write,
)
from byte_bot.persistence.journal_line import (
    LETTER_COLUMNS,
    LINE_COLUMNS,
    check_writes,
    key_of_line,
    letter_of,
    row_of,
)
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.persistence.spoken import NOTHING_SPOKEN, Spoken

#: Rows that are read at a time, so that a large journal is not in memory twice.
READ_ROWS: Final = 500
#: Rows that a connection remembers from one fold to the next; chosen: some 10 MB if they are all large.
ROWS_REMEMBERED: Final = 1_024


class StoredJournal:
    """See the module's docstring. One connection, one thread at a time.

    Args:
        connection: to a file with the tables; it may be read-only.
        rows_remembered: see the constant.
    """

    def __init__(self, connection: sqlite3.Connection, *, rows_remembered: int = ROWS_REMEMBERED) -> None:
        self._connection = connection
        self.rows_remembered = rows_remembered
        #: Places that were passed over since they cannot be read: none, but in a journal that is salvaged.
        self.unreadable: dict[str, str] = {}
        self._decoder = msgspec.json.Decoder(list[Write])
        self._decode_channels = msgspec.json.Decoder(list[KnownChannel]).decode
        self._decode_ids = msgspec.json.Decoder(list[str]).decode

    @property
    def identity(self) -> str:
        """What tells this journal from every other."""
        return self._text("identity")

    @property
    def login(self) -> str:
        """The bot whose journal it is."""
        return self._text("login")

    @property
    def commits(self) -> int:
        """The number of the last commit."""
        return max(self._last_in_log or 0, self.folded)

    @property
    def folded(self) -> int:
        """The number of the last commit that is in the tables."""
        return self._whole("folded")

    @property
    def row_count(self) -> int:
        """The rows in the tables."""
        (count,) = self._connection.execute("SELECT count(*) FROM rows").fetchone()
        return int(count)

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
        last = self._last_in_log
        if last is not None and last < image.after:
            # A commit's line stays until another one needs its place, so the last one is there.
            raise CommitsMissing(
                f"the log ends at {last}, although the commits up to {image.after} were folded"
            )
        image.channels = self.known_channels()
        for _, writes in self._log():
            image.apply(writes)
        new, image.handled = image.handled, OrderedDict()
        for message_id in (*self._handled(), *new):
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
        lines = self._connection.execute(
            f"SELECT {', '.join(LETTER_COLUMNS)} FROM dead_letters ORDER BY at_s"
        ).fetchall()
        return {letter.key: letter for letter in (letter_of(*line) for line in lines)}

    def known_channels(self) -> list[KnownChannel]:
        """The list of channels in the tables."""
        found = self._connection.execute("SELECT logins FROM channels").fetchall()
        return self._decode_channels(found[0][0]) if found else []

    def epochs(self) -> tuple[int, list[str]]:
        """The highest epoch in the tables, and who has asked for one."""
        return self._whole("epoch"), self._text("starts", "").split()

    def spoken(self) -> Spoken:
        """What was said lately, as the tables have it; a journal of a release that did not note it has nothing."""
        found = self._connection.execute("SELECT value FROM meta WHERE name = 'spoken'").fetchall()
        return msgspec.json.decode(found[0][0], type=Spoken) if found else NOTHING_SPOKEN

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
            # An error can have ended it, and is the one to be told of.
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")

    def _handled(self) -> list[str]:
        """The window of message ids in the tables, oldest first."""
        message_ids: list[str] = []
        for count, piece in self._connection.execute(
            "SELECT count, message_ids FROM handled ORDER BY position"
        ):
            found = self._decode_ids(piece)
            if count != len(found):  # by which a fold knows what to forget
                raise JournalDamaged(f"a piece of {len(found)} message ids says that it has {count!r:.40}")
            message_ids += found
        return message_ids

    @property
    def _last_in_log(self) -> int | None:
        (last,) = self._connection.execute("SELECT max(number) FROM log").fetchone()
        if last is not None and type(last) is not int:
            raise JournalDamaged(f"the number of a commit reads {last!r:.40}")
        return last

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

    def _decode_writes(self, data: bytes) -> list[Write]:
        try:
            writes = self._decoder.decode(data)
        except RecursionError:
            # One line in it is nested too deeply to be read from here: that is no damage, and all other rows are whole.
            writes = on_fresh_stack(self._decoder.decode, data)
        check_writes(writes)
        return writes

    def _rows(self, only: str, *parameters: str) -> Iterator[tuple[RowKey, RowImage]]:
        after = 0
        while True:
            found = self._connection.execute(
                f'SELECT id, "table", channel_id, key, {", ".join(LINE_COLUMNS)} FROM rows WHERE id > ? {only} ORDER BY id LIMIT {READ_ROWS}',
                (after, *parameters),
            ).fetchall()
            for number, table, channel_id, name, *values in found:
                after = number
                yield key_of_line(table, channel_id, name), row_of(*values)
            if len(found) < READ_ROWS:
                return

    def _text(self, name: str, default: str | None = None) -> str:
        value = self._meta(name, default)
        if type(value) is not str:
            raise JournalDamaged(f"its {name} reads {value!r:.40}")
        return value

    def _whole(self, name: str) -> int:
        value = self._meta(name)
        if type(value) is not int:
            raise JournalDamaged(f"its {name} reads {value!r:.40}")
        return value

    def _meta(self, name: str, default: object = None) -> object:
        for (value,) in self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchall():
            return value
        if default is None:
            raise JournalDamaged(f"the journal does not say its {name}")
        return default
