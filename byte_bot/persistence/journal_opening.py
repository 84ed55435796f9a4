"""Finding, making and checking the journal's file.

How it works. :func:`open_journal` gives a connection to a file that is surely a journal of this bot in today's format:

* a file that is not there is made, readable by its owner only, in a folder that nobody else can look into;
* one of an older format is upgraded (:mod:`byte_bot.persistence.journal_schema`);
* one of a newer format, of another bot, or of another program is refused: :class:`~byte_bot.errors.JournalRefused`. The file's
  header says which; a header that was damaged is told from those by what it cannot be: the mark of another program on tables
  in which this bot's login stands, a format that no release has;
* one on a file system that does not allow SQLite's WAL (network shares) is refused too: in its other modes readers and the
  writer wait for each other, and the loop reads;
* one that is damaged is *set aside* (:mod:`byte_bot.persistence.journal_aside`), and a new one is made. SQLite's own check finds
  broken pages and, in all but large files, indexes that lead nowhere; tables that are not as they were made, and fields that
  cannot be read, are found by looking. The bot starts; what the damaged one held is for a human to look at;
* if the disk is full, read-only or fails, the file stays as it is: :class:`~byte_bot.errors.JournalUnready`, another try may work.

Left out: the lock (:mod:`byte_bot.persistence.journal_lock`), which must be held before.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import structlog

from byte_bot.errors import JournalError, JournalRefused
from byte_bot.persistence.journal_aside import or_set_aside
from byte_bot.persistence.journal_damage import JournalDamaged, damage_named, out_of_reach
from byte_bot.persistence.journal_file import (
    FORMAT,
    PAGES_MAX,
    WAL_KEPT_BYTES,
    WAL_PAGES_MAX,
    SqliteJournal,
)
from byte_bot.persistence.journal_image import JournalImage
from byte_bot.persistence.journal_origin import SUFFIX, foreign
from byte_bot.persistence.journal_schema import (
    APPLICATION_ID,
    FORMATS_MAX,
    Owner,
    check_tables,
    logins_in,
    make_tables,
    upgrade,
)
from byte_bot.setting_values import LOGIN_PATTERN
from byte_bot.user_folder import expanded, user_data_folder

#: Seconds a connection waits for another one that holds the file; only programs other than the bot ever do.
BUSY_S: Final = 5.0
#: Pages up to which a start compares the indexes with the tables too, 16 MiB: some 60,000 rows, as 20,000 channels have; measured:
#: 0.7 s, a quarter of it without the indexes. A row that its index does not lead to is made a second time by the next fold.
WHOLE_CHECK_PAGES_MAX: Final = 16_384

Durability = Literal["process", "power"]

_log = structlog.get_logger(__name__)


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

    Raises:
        SettingsError: the path begins with the home folder of somebody who has none.
    """
    if setting:
        path = expanded(setting, "JOURNAL_PATH")
        # Not Path's own: of a name that is too long, or a folder that may not be looked into, it raises.
        return path / f"{login}{SUFFIX}" if os.path.isdir(path) or setting.endswith(("/", os.sep)) else path
    return user_data_folder(environment, platform) / f"{login}{SUFFIX}"


def prepare_folder(path: Path) -> None:
    """Make the folder of the journal, for its owner only, if it is not there.

    Raises:
        JournalRefused: it cannot be made or written to.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            _write_something(path.parent)
    except OSError as error:
        raise out_of_reach(path, error) from None


def _write_something(folder: Path) -> None:
    """Learn why ``folder`` cannot be written to: whoever asks whether it can is not told."""
    name = folder / f".byte-bot-{os.getpid()}"
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    name.unlink()


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
    return or_set_aside(path, owner.login, now_s, lambda: _opened(path, owner, durability, pages_max))


def open_and_read(
    path: Path, owner: Owner, *, durability: Durability, now_s: float
) -> tuple[sqlite3.Connection, JournalImage]:
    """:func:`open_journal`, and what is pending in it: damage that only shows when it is read sets the file aside too."""

    def opened() -> tuple[sqlite3.Connection, JournalImage]:
        connection = _opened(path, owner, durability, PAGES_MAX)
        try:
            journal = SqliteJournal(connection)
            image = journal.read(pending_only=True)
            if not journal.identity:  # under which whoever takes the connection over asks for epochs
                raise JournalDamaged("it does not say which journal it is")
            return connection, image
        except BaseException:
            connection.close()
            raise

    return or_set_aside(path, owner.login, now_s, opened)


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


def _opened(path: Path, owner: Owner, durability: Durability, pages_max: int) -> sqlite3.Connection:
    # Before SQLite makes it with the process's umask; what it puts beside the file gets the file's own mode.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise out_of_reach(path, error) from None
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        with damage_named():
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            if not pages:
                # Made only now, or a start that was killed before it had made it.
                make_tables(connection, owner)
            else:
                _check(connection, path, owner)
            configure(connection, durability=durability, pages_max=pages_max)
            # What may only be read says so now, not at the first commit. Nothing is written; BEGIN IMMEDIATE would just read.
            connection.execute("DELETE FROM meta WHERE 0")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path, owner: Owner) -> None:
    """See to it that the file is whole, this bot's, and of today's format."""
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    ((have,),) = connection.execute("PRAGMA user_version").fetchall()
    if application != APPLICATION_ID:
        if owner.login in logins_in(connection):
            raise JournalDamaged(f"its mark reads {application:#010x} instead of {APPLICATION_ID:#010x}")
        raise foreign(path)
    if not 1 <= have <= FORMATS_MAX:
        raise JournalDamaged(f"its format reads {have}, which no release has")
    if have > FORMAT:
        raise JournalRefused(
            f"the journal {path} has format {have}, which a newer byte-bot wrote; this one knows formats up to {FORMAT}: "
            "start that release again, or give this one another JOURNAL_PATH"
        )
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    check = "integrity_check" if pages <= WHOLE_CHECK_PAGES_MAX else "quick_check"
    ((verdict, *_), *_) = connection.execute(f"PRAGMA {check}(1)").fetchall()
    if verdict != "ok":
        raise JournalDamaged(f"the file is damaged: {verdict}")
    _check_owner(connection, path, owner)
    if have < FORMAT:
        try:
            upgrade(connection, have)
        except JournalError as error:
            raise JournalRefused(f"the journal {path} cannot be upgraded: {error}") from None
        _log.info("journal_upgraded", path=str(path), from_format=have, to_format=FORMAT)
    check_tables(connection)


def _check_owner(connection: sqlite3.Connection, path: Path, owner: Owner) -> None:
    found = SqliteJournal(connection).login
    if not LOGIN_PATTERN.fullmatch(found):
        raise JournalDamaged(f"it belongs to {found!r:.40}, which is no login")
    if found != owner.login:
        # A bit that flipped in this name is not told from another bot's: in doubt nothing is moved.
        raise JournalRefused(
            f"the journal {path} belongs to the bot {found!r}, not to {owner.login!r}: correct TWITCH_LOGIN or "
            "JOURNAL_PATH; each bot needs a journal of its own"
        )
