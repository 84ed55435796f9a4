"""The journal's file: it is the image of what was committed, bounded, and all or nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byte_bot.persistence import journal_file
from byte_bot.persistence.journal import Handled, KnownChannel, KnownChannels, Recorded, Settled, Write
from byte_bot.persistence.journal_file import LOG_SLOTS, SqliteJournal
from byte_bot.persistence.journal_image import SEEN_MESSAGES_MAX
from byte_bot.persistence.journal_line import CommitsMissing, JournalDamaged
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


@given(st.lists(st.tuples(st.lists(WRITES, max_size=6), st.booleans()), max_size=12))
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_the_image_of_what_was_committed(
    commits: Sequence[tuple[Sequence[Write], bool]],
) -> None:
    """Row for row, operation for operation, whatever was written in whatever groups, and folded whenever; also through a
    new connection.
    """
    journal, connection = in_memory()
    groups = [group for group, _ in commits]
    for number, (group, fold) in enumerate(commits, start=1):
        journal.apply(group, number)
        if fold:
            # The one that commits goes on from what it knows; another one reads the log.
            assert (SqliteJournal(connection) if number % 3 == 0 else journal).fold()
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
        assert SqliteJournal(connection).commits == number
    assert contents(journal.read()) == contents(image_of(*writes))
    journal.close()


def lines(connection: sqlite3.Connection, table: str) -> int:
    """How many lines a table has."""
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def test_an_outage_of_any_length_takes_the_space_of_the_row() -> None:
    """Folded, a thousand adds are one operation."""
    journal, connection = in_memory()
    for number in range(1, 1001):
        journal.apply([add(number)], number)
    while journal.fold():
        pass
    assert lines(connection, "rows") == 1
    (pending,) = connection.execute("SELECT pending FROM rows").fetchone()
    assert len(pending) < 60
    assert [operation.value for operation in journal.read().rows[KEY].pending] == [1000]
    assert (journal.commits, journal.folded) == (1000, 1000)
    journal.close()


def test_a_log_that_nobody_folds_is_folded_by_a_commit() -> None:
    """It is a ring: what is overwritten is in the tables by then."""
    journal, connection = in_memory(pages_max=20_000)
    for number in range(1, LOG_SLOTS + 10):
        journal.apply([add(number)], number)
    assert lines(connection, "log") <= LOG_SLOTS
    assert journal.folded > 0
    for reader in (journal, SqliteJournal(connection)):
        assert [operation.value for operation in reader.read().rows[KEY].pending] == [LOG_SLOTS + 9]
    journal.close()


def test_a_fold_whose_commit_fails_leaves_the_ring_closed() -> None:
    """What was not folded after all is not overwritten, however often it fails."""

    class Failing(sqlite3.Connection):
        fails = False

        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if self.fails and sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, parameters)

    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Failing)
    make_tables(connection, Owner("my_bot", "here"))
    journal = SqliteJournal(connection)
    journal.apply([add(1)], 1)
    assert journal.fold() and not journal.fold()
    number = 1
    for _ in range(LOG_SLOTS - 1):
        number += 1
        journal.apply([add(number)], number)
    connection.fails = True
    for _ in range(3):
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            journal.fold()
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            journal.apply([add(number + 1)], number + 1)
    connection.fails = False
    journal.apply([add(number + 1)], number + 1)
    assert [operation.value for operation in SqliteJournal(connection).read().rows[KEY].pending] == [
        number + 1
    ]
    journal.close()


def test_a_fold_touches_no_more_rows_than_its_share() -> None:
    """Commits wait while the tables are written: many rows are folded in pieces, and whoever commits is told in time."""
    journal, connection = in_memory()
    rows = journal_file.FOLD_ROWS + 50
    for number in range(1, rows + 1):
        journal.apply([Recorded(RowKey("t", str(number)), add(1).operations)], number)
    assert journal.fold()
    assert (lines(connection, "rows"), journal.folded) == (journal_file.FOLD_ROWS,) * 2
    assert journal.fold() and not journal.fold()
    assert lines(connection, "rows") == rows
    for number in range(rows + 1, 2 * rows + 1):
        assert not journal.fold_is_due
        journal.apply([Recorded(RowKey("u", str(number)), add(1).operations)], number)
        if number == rows + journal_file.FOLD_ROWS:
            break
    assert journal.fold_is_due
    journal.close()


def test_a_fold_that_fails_loses_nothing() -> None:
    """The log still has it; the next fold reads it from there."""
    journal, connection = in_memory()
    journal.apply([add(1)], 1)
    assert journal.fold() and not journal.fold()
    journal.apply([add(2), Handled("a")], 2)
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        journal.fold()
    connection.execute("PRAGMA query_only = OFF")
    journal.apply([add(3)], 3)
    assert journal.fold()
    assert contents(SqliteJournal(connection).read()) == contents(
        image_of(add(1), add(2), Handled("a"), add(3))
    )
    journal.close()


def test_a_fold_from_another_connection_hides_nothing() -> None:
    """Whoever reads sees a commit in the log or in the tables, never in both or in none."""
    journal, connection = in_memory()
    other = SqliteJournal(connection)
    base = Base(b'{"total":2}', {}, 1, 1, 2, 0)
    for number in range(1, 20):
        journal.apply([add(number + 10), Settled(RowKey("t", str(number)), base)], number)
        if number % 3 == 0:
            other.fold()
        assert [operation.value for operation in journal.read().rows[KEY].pending] == [number]
        assert journal.snapshot(str(number)) == {RowKey("t", str(number)): base}
    journal.close()


def test_the_window_of_handled_messages_is_bounded() -> None:
    """The file keeps as many ids as the image does, the newest."""
    journal, connection = in_memory()
    ids = [f"m{number}" for number in range(SEEN_MESSAGES_MAX + 5)]
    journal.apply(map(Handled, ids[:7]), 1)
    journal.fold()
    journal.apply(map(Handled, ids[7:]), 2)
    assert list(journal.read().handled) == ids[5:]
    journal.fold()
    assert list(journal.read().handled) == ids[5:]
    assert lines(connection, "handled") == 2
    for number in range(3, 8):
        journal.apply([Handled(f"n{number}-{one}") for one in range(SEEN_MESSAGES_MAX // 2)], number)
        journal.fold()
    assert lines(connection, "handled") == 2
    assert len(journal.read().handled) == SEEN_MESSAGES_MAX
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


def test_a_full_disk_takes_what_makes_room() -> None:
    """A commit that trims is taken although the log cannot grow: it is folded at once, with everything before it."""
    journal, connection = in_memory(pages_max=300)
    texts = [Operation(Kind.SET, f"text_{n}", None, "x" * 8_000, Stamp(1, n)) for n in range(1, 99)]
    number = 0

    def fill() -> None:
        nonlocal number
        for text in texts:
            journal.apply([Recorded(KEY, [text])], number + 1)
            number += 1

    with pytest.raises(sqlite3.OperationalError, match="full"):
        fill()
    assert number > 10
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0)), Handled("a" * 40_000)], number + 1)
    assert (journal.folded, lines(connection, "log")) == (number + 1, 0)
    assert journal.read().rows[KEY].pending == []
    journal.apply([Recorded(KEY, [texts[-1]])], number + 2)
    journal.close()


def test_what_was_saved_is_trimmed_and_known_in_one_commit() -> None:
    """An acknowledged save leaves the base, and no operation that it contains."""
    journal, connection = in_memory()
    base = Base(b'{"total":2}', {}, 1, 1, 2, 0)
    journal.apply([add(1), add(2)], 1)
    journal.apply([Settled(KEY, base)], 2)
    for _ in range(2):
        assert journal.snapshot("1") == {KEY: base}
        assert journal.read().rows[KEY].pending == []
        journal.fold()
    assert connection.execute("SELECT pending FROM rows").fetchone() == (None,)
    journal.close()


class Faulty(sqlite3.Connection):
    """A connection on which statements that begin with ``fails_at`` fail; ``late``: after they have been carried out."""

    fails_at = ""
    late = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement, or fail."""
        strikes = bool(self.fails_at) and sql.lstrip().startswith(self.fails_at)
        if strikes and not self.late:
            raise sqlite3.OperationalError("disk I/O error")
        cursor = super().execute(sql, parameters)
        if strikes:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


