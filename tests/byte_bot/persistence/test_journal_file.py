"""The journal's file: it is the image of what was committed, bounded, and all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byte_bot.persistence.journal import Handled, Recorded, Settled, Write
from byte_bot.persistence.journal_file import OPERATIONS_KEPT, CommitsMissing, SqliteJournal
from byte_bot.persistence.journal_image import SEEN_MESSAGES_MAX
from byte_bot.persistence.journal_opening import Owner, configure, make_tables
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.journal_writes import WRITES, contents, image_of

KEY = RowKey("component_state", "1", "deaths")


def in_memory(pages_max: int = 1000) -> tuple[SqliteJournal, sqlite3.Connection]:
    """An empty journal without a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    make_tables(connection, Owner("my_bot", "here"))
    configure(connection, pages_max=pages_max)
    return SqliteJournal(connection), connection


def add(revision: int, value: int = 1) -> Recorded:
    """An add of one row."""
    return Recorded(KEY, [Operation(Kind.ADD, "total", None, value, Stamp(1, revision))])


@given(st.lists(st.lists(WRITES, max_size=6), max_size=12))
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_the_image_of_what_was_committed(groups: Sequence[Sequence[Write]]) -> None:
    """Row for row, operation for operation, whatever was written in whatever groups; also through a new connection."""
    journal, connection = in_memory()
    for number, group in enumerate(groups, start=1):
        journal.apply(group, number)
    model = image_of(*(write for group in groups for write in group))
    for reader in (journal, SqliteJournal(connection)):
        assert contents(reader.read()) == contents(model)
        pending = {key: row.pending for key, row in reader.read(pending_only=True).rows.items()}
        assert pending == {key: row.pending for key, row in model.rows.items() if row.pending}
        for channel_id, keys in model.keys_of.items():
            bases = {key: base for key in keys if (base := model.rows[key].base) is not None}
            assert reader.snapshot(channel_id) == bases
    journal.close()


@given(st.lists(WRITES, min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_each_connection_may_write_the_next_commit(writes: Sequence[Write]) -> None:
    """Nothing that a connection remembers is needed: the file alone says what a write means."""
    journal, connection = in_memory()
    for number, write in enumerate(writes, start=1):
        SqliteJournal(connection).apply([write], number)
    assert contents(journal.read()) == contents(image_of(*writes))
    journal.close()


def test_an_outage_of_any_length_takes_the_space_of_the_row() -> None:
    """Operations of one row are coalesced on the disk before there are many."""
    journal, connection = in_memory()
    for number in range(1, 1001):
        journal.apply([add(number)], number)
        (stored,) = connection.execute("SELECT count(*) FROM operations").fetchone()
        assert stored <= OPERATIONS_KEPT
    assert [operation.value for operation in journal.read().rows[KEY].pending] == [1000]
    journal.close()


def test_the_window_of_handled_messages_is_bounded() -> None:
    """The file keeps as many ids as the image does, the newest."""
    journal, connection = in_memory()
    ids = [f"m{number}" for number in range(SEEN_MESSAGES_MAX + 5)]
    journal.apply(map(Handled, ids[:7]), 1)
    journal.apply(map(Handled, ids[7:]), 2)
    assert list(journal.read().handled) == ids[5:]
    (stored,) = connection.execute("SELECT count(*) FROM handled").fetchone()
    assert stored == SEEN_MESSAGES_MAX
    journal.close()


def test_a_commit_that_is_tried_again_counts_once() -> None:
    """Whoever does not know whether a commit arrived tries it again under its number."""
    journal, _ = in_memory()
    journal.apply([add(1)], 1)
    journal.apply([add(1)], 1)
    assert [operation.value for operation in journal.read().rows[KEY].pending] == [1]
    assert journal.commits == 1
    journal.close()


def test_a_file_that_lacks_commits_is_not_written_to() -> None:
    """A number that does not follow the last one means that the file is not what this process wrote."""
    journal, _ = in_memory()
    with pytest.raises(CommitsMissing):
        journal.apply([add(1)], 2)
    assert journal.read().rows == {}
    journal.close()


def test_a_full_disk_rolls_back_all_of_a_commit_and_the_next_one_works() -> None:
    """No part of a failed commit stays, neither in the file nor in what the connection remembers of it."""
    journal, connection = in_memory(pages_max=30)
    journal.apply([add(1)], 1)
    big = Recorded(KEY, [Operation(Kind.SET, "text", None, "x" * 200_000, Stamp(1, 2))])
    with pytest.raises(sqlite3.OperationalError, match="full"):
        journal.apply([add(2), Handled("a"), big], 2)
    assert contents(journal.read()) == contents(image_of(add(1)))
    connection.execute("PRAGMA max_page_count = 1000")
    journal.apply([add(2), Handled("a")], 2)
    assert contents(journal.read()) == contents(image_of(add(1), add(2), Handled("a")))
    journal.close()


def test_what_was_saved_is_trimmed_and_known_in_one_commit() -> None:
    """An acknowledged save leaves the base, and no operation that it contains."""
    journal, connection = in_memory()
    base = Base(b'{"total":2}', {}, 1, 1, 2, 0)
    journal.apply([add(1), add(2)], 1)
    journal.apply([Settled(KEY, base)], 2)
    assert connection.execute("SELECT count(*) FROM operations").fetchone() == (0,)
    assert journal.snapshot("1") == {KEY: base}
    journal.close()
