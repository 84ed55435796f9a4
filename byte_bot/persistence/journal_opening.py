"""Finding, making and checking the journal's file.

How it works. :func:`open_journal` gives a connection to a file that is surely a journal of this bot in today's format:

* a file that is not there is made, readable by its owner only, in a folder that nobody else can look into;
* one of an older format is upgraded, step by step (:data:`UPGRADES`), in one transaction;
* one of a newer format, of another bot, or of another program is refused: :class:`~byte_bot.errors.JournalRefused`. The file's
  header says which; a header that was damaged is told from those by what it cannot be: the mark of another program on tables
  in which this bot's login stands, a format that no release has (:data:`FORMATS_MAX`);
* one on a file system that does not allow SQLite's WAL (network shares) is refused too: in its other modes readers and the
  writer wait for each other, and the loop reads;
* one that is damaged is *set aside*: renamed, with what belongs to it, and a new one is made. The bot starts; what the
  damaged one held is for a human to look at. Nothing is ever put in the place of one that was set aside before.

Left out: the lock (:mod:`byte_bot.persistence.journal_lock`), which must be held before.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TypeVar

import structlog

from byte_bot.errors import JournalError, JournalRefused
from byte_bot.persistence.journal_file import (
    FORMAT,
    PAGE_BYTES,
    PAGES_MAX,
    WAL_KEPT_BYTES,
    WAL_PAGES_MAX,
    SqliteJournal,
)
from byte_bot.persistence.journal_image import JournalImage
from byte_bot.persistence.journal_line import CommitsMissing, JournalDamaged
from byte_bot.user_folder import user_data_folder

#: The tables of today's format; :mod:`~byte_bot.persistence.journal_file` says what is in them.
SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE log (
    slot INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    -- The channels (or logins) of which the commit has a base, with a blank around each; NULL if of none.
    bases TEXT,
    writes BLOB NOT NULL
);
CREATE INDEX log_bases ON log (number) WHERE bases IS NOT NULL;
CREATE TABLE rows (
    id INTEGER PRIMARY KEY,
    "table" TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    key TEXT NOT NULL,
    -- The last known base; version is NULL as long as there is none, data is NULL if the database has no such row.
    version INTEGER,
    data BLOB,
    tombstones BLOB,
    epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    edit_no INTEGER,
    boundary_epoch INTEGER NOT NULL,
    boundary_revision INTEGER NOT NULL,
    -- Operations that no base contains yet, NULL if there are none.
    pending BLOB
);
CREATE UNIQUE INDEX rows_key ON rows (channel_id, "table", key);
CREATE INDEX rows_pending ON rows (id) WHERE pending IS NOT NULL;
CREATE TABLE handled (position INTEGER PRIMARY KEY, count INTEGER NOT NULL, message_ids BLOB NOT NULL);
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
#: What tells a journal from every other SQLite file: "BYTB".
APPLICATION_ID: Final = 0x42595442
#: The SQL that turns a file of one format into one of the next, by the older one's number.
UPGRADES: Final[Mapping[int, str]] = {}
#: The highest format that a file can be taken for; chosen: no release will ever have it, and of the damage that one flipped bit
#: does to the number, half lies beyond. What lies below is refused as a newer one's: nothing of it is lost.
FORMATS_MAX: Final = 65_535
#: Seconds a connection waits for another one that holds the file; only programs other than the bot ever do.
BUSY_S: Final = 5.0
_SUFFIX: Final = ".journal"
_TABLES: Final = tuple(re.findall(r"CREATE TABLE (\w+)", SCHEMA))
#: What SQLite puts beside the file, and the file itself.
COMPANIONS: Final = ("", "-wal", "-shm")
#: How a file of SQLite's begins (https://www.sqlite.org/fileformat.html#the_database_header).
SQLITE_MAGIC: Final = b"SQLite format 3\x00"

Durability = Literal["process", "power"]
OpenedT = TypeVar("OpenedT")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Owner:
    """Whose journal it is: the bot's login, and the name under which a new one takes its epochs."""

    login: str
    identity: str


def journal_path(
    setting: str, login: str, environment: Mapping[str, str], platform: str = sys.platform
) -> Path:
    """Where the journal of the bot ``login`` lies.

    Args:
        setting: ``JOURNAL_PATH``: a file, or a folder in which each bot gets a file of its own; empty: the folder in which
            the system keeps its users' data.
        login: the bot's.
        environment: the process's, for that folder.
        platform: as :data:`sys.platform` says it.
    """
    if setting:
        path = Path(setting).expanduser()
        return path / f"{login}{_SUFFIX}" if path.is_dir() or setting.endswith(("/", os.sep)) else path
    return user_data_folder(environment, platform) / f"{login}{_SUFFIX}"


