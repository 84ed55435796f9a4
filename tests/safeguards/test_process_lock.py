"""Safeguard: the lock. One process writes to a journal, however many are started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from byte_bot.clock import SystemClock
from byte_bot.errors import JournalLocked
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Handled
from byte_bot.persistence.journal_lock import lock_path
from byte_bot.persistence.journal_opening import connect
from byte_bot.persistence.journal_schema import Owner

OWNER = Owner("my_bot", "here")


async def two_processes(path: Path, *, locked: bool) -> tuple[int, int]:
    """How many commits two processes on one journal were told of, and how many of them the next process finds."""
    async with journal_on_disk(path, OWNER, SystemClock(), durability="process") as first:
        if not locked:
            # What the lock's module says must not be done: the next one locks another file of that name.
            lock_path(path).unlink()
        acknowledged = 0
        async with journal_on_disk(path, OWNER, SystemClock(), durability="process") as second:
            for message_id, store in (("a", first), ("b", second)):
                await store.commit([Handled(message_id)])
                acknowledged += 1
    journal = SqliteJournal(connect(path))
    found = list(journal.read().handled)
    journal.close()
    return acknowledged, len(found)


async def test_a_second_process_does_not_get_in(tmp_path: Path) -> None:
    """With the lock it is refused, with words, before it has touched the file."""
    with pytest.raises(JournalLocked, match="in use by process"):
        await two_processes(tmp_path / "my_bot.journal", locked=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody remove a file that is open")
async def test_without_it_two_processes_write_over_each_other(tmp_path: Path) -> None:
    """Both count the commits by themselves: of two under one number, both acknowledged, one is lost."""
    assert await two_processes(tmp_path / "my_bot.journal", locked=False) == (2, 1)
