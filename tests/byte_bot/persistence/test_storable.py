"""Texts that the database can hold."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.message import ChatNotice
from byte_bot.persistence.storable import (
    SPARE_LEVELS,
    SPARE_LEVELS_RECORDED,
    decoded_with_room,
    encoded_with_room,
    is_finite,
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


@pytest.mark.parametrize("depth", [1, 100, 101, 500])
def test_what_leaves_room_is_read_as_it_is(depth: int) -> None:
    """However it was found out that it does."""
    assert decoded_with_room(msgspec.json.encode({"x": nested(depth)})) == {"x": nested(depth)}


def test_what_leaves_no_room_is_not_read_although_it_could_be() -> None:
    """What was recorded from here is saved some calls deeper, where it must leave room as well."""
    fits = next(depth for depth in range(deepest(), 0, -1) if _leaves_room(depth))
    assert deepest() - fits == pytest.approx(SPARE_LEVELS_RECORDED, abs=5)
    assert encoded_with_room({"x": nested(fits)})


def _leaves_room(depth: int) -> bool:
    try:
        decoded_with_room(msgspec.json.encode(nested(depth)))
    except RecursionError:
        return False
    return True


class Holder(msgspec.Struct):
    """Holds anything."""

    value: Any = None


NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
PLAIN = st.recursive(
    st.none() | NUMBERS | st.text(max_size=3) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | inner.map(Holder)
    ),
    max_leaves=8,
)


def _numbers_in(value: Any) -> list[float]:
    if isinstance(value, Holder):
        return _numbers_in(value.value)
    if isinstance(value, list | dict):
        items = value.values() if isinstance(value, dict) else value
        return [number for item in items for number in _numbers_in(item)]
    return [value] if isinstance(value, float) else []


@given(PLAIN)
def test_what_is_infinite_or_no_number_is_found_wherever_it_stands(value: Any) -> None:
    """Among None, integers of any size, texts and bytes that look like anything."""
    assert is_finite(value, msgspec.json.encode(value)) is all(map(math.isfinite, _numbers_in(value)))


def test_bytes_that_only_look_like_infinity_are_fine() -> None:
    """How MessagePack begins such a number can stand in a text as well."""
    value = [None, b"\xcb\x7f\xf0".hex(), msgspec.Raw(b"1"), "\ucbff\u7ff0", b"\xcb\x7f\xf8"]
    assert is_finite(value, msgspec.json.encode(value))
    assert not is_finite([2**70, None, math.nan], b"[1180591620717411303424,null,null]")
