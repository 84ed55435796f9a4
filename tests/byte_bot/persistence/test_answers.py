"""The bodies of answers: a value that cannot be read is its row's business, whatever else is odd makes the answer none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.answers import (
    CUT_OUT,
    LEVELS_MAX,
    ConfigRow,
    SavedBody,
    StateRow,
    decoded,
    pruned,
    state_row,
)
from byte_bot.persistence.operations import NO_TOMBSTONES, REVISION_BELIEVED_MAX, Base
from tests.byte_bot.persistence.nesting import BOTTOMLESS

LONG = "9" * 5_000
ACCENT = '["é"]'
DEEP = "[" * BOTTOMLESS + "]" * BOTTOMLESS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def row_text(channel_id: str = "1", **columns: str) -> str:
    """A row as PostgREST prints it; values are JSON text."""
    texts = {
        "channel_id": f'"{channel_id}"', "key": '"k"', "version": "1", "data": "{}", "tombstones": "{}", "epoch": "3",
        "revision": "4", "edit_no": "0", "updated_at": '"2026-11-23T12:00:00+00:00"',
    }  # fmt: skip
    return "{" + ", ".join(f'"{name}" : {text}' for name, text in (texts | columns).items()) + "}"


def bases(*rows: str) -> list[Base]:
    """What a page of these rows says."""
    return [row.base for row in decoded(f"[{','.join(rows)}]".encode(), list[StateRow])]


@given(JSON)
def test_data_is_kept_as_it_came_without_blanks(data: Any) -> None:
    """PostgreSQL puts blanks behind colons and commas; nothing else is changed."""
    spaced, compact = (
        json.dumps(data, ensure_ascii=False, separators=marks) for marks in ((", ", ": "), (",", ":"))
    )
    if "\\ud" not in json.dumps(data) or data == json.loads(msgspec.json.encode(data)):
        assert bases(row_text(data=spaced)) == [Base(compact.encode(), {}, 1, 3, 4, 0)]


@pytest.mark.parametrize("value", [LONG, f"-{LONG}", f"{LONG}.5", f"0.{LONG}"], ids=lambda value: value[:3])
def test_numbers_of_any_length_are_kept_to_the_last_digit(value: str) -> None:
    """In any column that is not looked at, too: those that the owner has added."""
    text = f'{{"a":[{value}]}}'
    odd, other = bases(row_text(data=text, own=value), row_text("2"))
    assert (odd.data, other.data) == (text.encode(), b"{}")


@pytest.mark.parametrize(
    "deep", [DEEP, f'{{"a":{DEEP},"b":"]]"}}', f'["[[\\"",{DEEP}]', '{"a":' * 2_000 + "1" + "}" * 2_000]
)
def test_what_is_nested_too_deep_to_be_passed_over_is_cut_out(deep: str) -> None:
    """A text stands in its place, which no row's data can be; the rows beside it are whole."""
    text = '{"b":"[[[[\\\\\\"{{"}'
    before, odd, after = bases(row_text("1", data=text), row_text("2", data=deep), row_text("3", data=text))
    assert before.data == after.data == text.encode()
    assert odd.data == json.dumps(CUT_OUT).encode()


def test_only_what_is_too_deep_is_cut_out() -> None:
    """As many levels as are allowed stay."""
    just = "[" * (LEVELS_MAX - 2) + "]" * (LEVELS_MAX - 2)
    body = f"[{row_text(data=just)},{row_text(data=f'[{just}]')}]".encode()
    assert pruned(body, 2) == f"[{row_text(data=just)},{row_text(data=json.dumps(CUT_OUT))}]".encode()


def test_a_refused_row_is_read_in_the_same_way() -> None:
    """It stands deeper in the answer."""
    for data, kept in ((LONG, LONG), (DEEP, json.dumps(CUT_OUT))):
        item = f'{{"table":"component_state","channel_id":"1","key":"k","reason":"edited","row":{row_text(data=data)}}}'
        body = f'{{"status":"ok","epoch":1,"saved":1,"refused":[{item},{item}]}}'.encode()
        first, second = decoded(body, SavedBody, level=4).refused
        assert state_row(first.row).base == state_row(second.row).base == Base(kept.encode(), {}, 1, 3, 4, 0)


@pytest.mark.parametrize(
    "body", ["", "{", "[1", "null", "{}", '["x"]', DEEP, f"[{LONG}]", '[{"channel_id":"1"}]']
)
def test_anything_else_is_no_answer(body: str) -> None:
    """Cut, of another shape, or nested where no column is."""
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        decoded(body.encode(), list[StateRow])


def test_bytes_that_are_no_text_are_no_answer() -> None:
    """A column is not looked at, and would be kept for JSON."""
    with pytest.raises(UnicodeDecodeError):
        decoded(f"[{row_text(data=ACCENT)}]".encode("latin-1"), list[StateRow])


@pytest.mark.parametrize(
    ("revision", "believed"),
    [(0, 0), (5, 5), (REVISION_BELIEVED_MAX, REVISION_BELIEVED_MAX), (REVISION_BELIEVED_MAX + 1, 0), (2**63 - 1, 0), (-1, 0)],
)  # fmt: skip
def test_a_revision_that_nobody_can_have_come_to_counts_as_none(revision: int, believed: int) -> None:
    """The epoch stays: whether the row can be overtaken is told by that."""
    (base,) = bases(row_text(revision=str(revision)))
    assert base.stamp == (3, believed)
    config = decoded(
        f'[{{"login":"a","epoch":3,"revision":{revision},"edit_no":1}}]'.encode(), list[ConfigRow]
    )
    assert config[0].base.stamp == (3, believed)


@pytest.mark.parametrize(
    "tombstones",
    [
        "null", "[]", "7", '{"f":1}', '{"f":{"k":[1,2]}}', '{"f":{"k":[1,2,"3"]}}', '{"f":{"k":[1,2,9223372036854775808]}}',
        f'{{"f":{{"k":[1,{LONG},3]}}}}',
    ],
)  # fmt: skip
def test_tombstones_of_another_shape_are_forgotten(tombstones: str) -> None:
    """What is kept fits where it is going to stand: the database's bigint, the journal's INTEGER."""
    (base,) = bases(row_text(tombstones=tombstones))
    assert base.tombstones is NO_TOMBSTONES
    (base,) = bases(row_text(tombstones='{"f":{"k":[1,2,3]}}'))
    assert base.tombstones == {"f": {"k": [1, 2, 3]}}


def test_columns_of_the_owners_own_are_passed_over() -> None:
    """Whatever they hold: the configuration is the five columns that the bot knows."""
    text = f'[{{"login":"a","prefix":"?","paused":false,"own":{LONG},"epoch":0,"revision":0,"edit_no":1,"language":null}}]'
    (row,) = decoded(text.encode(), list[ConfigRow])
    assert json.loads(row.base.data or b"") == {"paused": False, "prefix": "?"}
