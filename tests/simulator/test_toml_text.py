"""Lines of keys in TOML, and values as TOML writes them."""

from __future__ import annotations

import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.toml_text import broken_line, nearest_line, toml_key, toml_lines, toml_value

PLAIN = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=8,
)


def test_every_table_key_and_element_has_its_line() -> None:
    """Arrays of tables are counted, parts of dotted keys too; comments and texts of several lines hold no keys."""
    text = 'a = 1\n[[b]]\nc.d = 2\n[b.e]\nf = """\ng = 3\n"""\n[[b]]\n# h = 4\n"i.j" = 5\n'
    assert toml_lines(text) == {
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 2,
        ("b", 0, "c"): 3,
        ("b", 0, "c", "d"): 3,
        ("b", 0, "e"): 4,
        ("b", 0, "e", "f"): 5,
        ("b", 1): 8,
        ("b", 1, "i.j"): 10,
    }


def test_values_within_values_have_their_lines() -> None:
    """Arrays over several lines, inline tables in them, and strings that look like structure."""
    text = "[x]\ny = [ # [ one\n  1,\n  { k = ']', 'l' = [\n 2 ] },\n]\nz = '''\n]\n'''\nw = \"a\\\"]#\"\r\nv = 3"
    assert tomllib.loads(text)["x"]["v"] == 3
    lines = toml_lines(text)
    assert lines[("x", "y", 0)] == 3
    assert (lines[("x", "y", 1)], lines[("x", "y", 1, "k")], lines[("x", "y", 1, "l")]) == (4, 4, 4)
    assert lines[("x", "y", 1, "l", 0)] == 5
    assert (lines[("x", "z")], lines[("x", "w")], lines[("x", "v")]) == (7, 10, 11)


def test_quotation_marks_may_end_a_text_of_several_lines() -> None:
    """Four or five in a row: the last three end it."""
    text = 'a = """\n"quoted"""""\nb = 1\n'
    assert tomllib.loads(text) == {"a": '"quoted""', "b": 1}
    assert toml_lines(text) == {("a",): 1, ("b",): 3}


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=5))
def test_what_is_written_is_read_back_and_found(tables: dict[str, Any]) -> None:
    """Any keys and values, each on its line."""
    text = "\n".join(f"{toml_key(name)} = {toml_value(value)}" for name, value in tables.items())
    assert tomllib.loads(text) == tables
    lines = toml_lines(text)
    assert [lines[(name,)] for name in tables] == list(range(1, len(tables) + 1))
    assert set(lines) == set(paths(tables))


def paths(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every path in a value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    return [path for key, item in parts for path in [(*place, key), *paths(item, (*place, key))]]


def test_numbers_keep_their_kind() -> None:
    """A whole number is not made one with a point, nor the other way round."""
    assert [toml_value(value) for value in (5, 5.0, 1e-06, 1e22, math.inf)] == [
        "5", "5.0", "1e-06", "1e+22", "inf",
    ]  # fmt: skip
    assert toml_value({}) == "{}"
    assert toml_value({"a b": (True, "x\x7f\n")}) == '{ "a b" = [true, "x\\u007f\\n"] }'


@pytest.mark.parametrize(
    ("value", "words"), [(None, "no null"), ("\ud800", "half a surrogate"), (object(), "no object")]
)
def test_what_toml_cannot_say_is_refused(value: object, words: str) -> None:
    """In words, wherever it stands."""
    with pytest.raises(ValueError, match=words):
        toml_value({"a": [value]})


def test_a_key_that_is_missing_has_the_line_of_its_table() -> None:
    """The nearest that encloses it; the first line if there is none."""
    lines = toml_lines("a = 1\n[b]\nc = 2\n")
    assert nearest_line(lines, ("b", "c", 3, "x")) == 3
    assert nearest_line(lines, ("b", "x")) == 2
    assert nearest_line(lines, ("x",)) == 1


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = = 2\nc = 3\n", 2), ("a = 1\nb = [1,\n", 2), ("a = '''\nb", 2)]
)
def test_a_text_that_is_no_toml_breaks_at_a_line(text: str, line: int) -> None:
    """Where the parser says it; the last one when it says that the text ended."""
    with pytest.raises(tomllib.TOMLDecodeError) as refused:
        tomllib.loads(text)
    assert broken_line(text, refused.value) == line
