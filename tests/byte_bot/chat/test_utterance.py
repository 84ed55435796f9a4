"""What one chat message can carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.utterance import BYTES_MAX, CHARS_MAX, clean, distinct, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", "hello"),
        ("  hello  ", "hello"),
        ("hi\r\nPRIVMSG #other :owned", "hi  PRIVMSG #other :owned"),
        ("a\0b\x01c\x7fd", "abcd"),
        ("tab\there", "tab here"),
        ("separator\u2028here\x85too", "separator here too"),
        ("half \ud83d of an emoji", "half \ufffd of an emoji"),
        ("ação 테스트 👉🏽", "ação 테스트 👉🏽"),
        ("\r\n", ""),
    ],
)
def test_clean(text: str, expected: str) -> None:
    """A text becomes one line that shows the same words."""
    assert clean(text) == expected


@given(st.text(st.characters()))
def test_clean_never_lets_a_second_command_out(text: str) -> None:
    """Whatever was typed: no line ending, no NUL, no CTCP, encodable, and cleaning twice changes nothing."""
    cleaned = clean(text)
    assert not set(cleaned) & set("\r\n\0\x01")
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned


def test_500_code_points_are_one_message() -> None:
    """Twitch counts code points, so 500 emoji of four bytes still fit."""
    assert split("🎉" * CHARS_MAX) == ["🎉" * CHARS_MAX]


def test_501_code_points_are_cut_at_a_word() -> None:
    """The last space that fits is where the next message begins."""
    text = "word " * 99 + "straddling"
    assert len(text) == 505
    assert split(text) == [("word " * 99).rstrip(), "straddling"]


def test_a_space_right_after_the_limit_is_a_cut() -> None:
    """A word that ends exactly at the limit stays whole."""
    assert split("12345678 next", chars_max=8) == ["12345678", "next"]


def test_a_long_word_is_cut_inside() -> None:
    """Without a space there is no better place."""
    assert split("x" * 1_100) == ["x" * 500, "x" * 500, "x" * 100]


@pytest.mark.parametrize("cluster", ["👩\u200d👩\u200d👧", "👍🏽", "e\u0301", "❤\ufe0f"])
def test_a_long_word_is_not_cut_inside_an_emoji(cluster: str) -> None:
    """What is shown as one character stays in one message."""
    pieces = split("x" * 499 + cluster + "y" * 20)
    assert sum(cluster in piece for piece in pieces) == 1


def test_every_piece_of_an_action_is_an_action() -> None:
    """/me does not get lost on the way to the second message."""
    pieces = split("/me " + "dances " * 100)
    assert len(pieces) == 2
    assert all(piece.startswith("/me dances") for piece in pieces)


@pytest.mark.parametrize("text", ["", "   ", "/me ", "/me"])
def test_nothing_to_say(text: str) -> None:
    """An empty text gives no message; a bare /me is a text like any other."""
    assert split(text) == (["/me"] if text == "/me" else [])


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=400),
    st.integers(8, 60),
    st.integers(32, 120),
)
def test_split_loses_no_word_and_keeps_both_limits(text: str, chars_max: int, bytes_max: int) -> None:
    """Every piece fits, none is blank, and together they hold every character but the spaces at the cuts."""
    text = text.removeprefix("/me ")
    pieces = split(text, chars_max=chars_max, bytes_max=bytes_max)
    for piece in pieces:
        assert 0 < len(piece) <= chars_max
        assert len(piece.encode()) <= bytes_max
        assert piece.strip(" ") == piece
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


def test_the_byte_limit_bounds_a_line() -> None:
    """However wide the characters, a message stays below the limit in bytes."""
    assert all(len(piece.encode()) <= BYTES_MAX for piece in split("🎉" * 5_000, chars_max=5_000))


def test_distinct_forms_look_alike_and_differ() -> None:
    """Each form differs from all others by invisible marks only."""
    forms = [distinct("hi", copies) for copies in range(5)]
    assert forms[0] == "hi"
    assert len(set(forms)) == 5
    assert {form.replace("\u034f", "").strip() for form in forms} == {"hi"}
    # The marks survive what the outgoing path does to every text.
    assert [clean(form) for form in forms] == forms
