"""Several connections at once on a real PostgreSQL: who waits for whom, and that nobody waits in a circle.

A statement that must wait runs in a thread; the test goes on when the server itself says that it is waiting for a
lock, so no test depends on the speed of the machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import psycopg
import pytest

from tests.byte_bot.persistence.schema.database import Database, Row, component, event, line, patch, state

Result = TypeVar("Result")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for the statements that wait."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield pool


def wait_for_lock(database: Database, connection: psycopg.Connection[Row], future: Future[Result]) -> None:
    """Returns once the server shows the connection waiting for a lock; fails if its statement ended instead."""
    pid = connection.info.backend_pid
    query = b"select cardinality(pg_blocking_pids(%s)) as blockers"
    for _ in range(100_000):
        row = database.human.execute(query, [pid]).fetchone()
        if row is not None and row["blockers"]:
            return
        assert not future.done(), "the statement did not wait"
    pytest.fail("the statement neither waited nor ended")


def take_epoch(connection: psycopg.Connection[Row]) -> int:
    """Takes an epoch on a connection of the test's own."""
    row = connection.execute("select byte_bot_take_epoch('x', 0) as epoch").fetchone()
    assert row is not None
    return int(row["epoch"])


def test_taking_an_epoch_waits_for_a_save_in_flight(database: Database, threads: ThreadPoolExecutor) -> None:
    """The successor gets its epoch only after the predecessor's last save: its load then sees all of it."""
    epoch = database.take_epoch()
    old, new = database.connect("service_role"), database.connect("service_role")
    with old.transaction():
        assert database.save(epoch, old, rows=[state(data={"n": 1})])["saved"] == 1
        taken = threads.submit(take_epoch, new)
        wait_for_lock(database, new, taken)
    assert taken.result() == epoch + 1
    assert database.one("select data from channel_state")["data"] == {"n": 1}


