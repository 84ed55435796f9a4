"""The journal of a real process: locked while it is open, and free when it is closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from byte_bot.clock import SystemClock
from byte_bot.errors import JournalLocked, JournalRefused
from byte_bot.persistence.journal import Handled
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_lock import is_locked
from byte_bot.persistence.journal_opening import Durability, Owner, connect

OWNER = Owner("my_bot", "host/1/abc")


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_it_is_made_locked_and_closed(tmp_path: Path, durability: Durability) -> None:
    """Twice on one path: the second finds what the first left; in between nobody holds it."""
    path = tmp_path / "new" / "my_bot.journal"
    async with journal_on_disk(path, OWNER, SystemClock(), durability=durability) as store:
        await store.commit([Handled("a")])
        assert is_locked(path)
        with pytest.raises(JournalLocked, match="in use by process"):
            async with journal_on_disk(path, OWNER, SystemClock(), durability=durability):
                pass
    assert not is_locked(path)
    async with journal_on_disk(path, OWNER, SystemClock(), durability=durability) as store:
        assert list(store.read().handled) == ["a"]


async def test_a_lock_can_be_waited_for(tmp_path: Path) -> None:
    """The second process says once whom it waits for, and goes on when that one is gone."""
    path = tmp_path / "my_bot.journal"
    opened = asyncio.Event()

    async def second() -> list[str]:
        async with journal_on_disk(path, OWNER, SystemClock(), durability="process", wait_lock=True) as store:
            opened.set()
            return list(store.read().handled)

    with capture_logs() as lines:
        async with journal_on_disk(path, OWNER, SystemClock(), durability="process") as store:
            waiting = asyncio.create_task(second())
            await store.commit([Handled("a")])
            assert not opened.is_set()
        assert await waiting == ["a"]
    (line,) = [line for line in lines if line["event"] == "journal_awaited"]
    assert "my_bot" in line["held_by"]


async def test_a_journal_that_is_refused_is_not_kept_locked(tmp_path: Path) -> None:
    """Whoever corrects the settings can start at once."""
    path = tmp_path / "my_bot.journal"
    async with journal_on_disk(path, OWNER, SystemClock(), durability="process"):
        pass
    with pytest.raises(JournalRefused, match="belongs to the bot"):
        async with journal_on_disk(path, Owner("other", "x"), SystemClock(), durability="process"):
            pass
    assert not is_locked(path)


async def test_the_lock_outlives_a_commit_that_outlives_the_end(tmp_path: Path) -> None:
    """A disk that hangs while the bot stops: the next one is refused until the last commit is through."""
    path = tmp_path / "my_bot.journal"
    async with journal_on_disk(path, OWNER, SystemClock(), durability="process") as store:
        await store.commit([Handled("a")])
        busy = connect(path)
        busy.execute("BEGIN IMMEDIATE")
        last = asyncio.ensure_future(store.commit([Handled("b")]))
        await asyncio.sleep(0)
    assert is_locked(path)
    busy.execute("ROLLBACK")
    await last
    async with (
        asyncio.timeout(20),
        journal_on_disk(path, OWNER, SystemClock(), durability="process", wait_lock=True) as store,
    ):
        assert list(store.read().handled) == ["a", "b"]
    busy.close()
