"""Whose file it is: what says that a damaged one was a journal, and what does not."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import sys
from pathlib import Path

import pytest

from byte_bot.errors import JournalRefused
from byte_bot.persistence.journal_lock import Holder, acquire, lock_path
from byte_bot.persistence.journal_origin import (
    Header,
    followed,
    is_ours,
    is_set_aside,
    logins_at,
    read_header,
    refuse_foreign,
    refuse_irregular,
)
from byte_bot.persistence.journal_schema import APPLICATION_ID
from tests.byte_bot.persistence.journal_files import SAMPLE

LETTER = b"a letter to the editor, long enough to be looked at\n" * 100


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """``data`` with one bit of it turned over."""
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def foreign_database(path: Path) -> None:
    """Another program's, with a log beside it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE visits (url)")
        connection.commit()
    Path(f"{path}-wal").write_bytes(b"")


def test_a_journal_s_header_says_so() -> None:
    """The kept file of format 1: mark, format, and nothing that no release has."""
    header = Header(SAMPLE.read_bytes()[:100])
    assert (header.is_database, header.is_marked, header.format, header.fault, header.is_newer) == (
        True,
        True,
        1,
        "",
        False,
    )
    assert header.data[68:72] == APPLICATION_ID.to_bytes(4)


@pytest.mark.parametrize(
    ("at", "bit", "words"),
    [
        (18, 0, "its write version reads 3"),
        (19, 2, "its read version reads 6"),
        (47, 3, "its schema's format reads 12"),
        (59, 1, "its encoding reads 3"),
        (63, 0, "its format reads 0"),
        (60, 7, "its format reads -"),
    ],
)
def test_what_no_release_writes_is_a_fault(at: int, bit: int, words: str) -> None:
    """SQLite takes the first for a file that may only be read, and all text for another one by the fourth."""
    assert Header(flipped(SAMPLE.read_bytes()[:100], at, bit)).fault.startswith(words)


def test_a_newer_format_is_no_fault() -> None:
    """In doubt nothing is moved."""
    header = Header(flipped(SAMPLE.read_bytes()[:100], 63, 3))
    assert (header.format, header.fault, header.is_newer) == (9, "", True)


def test_what_is_no_file_has_an_empty_header(tmp_path: Path) -> None:
    """Nothing there, a folder, nothing in it."""
    (tmp_path / "empty").write_bytes(b"")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "empty"):
        assert read_header(path).data == b""
        assert not read_header(path).is_marked


@pytest.mark.parametrize(
    ("name", "data", "beside", "ours"),
    [
        ("my_bot.journal", LETTER, "", True),
        ("notes.txt", LETTER, "", False),
        (".env", b"TWITCH_LOGIN=my_bot\n", "", False),
        ("other_bot.journal", LETTER, "", False),
        ("notes.txt", LETTER, "-wal", True),
        ("notes.txt", LETTER, "holder", True),
        # As other programs make them.
        ("poetry", LETTER, "lock", False),
        # Its mark says it, whatever else is broken.
        ("j", SAMPLE.read_bytes()[:5000] + b"\xff" * 9000, "", True),
        # Its mark is gone, and its tables say it.
        ("j", flipped(SAMPLE.read_bytes(), 68, 0), "", True),
        # Not a database any more.
        ("j", flipped(SAMPLE.read_bytes(), 3, 0), "", False),
        ("j", flipped(SAMPLE.read_bytes(), 3, 0), "holder", True),
        # A database, and neither mark nor tables.
        ("j", SAMPLE.read_bytes()[:16] + b"\xff" * 9000, "holder", False),
    ],
)
def test_something_must_say_that_it_was_a_journal(
    tmp_path: Path, name: str, data: bytes, beside: str, ours: bool
) -> None:
    """A mistyped JOURNAL_PATH must not cost anybody a file; and the bot's own is known by its name, its mark or its lock."""
    path = tmp_path / name
    path.write_bytes(data)
    if beside == "holder":
        acquire(path, Holder(7, "here", "my_bot", "2026-01-01")).release()
    elif beside == "lock":
        lock_path(path).write_text("# This file is automatically @generated\n")
    elif beside:
        Path(f"{path}{beside}").write_bytes(b"left over")
    before = sorted(tmp_path.iterdir())
    assert is_ours(path, "my_bot") is ours
    assert sorted(tmp_path.iterdir()) == before


