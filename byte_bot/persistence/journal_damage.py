"""What is wrong with a journal's file, told by the error that it makes; pure.

Three things look alike and need different hands. A file that is *damaged* is no journal any more: it is set aside, and the bot
begins a new one (:mod:`byte_bot.persistence.journal_opening`). A disk that is full, read-only or fails, and a program that holds
the file for a while, pass: another try may work. Everything else (no permission, no such folder) is for a human.

SQLite sees only damage of its own structure, and it has no checksums: a bit that flipped in a field comes out of it as a value
of another type, as text that is none, as JSON that cannot be read. :func:`damage_named` gives all of that one name. JSON that is
nested too deeply for Python to read it is no damage: the file is whole, and setting it aside would lose all other rows.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from byte_bot.errors import JournalRefused, JournalUnready

#: What comes of a field in which something else stands than was written: of JSON that is none or does not end, of text that is
#: none, of a value of another type or one that is too large.
_MISREAD_ERRORS: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError)
#: https://www.sqlite.org/rescode.html: a page, or a field longer than any can be.
_DAMAGE_CODES: Final = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_TOOBIG,
)
#: Damage for which SQLite has no code of its own (SQLITE_ERROR), or Python none at all: a table that should be there is not, a
#: schema that no release writes, a column's bytes that are no text.
_DAMAGE_WORDS: Final = (
    "no such table",
    "no such column",
    "unsupported file format",
    "Could not decode to UTF-8",
)
#: It may work the next time: no room, no writing, a failing device; somebody else's lock.
_PASSING_CODES: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
)
# Windows has no quotas of this kind, nor a number for them.
_PASSING_ERRNOS: Final = (
    errno.ENOSPC,
    getattr(errno, "EDQUOT", errno.ENOSPC),
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
)


class CommitsMissing(sqlite3.DatabaseError):
    """The file does not have commits that were made: it was replaced, lost its tail, or has a hole."""


class JournalDamaged(sqlite3.DatabaseError):
    """What is in the file cannot be, although SQLite reads it."""


@contextmanager
def damage_named() -> Iterator[None]:
    """Whatever cannot be decoded inside, or is of another type than was written, is :class:`JournalDamaged`.

    Raises:
        JournalRefused: it is nested deeper than this Python can read at all.
    """
    try:
        yield
    except RecursionError:
        raise JournalRefused(
            "the journal holds a value that is nested deeper than this Python can read: use the version of Python that wrote it "
            "until everything is saved"
        ) from None
    except _MISREAD_ERRORS as error:
        raise JournalDamaged(f"the journal is damaged: {error}") from None


def is_damage(error: sqlite3.Error) -> bool:
    """True for a file that is no journal any more; False for a disk that does not work, which another file would not help."""
    return (
        isinstance(error, JournalDamaged | CommitsMissing)
        or _code(error) in _DAMAGE_CODES
        or str(error).startswith(_DAMAGE_WORDS)
    )


def passes(error: sqlite3.Error | OSError) -> bool:
    """True for what another try may find gone: a full, read-only or failing disk, another program's lock."""
    if isinstance(error, OSError):
        return error.errno in _PASSING_ERRNOS
    return _code(error) in _PASSING_CODES


def advice_for(error: sqlite3.Error) -> str:
    """What to do about an error of SQLite's that is no damage, for whoever looks into a journal."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return "Make room on its disk, and try again"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Another program has it open: try again"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return "Use the account that the bot runs under"
    return "Look at the disk that it lies on, and try again"


def needs_writing(error: sqlite3.Error) -> bool:
    """True if SQLite would have to make or change something beside the file, and cannot."""
    return _code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def out_of_reach(path: Path, error: sqlite3.Error | OSError) -> JournalRefused:
    """Why the journal at ``path`` cannot be opened, and the way out."""
    words = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    if passes(error):
        return JournalUnready(
            f"the journal {path} cannot be opened now: {words}. Make room on its disk, or make it writable again, or end the "
            "program that has the file open"
        )
    return JournalRefused(
        f"the journal {path} cannot be opened: {words}. Give JOURNAL_PATH a file in a folder that the bot may write to, on a "
        "disk with room; or set DURABILITY=off, and a crash loses what the database does not have yet"
    )


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary code; None if it is Python's error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
