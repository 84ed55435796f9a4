"""What a journal holds, read beside the bot that writes to it.

How it works. :func:`open_for_reading` gives a read-only connection to a file that is surely a journal in today's format, and
changes nothing: the bot may be running. Each question begins with the log (:meth:`StoredJournal.unfolded`), at most some
thousand commits, and is answered from one state of the file, or a row that the bot folds meanwhile would count twice. Only
:meth:`JournalReader.everything`, which waits for whoever writes the export, reads the tables page by page: an open read
keeps the bot from using the WAL anew. The price: what those pages show can be some commits apart.

**Nothing beside the file.** A connection in WAL mode needs a ``-shm``, which SQLite makes where there is none, and cannot make on a
read-only disk. So a file that nobody holds, and all of which is in it (no ``-wal``, or an empty one), is opened as one that does not
change (``immutable=1``); should a bot be started meanwhile and change it all the same, what was read does not count. What a killed
bot left has a ``-wal``: there SQLite puts its ``-shm``.

**Damage.** A file that was set aside (and any, for an export) is read as far as it goes (:mod:`byte_bot.persistence.journal_salvage`).

Left out: the lock, repairs (:mod:`byte_bot.persistence.journal_repair`), and how it is shown (:mod:`byte_bot.journal_tables`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from byte_bot.errors import JournalRefused
from byte_bot.persistence.journal_damage import (
    JournalDamaged,
    advice_for,
    damage_named,
    is_damage,
    needs_writing,
)
from byte_bot.persistence.journal_file import FORMAT
from byte_bot.persistence.journal_image import DeadLettered, JournalImage, KnownChannel, RowImage
from byte_bot.persistence.journal_lock import is_locked
from byte_bot.persistence.journal_opening import BUSY_S
from byte_bot.persistence.journal_origin import is_ours, is_set_aside, refuse_irregular
from byte_bot.persistence.journal_reading import StoredJournal
from byte_bot.persistence.journal_salvage import SalvagedJournal
from byte_bot.persistence.journal_schema import APPLICATION_ID, FORMATS_MAX, has_tables, logins_in
from byte_bot.persistence.operations import Base, Operation, RowKey, Stamp


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
    #: Places that could not be read, and why; of a damaged file only.
    unreadable: dict[str, str] = {}


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
    unreadable: dict[str, str] = {}


@contextlib.contextmanager
def open_for_reading(path: Path, login: str = "", *, salvage: bool = False) -> Iterator[JournalReader]:
    """A reader on the journal at ``path``.

    Args:
        path: the file.
        login: whose it must be; empty: anybody's.
        salvage: read what can be read of a damaged one; one that was set aside is always read so.

    Raises:
        JournalRefused: there is none, or it cannot be read, is damaged, or is not the bot's; the message says what to do.
    """
    refuse_irregular(path)
    before = _state_of(path)
    salvage = salvage or is_set_aside(path)
    with refused_if_damaged(path, login, salvage=salvage):
        connection, immutable = _connected(path)
    with contextlib.closing(connection):
        try:
            with refused_if_damaged(path, login, salvage=salvage):
                yield JournalReader(connection, _checked(connection, path, login, salvage=salvage))
        finally:
            if immutable and _state_of(path) != before:
                raise JournalRefused(
                    f"the journal {path} was changed while it was read, as by a bot that was just started: try again"
                )


def _connected(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection that reads only, and whether it takes the file for one that does not change; see the module's docstring."""
    whole = not _size_bytes(path, "-wal") and not _size_bytes(path, "-journal")
    held = is_locked(path)
    if whole and held is False:
        return _connection_to(path, "mode=ro&immutable=1"), True
    try:
        return _connection_to(path, "mode=ro"), False
    except sqlite3.OperationalError as error:
        # Whether it is held cannot be told here, as in a snapshot on a network share; but whoever held it would have a `-shm`.
        if not (whole and held is None and needs_writing(error)):
            raise
    return _connection_to(path, "mode=ro&immutable=1"), True


