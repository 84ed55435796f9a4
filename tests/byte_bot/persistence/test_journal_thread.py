"""The durable store: commits from the loop, errors and stalls of the disk, and files as a killed process leaves them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import Handled, Journal, Recorded, Write
from byte_bot.persistence.journal_file import FOLD_COMMITS, SqliteJournal
from byte_bot.persistence.journal_opening import connect, open_journal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.journal_thread import TIDY_EVERY, FileJournalStore
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.journal_writes import contents, image_of

OWNER = Owner("my_bot", "host/1/abc")
KEY = RowKey("component_state", "1", "deaths")


def add(revision: int, value: int = 1) -> Recorded:
    """An add of one row."""
    return Recorded(KEY, [Operation(Kind.ADD, "total", None, value, Stamp(1, revision))])


@contextmanager
def store_at(path: Path, pages_max: int = 1000) -> Iterator[tuple[FileJournalStore, sqlite3.Connection]]:
    """The store on a file, and the connection that its thread commits through."""
    connection = open_journal(path, OWNER, durability="process", now_s=0.0, pages_max=pages_max)
    reader, tidier = connect(path, read_only=True), connect(path)
    store = FileJournalStore(*map(SqliteJournal, (connection, reader, tidier)))
    try:
        yield store, connection
    finally:
        store.close()


async def test_what_is_committed_is_read_by_the_next_process(tmp_path: Path) -> None:
    """Through two stores one after the other: image, snapshot, identity, and the numbers of the commits go on."""
    path = tmp_path / "my_bot.journal"
    with store_at(path) as (store, _):
        await store.commit([add(1), Handled("a")])
        await store.commit([add(2)])
        assert store.durable
    with store_at(path) as (store, _):
        assert store.identity == OWNER.identity
        assert contents(store.read()) == contents(image_of(add(1), Handled("a"), add(2)))
        await store.commit([add(3)])
        assert [operation.value for operation in store.read().rows[KEY].pending] == [3]


async def test_what_the_committing_thread_counts_is_told(tmp_path: Path) -> None:
    """A value that no JSON can hold is left out and counted, where the status line finds it."""
    with store_at(tmp_path / "my_bot.journal") as (store, _):
        assert store.counts == (0, 0)
        await store.commit([add(1), Handled("half \ud800")])
        assert store.counts._asdict() == {"writes_dropped": 1, "folds_put_off": 0}


async def test_a_full_disk_degrades_the_journal_until_there_is_room(tmp_path: Path) -> None:
    """Replies go on, what waits is folded, and all of it is in the file once it works; nothing twice."""
    health: list[bool] = []
    recovered = asyncio.Event()

    def on_degraded(degraded: bool) -> None:
        health.append(degraded)
        if not degraded:
            recovered.set()

    with store_at(tmp_path / "my_bot.journal", pages_max=30) as (store, connection):
        journal = Journal(store, on_degraded=on_degraded, retry_s=0.001)
        service = asyncio.create_task(journal.run())
        await journal.wait(journal.append([add(1)]))
        text = Recorded(KEY, [Operation(Kind.SET, "text", None, "x" * 200_000, Stamp(1, 2))])
        sequence = journal.append([text, Handled("a")])
        await journal.wait(sequence)
        assert health == [True]
        assert not journal.committed(sequence)
        for revision in range(3, 50):
            journal.append([add(revision)])
        connection.execute("PRAGMA max_page_count = 1000")
        await recovered.wait()
        await journal.drain()
        assert health == [True, False]
        total, _ = sorted(store.read().rows[KEY].pending, key=lambda operation: operation.field != "total")
        assert (total.field, total.value) == ("total", 48)
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)


async def test_a_file_system_that_became_read_only_is_an_error_with_words(tmp_path: Path) -> None:
    """The store says so and works again when it can be written to; the failed commit is not in doubt."""
    with store_at(tmp_path / "my_bot.journal") as (store, connection):
        connection.execute("PRAGMA query_only = ON")
        with pytest.raises(JournalError, match="readonly") as failure:
            await store.commit([add(1)])
        assert not failure.value.in_doubt
        connection.execute("PRAGMA query_only = OFF")
        await store.commit([add(1)])
        assert [operation.value for operation in store.read().rows[KEY].pending] == [1]


async def test_what_cannot_be_encoded_does_not_degrade_the_journal(tmp_path: Path) -> None:
    """It is left out once: the journal does not try it for ever, and what comes after it is durable."""
    health: list[bool] = []
    with store_at(tmp_path / "my_bot.journal") as (store, _), capture_logs() as lines:
        journal = Journal(store, on_degraded=health.append, retry_s=0.001)
        service = asyncio.create_task(journal.run())
        bad = Operation(Kind.SET, "last", None, object(), Stamp(1, 2))
        journal.append([add(1), Recorded(KEY, [bad]), Handled("a")])
        await journal.wait(journal.append([add(3)]))
        await journal.drain()
        assert (health, [line["event"] for line in lines]) == ([], ["journal_write_dropped"])
        assert contents(store.read()) == contents(image_of(add(1), Handled("a"), add(3)))
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)


async def test_another_program_that_holds_the_file_delays_a_commit_and_loses_nothing(tmp_path: Path) -> None:
    """A commit under way is never doubled: the next one waits its turn."""
    path = tmp_path / "my_bot.journal"
    with store_at(path) as (store, _):
        other = connect(path)
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.ensure_future(store.commit([add(1)]))
        await asyncio.sleep(0)
        with pytest.raises(JournalError, match="still under way") as failure:
            await store.commit([add(2)])
        assert failure.value.in_doubt
        other.execute("ROLLBACK")
        other.close()
        await first
        await store.commit([add(2)])
        assert [operation.value for operation in store.read().rows[KEY].pending] == [2]


async def test_an_unreadable_file_makes_channels_unknown_and_says_so_once(tmp_path: Path) -> None:
    """A look at the snapshot never fails a message."""
    path = tmp_path / "my_bot.journal"
    with store_at(path) as (store, _):
        # Through a connection of its own: the store's thread may be in the middle of a look at the table.
        with contextlib.closing(connect(path)) as other:
            other.execute("DROP TABLE rows")
        with capture_logs() as lines:
            assert store.snapshot("1") == {}
            assert store.snapshot("2") == {}
        assert [line["event"] for line in lines] == ["journal_unreadable"]
        with pytest.raises(JournalError, match="cannot be read"):
            store.read()


async def test_closing_ends_the_thread_and_refuses_what_comes_later(tmp_path: Path) -> None:
    """The commit under way is finished; closing again does nothing."""
    with store_at(tmp_path / "my_bot.journal") as (store, _):
        last = asyncio.ensure_future(store.commit([add(1)]))
        await asyncio.sleep(0)
        store.close()
        await last
        store.close()
        with pytest.raises(JournalError, match="closed"):
            await store.commit([add(2)])
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("journal")]


class Held(SqliteJournal):
    """A journal that says what it does and does nothing before it may."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.may_go_on = threading.Event()
        self.done: list[str] = []

    def fold(self) -> bool:
        """Fold, once it may."""
        self.may_go_on.wait()
        self.done.append("fold")
        return super().fold()

    def apply(self, writes: Iterable[Write], number: int) -> None:
        """Commit, once it may."""
        self.may_go_on.wait()
        self.done.append("commit")
        super().apply(writes, number)


