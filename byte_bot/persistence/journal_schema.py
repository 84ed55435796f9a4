"""The tables of a journal's file: made, brought up to date, and compared with what they must be.

How it works. ``PRAGMA application_id`` is the mark of a journal, ``user_version`` the number of its format. :func:`make_tables`
makes an empty journal of today's format (:data:`SCHEMA`), :func:`upgrade` brings one of an older format there step by step
(:data:`UPGRADES`), in one transaction. :func:`check_tables` compares the definitions that stand in a file with today's, blanks
and comments aside: SQLite itself takes whatever it can parse, and a column of another type or a table of another name would only
be noticed commits later. So the steps of an upgrade must end in the very definitions of today's format; a kept file of each format
is tried in the tests.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from byte_bot.errors import JournalError
from byte_bot.persistence.journal_damage import JournalDamaged
from byte_bot.persistence.journal_file import FORMAT, PAGE_BYTES

#: The tables of today's format; :mod:`~byte_bot.persistence.journal_file` says what is in them.
SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE log (
    slot INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    -- The channels (or logins) of which the commit has a base, with a blank around each; NULL if of none.
    bases TEXT,
    writes BLOB NOT NULL
);
CREATE INDEX log_bases ON log (number) WHERE bases IS NOT NULL;
CREATE TABLE rows (
    id INTEGER PRIMARY KEY,
    "table" TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    key TEXT NOT NULL,
    -- The last known base; version is NULL as long as there is none, data is NULL if the database has no such row.
    version INTEGER,
    data BLOB,
    tombstones BLOB,
    epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    edit_no INTEGER,
    boundary_epoch INTEGER NOT NULL,
    boundary_revision INTEGER NOT NULL,
    -- Operations that no base contains yet, NULL if there are none.
    pending BLOB
);
CREATE UNIQUE INDEX rows_key ON rows (channel_id, "table", key);
CREATE INDEX rows_pending ON rows (id) WHERE pending IS NOT NULL;
CREATE TABLE handled (position INTEGER PRIMARY KEY, count INTEGER NOT NULL, message_ids BLOB NOT NULL);
CREATE TABLE channels (id INTEGER PRIMARY KEY CHECK (id = 1), logins BLOB NOT NULL);
CREATE TABLE dead_letters (
    "table" TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    sqlstate TEXT NOT NULL,
    words TEXT NOT NULL,
    payload BLOB NOT NULL,
    at_s REAL NOT NULL,
    PRIMARY KEY ("table", channel_id, key)
) WITHOUT ROWID;
"""
#: What tells a journal from every other SQLite file: "BYTB".
APPLICATION_ID: Final = 0x42595442
#: The SQL that turns a file of one format into one of the next, by the older one's number.
UPGRADES: Final[Mapping[int, str]] = {}
#: The highest format that a file can be taken for; chosen: no release will ever have it, and of the damage that one flipped bit
#: does to the number, half lies beyond. What lies below is refused as a newer one's: nothing of it is lost.
FORMATS_MAX: Final = 65_535

_TABLES: Final = tuple(re.findall(r"CREATE TABLE (\w+)", SCHEMA))
_COMMENT: Final = re.compile(r"--[^\n]*")


@dataclass(frozen=True)
class Owner:
    """Whose journal it is: the bot's login, and the name under which a new one takes its epochs."""

    login: str
    identity: str


def make_tables(connection: sqlite3.Connection, owner: Owner) -> None:
    """Make an empty journal of today's format in an empty database."""
    for pragma in (f"page_size = {PAGE_BYTES}", "auto_vacuum = INCREMENTAL"):
        connection.execute(f"PRAGMA {pragma}")
    _in_one_transaction(
        connection,
        SCHEMA + f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {FORMAT};\n",
        {"identity": owner.identity, "login": owner.login, "epoch": 0, "folded": 0},
    )


def upgrade(
    connection: sqlite3.Connection, have: int, want: int = FORMAT, steps: Mapping[int, str] = UPGRADES
) -> None:
    """Bring a journal of the format ``have`` to ``want``, all of it or nothing.

    Raises:
        JournalError: a step is missing.
    """
    missing = [number for number in range(have, want) if number not in steps]
    if missing:
        raise JournalError(f"there is no way from format {missing[0]} to {want}")
    script = "".join(f"{steps[number]}\n" for number in range(have, want))
    _in_one_transaction(connection, f"{script}PRAGMA user_version = {want};\n", {})


def _in_one_transaction(connection: sqlite3.Connection, script: str, meta: Mapping[str, str | int]) -> None:
    try:
        # executescript() would commit what is open before it begins.
        connection.executescript("BEGIN IMMEDIATE;\n" + script)
        connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", meta.items())
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check_tables(connection: sqlite3.Connection) -> None:
    """Compare the file's tables and indexes with those of today's format.

    Raises:
        JournalDamaged: one is missing, or is not as it was made.
    """
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        fresh.executescript(SCHEMA)
        made = _definitions(fresh)
    found = _definitions(connection)
    for name, definition in made.items():
        if found.get(name) != definition:
            raise JournalDamaged(f"its table or index {name} is not as it was made")


def _definitions(connection: sqlite3.Connection) -> dict[str, tuple[str, str, str]]:
    """Kind, table and SQL of each table and index, without blanks and comments."""
    lines = connection.execute("SELECT name, type, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: (kind, table, "".join(_COMMENT.sub("", sql).split())) for name, kind, table, sql in lines}


def has_tables(connection: sqlite3.Connection) -> bool:
    """True if a file has a table in which a journal keeps what viewers have changed, whatever else is gone."""
    try:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    except sqlite3.DatabaseError:
        return False
    return {"rows", "log"} <= tables


def logins_in(connection: sqlite3.Connection) -> list[object]:
    """Whose journal a file is, whatever mark it has; nobody's if it has not the tables of one."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables.issuperset(_TABLES):
        return []
    try:
        return [login for (login,) in connection.execute("SELECT value FROM meta WHERE name = 'login'")]
    except sqlite3.OperationalError:
        return []  # other columns: another program's after all
