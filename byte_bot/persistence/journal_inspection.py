"""What a journal holds, read beside the bot that writes to it.

How it works. :func:`open_for_reading` gives a read-only connection to a file that is surely a journal in today's format, and
changes nothing: the bot may be running. Each question is a query or two of its own, and :meth:`JournalReader.everything`
reads page by page: an open read would keep the bot from using the WAL anew, and a few milliseconds of it do not. The price:
what the pages show can be some commits apart.

Left out: the lock, repairs (:mod:`byte_bot.persistence.journal_repair`), and how it is shown (:mod:`byte_bot.journal_tables`).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from byte_bot.errors import JournalRefused
from byte_bot.persistence.journal_file import FORMAT, SqliteJournal
from byte_bot.persistence.journal_image import DeadLettered, KnownChannel
from byte_bot.persistence.journal_opening import APPLICATION_ID, BUSY_S
from byte_bot.persistence.operations import Base, Operation, RowKey, Stamp, coalesced

#: Rows read at once for an export; chosen: a few milliseconds.
PAGE_ROWS: Final = 200

_ROW: Final = """SELECT id, "table", channel_id, key, version, data, tombstones, epoch, revision, edit_no,
    boundary_epoch, boundary_revision FROM rows"""


class Overview(msgspec.Struct, frozen=True):
    """A journal in numbers. ``oldest_unsaved_s`` is None if everything is saved; coalesced changes count from the last."""

    login: str
    identity: str
    format: int
    commits: int
    epoch: int
    rows: int
    rows_pending: int
    operations: int
    oldest_unsaved_s: float | None
    dead_letters: int
    handled: int
    channels: int


class Entry(msgspec.Struct, frozen=True):
    """One row in the journal; ``since_s`` is when its oldest pending operation was made, in Unix seconds, None if none is."""

    key: RowKey
    base: Base | None
    boundary: Stamp
    operations: list[Operation]
    letter: DeadLettered | None = None

    @property
    def since_s(self) -> float | None:
        """See the class."""
        return min((operation.at_s for operation in self.operations if operation.at_s), default=None)


class Listing(msgspec.Struct, frozen=True):
    """Rows with pending operations or dead letters: refused ones first, then in the order in which they came to be known."""

    entries: list[Entry]
    left_out: int


@contextlib.contextmanager
def open_for_reading(path: Path, login: str = "") -> Iterator[JournalReader]:
    """A reader on the journal at ``path``.

    Args:
        path: the file.
        login: whose it must be; empty: anybody's.

    Raises:
        JournalRefused: there is none, or it cannot be read, is damaged, or is not the bot's; the message says what to do.
    """
    if not path.is_file():
        raise JournalRefused(
            f"there is no journal at {path}: the bot has not run yet with these settings (DURABILITY=off makes none). "
            "JOURNAL_PATH and TWITCH_LOGIN say where it is, or --file"
        )
    with refused_if_damaged(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None
        )
    with contextlib.closing(connection), refused_if_damaged(path):
        _check(connection, path, login)
        yield JournalReader(connection)


@contextlib.contextmanager
def refused_if_damaged(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into words about the journal at ``path``."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise JournalRefused(
                f"the journal {path} is damaged ({error}): the bot sets it aside at its next start and begins a new one; "
                "keep the file, it may hold changes that the database does not have"
            ) from None
        raise JournalRefused(
            f"the journal {path} cannot be used: {error}. Use the account that the bot runs under"
        ) from None


def _check(connection: sqlite3.Connection, path: Path, login: str) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise JournalRefused(f"{path} is not a journal of byte-bot: correct JOURNAL_PATH or --file")
    if number > FORMAT:
        raise JournalRefused(
            f"the journal {path} has format {number}, which a newer byte-bot wrote; this one knows formats up to {FORMAT}: "
            "use that release's byte-bot"
        )
    if number < FORMAT:
        raise JournalRefused(
            f"the journal {path} has format {number}, of an older byte-bot: start the bot once, which brings it to format "
            f"{FORMAT}"
        )
    owner = SqliteJournal(connection).login
    if login and owner != login:
        raise JournalRefused(
            f"the journal {path} belongs to the bot {owner!r}, not to {login!r}: correct TWITCH_LOGIN or JOURNAL_PATH, or "
            "name the file with --file"
        )


class JournalReader:
    """See the module's docstring.

    Args:
        connection: to a journal in today's format; it may be read-only.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._journal = SqliteJournal(connection)
        self._decode = msgspec.json.Decoder(Operation).decode

    def overview(self, now_s: float) -> Overview:
        """The journal in numbers; ``now_s`` is wall time in seconds."""
        # at_s is the seventh item of an operation's JSON array.
        operations, rows, oldest_s = self._one(
            "SELECT count(*), count(DISTINCT row), min(nullif(json_extract(CAST(operation AS TEXT), '$[6]'), 0)) "
            "FROM operations"
        )
        meta = dict(self._connection.execute("SELECT name, value FROM meta").fetchall())
        return Overview(
            login=str(meta["login"]),
            identity=str(meta["identity"]),
            format=FORMAT,
            commits=int(meta["commits"]),
            epoch=int(meta["epoch"]),
            rows=self._one("SELECT count(*) FROM rows")[0],
            rows_pending=rows,
            operations=operations,
            oldest_unsaved_s=None if oldest_s is None else round(max(0.0, now_s - oldest_s), 3),
            dead_letters=self._one("SELECT count(*) FROM dead_letters")[0],
            handled=self._one("SELECT count(*) FROM handled")[0],
            channels=len(self.channels()),
        )

    def channels(self) -> list[KnownChannel]:
        """The last known list of channels."""
        found = self._connection.execute("SELECT logins FROM channels").fetchall()
        return msgspec.json.decode(found[0][0], type=list[KnownChannel]) if found else []

    def handled(self) -> list[str]:
        """The window of message ids that were handled, oldest first."""
        return [
            name
            for (name,) in self._connection.execute(
                "SELECT message_id FROM handled ORDER BY position"
            ).fetchall()
        ]

    def letters(self, channel: str = "") -> list[DeadLettered]:
        """The dead letters, oldest first; with ``channel`` (an id, or a login) only that channel's."""
        found = self._connection.execute("SELECT * FROM dead_letters ORDER BY at_s").fetchall()
        names = self._names_of(channel)
        return [
            DeadLettered(RowKey(*letter[:3]), *letter[3:])
            for letter in found
            if not channel or letter[1] in names
        ]

    def listing(self, *, channel: str = "", dead_only: bool = False, limit: int) -> Listing:
        """Rows with pending operations or dead letters.

        Args:
            channel: only this channel's: its id, or its login.
            dead_only: only dead letters.
            limit: at most so many.
        """
        letters = {letter.key: letter for letter in self.letters(channel)}
        keys = list(letters)
        if not dead_only:
            names = self._names_of(channel)
            found = self._connection.execute(
                'SELECT "table", channel_id, key FROM rows WHERE id IN (SELECT DISTINCT row FROM operations) ORDER BY id'
            ).fetchall()
            pending = (RowKey(*key) for key in found if not channel or key[1] in names)
            keys += [key for key in pending if key not in letters]
        entries = [entry for key in keys[:limit] if (entry := self.entry(key)) is not None]
        return Listing(entries, max(0, len(keys) - limit))

    def entry(self, key: RowKey) -> Entry | None:
        """One row, None if the journal does not know it."""
        found = self._connection.execute(
            f'{_ROW} WHERE "table" = ? AND channel_id = ? AND key = ?', key
        ).fetchall()
        letter = self._letter(key)
        if found:
            return self._entry(found[0], letter)
        return None if letter is None else Entry(key, None, Stamp(), [], letter)

    def everything(self, *, dead_only: bool = False) -> Iterator[Entry]:
        """Every row; with ``dead_only`` those with a dead letter."""
        if dead_only:
            for letter in self.letters():
                entry = self.entry(letter.key)
                if entry is not None:
                    yield entry
            return
        after = 0
        while page := self._connection.execute(
            f"{_ROW} WHERE id > ? ORDER BY id LIMIT ?", (after, PAGE_ROWS)
        ).fetchall():
            for row in page:
                yield self._entry(row, self._letter(RowKey(*row[1:4])))
            after = page[-1][0]

    def _entry(self, row: Sequence[Any], letter: DeadLettered | None) -> Entry:
        number, table, channel_id, name, version, data, tombstones, *stamps = row
        epoch, revision, edit_no, *boundary = stamps
        base = None
        if version is not None:
            graves = msgspec.json.decode(tombstones) if tombstones else {}
            base = Base(data, graves, version, epoch, revision, edit_no)
        stored = self._connection.execute(
            "SELECT operation FROM operations WHERE row = ? ORDER BY position", (number,)
        ).fetchall()
        operations = coalesced((self._decode(one) for (one,) in stored), boundary=Stamp(*boundary))
        return Entry(RowKey(table, channel_id, name), base, Stamp(*boundary), operations, letter)

    def _letter(self, key: RowKey) -> DeadLettered | None:
        found = self._connection.execute(
            "SELECT revision, sqlstate, words, payload, at_s FROM dead_letters "
            'WHERE "table" = ? AND channel_id = ? AND key = ?',
            key,
        ).fetchall()
        return DeadLettered(key, *found[0]) if found else None

    def _names_of(self, channel: str) -> frozenset[str]:
        """By what the rows of a channel can be found: its id and its login, whichever of them is given."""
        login = channel.lower().lstrip("#@")
        pairs = [(known.login, known.channel_id) for known in self.channels()]
        return frozenset({channel, login}.union(*(pair for pair in pairs if login in pair))) - {""}

    def _one(self, query: str) -> Any:
        return self._connection.execute(query).fetchone()


def key_of(name: str) -> RowKey | None:
    """The row that people call ``name`` (:attr:`~byte_bot.persistence.operations.RowKey.name`); None if nothing is called so."""
    table, _, rest = name.strip("/").partition("/")
    channel_id, _, key = rest.partition("/")
    return RowKey(table, channel_id, key) if table and channel_id else None
