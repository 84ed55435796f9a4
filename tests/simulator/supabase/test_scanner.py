"""The scanner under the request language; whole parameters are tested in test_query.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.supabase.errors import ApiError
from simulator.supabase.scanner import Field, Scanner


@pytest.mark.parametrize(
    ("text", "field", "rest"),
    [
        ("name", Field("name"), ""),
        ("with-dash.desc", Field("with-dash"), ".desc"),
        ('"quoted \\" name",x', Field('quoted " name'), ",x"),
        ("data->a->>0", Field("data", ("a", 0), True), ""),
        ("data->-1,b", Field("data", (-1,)), ",b"),
        ('data->"odd.key"::text', Field("data", ("odd.key",)), "::text"),
    ],
)
def test_fields(text: str, field: Field, rest: str) -> None:
    """A column and its path end where the next token begins."""
    scanner = Scanner("select parameter", text)
    assert scanner.field() == field
    assert scanner.text[scanner.at :] == rest


def test_an_error_names_parameter_text_and_column() -> None:
    """Counting from one, as PostgREST does."""
    scanner = Scanner("order", "a.desc")
    scanner.at = 2
    assert scanner.error("expecting rain").body == {
        "code": "PGRST100",
        "message": '"failed to parse order (a.desc)" (line 1, column 3)',
        "details": 'unexpected "d" expecting rain',
        "hint": None,
    }
    with pytest.raises(ApiError):
        Scanner("order", "").name()


@given(st.text(max_size=20))
def test_a_quoted_value_is_read_back_whole(text: str) -> None:
    """Whatever is in it, quotes and backslashes escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    scanner = Scanner("filter", f'"{escaped}",next')
    assert scanner.quoted() == text
    assert scanner.take(",next")
    assert scanner.ended


def test_an_unclosed_quote_reads_nothing() -> None:
    """The place is where it was, so that the value can be read in another way."""
    scanner = Scanner("filter", '"open')
    assert scanner.quoted() is None
    assert scanner.at == 0
    assert scanner.list_element() == '"open'
