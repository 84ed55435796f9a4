"""PostgreSQL's functions on SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.supabase import sqlite_functions


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    sqlite_functions.register(connection, lambda: "2026-01-01T00:00:00+00:00", lambda: "an-id")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("pg_now()", "2026-01-01T00:00:00+00:00"),
        ("pg_uuid()", "an-id"),
        ("pg_like('abc', 'a%', 0)", 1),
        ("pg_like('ABC', 'a%', 0)", 0),
        ("pg_like('ÄBC', 'ä%', 1)", 1),
        ("pg_like('a%c', 'a\\%c', 0)", 1),
        ("pg_like('abc', 'a\\%c', 0)", 0),
        ("pg_like('a' || char(10) || 'b', 'a_b', 0)", 1),
        ("pg_like(NULL, '%', 0)", None),
        ("pg_match('abc', '^a.c$', 0)", 1),
        ("pg_match(NULL, 'x', 0)", None),
        ("'abc' REGEXP 'b'", 1),
        ("jsonb_typeof('{}')", "object"),
        ("jsonb_typeof('[]')", "array"),
        ("jsonb_typeof('null')", "null"),
        ("jsonb_typeof('true')", "boolean"),
        ("jsonb_typeof('1.5')", "number"),
        ("jsonb_typeof('\"x\"')", "string"),
        ("jsonb_typeof(NULL)", None),
        ("char_length('é')", 1),
        ("octet_length('é')", 2),
        ('pg_jsonb(\'{"bb": 1, "a": 2}\')', '{"a":2,"bb":1}'),
        ('pg_json(\'{"a": {"b": [1]}}\', \'["a", "b"]\')', "[1]"),
        ("pg_json('{}', '[\"a\"]')", None),
        ('pg_json_text(\'{"a": "x"}\', \'["a"]\')', "x"),
        ("pg_json_text(NULL, '[]')", None),
    ],
)
def test_functions_answer_as_in_postgresql(
    connection: sqlite3.Connection, expression: str, value: Any
) -> None:
    """NULL in, NULL out; LIKE minds the case of every letter and its escapes."""
    assert connection.execute(f"SELECT {expression}").fetchone()[0] == value


@pytest.mark.parametrize(
    ("whole", "part", "holds"),
    [
        # The examples of PostgreSQL's manual, section 8.14.3.
        ('"foo"', '"foo"', True),
        ("[1, 2, 3]", "[1, 3]", True),
        ("[1, 2, 3]", "[3, 1]", True),
        ("[1, 2, 3]", "[1, 2, 2]", True),
        ('{"product": "PostgreSQL", "version": 9.4, "jsonb": true}', '{"version": 9.4}', True),
        ("[1, 2, [1, 3]]", "[1, 3]", False),
        ("[1, 2, [1, 3]]", "[[1, 3]]", True),
        ('{"foo": {"bar": "baz"}}', '{"bar": "baz"}', False),
        ('{"foo": {"bar": "baz"}}', '{"foo": {}}', True),
        ('["foo", "bar"]', '"bar"', True),
        ('"bar"', '["bar"]', False),
        ("[true]", "[1]", False),
    ],
)
def test_containment_is_jsonbs(connection: sqlite3.Connection, whole: str, part: str, holds: bool) -> None:
    """The operator @> on documents."""
    assert bool(connection.execute("SELECT pg_contains(?, ?)", (whole, part)).fetchone()[0]) is holds


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["a"], [10, 20]),
        (["a", 0], 10),
        (["a", -1], 20),
        (["a", 5], None),
        (["a", "x"], None),
        (["n", 7], "seven"),
    ],
)
def test_paths_lead_through_keys_and_indexes(path: list[str | int], value: Any) -> None:
    """A number is an index of an array and a key of an object."""
    document = json.loads('{"a": [10, 20], "n": {"7": "seven"}}')
    assert sqlite_functions.walk(document, path) == value
