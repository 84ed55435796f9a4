"""The tables of a journal: upgraded all or not at all, and told from tables that are not as they were made."""

from __future__ import annotations

import sqlite3

import pytest

from byte_bot.errors import JournalError
from byte_bot.persistence.journal_damage import JournalDamaged
from byte_bot.persistence.journal_image import Handled
from byte_bot.persistence.journal_schema import SCHEMA, check_tables, logins_in, upgrade
from tests.byte_bot.persistence.journal_in_memory import in_memory


def made_by(script: str) -> sqlite3.Connection:
    """A database that a script has made."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(script)
    return connection


def test_an_older_format_is_upgraded_in_one_transaction() -> None:
    """Every step on the way, or none: a step that fails leaves the file as it was; so does a way that is not known."""
    journal, connection = in_memory()
    journal.apply([Handled("a")], 1)
    journal.fold()
    steps = {1: "ALTER TABLE handled ADD COLUMN at_s REAL;", 2: "DROP TABLE there_is_none;"}
    with pytest.raises(sqlite3.OperationalError, match="there_is_none"):
        upgrade(connection, 1, 3, steps)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT at_s FROM handled")
    with pytest.raises(JournalError, match="no way from format 3"):
        upgrade(connection, 1, 4, steps)
    upgrade(connection, 1, 2, steps)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("SELECT message_ids, at_s FROM handled").fetchall() == [(b'["a"]', None)]
    connection.close()


def test_blanks_comments_and_what_somebody_added_do_not_matter() -> None:
    """An older release's words about a column, an index of whoever looked into the file."""
    connection = made_by(SCHEMA.replace("    -- Operations", "\n -- pending ones, as\n     -- Operations"))
    connection.execute("CREATE INDEX looked_at ON rows (edit_no)")
    check_tables(connection)
    connection.close()


@pytest.mark.parametrize(
    ("made", "changed", "named"),
    [
        ("CHECK (id = 1)", "CHECK (id = 3)", "channels"),
        ("bases TEXT", "bases TEXD", "log"),
        ("CREATE UNIQUE INDEX", "CREATE INDEX", "rows_key"),
        ("CREATE TABLE handled", "CREATE TABLE handlee", "handled"),
        ("count INTEGER", "coumt INTEGER", "handled"),
    ],
)
def test_tables_that_are_not_as_they_were_made_are_damage(made: str, changed: str, named: str) -> None:
    """SQLite can parse all of these, and most would only be noticed commits later."""
    connection = made_by(SCHEMA.replace(made, changed))
    with pytest.raises(JournalDamaged, match=f"{named} is not as it was made"):
        check_tables(connection)
    connection.close()


def test_whose_journal_it_is_stands_in_the_tables_of_one_only() -> None:
    """A table of that name alone, or with other columns, is another program's."""
    _, connection = in_memory()
    assert logins_in(connection) == ["my_bot"]
    connection.close()
    for script in (
        "CREATE TABLE meta (name, value); INSERT INTO meta VALUES ('login', 'my_bot')",
        "".join(
            f"CREATE TABLE {table} (x);"
            for table in ("meta", "log", "rows", "handled", "channels", "dead_letters")
        ),
    ):
        connection = made_by(script)
        assert logins_in(connection) == []
        connection.close()
