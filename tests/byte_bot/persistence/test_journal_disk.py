"""The journal of a real process: locked while it is open, and free when it is closed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from byte_bot.clock import SystemClock
from byte_bot.errors import JournalLocked, JournalRefused
from byte_bot.persistence.journal import Handled
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_lock import is_locked
from byte_bot.persistence.journal_opening import Durability, connect
from byte_bot.persistence.journal_schema import Owner

OWNER = Owner("my_bot", "host/1/abc")


def names_in(folder: Path) -> list[str]:
    """What there is."""
    return sorted(other.name for other in folder.iterdir())


def set_aside(folder: Path) -> list[Path]:
    """The files that were."""
    return list(folder.glob("*.damaged-*Z"))


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
async def test_a_journal_behind_a_link_is_set_aside_with_its_lock_held(tmp_path: Path) -> None:
    """The link stays, the file that it leads to is moved, and a second process meets the first one's lock."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "app").mkdir()
    real, link = tmp_path / "volume" / "my_bot.journal", tmp_path / "app" / "j"
    link.symlink_to(real)
    async with journal_on_disk(link, OWNER, SystemClock(), durability="process"):
        pass
    real.write_bytes(b"no SQLite at all")
    async with journal_on_disk(link, OWNER, SystemClock(), durability="process") as store:
        await store.commit([Handled("a")])
        for path in (link, real):
            with pytest.raises(JournalLocked, match="in use by process"):
                async with journal_on_disk(path, OWNER, SystemClock(), durability="process"):
                    pass
    assert link.is_symlink()
    assert names_in(tmp_path / "app") == ["j"]
    (aside,) = set_aside(real.parent)
    assert aside.read_bytes() == b"no SQLite at all"
    async with journal_on_disk(real, OWNER, SystemClock(), durability="process") as store:
        assert list(store.read().handled) == ["a"]


@pytest.mark.parametrize("tries", [1, 2])
async def test_another_program_s_file_is_left_alone_however_often_the_bot_is_started(
    tmp_path: Path, tries: int
) -> None:
    """No lock is made beside it either: the next start would take that for a sign that it is a journal."""
    path = tmp_path / ".env"
    path.write_text("TWITCH_LOGIN=my_bot\n")
    for _ in range(tries):
        with pytest.raises(JournalRefused, match="file of another program"):
            async with journal_on_disk(path, OWNER, SystemClock(), durability="process"):
                pass
    assert names_in(tmp_path) == [".env"]
    assert path.read_text() == "TWITCH_LOGIN=my_bot\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in its folders")
async def test_what_is_no_file_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    """A pipe; and what begins as a database and is no journal: neither lock nor rollback journal beside it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "other.journal").write_bytes(b"SQLite format 3\x00")
    for name, words in (("pipe", "is no regular file"), ("other.journal", "nothing was changed")):
        with pytest.raises(JournalRefused, match=words):
            # A start that takes the pipe for a disk without room would wait.
            async with (
                asyncio.timeout(5),
                journal_on_disk(tmp_path / name, OWNER, SystemClock(), durability="process"),
            ):
                pass
    assert names_in(tmp_path) == ["other.journal", "pipe"]


@pytest.mark.parametrize("name", ["my_bot.journal", "j"])
async def test_a_journal_that_is_no_database_any_more_is_known_by_its_lock(tmp_path: Path, name: str) -> None:
    """Whatever it is called: the bot has been there."""
    path = tmp_path / name
    async with journal_on_disk(path, OWNER, SystemClock(), durability="process"):
        pass
    path.write_bytes(bytes(4096))  # as a power cut leaves a file whose blocks were not written
    async with journal_on_disk(path, OWNER, SystemClock(), durability="process") as store:
        assert list(store.read().handled) == []
    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == bytes(4096)


@contextmanager
def no_room() -> Iterator[None]:
    """No file can grow: as on a disk without a free block (the system says EFBIG instead of ENOSPC)."""
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("known", [True, False], ids=["a journal", "no journal yet"])
async def test_a_start_on_a_full_disk_waits_for_room(tmp_path: Path, known: bool) -> None:
    """It says so, keeps what was confirmed, and starts when somebody has made room; nobody has to start it again."""
    path = tmp_path / "my_bot.journal"
    if known:
        async with journal_on_disk(path, OWNER, SystemClock(), durability="process") as store:
            await store.commit([Handled("a")])
    ready = asyncio.Event()

    async def start() -> list[str]:
        async with journal_on_disk(
            path, OWNER, SystemClock(), durability="process", disk_retry_s=0.001
        ) as store:
            ready.set()
            await store.commit([Handled("b")])
            return list(store.read().handled)

    with capture_logs() as lines:
        said = asyncio.Event()
        loop = asyncio.get_running_loop()

        def look() -> None:
            """Twice: it goes on trying."""
            if [line["event"] for line in lines].count("journal_disk_awaited") >= 2:
                said.set()
            else:
                loop.call_soon(look)

        look()
        with no_room():
            starting = asyncio.create_task(start())
            async with asyncio.timeout(20):
                await said.wait()
            assert not ready.is_set()
            if known:
                assert is_locked(path)
        assert await starting == (["a", "b"] if known else ["b"])
    assert lines[0]["log_level"] == "error"
    assert "cannot be opened now: disk I/O error. Make room" in lines[0]["why"]
    assert [line["event"] for line in lines if line["event"] != "journal_disk_awaited"] == ["journal_opened"]
    assert not set_aside(tmp_path)


async def test_a_failing_second_connection_is_a_refusal_and_leaves_nothing_open(tmp_path: Path) -> None:
    """In words, as the first one's; the lock is free again."""
    path = tmp_path / "my_bot.journal"
    connections: list[sqlite3.Connection] = []

    def core(connection: sqlite3.Connection) -> SqliteJournal:
        connections.append(connection)
        if len(connections) == 2:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return SqliteJournal(connection)

    with pytest.raises(JournalRefused, match="cannot be opened: unable to open database file"):
        async with journal_on_disk(path, OWNER, SystemClock(), durability="process", core=core):
            pass
    for connection in connections:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    assert not is_locked(path)
