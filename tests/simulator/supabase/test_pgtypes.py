"""Values in and out of PostgreSQL's types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.supabase import pgtypes
from simulator.supabase.errors import PgError
from simulator.supabase.pgtypes import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    JSONB,
    SMALLINT,
    TEXT,
    TIMESTAMPTZ,
    UUID,
    PgType,
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_characters="\x00", codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (TEXT, "é", "é"),
        (TEXT, 5, "5"),
        (TEXT, True, "true"),
        (TEXT, {"a": 1}, '{"a":1}'),
        (BIGINT, "42", 42),
        (BIGINT, -(2**63), -(2**63)),
        (BOOLEAN, True, 1),
        (BOOLEAN, "off", 0),
        (BOOLEAN, "TR", 1),
        (BOOLEAN, 1, 1),
        (DOUBLE, 0.5, 0.5),
        (UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (JSONB, {"bb": 1, "a": None}, '{"a":null,"bb":1}'),
        (JSONB, "text", '"text"'),
        (TIMESTAMPTZ, "2026-01-01T12:00:00.5+02:00", "2026-01-01T10:00:00.5+00:00"),
        (TIMESTAMPTZ, "2026-01-01 12:00:00", "2026-01-01T12:00:00+00:00"),
        (TIMESTAMPTZ, "2026-01-01T12:00:00Z", "2026-01-01T12:00:00+00:00"),
        (TEXT, None, None),
        (JSONB, None, None),
    ],
)
def test_values_are_stored_as_postgresql_would(kind: PgType, value: Any, stored: Any) -> None:
    """A JSON value becomes a value of the column's type."""
    assert pgtypes.from_json(kind, value) == stored


@pytest.mark.parametrize(
    ("kind", "value", "sqlstate", "message"),
    [
        (BIGINT, "abc", "22P02", 'invalid input syntax for type bigint: "abc"'),
        (INTEGER, 1.5, "22P02", 'invalid input syntax for type integer: "1.5"'),
        (SMALLINT, 40000, "22003", 'value "40000" is out of range for type smallint'),
        (BOOLEAN, "maybe", "22P02", 'invalid input syntax for type boolean: "maybe"'),
        (BOOLEAN, "", "22P02", 'invalid input syntax for type boolean: ""'),
        (TIMESTAMPTZ, "soon", "22007", 'invalid input syntax for type timestamp with time zone: "soon"'),
        (UUID, "x", "22P02", 'invalid input syntax for type uuid: "x"'),
        (DOUBLE, "x", "22P02", 'invalid input syntax for type double precision: "x"'),
        (TEXT, "a\x00b", "22P05", "unsupported Unicode escape sequence"),
        (JSONB, {"deep": ["\x00"]}, "22P05", "unsupported Unicode escape sequence"),
        (JSONB, {"\x00": 1}, "22P05", "unsupported Unicode escape sequence"),
    ],
)
def test_bad_input_is_refused_in_postgresqls_words(
    kind: PgType, value: Any, sqlstate: str, message: str
) -> None:
    """What PostgreSQL cannot read is an error with its SQLSTATE."""
    with pytest.raises(PgError) as caught:
        pgtypes.from_json(kind, value)
    assert (caught.value.sqlstate, caught.value.message) == (sqlstate, message)


def test_a_filters_operand_for_jsonb_is_json_text() -> None:
    """In a filter a document is written as text."""
    assert pgtypes.from_text(JSONB, ' {"b": [1, 2]} ') == '{"b":[1,2]}'
    with pytest.raises(PgError, match="22P02"):
        pgtypes.from_text(JSONB, "{")


@given(JSON_VALUES)
def test_jsonb_gives_back_what_it_was_given(value: Any) -> None:
    """Storing and reading a document changes nothing but the order of keys."""
    assert pgtypes.to_json(JSONB, pgtypes.canonical_json(value)) == value


@given(JSON_VALUES)
def test_equal_documents_are_stored_as_equal_texts(value: Any) -> None:
    """The canonical form is a fixed point."""
    text = pgtypes.canonical_json(value)
    assert pgtypes.canonical_json(pgtypes.to_json(JSONB, text)) == text


@given(st.integers(0, 4_000_000_000_000_000), st.integers(0, 4_000_000_000_000_000))
def test_stored_times_sort_as_texts(first_us: int, second_us: int) -> None:
    """SQLite may compare timestamps as texts."""
    first, second = pgtypes.iso_utc(first_us / 1e6), pgtypes.iso_utc(second_us / 1e6)
    if first_us + 1 < second_us:
        assert first <= second


def test_booleans_come_back_as_booleans() -> None:
    """A client must never see 1 for true."""
    assert pgtypes.to_json(BOOLEAN, 1) is True
    assert pgtypes.to_json(BOOLEAN, 0) is False
    assert pgtypes.to_text(BOOLEAN, 1) == "t"
    assert pgtypes.to_text(TEXT, None) == "null"


def test_unix_time_is_printed_as_postgrest_prints_it() -> None:
    """ISO 8601 in UTC, the fraction only when there is one, without trailing zeros."""
    assert pgtypes.iso_utc(1_767_225_600.0) == "2026-01-01T00:00:00+00:00"
    assert pgtypes.iso_utc(1_767_225_600.25) == "2026-01-01T00:00:00.25+00:00"


@pytest.mark.parametrize("beside", [1, 1 << 70, "\ud800"])
def test_a_nul_is_found_beside_what_the_encoder_cannot_write(beside: object) -> None:
    """An integer of more than 64 bits and half a surrogate pair are no excuse, and no offence either."""
    pgtypes.refuse_nul({"a": [beside, "\\u0000"]})
    with pytest.raises(PgError, match="unsupported Unicode"):
        pgtypes.refuse_nul({"a": [beside, {"\x00": 1}]})


def test_an_integer_is_held_to_its_columns_range() -> None:
    """A number of a body and a literal of a filter alike."""
    assert pgtypes.from_json(pgtypes.SMALLINT, -(1 << 15)) == -(1 << 15)
    for value in (1 << 15, str(1 << 15)):
        with pytest.raises(PgError, match=f'"{1 << 15}" is out of range for type smallint'):
            pgtypes.from_json(pgtypes.SMALLINT, value)
