"""What viewers type, checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.components.words import (
    LIST_CHARS_MAX,
    NAME_CHARS_MAX,
    NUMBER_MAX,
    TEXT_CHARS_MAX,
    cut,
    name_of,
    page,
    plain_signs,
    text_of,
    whole_number,
)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Deaths", "deaths"),
        ("AÇAÍ_2-x", "açaí_2-x"),
        ("e\u0301", "é"),
        ("日本", "日本"),
        ("n" * 30, "n" * 30),
        ("n" * 31, None),
        ("", None),
        ("a b", None),
        ("a.b", None),
        ("{x}", None),
        ("💀", None),
        ("a\u200b", None),
        ("\ud800", None),
    ],
)
def test_names(word: str, name: str | None) -> None:
    """Letters, digits, - and _ of any script; lower case, composed."""
    assert name_of(word) == name


@given(st.text(max_size=40))
def test_a_name_is_its_own_name(word: str) -> None:
    """Whatever was accepted once is accepted again, as the same."""
    name = name_of(word)
    if name is not None:
        assert name_of(name) == name
        assert 1 <= len(name) <= NAME_CHARS_MAX


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("–5", -5),
        ("007", 7),
        (str(NUMBER_MAX), NUMBER_MAX),
        (str(NUMBER_MAX + 1), None),
        ("9" * 500, None),
        ("1_000", None),
        ("١٢", None),
        ("1.0", None),
        ("--5", None),
        ("", None),
        ("nan", None),
    ],
)
def test_whole_numbers(word: str, number: int | None) -> None:
    """ASCII digits with one sign, within the bounds."""
    assert whole_number(word) == number


def test_texts_have_a_bound() -> None:
    """Blanks around a text do not count; one character too many does."""
    assert text_of("  a  b ") == "a  b"
    assert text_of("x" * TEXT_CHARS_MAX) == "x" * TEXT_CHARS_MAX
    assert text_of("x" * (TEXT_CHARS_MAX + 1)) is None


def test_plain_signs() -> None:
    """Blanks go, typographic minus signs become hyphens."""
    assert plain_signs(" = − 5") == "=-5"


@given(st.lists(st.text(min_size=1, max_size=600), min_size=1, max_size=60))
def test_pages_show_every_item_once_and_fit(items: list[str]) -> None:
    """Going on where a page ended reaches the end, and no page is longer than a line has room for."""
    first, pages = 0, 0
    while first < len(items):
        line, following = page(items, first)
        assert following > first
        assert len(line) <= LIST_CHARS_MAX
        first, pages = following, pages + 1
    assert first == len(items)
    assert pages <= len(items)


def test_a_cut_is_visible() -> None:
    """What is missing is shown by an ellipsis, within the length."""
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