def prepare_folder(path: Path) -> None:
    """Make the folder of the journal, for its owner only, if it is not there.

    Raises:
        JournalRefused: it cannot be made or written to.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(13, "no permission to write there")
    except OSError as error:
        raise _out_of_reach(path, error.strerror or str(error)) from None


def open_journal(
    path: Path, owner: Owner, *, durability: Durability, now_s: float, pages_max: int = PAGES_MAX
) -> sqlite3.Connection:
    """A connection to the journal of ``owner``, made, upgraded or set aside as the module's docstring says.

    Args:
        path: the file; its folder exists, and the caller holds its lock.
        owner: whose it must be.
        durability: ``process`` or ``power``.
        now_s: wall time in seconds, for the name of a file that is set aside.
        pages_max: live pages at which the disk counts as full.

    Raises:
        JournalRefused: it is not to be used, or cannot be opened; the message says what to do.
    """
    return _or_set_aside(path, now_s, lambda: _opened(path, owner, durability, pages_max))


def open_and_read(
    path: Path, owner: Owner, *, durability: Durability, now_s: float
) -> tuple[sqlite3.Connection, JournalImage]:
    """:func:`open_journal`, and what is pending in it: damage that only shows when it is read sets the file aside too."""

    def opened() -> tuple[sqlite3.Connection, JournalImage]:
        connection = _opened(path, owner, durability, PAGES_MAX)
        try:
            return connection, SqliteJournal(connection).read(pending_only=True)
        except BaseException:
            connection.close()
            raise

    return _or_set_aside(path, now_s, opened)


def _or_set_aside(path: Path, now_s: float, opened: Callable[[], OpenedT]) -> OpenedT:
    """What ``opened`` gives; if the file is damaged, what it gives once the file is out of the way."""
    try:
        return opened()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise _out_of_reach(path, str(error)) from None
        why = str(error)
    aside = _set_aside(path, now_s)
    _log.error(
        "journal_set_aside",
        path=str(path),
        why=why,
        moved_to=str(aside),
        what_it_means="changes that only it held are not in the database; the bot starts with an empty journal",
    )
    try:
        return opened()
    except sqlite3.Error as error:
        raise _out_of_reach(path, str(error)) from None


def connect(
    path: Path, *, durability: Durability = "process", pages_max: int = PAGES_MAX, read_only: bool = False
) -> sqlite3.Connection:
    """A connection to a journal that exists, for one thread at a time."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        configure(connection, durability=durability, pages_max=pages_max)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def configure(
    connection: sqlite3.Connection, *, durability: Durability = "process", pages_max: int = PAGES_MAX
) -> None:
    """Set what SQLite does not keep in the file.

    With ``power`` every sync reaches the platter also on macOS, whose ``fsync`` stops at the disk's own cache: ``fullfsync``
    asks for ``F_FULLFSYNC`` (https://sqlite.org/pragma.html#pragma_fullfsync), and does nothing on other systems.

    Raises:
        JournalRefused: the file system does not allow the WAL.
    """
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode not in ("wal", "memory"):  # SQLite answers with the mode it stays in, and raises nothing
        ((_, _, path), *_) = connection.execute("PRAGMA database_list").fetchall()
        raise JournalRefused(
            f"the journal {path} cannot be used: SQLite finds no write-ahead log (WAL) possible there, as on network shares. "
            "Give JOURNAL_PATH a file on a local disk; or set DURABILITY=off, and a crash loses what the database does not "
            "have yet"
        )
    power = durability == "power"
    for pragma in (
        f"synchronous = {'FULL' if power else 'NORMAL'}",
        f"fullfsync = {int(power)}",
        f"checkpoint_fullfsync = {int(power)}",
        f"max_page_count = {pages_max}",
        f"journal_size_limit = {WAL_KEPT_BYTES}",
        f"wal_autocheckpoint = {WAL_PAGES_MAX}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def make_tables(connection: sqlite3.Connection, owner: Owner) -> None:
    """Make an empty journal of today's format in an empty database."""
    for pragma in (f"page_size = {PAGE_BYTES}", "auto_vacuum = INCREMENTAL"):
        connection.execute(f"PRAGMA {pragma}")
    _in_one_transaction(
        connection,
        SCHEMA + f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {FORMAT};\n",
        {"identity": owner.identity, "login": owner.login, "epoch": 0, "folded": 0},
    )


def upgrade(
    connection: sqlite3.Connection, have: int, want: int = FORMAT, steps: Mapping[int, str] = UPGRADES
) -> None:
    """Bring a journal of the format ``have`` to ``want``, all of it or nothing.

    Raises:
        JournalError: a step is missing.
    """
    missing = [number for number in range(have, want) if number not in steps]
    if missing:
        raise JournalError(f"there is no way from format {missing[0]} to {want}")
    script = "".join(f"{steps[number]}\n" for number in range(have, want))
    _in_one_transaction(connection, f"{script}PRAGMA user_version = {want};\n", {})


def _in_one_transaction(connection: sqlite3.Connection, script: str, meta: Mapping[str, str | int]) -> None:
    try:
        # executescript() would commit what is open before it begins.
        connection.executescript("BEGIN IMMEDIATE;\n" + script)
        connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", meta.items())
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _opened(path: Path, owner: Owner, durability: Durability, pages_max: int) -> sqlite3.Connection:
    # Before SQLite makes it with the process's umask; what it puts beside the file gets the file's own mode.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise _out_of_reach(path, error.strerror or str(error)) from None
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            # Made only now, or a start that was killed before it had made it.
            make_tables(connection, owner)
        else:
            _check_format(connection, path, owner)
        configure(connection, durability=durability, pages_max=pages_max)
        ((verdict, *_), *_) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"{_DAMAGED}: {verdict}")
        _check_owner(connection, path, owner)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_format(connection: sqlite3.Connection, path: Path, owner: Owner) -> None:
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    ((have,),) = connection.execute("PRAGMA user_version").fetchall()
    if application != APPLICATION_ID:
        if owner.login in _logins(connection):
            raise JournalDamaged(f"its mark reads {application:#010x} instead of {APPLICATION_ID:#010x}")
        raise JournalRefused(
            f"{path} is a SQLite file of another program: choose another JOURNAL_PATH (now nothing was changed)"
        )
    if not 1 <= have <= FORMATS_MAX:
        raise JournalDamaged(f"its format reads {have}, which no release has")
    if have > FORMAT:
        raise JournalRefused(
            f"the journal {path} has format {have}, which a newer byte-bot wrote; this one knows formats up to {FORMAT}: "
            "start that release again, or give this one another JOURNAL_PATH"
        )
    if have < FORMAT:
        try:
            upgrade(connection, have)
        except JournalError as error:
            raise JournalRefused(f"the journal {path} cannot be upgraded: {error}") from None
        _log.info("journal_upgraded", path=str(path), from_format=have, to_format=FORMAT)