FAULTS = st.sampled_from(
    ["", "", "", "BEGIN IMMEDIATE", "COMMIT", "UPDATE meta", "REPLACE INTO log", "SELECT id"]
)


@given(st.lists(st.tuples(st.lists(WRITES, max_size=3), FAULTS, st.booleans(), st.booleans()), max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_fails_what_was_acknowledged_is_read(
    commits: Sequence[tuple[Sequence[Write], str, bool, bool]],
) -> None:
    """With a ring of 8 lines and folds of 2 rows: commits and folds fail anywhere, before or after they are done, and are
    tried again as the journal does.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Faulty)
    make_tables(connection, Owner("my_bot", "here"))
    journal = SqliteJournal(connection, log_slots=8, fold_rows=2, rows_remembered=3)
    acknowledged: list[Write] = []
    for number, (writes, fault, late, fold) in enumerate(commits, start=1):
        connection.fails_at, connection.late = fault, late
        if fold:
            with contextlib.suppress(sqlite3.OperationalError):
                journal.fold()
            if connection.in_transaction:
                connection.rollback()
        try:
            journal.apply(writes, number)
        except sqlite3.OperationalError:
            connection.fails_at = ""
            if connection.in_transaction:
                connection.rollback()
            journal.apply(writes, number)
        connection.fails_at = ""
        acknowledged += writes
        assert journal.commits == number
    assert contents(SqliteJournal(connection, log_slots=8).read()) == contents(image_of(*acknowledged))
    while journal.fold():
        pass
    assert contents(SqliteJournal(connection, log_slots=8).read()) == contents(image_of(*acknowledged))
    journal.close()


def test_a_hole_in_the_log_is_damage() -> None:
    """Commits that are missing are never passed over."""
    journal, connection = in_memory()
    for number in range(1, 5):
        journal.apply([add(number)], number)
    connection.execute("DELETE FROM log WHERE number = 2")
    for look in (journal.read, journal.fold):
        with pytest.raises(CommitsMissing, match="from 2 to 2"):
            look()
    journal.close()


@pytest.mark.parametrize("damage", ["UPDATE log SET writes = x'7b'", "UPDATE rows SET pending = x'5b5b'"])
def test_what_cannot_be_read_in_a_field_is_damage(damage: str) -> None:
    """SQLite reads the file all the same, so its own checks do not see it."""
    journal, connection = in_memory()
    journal.apply([add(1)], 1)
    journal.fold()
    journal.apply([add(2)], 2)
    connection.execute(damage)
    with pytest.raises(JournalDamaged, match="damaged"):
        SqliteJournal(connection).read()
    journal.close()


def test_a_fold_does_not_need_the_list_of_channels() -> None:
    """It is neither read, however long it is, nor written, unless a commit names the channels anew."""
    journal, connection = in_memory()
    known = [KnownChannel("anna", "1"), KnownChannel("bert")]
    journal.apply([KnownChannels(known)], 1)
    journal.fold()
    connection.execute("UPDATE channels SET logins = x'7b'")
    for fold_by in (journal, SqliteJournal(connection)):
        fold_by.apply([add(fold_by.commits)], fold_by.commits + 1)
        assert fold_by.fold()
    assert connection.execute("SELECT logins FROM channels").fetchall() == [(b"{",)]
    with pytest.raises(JournalDamaged, match="damaged"):
        journal.read()
    SqliteJournal(connection).apply([KnownChannels(known)], journal.commits + 1)
    assert SqliteJournal(connection).fold()
    assert SqliteJournal(connection).read().channels == known
    journal.close()


def test_a_full_ring_on_a_full_disk_takes_what_makes_room() -> None:
    """The fold that the ring needs has no room either: then everything is folded with the commit that trims."""
    journal, connection = in_memory(pages_max=300)
    journal = SqliteJournal(connection, log_slots=8)
    for number in range(1, 8):
        text = Operation(Kind.SET, f"text_{number}", None, "x" * 30_000, Stamp(1, number))
        journal.apply([Recorded(KEY, [text])], number)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0))], 8)
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0))], 9)
    assert journal.read().rows[KEY].pending == []
    journal.close()