def test_save_waits_for_an_epoch_being_taken_and_is_fenced(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """A save that comes while the epoch moves sees the new one and writes nothing."""
    epoch = database.take_epoch()
    old, new = database.connect("service_role"), database.connect("service_role")
    with new.transaction():
        take_epoch(new)
        answer = threads.submit(database.save, epoch, old, rows=[state()])
        wait_for_lock(database, old, answer)
    assert answer.result() == {"status": "fenced", "epoch": epoch + 1, "holder": "x"}
    assert database.all("select * from channel_state") == []


def test_two_saves_of_different_rows_do_not_wait(database: Database) -> None:
    """The epoch's row is shared: a save does not wait for another's, only a change of the epoch does."""
    epoch = database.take_epoch()
    first, second = database.connect("service_role"), database.connect("service_role")
    with first.transaction():
        database.save(epoch, first, rows=[state("1")])
        second.execute("set lock_timeout = '10s'")
        assert database.save(epoch, second, rows=[state("2")])["saved"] == 1


@pytest.mark.parametrize(
    ("lists", "sql"),
    [
        ({"rows": [state(revision=2, edit_no=0)]}, "update channel_state set version = 9"),
        ({"rows": [component(revision=2, edit_no=0)]}, "update component_state set version = 9"),
        ({"patches": [patch(revision=2, edit_no=0, paused=True)]}, "update channels_config set prefix = '?'"),
        ({"rows": [state(revision=2, edit_no=0)]}, "delete from channel_state"),
        ({"rows": [state("new")]}, "insert into channel_state (channel_id) values ('new')"),
        ({"patches": [patch("new")]}, "insert into channels_config (login) values ('new')"),
    ],
)
@pytest.mark.parametrize("neighbours", [0, 20], ids=["alone", "among others"])
def test_edit_in_flight_is_waited_for_and_seen(
    database: Database, threads: ThreadPoolExecutor, lists: Row, sql: str, neighbours: int
) -> None:
    """A human's statement that has not committed yet is never overwritten: the save waits, looks, and refuses."""
    others = [build(f"n{number}") for number in range(neighbours) for build in (state, component)]
    lists = {**lists, "rows": [*lists.get("rows", ()), *others]}
    epoch = database.take_epoch()
    database.save(epoch, rows=[state(), component()], patches=[patch()])
    bot = database.connect("service_role")
    with database.connect("postgres").transaction() as transaction:
        transaction.connection.execute(sql.encode())
        answer = threads.submit(database.save, epoch, bot, **lists)
        wait_for_lock(database, bot, answer)
    assert [item["reason"] for item in answer.result()["refused"]] == ["edited"]
    assert answer.result()["saved"] == len(others)


def test_edit_that_is_rolled_back_leaves_the_save_alone(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """The save that waited for a deletion and an insertion in vain is saved."""
    epoch = database.take_epoch()
    database.save(epoch, rows=[state("1")])
    bot, human = database.connect("service_role"), database.connect("postgres")
    with human.transaction(force_rollback=True):
        human.execute("delete from channel_state")
        human.execute("insert into channel_state (channel_id) values ('2')")
        answer = threads.submit(
            database.save, epoch, bot, rows=[state("1", revision=2, edit_no=0), state("2")]
        )
        wait_for_lock(database, bot, answer)
    assert answer.result()["saved"] == 2


def test_two_writers_in_opposite_order_do_not_deadlock(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """Batches over the same keys in opposite order, new keys and known ones, always both end."""
    epoch = database.take_epoch()
    barrier = threading.Barrier(2)
    connections = [database.connect("service_role") for _ in range(2)]

    def write(connection: psycopg.Connection[Row], step: int) -> list[Row]:
        answers = []
        for revision in range(1, 31):
            # Every third round is about keys that nobody has written yet: inserts wait for each other too.
            name = f"{revision // 3}"
            lists = {
                "rows": [component(str(n), name, revision=revision) for n in range(12)]
                + [state(f"{n}-{name}", revision=revision) for n in range(12)]
                # A bad row in every other round: it is looked for in halves, which give their locks back and take them anew.
                + [state(f"5-{name}-bad", version=2**31)] * (revision % 2),
                "patches": [patch(f"login{n}-{name}", revision=revision) for n in range(12)],
                "history": [line(f"m{n}-{name}") for n in range(12)],
                "events": [event(f"e{n}-{name}") for n in range(12)],
            }
            barrier.wait(timeout=60)
            answers.append(database.save(epoch, connection, **{k: v[::step] for k, v in lists.items()}))
        return answers

    futures = [
        threads.submit(write, connection, step) for connection, step in zip(connections, (1, -1), strict=True)
    ]
    answers = [answer for future in futures for answer in future.result(timeout=100)]
    assert {answer["saved"] for answer in answers} == {36}
    assert database.one("select count(*) from component_state")["count"] == 12 * 11


def test_parallel_calls_take_different_epochs(database: Database, threads: ThreadPoolExecutor) -> None:
    """No two processes ever hold the same epoch, with or without the writer's row."""
    database.edit("delete from bot_writer")
    connections = [database.connect("service_role") for _ in range(8)]
    take: Callable[[psycopg.Connection[Row]], int] = take_epoch
    assert sorted(threads.map(take, connections * 5)) == list(range(1, 41))


def test_fenced_writer_never_overwrites_its_successor(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """Old and new process write one row without pause while the epoch moves: the new one's content stays."""
    old_epoch = database.take_epoch()
    database.save(old_epoch, rows=[state()])
    old, new = database.connect("service_role"), database.connect("service_role")

    def keep_writing() -> int:
        for revision in range(2, 100_000):
            row = state(revision=revision, edit_no=0, data={"by": "old"})
            if database.save(old_epoch, old, rows=[row])["status"] == "fenced":
                return revision
        return 0

    stopped = threads.submit(keep_writing)
    new_epoch = take_epoch(new)
    answer = database.save(new_epoch, new, rows=[state(revision=1, edit_no=0, data={"by": "new"})])
    assert answer["saved"] == 1
    assert stopped.result() > 1
    assert database.one("select data, epoch from channel_state") == {
        "data": {"by": "new"},
        "epoch": new_epoch,
    }