def _check_owner(connection: sqlite3.Connection, path: Path, owner: Owner) -> None:
    found = connection.execute("SELECT value FROM meta WHERE name = 'login'").fetchone()
    if found is None:
        raise sqlite3.DatabaseError(f"{_DAMAGED}: it does not say whose it is")
    if found[0] != owner.login:
        raise JournalRefused(
            f"the journal {path} belongs to the bot {found[0]!r}, not to {owner.login!r}: correct TWITCH_LOGIN or "
            "JOURNAL_PATH; each bot needs a journal of its own"
        )


def _logins(connection: sqlite3.Connection) -> list[object]:
    """Whose journal a file with another program's mark is all the same; nobody's if it has not the tables of one."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables.issuperset(_TABLES):
        return []
    try:
        return [login for (login,) in connection.execute("SELECT value FROM meta WHERE name = 'login'")]
    except sqlite3.OperationalError:
        return []  # other columns: another program's after all


_DAMAGED: Final = "the file is damaged"


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """True for a file that is no journal any more; False for a disk that does not work, which another file would not help."""
    code = getattr(error, "sqlite_errorcode", None)
    return (
        isinstance(error, JournalDamaged | CommitsMissing)
        or str(error).startswith(_DAMAGED)
        or (code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
        # A table that should be there is not.
        or str(error).startswith(("no such table", "no such column"))
    )


def _set_aside(path: Path, now_s: float) -> Path:
    at = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    # Two in one second: a bot that finds its new journal damaged too is restarted at once.
    names = itertools.chain([at], (f"{at}-{number}" for number in itertools.count(2)))
    asides = (path.with_name(f"{path.name}.damaged-{name}") for name in names)
    aside = next(one for one in asides if not any(os.path.lexists(f"{one}{end}") for end in COMPANIONS))
    for companion in COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{companion}", f"{aside}{companion}")
    return aside


def _out_of_reach(path: Path, words: str) -> JournalRefused:
    return JournalRefused(
        f"the journal {path} cannot be opened: {words}. Give JOURNAL_PATH a file in a folder that the bot may write to, on a "
        "disk with room; or set DURABILITY=off, and a crash loses what the database does not have yet"
    )
