"""Pages: sizes, cursors both ways, and Twitch's words for wrong ones."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.twitch.pagination import encode_cursor, page_request
from simulator.twitch.web_exchange import Refused


def words(first: str = "", after: str = "", before: str = "") -> str:
    with pytest.raises(Refused) as caught:
        page_request(first, after, before, default=20, largest=100)
    assert caught.value.status == 400
    return caught.value.message


def test_the_cursor_has_the_form_of_twitchs_own() -> None:
    """The cursor in the reference's example decodes to an offset, and ours of that offset is the same text."""
    assert encode_cursor(0, 5) == "eyJiIjpudWxsLCJhIjp7Ik9mZnNldCI6NX19"


@given(st.integers(0, 60), st.integers(1, 25))
def test_following_the_cursors_shows_every_entry_once(count: int, size: int) -> None:
    """Page after page, in order, ending with an empty pagination object."""
    items, seen, after = list(range(count)), [], ""
    while True:
        shown, pagination = page_request(str(size), after, "", default=20, largest=100).cut(items)
        seen += shown
        if not pagination:
            break
        after = pagination["cursor"]
    assert seen == items


def test_before_shows_the_page_in_front_of_the_cursors() -> None:
    """The cursor of the second page leads back to the first."""
    items = list(range(10))
    _, first = page_request("4", "", "", default=20, largest=100).cut(items)
    _, second = page_request("4", first["cursor"], "", default=20, largest=100).cut(items)
    assert page_request("4", "", second["cursor"], default=20, largest=100).cut(items)[0] == [0, 1, 2, 3]


def test_a_page_holds_the_default_number_unless_asked() -> None:
    """20 of 30."""
    assert len(page_request("", "", "", default=20, largest=100).cut(list(range(30)))[0]) == 20


def test_first_above_the_maximum_is_refused_in_twitchs_words() -> None:
    """Recorded words, as in clients' own tests."""
    assert words("101") == 'The parameter "first" was malformed: the value must be less than or equal to 100'
    assert words("0") == 'The parameter "first" was malformed: the value must be greater than or equal to 1'
    assert words("ten") == words("0")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%%%",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"a":{"Offset":-1},"b":{"Offset":-1}}').decode(),
    ],
)
def test_a_cursor_that_never_was_given_out_is_refused(cursor: str) -> None:
    """Whatever it decodes to."""
    assert words(after=cursor) == "Invalid cursor."
    assert words(before=cursor) == "Invalid cursor."