async def test_a_commit_waits_for_one_piece_of_a_long_fold(tmp_path: Path) -> None:
    """An earlier process left a full log: the first commit is not the last to be served."""
    path = tmp_path / "my_bot.journal"
    connection = open_journal(path, OWNER, durability="process", now_s=0.0)
    left = SqliteJournal(connection)
    commits = 5 * FOLD_COMMITS
    for number in range(1, commits + 1):
        left.apply([add(number)], number)
    left.close()
    writer = Held(open_journal(path, OWNER, durability="process", now_s=0.0))
    reader, tidier = SqliteJournal(connect(path, read_only=True)), SqliteJournal(connect(path))
    store = FileJournalStore(writer, reader, tidier)
    first = asyncio.ensure_future(store.commit([add(commits + 1)]))
    await asyncio.sleep(0)
    writer.may_go_on.set()
    await first
    assert writer.done.index("commit") <= 1
    async with asyncio.timeout(20):
        while reader.folded < commits:  # noqa: ASYNC110  # another thread folds, and says nothing
            await asyncio.sleep(0.01)
    store.close()


async def test_a_commit_that_outlives_the_end_is_waited_for_before_anybody_else_may_write(
    tmp_path: Path,
) -> None:
    """Closing takes its time and no more, says that the file is still open, and the lock's turn comes when it is not."""
    path = tmp_path / "my_bot.journal"
    writer = Held(open_journal(path, OWNER, durability="process", now_s=0.0))
    reader, tidier = SqliteJournal(connect(path, read_only=True)), SqliteJournal(connect(path))
    closed = threading.Event()
    store = FileJournalStore(writer, reader, tidier, on_closed=closed.set, close_s=0.01)
    last = asyncio.ensure_future(store.commit([add(1), Handled("a")]))
    await asyncio.sleep(0)
    with capture_logs() as lines:
        store.close()
    assert [line["event"] for line in lines] == ["journal_left_open"]
    assert not closed.is_set()
    writer.may_go_on.set()
    assert closed.wait(20)
    await last
    assert commits_in(path) == ["a"]


