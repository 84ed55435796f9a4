"""Whose file stands at a journal's path: told by its first bytes, and by what lies beside it. Nothing is changed, made or locked.

How it works. A healthy journal says whose it is. One that is damaged may not, and a ``JOURNAL_PATH`` that names a `.env` or another
program's database must not cost anybody that file: so only what :func:`is_ours` is set aside, and everything else is refused and
left where it is. Something must say that it was a journal:

* its mark, in the header (``application_id``), or this bot's login in tables of a journal's names;
* the name under which the bot makes one, ``LOGIN.journal``;
* if it does not begin as a file of SQLite's: a ``-wal`` beside it, or a lock in which a bot has written who it was. A database of
  another program may have the first, and a start that is refused later leaves the second, so beside one neither counts.

The header also has what SQLite takes without a word, or for a file that may only be read: :attr:`Header.fault`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from pathlib import Path
from typing import Final, NamedTuple

from byte_bot.errors import JournalRefused
from byte_bot.persistence.journal_file import FORMAT
from byte_bot.persistence.journal_lock import holder_of
from byte_bot.persistence.journal_schema import APPLICATION_ID, FORMATS_MAX, logins_in

#: How a file of SQLite's begins (https://www.sqlite.org/fileformat.html#the_database_header).
SQLITE_MAGIC: Final = b"SQLite format 3\x00"
#: How the name of a journal ends that nobody named otherwise.
SUFFIX: Final = ".journal"
#: What stands behind the name of one that was set aside, before the time.
ASIDE: Final = ".damaged-"
#: What SQLite puts beside the file, and the file itself.
COMPANIONS: Final = ("", "-wal", "-shm")
_HEADER_BYTES: Final = 100
_WRITE_VERSION_AT, _READ_VERSION_AT = 18, 19
_SCHEMA_FORMAT_AT, _ENCODING_AT, _USER_VERSION_AT, _APPLICATION_ID_AT = 44, 56, 60, 68


class Header(NamedTuple):
    """The first bytes of a file, as far as they are there."""

    data: bytes

    @property
    def is_database(self) -> bool:
        """True for a file of SQLite's, whoever's."""
        return self.data.startswith(SQLITE_MAGIC)

    @property
    def is_marked(self) -> bool:
        """True for a journal of byte-bot."""
        return self.is_database and self._number(_APPLICATION_ID_AT) == APPLICATION_ID

    @property
    def format(self) -> int:
        """The journal's format."""
        return self._number(_USER_VERSION_AT)

    @property
    def fault(self) -> str:
        """What no journal's header says; '' if it may be whole. It is a marked one's, or means nothing.

        A version from the future makes SQLite treat the file as read-only, or refuse it; another encoding reads all text as
        something else.
        """
        for name, value, high in (
            ("its write version", self.data[_WRITE_VERSION_AT], 2),
            ("its read version", self.data[_READ_VERSION_AT], 2),
            ("its schema's format", self._number(_SCHEMA_FORMAT_AT), 4),
            ("its encoding", self._number(_ENCODING_AT), 1),
            ("its format", self.format, FORMATS_MAX),
        ):
            if not 1 <= value <= high:
                return f"{name} reads {value}, which no release has"
        return ""

    @property
    def is_newer(self) -> bool:
        """True if a newer release has written the file."""
        return FORMAT < self.format <= FORMATS_MAX

    def _number(self, at: int) -> int:
        # Signed: as SQLite's pragmas show them.
        return int.from_bytes(self.data[at : at + 4], signed=True)


def followed(path: Path) -> Path:
    """The file that ``path`` leads to, where SQLite puts what belongs to it: a link is followed, whatever is behind it."""
    return Path(os.path.realpath(path))


def read_header(path: Path) -> Header:
    """The header of the file at ``path``; an empty one if there is no file, or nothing in it.

    Raises:
        OSError: it cannot be read.
    """
    # A pipe or a device would make whoever reads it wait.
    if not path.is_file():
        return Header(b"")
    with path.open("rb") as file:
        return Header(file.read(_HEADER_BYTES))


def is_set_aside(path: Path) -> bool:
    """True if its name says that a start has moved the file at ``path`` out of its way."""
    return re.search(rf"{re.escape(ASIDE)}\d{{8}}T\d{{6}}Z(-\d+)?$", path.name) is not None


def is_ours(path: Path, login: str) -> bool:
    """True if something says that the file at ``path`` is a journal, whatever has become of it.

    Args:
        path: the file.
        login: the bot's whose it should be; '' for anybody's.
    """
    try:
        header = read_header(path)
    except OSError:
        return False
    named = path.name == f"{login}{SUFFIX}" if login else path.suffix == SUFFIX
    if named or header.is_marked:
        return True
    if header.is_database:
        found = logins_at(path)
        return login in found if login else bool(found)
    return Path(f"{path}-wal").exists() or holder_of(path) is not None


def refuse_foreign(path: Path, login: str) -> None:
    """Leave alone what is no file, and a file of which nothing says that it was a journal. Before there is a lock beside it.

    Raises:
        JournalRefused: it is such a file, or none.
    """
    refuse_irregular(path)
    try:
        header = read_header(path)
    except OSError:
        return  # whoever opens it says why it cannot be
    if header.data and not is_ours(path, login):
        raise foreign(path)


def refuse_irregular(path: Path) -> None:
    """Leave alone what no journal can be: a device takes everything and keeps nothing, a pipe keeps its reader waiting.

    Raises:
        JournalRefused: something else than a file stands there.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise JournalRefused(
            f"{path} is no regular file but {_kind_of(path)}: the journal needs a file of its own, see JOURNAL_PATH "
            "(nothing was changed)"
        )


def _kind_of(path: Path) -> str:
    mode = path.stat().st_mode
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((kind for is_kind, kind in kinds if is_kind(mode)), "a device")


def foreign(path: Path) -> JournalRefused:
    """Why a file of another program is not used, and the way out."""
    return JournalRefused(
        f"{path} is a file of another program: choose another JOURNAL_PATH, or move the file away if it was a journal "
        "(nothing was changed)"
    )


def logins_at(path: Path) -> list[object]:
    """Whose journal the database at ``path`` is, whatever mark it has; nobody's if it is none, or cannot be read."""
    try:
        # Immutable: nothing is made beside it. What is only in a WAL does not count.
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return logins_in(connection)
    except (sqlite3.Error, ValueError):
        return []
