"""A journal without a file, and the row that the tests of its core change."""

from __future__ import annotations

import sqlite3

from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Recorded
from byte_bot.persistence.journal_opening import configure
from byte_bot.persistence.journal_schema import Owner, make_tables
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp

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


def lines(connection: sqlite3.Connection, table: str) -> int:
    """How many lines a table has."""
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)
