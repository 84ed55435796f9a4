"""Texts that the database can hold."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.message import ChatNotice
from byte_bot.persistence.storable import (
    SPARE_LEVELS,
    encoded_with_room,
    storable,
    storable_data,
    storable_struct,
)
from tests.byte_bot.persistence.nesting import BOTTOMLESS, deepest, nested

ANYTHING = st.text(st.characters(codec=None))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("olá 👋 \ufffd", "olá 👋 \ufffd"),
        ("a\x00b", "ab"),
        ("\ud800", "\ufffd"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d\x00\ude00", "\ufffd\ufffd"),
    ],
)
def test_nul_goes_and_halves_of_characters_are_replaced(text: str, cleaned: str) -> None:
    """Two halves that make a character are that character, unless something stood between them."""
    assert storable(text) == cleaned


@given(ANYTHING)
def test_what_is_cleaned_can_be_stored_and_stays_as_it_is(text: str) -> None:
    """UTF-8 can write it, it has no NUL, and cleaning it again changes nothing."""
    cleaned = storable(text)
    assert "\x00" not in cleaned
    assert msgspec.json.decode(msgspec.json.encode(cleaned)) == cleaned
    assert storable(cleaned) is cleaned


def test_plain_data_is_cleaned_through_and_through() -> None:
    """Keys, items, and everything that is no text as it is."""
    assert storable_data({"a\x00": ["\ud800", 1, None, {"b": "c\x00"}], "n": 1.5, "t": True}) == {
        "a": ["\ufffd", 1, None, {"b": "c"}],
        "n": 1.5,
        "t": True,
    }


def test_a_struct_is_cleaned_field_by_field() -> None:
    """One that is clean is the same object."""
    notice = ChatNotice("lobby", "1001", "raid", "bia", "5 raiders\x00 come", "\ud800")
    cleaned = storable_struct(notice)
    assert (cleaned.system_text, cleaned.text) == ("5 raiders come", "\ufffd")
    assert storable_struct(cleaned) is cleaned


@pytest.mark.parametrize("depth", [1, 100, 101, 500])
def test_a_value_that_leaves_room_is_encoded_as_it_is(depth: int) -> None:
    """However it was found out that it does."""
    assert encoded_with_room({"x": nested(depth)}) == b'{"x":' + b"[" * depth + b"]" * depth + b"}"


def test_a_value_that_leaves_no_room_is_refused() -> None:
    """Also where it could just be written: it could not be read again a few calls deeper."""
    for depth in (deepest() - SPARE_LEVELS // 2, BOTTOMLESS):
        with pytest.raises(RecursionError):
            encoded_with_room({"x": nested(depth)})
