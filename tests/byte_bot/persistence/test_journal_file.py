"""The journal's file: it is the image of what was committed, all or nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from byte_bot.persistence import journal_file
from byte_bot.persistence.journal import Handled, KnownChannel, KnownChannels, Recorded, Settled, Write
from byte_bot.persistence.journal_damage import CommitsMissing, JournalDamaged
from byte_bot.persistence.journal_file import LOG_SLOTS, SqliteJournal
from byte_bot.persistence.journal_image import DeadLettered, Sending
from byte_bot.persistence.journal_schema import Owner, make_tables
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.journal_in_memory import KEY, add, in_memory, lines
from tests.byte_bot.persistence.journal_writes import WRITES, contents, image_of


@given(st.lists(st.tuples(st.lists(WRITES, max_size=6), st.booleans()), max_size=12))
# What a hundred drawn ones may miss: a list that is folded, and then again when nothing is left in it.
@example([([KnownChannels([KnownChannel("anna")])], True), ([KnownChannels([])], True)])
@settings(max_examples=100, deadline=None)
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
@settings(max_examples=100, deadline=None)
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


def test_a_log_is_read_whatever_size_its_ring_had() -> None:
    """A release with a longer log must not take the journal of an earlier one for damaged."""
    _, connection = in_memory()
    shorter = SqliteJournal(connection, log_slots=8)
    writes = [add(number) for number in range(1, 14)]
    for number, write in enumerate(writes, start=1):
        shorter.apply([write], number)
    longer = SqliteJournal(connection, log_slots=64)
    assert contents(longer.read()) == contents(image_of(*writes))
    while longer.fold():
        pass
    assert contents(longer.read()) == contents(image_of(*writes))
    longer.close()


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


def test_what_cannot_be_encoded_is_left_out_named_and_counted() -> None:
    """One value that no JSON can hold costs that operation, not the commit, and not every commit after it."""
    journal, _ = in_memory()
    bad = Operation(Kind.SET, "last", None, "half \ud800", Stamp(1, 2))
    with capture_logs() as lines:
        journal.apply([Handled("a"), Recorded(KEY, [add(1).operations[0], bad]), Handled("\ud800")], 1)
    assert contents(journal.read()) == contents(image_of(Handled("a"), add(1)))
    assert [(line["event"], line["what"]) for line in lines] == [
        ("journal_write_dropped", "set last of component_state/1/deaths"),
        ("journal_write_dropped", "Handled"),
    ]
    assert "surrogates not allowed" in lines[0]["why"]
    assert journal.dropped == 2
    journal.apply([add(3)], 2)
    assert journal.fold()
    assert [operation.value for operation in journal.read().rows[KEY].pending] == [2]
    journal.close()


@pytest.mark.parametrize("everything", [False, True], ids=["folded", "folded for room"])
def test_a_revision_beyond_the_tables_integers_keeps_nothing_from_being_folded(everything: bool) -> None:
    """An earlier release counted on from one at bigint's end: the change stays, and so does the dead letter of it."""
    journal, connection = in_memory()
    end = 2**63 - 1
    beyond = Recorded(KEY, [Operation(Kind.ADD, "total", None, 1, Stamp(1, end + 1))])
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 0, end + 5, 1)), beyond], 1)
    journal.apply([Sending(KEY, Stamp(1, end + 1))], 2)
    journal.apply([DeadLettered(KEY, end + 1, "22003", "out of range", b"{}", 1.0)], 3)
    other = RowKey("component_state", "2", "deaths")
    journal.apply([Settled(other, Base(b"{}", {}, 1, 1, 1, 1))], 4)
    if everything:
        journal._fold_all([], 5)
    else:
        assert journal.fold()
    assert lines(connection, "rows") == 2
    row = SqliteJournal(connection).read().rows[KEY]
    assert row.pending == beyond.operations
    assert row.base is not None
    assert row.base.revision == row.boundary.revision == end
    assert journal.read().dead_letters[KEY].revision == end
    assert journal.dropped == 0
    journal.close()


def test_a_row_that_no_table_can_hold_is_left_out_named_and_counted() -> None:
    """However it came there: a row that cannot be folded must not keep all others from it, until the log is full."""
    journal, connection = in_memory()
    for revision in (1, 2):
        # Each can be written to the log, and no JSON holds what they come to.
        journal.apply([add(revision, 10**4_299 * 9)], revision)
    other = RowKey("component_state", "2", "deaths")
    journal.apply([Settled(other, Base(b"{}", {}, 1, 1, 1, 1))], 3)
    with capture_logs() as logs:
        assert journal.fold()
    assert [(line["event"], line["log_level"], line["what"]) for line in logs] == [
        ("journal_write_dropped", "error", "what was done to component_state/1/deaths")
    ]
    assert journal.dropped == 1
    assert set(journal.read().rows) == set(SqliteJournal(connection).read().rows) == {other}
    journal.apply([add(3), add(4)], 4)
    assert journal.fold()
    assert [operation.value for operation in SqliteJournal(connection).read().rows[KEY].pending] == [2]
    journal.close()
