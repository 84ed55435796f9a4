"""Damage, a disk that does not work, and everything else: told apart by the error, and each with its way out."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import msgspec
import pytest

from byte_bot.errors import JournalRefused, JournalUnready
from byte_bot.persistence.journal_damage import (
    CommitsMissing,
    JournalDamaged,
    advice_for,
    damage_named,
    is_damage,
    out_of_reach,
    passes,
)
from tests.byte_bot.persistence.nesting import BOTTOMLESS

PATH = Path("/data/my_bot.journal")


def sqlite_error(code: int, words: str = "words") -> sqlite3.OperationalError:
    """An error as SQLite makes it."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


def test_what_is_nested_too_deeply_is_no_damage() -> None:
    """The file is whole: to set it aside would lose everything else in it."""
    with pytest.raises(JournalRefused, match="version of Python that wrote it"), damage_named():
        msgspec.json.decode(b"[" * BOTTOMLESS)


@pytest.mark.parametrize("data", [b"{", b"[1]", b'"\xff"', 7, None])
def test_what_a_field_cannot_be_read_for_has_one_name(data: bytes | int | None) -> None:
    """No JSON, JSON of something else, no text, and no bytes at all."""
    with pytest.raises(JournalDamaged, match="the journal is damaged: "), damage_named():
        msgspec.json.decode(data, type=str)  # type: ignore[arg-type]


def test_what_has_a_name_keeps_it() -> None:
    """A disk that fails is no damage, and a refusal has its own words."""
    for error in (CommitsMissing("from 1 to 2"), sqlite_error(sqlite3.SQLITE_FULL), JournalRefused("no")):
        with pytest.raises(type(error)) as raised, damage_named():
            raise error
        assert raised.value is error


@pytest.mark.parametrize(
    ("error", "damaged", "passing"),
    [
        (JournalDamaged("a field"), True, False),
        (CommitsMissing("a hole"), True, False),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), True, False),
        (sqlite_error(sqlite3.SQLITE_CORRUPT_INDEX), True, False),
        (sqlite_error(sqlite3.SQLITE_NOTADB), True, False),
        (sqlite_error(sqlite3.SQLITE_TOOBIG), True, False),
        (sqlite_error(sqlite3.SQLITE_ERROR, "no such table: log"), True, False),
        (sqlite_error(sqlite3.SQLITE_ERROR, "unsupported file format"), True, False),
        # Python's own, without a code.
        (sqlite3.OperationalError("Could not decode to UTF-8 column 'key' with text 'd\ufffd'"), True, False),
        (sqlite_error(sqlite3.SQLITE_FULL), False, True),
        (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), False, True),
        (sqlite_error(sqlite3.SQLITE_READONLY), False, True),
        (sqlite_error(sqlite3.SQLITE_BUSY), False, True),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), False, False),
        (sqlite3.OperationalError("words"), False, False),
    ],
)
def test_damage_and_a_disk_that_does_not_work_are_told_apart(
    error: sqlite3.Error, damaged: bool, passing: bool
) -> None:
    """The one is set aside, the other waited for, and what is neither is for a human."""
    assert (is_damage(error), passes(error)) == (damaged, passing)


@pytest.mark.parametrize(
    ("number", "passing"),
    [
        (errno.ENOSPC, True),
        (errno.EROFS, True),
        (errno.EIO, True),
        (errno.EACCES, False),
        (errno.EISDIR, False),
    ],
)
def test_the_system_s_errors_are_told_apart_too(number: int, passing: bool) -> None:
    """A permission does not come by itself; room does, once somebody makes it."""
    error = OSError(number, "words")
    assert passes(error) is passing
    assert isinstance(out_of_reach(PATH, error), JournalUnready) is passing


def test_each_refusal_has_its_way_out() -> None:
    """What passes asks for room; what does not, for another path."""
    unready = out_of_reach(PATH, sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"))
    assert str(unready).startswith(
        f"the journal {PATH} cannot be opened now: database or disk is full. Make room"
    )
    refused = out_of_reach(PATH, OSError(errno.EACCES, "Permission denied"))
    assert "cannot be opened: Permission denied. Give JOURNAL_PATH" in str(refused)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (sqlite3.SQLITE_FULL, "Make room on its disk"),
        (sqlite3.SQLITE_BUSY, "Another program has it open"),
        (sqlite3.SQLITE_READONLY_CANTINIT, "Use the account that the bot runs under"),
        (sqlite3.SQLITE_CANTOPEN, "Use the account that the bot runs under"),
        (sqlite3.SQLITE_IOERR_READ, "Look at the disk"),
    ],
)
def test_who_looks_into_a_journal_is_told_what_helps(code: int, advice: str) -> None:
    """Another account makes no room on a full disk."""
    assert advice_for(sqlite_error(code)).startswith(advice)