def test_whoever_names_a_file_means_anybody_s(tmp_path: Path) -> None:
    """Without a login: any name of a journal, any login in its tables."""
    path = tmp_path / "other_bot.journal"
    path.write_bytes(LETTER)
    assert is_ours(path, "")
    path = tmp_path / "j"
    path.write_bytes(flipped(SAMPLE.read_bytes(), 68, 0))
    assert is_ours(path, "")
    assert not is_ours(path, "other_bot")


def test_another_program_s_database_is_not_ours_for_what_lies_beside_it(tmp_path: Path) -> None:
    """Its -wal is its own, and the lock is left by a start that was refused."""
    path = tmp_path / "history.sqlite"
    foreign_database(path)
    acquire(path, Holder(7, "here", "my_bot", "2026-01-01")).release()
    assert not is_ours(path, "my_bot")
    assert logins_at(path) == []
    path.write_bytes(path.read_bytes()[:1000] + b"\xff" * 3000)
    assert not is_ours(path, "my_bot")


def test_only_what_is_foreign_is_refused_beforehand(tmp_path: Path) -> None:
    """Before a lock is made beside it; what is not there may be made."""
    letter = tmp_path / "notes.txt"
    letter.write_bytes(LETTER)
    with pytest.raises(JournalRefused, match=r"notes\.txt is a file of another program: choose another"):
        refuse_foreign(letter, "my_bot")
    foreign_database(tmp_path / "history.sqlite")
    (tmp_path / "torn.journal").write_bytes(SAMPLE.read_bytes()[:50])
    for name in ("history.sqlite", "torn.journal"):
        with pytest.raises(JournalRefused, match="is a file of another program"):
            refuse_foreign(tmp_path / name, "my_bot")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "my_bot.journal").write_bytes(SAMPLE.read_bytes()[:50])
    (tmp_path / "j").write_bytes(SAMPLE.read_bytes())
    for name in ("missing", "empty", "my_bot.journal", "j"):
        refuse_foreign(tmp_path / name, "my_bot")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes in its folders")
def test_what_is_no_file_can_be_no_journal(tmp_path: Path) -> None:
    """A pipe would keep its reader waiting; it is not opened to be told."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(f"{tmp_path}/socket")
    for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("socket", "a socket")):
        with pytest.raises(
            JournalRefused, match=rf"{name} is no regular file but {kind}: the journal needs a"
        ):
            refuse_foreign(tmp_path / name, "my_bot")
    with pytest.raises(JournalRefused, match="is no regular file but a device"):
        refuse_irregular(Path(os.devnull))  # looked at only


def test_the_name_tells_what_was_set_aside() -> None:
    """As a start makes it, the second one in a second too; not whatever has the word in it."""
    for name in ("my_bot.journal.damaged-20260101T000000Z", "j.damaged-20260101T000000Z-2"):
        assert is_set_aside(Path(name))
    for name in ("my_bot.journal", "my_bot.damaged-journal", "j.damaged-20260101T000000Z.bak"):
        assert not is_set_aside(Path(name))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
def test_a_link_is_followed_whatever_is_behind_it(tmp_path: Path) -> None:
    """To a file, to one that is not there yet, through a folder."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "j")
    (tmp_path / "folder").symlink_to(tmp_path / "disk")
    there = Path(os.path.realpath(tmp_path)) / "disk" / "j"
    assert followed(tmp_path / "link") == there
    assert followed(tmp_path / "folder" / "j") == there