async def test_the_wal_is_moved_into_the_file_while_commits_go_on(tmp_path: Path) -> None:
    """The file grows before it is closed; how far the other thread gets meanwhile is the machine's business."""
    path = tmp_path / "my_bot.journal"
    with store_at(path) as (store, _):
        for number in range(2 * TIDY_EVERY):
            await store.commit([Handled(f"m{number}")])
        async with asyncio.timeout(20):
            while size_of(path) < 50_000:  # noqa: ASYNC110  # another thread moves it, and says nothing
                await asyncio.sleep(0.01)
    assert size_of(Path(f"{path}-wal")) == 0
    assert len(commits_in(path)) == 2 * TIDY_EVERY


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def commits_in(path: Path) -> list[str]:
    """The message ids in the journal at ``path``, opened as the bot opens it."""
    journal = SqliteJournal(open_journal(path, OWNER, durability="process", now_s=0.0))
    try:
        return list(journal.read().handled)
    finally:
        journal.close()


def test_whatever_is_cut_off_the_wal_a_prefix_of_the_commits_is_left(tmp_path: Path) -> None:
    """A crash of the machine may leave any part of the WAL's tail, or garbage there: never an error, never half a commit."""
    path, rng = tmp_path / "my_bot.journal", random.Random(4)
    connection = open_journal(path, OWNER, durability="process", now_s=0.0)
    journal = SqliteJournal(connection)
    for number in range(1, 61):
        journal.apply([Handled(f"m{number}a"), add(number), Handled(f"m{number}b")], number)
        if number % 10 == 0:
            journal.fold()
    wal = Path(f"{path}-wal").read_bytes()
    assert len(wal) > 60 * 1024
    every = [f"m{number}{half}" for number in range(1, 61) for half in "ab"]
    lengths = set()
    for trial in range(60):
        copy = tmp_path / f"{trial}.journal"
        shutil.copy(path, copy)
        tail = rng.randrange(len(wal))
        garbage = rng.randbytes(rng.randrange(5000)) if trial % 2 else b""
        Path(f"{copy}-wal").write_bytes(wal[:tail] + garbage)
        found = commits_in(copy)
        assert found == every[: len(found)]
        assert len(found) % 2 == 0
        lengths.add(len(found))
    assert len(lengths) > 10
    journal.close()


#: Commits one record after the other and says each, once it is acknowledged.
WRITER = """
import sys
from pathlib import Path
from byte_bot.persistence.journal import Handled
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_schema import Owner
owner = Owner("my_bot", "host/1/abc")
journal = SqliteJournal(open_journal(Path(sys.argv[1]), owner, durability="process", now_s=0.0))
first = journal.commits + 1
for number in range(first, first + 9000):
    journal.apply([Handled(f"m{number}")], number)
    print(f"m{number}", flush=True)
    if number % 7 == 0:
        journal.fold()
"""


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """SIGKILL in the middle of the commits, several times over on one file."""
    path, rng = tmp_path / "my_bot.journal", random.Random(9)
    acknowledged: list[str] = []
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = (process.stdout.readline() for _ in range(rng.randrange(1, 400)))
            acknowledged += [line.decode().strip() for line in lines]
            process.kill()
            acknowledged += process.stdout.read().decode().split("\n")[:-1]
        found = commits_in(path)
        # The last one may have been committed without a word.
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) <= len(acknowledged) + 1
        acknowledged = found


async def test_a_sandbox_that_forbids_priorities_costs_nothing_else(tmp_path: Path) -> None:
    """The thread that moves the WAL works all the same, and the lock's turn comes at the end."""
    path = tmp_path / "my_bot.journal"
    writer = SqliteJournal(open_journal(path, OWNER, durability="process", now_s=0.0))
    reader, tidier = SqliteJournal(connect(path, read_only=True)), SqliteJournal(connect(path))
    closed = threading.Event()

    def forbidden() -> None:
        raise PermissionError(1, "Operation not permitted")

    store = FileJournalStore(writer, reader, tidier, on_closed=closed.set, give_way=forbidden)
    await store.commit([add(1), Handled("a")])
    store.close()
    assert closed.wait(20)
    assert size_of(Path(f"{path}-wal")) == 0
    assert commits_in(path) == ["a"]