def _connection_to(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        # The first look at the file, which needs what lies beside it.
        connection.execute("PRAGMA schema_version").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _state_of(path: Path) -> tuple[int, int]:
    """By which a file that was written to is told.

    Raises:
        JournalRefused: there is none, or this account may not look at it.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise JournalRefused(
            f"there is no journal at {path}: the bot has not run yet with these settings (DURABILITY=off makes none). "
            "JOURNAL_PATH and TWITCH_LOGIN say where it is, or --file"
        ) from None
    except OSError as error:
        raise JournalRefused(
            f"the journal {path} cannot be used: {error.strerror or error}. Correct JOURNAL_PATH or --file, or use the account "
            "that the bot runs under"
        ) from None
    return found.st_mtime_ns, found.st_size


def _size_bytes(path: Path, companion: str) -> int:
    """0 if there is no such file beside it."""
    try:
        return os.stat(f"{path}{companion}").st_size
    except OSError:
        return 0


@contextlib.contextmanager
def refused_if_damaged(path: Path, login: str = "", *, salvage: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into words about the journal at ``path``, which should be that of the bot ``login`` ('': anybody's).

    With ``salvage`` it was read as far as it goes, and that was not far enough.
    """
    try:
        yield
    except sqlite3.Error as error:
        if is_damage(error):
            raise _damaged(path, login, error, salvage=salvage) from None
        advice = advice_for(error)
        if needs_writing(error) and os.access(path, os.R_OK) and _size_bytes(path, "-wal"):
            advice = (
                f"A part of it is in {path.name}-wal, which SQLite only reads where it can write: copy both files to a folder "
                "that can be written to, and name the copy with --file"
            )
        raise JournalRefused(f"the journal {path} cannot be used: {error}. {advice}") from None


def _damaged(path: Path, login: str, error: sqlite3.Error, *, salvage: bool) -> JournalRefused:
    if is_set_aside(path):
        return JournalRefused(
            f"nothing can be read in {path}, which a bot has set aside since it was damaged ({error}): keep the file, it may hold "
            "changes that the database does not have"
        )
    # As a start would: what nothing says to be a journal stays where it is.
    if not is_ours(path, login):
        return _no_journal(path)
    # What a start makes of it depends on whose start it is.
    next_start = "the bot sets it aside at its next start and begins a new one; " if login else ""
    way_out = (
        "nothing can be read in it" if salvage else "`byte-bot journal export` writes what can still be read"
    )
    return JournalRefused(
        f"the journal {path} is damaged ({error}): {next_start}keep the file, it may hold changes that the database does not have; "
        f"{way_out}"
    )


def _no_journal(path: Path) -> JournalRefused:
    return JournalRefused(f"{path} is not a journal of byte-bot: correct JOURNAL_PATH or --file")


def _checked(connection: sqlite3.Connection, path: Path, login: str, *, salvage: bool) -> StoredJournal:
    """What stands in the file, once that is surely a journal in today's format, or what is left of one."""
    try:
        if is_set_aside(path):
            raise JournalDamaged("it has not the tables of a journal any more")
        _check(connection, path, login)
    except sqlite3.DatabaseError as error:
        if not (salvage and is_damage(error) and has_tables(connection)):
            raise
    return SalvagedJournal(connection) if salvage else StoredJournal(connection)


def _check(connection: sqlite3.Connection, path: Path, login: str) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        with damage_named():
            logins = logins_in(connection)
        if login in logins or (logins and not login):
            raise JournalDamaged(f"its mark reads {application:#010x}")
        raise _no_journal(path)
    if not 1 <= number <= FORMATS_MAX:
        raise JournalDamaged(f"its format reads {number}, which no release has")
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
    with damage_named():
        owner = StoredJournal(connection).login
    if login and owner != login:
        raise JournalRefused(
            f"the journal {path} belongs to the bot {owner!r}, not to {login!r}: correct TWITCH_LOGIN or JOURNAL_PATH, or "
            "name the file with --file"
        )


class JournalReader:
    """See the module's docstring.

    Args:
        connection: to a journal in today's format; it may be read-only.
        journal: what stands in it; None: as it must be read.
    """

    def __init__(self, connection: sqlite3.Connection, journal: StoredJournal | None = None) -> None:
        self._journal = StoredJournal(connection) if journal is None else journal

    @property
    def unreadable(self) -> dict[str, str]:
        """The places that could not be read so far, and why; none unless the file is read as far as it goes."""
        return self._journal.unreadable

    def overview(self, now_s: float) -> Overview:
        """The journal in numbers; ``now_s`` is wall time in seconds."""
        with self._journal.one_look():
            return self._overview(now_s)

    def _overview(self, now_s: float) -> Overview:
        image = self._journal.unfolded()
        pending = [entry for entry in self._entries(image, pending_only=True) if entry.operations]
        oldest_s = min((entry.since_s for entry in pending if entry.since_s), default=None)
        new = sum(self._journal.stored_row(key) is None for key in image.rows)
        return Overview(
            login=self._journal.login,
            identity=self._journal.identity,
            format=FORMAT,
            commits=self._journal.commits,
            epoch=image.epoch,
            rows=self._journal.row_count + new,
            rows_pending=len(pending),
            operations=sum(len(entry.operations) for entry in pending),
            oldest_unsaved_s=None if oldest_s is None else round(max(0.0, now_s - oldest_s), 3),
            dead_letters=len(image.dead_letters),
            handled=len(image.handled),
            channels=len(image.channels),
            unreadable=self.unreadable,
        )

    def channels(self) -> list[KnownChannel]:
        """The last known list of channels."""
        return self._journal.unfolded().channels

    def handled(self) -> list[str]:
        """The window of message ids that were handled, oldest first."""
        return list(self._journal.unfolded().handled)

    def letters(self, channel: str = "") -> list[DeadLettered]:
        """The dead letters, oldest first; with ``channel`` (an id, or a login) only that channel's."""
        return _letters(self._journal.unfolded(), channel)

    def listing(self, *, channel: str = "", dead_only: bool = False, limit: int) -> Listing:
        """Rows with pending operations or dead letters.

        Args:
            channel: only this channel's: its id, or its login.
            dead_only: only dead letters.
            limit: at most so many.
        """
        with self._journal.one_look():
            entries = self._listed(channel, dead_only)
        return Listing(entries[:limit], max(0, len(entries) - limit), self.unreadable)

    def _listed(self, channel: str, dead_only: bool) -> list[Entry]:
        image = self._journal.unfolded()
        names = _names_of(channel, image.channels)
        letters = {letter.key: letter for letter in _letters(image, channel)}
        entries = [entry for key in letters if (entry := self._entry(image, key)) is not None]
        if not dead_only:
            entries += [
                entry
                for entry in self._entries(image, pending_only=True)
                if entry.operations
                and entry.key not in letters
                and (not channel or entry.key.channel_id in names)
            ]
        return entries

    def entry(self, key: RowKey) -> Entry | None:
        """One row, None if the journal does not know it."""
        with self._journal.one_look():
            return self._entry(self._journal.unfolded(), key)

    def everything(self, *, dead_only: bool = False) -> Iterator[Entry]:
        """Every row; with ``dead_only`` those with a dead letter."""
        image = self._journal.unfolded()
        with damage_named():
            if dead_only:
                found = (self._entry(image, letter.key) for letter in _letters(image))
                yield from (entry for entry in found if entry is not None)
            else:
                yield from self._entries(image)

    def _entry(self, image: JournalImage, key: RowKey) -> Entry | None:
        row = image.rows.get(key) or self._journal.stored_row(key)
        letter = image.dead_letters.get(key)
        if row is not None:
            return _entry(key, row, letter)
        return None if letter is None else Entry(key, None, Stamp(), [], letter)

    def _entries(self, image: JournalImage, *, pending_only: bool = False) -> Iterator[Entry]:
        """The rows in the tables, as they are with the log in ``image``, then those that are only in the log."""
        left = dict(image.rows)
        for key, row in self._journal.stored_rows(pending_only=pending_only):
            yield _entry(key, left.pop(key, row), image.dead_letters.get(key))
        for key, row in left.items():
            yield _entry(key, row, image.dead_letters.get(key))


def _entry(key: RowKey, row: RowImage, letter: DeadLettered | None) -> Entry:
    return Entry(key, row.base, row.boundary, row.pending, letter)


def _letters(image: JournalImage, channel: str = "") -> list[DeadLettered]:
    names = _names_of(channel, image.channels)
    found = [one for one in image.dead_letters.values() if not channel or one.key.channel_id in names]
    return sorted(found, key=lambda letter: letter.at_s)


def _names_of(channel: str, known: list[KnownChannel]) -> frozenset[str]:
    """By what the rows of a channel can be found: its id and its login, whichever of them is given."""
    login = channel.lower().lstrip("#@")
    pairs = [(one.login, one.channel_id) for one in known]
    return frozenset({channel, login}.union(*(pair for pair in pairs if login in pair))) - {""}


def key_of(name: str) -> RowKey | None:
    """The row that people call ``name`` (:attr:`~byte_bot.persistence.operations.RowKey.name`); None if nothing is called so."""
    table, _, rest = name.strip("/").partition("/")
    channel_id, _, key = rest.partition("/")
    try:
        name.encode()
    except UnicodeEncodeError:
        return (
            None  # half a character, as a shell makes of a byte that is no UTF-8: no row has it in its name
        )
    return RowKey(table, channel_id, key) if table and channel_id else None
