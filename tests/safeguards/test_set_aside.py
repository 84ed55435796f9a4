"""Safeguard: a damaged journal is set aside. The bot starts, and what was in the file is kept for a human."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from byte_bot.clock import SystemClock
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Handled
from byte_bot.persistence.journal_opening import connect
from byte_bot.persistence.journal_schema import Owner
from tests.byte_bot.persistence.journal_files import damage, sample

OWNER = Owner("my_bot", "here")


def torn(path: Path) -> None:
    """Half a page is not what it was."""
    damage(path)


def a_hole_in_the_log(path: Path) -> None:
    """What SQLite does not see: a commit is missing."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM log WHERE number = (SELECT max(number) - 1 FROM log)")


def set_aside(folder: Path) -> bytes:
    """What is in the one file that was set aside."""
    (aside,) = folder.glob("*.damaged-*Z")
    return aside.read_bytes()


DAMAGE = pytest.mark.parametrize("damaging", [torn, a_hole_in_the_log])


@DAMAGE
async def test_the_bot_starts_on_a_new_journal(tmp_path: Path, damaging: Callable[[Path], None]) -> None:
    """With it commits go on at once, and the damaged file is there as it was."""
    path = sample(tmp_path)
    damaging(path)
    was = path.read_bytes()
    async with journal_on_disk(path, OWNER, SystemClock(), durability="process") as store:
        await store.commit([Handled("a")])
        assert list(store.read().handled) == ["a"]
    assert set_aside(tmp_path) == was


@DAMAGE
def test_without_it_the_bot_would_not_start(tmp_path: Path, damaging: Callable[[Path], None]) -> None:
    """Every start would fail alike: a supervisor tries for ever, and chat is not answered."""
    path = sample(tmp_path)
    damaging(path)
    for _ in range(3):
        with pytest.raises(sqlite3.DatabaseError), contextlib.closing(connect(path)) as connection:
            SqliteJournal(connection).read(pending_only=True)
