"""Which reply answers which message."""

from __future__ import annotations

import re

import pytest

from simulator.bench.matching import Expectation, ReplyBook

COUNTER = r"(?P<key>\w+): (?P<value>\d+)"


def book(pattern: str = COUNTER) -> ReplyBook:
    """An empty book."""
    return ReplyBook(Expectation(pattern))


def test_a_reply_that_names_its_message_answers_that_one() -> None:
    """Whatever the order."""
    found = book()
    found.ask("a", "lobby", "wins", 1.0)
    found.ask("b", "lobby", "wins", 2.0)
    assert found.heard("lobby", "wins: 2", "b", 2.5)
    assert [one.replied_at for one in found.asked] == [None, 2.5]
    assert found.heard("lobby", "wins: 1", "a", 3.0)
    assert [one.replied_at for one in found.asked] == [3.0, 2.5]
    assert found.outstanding == 0


def test_other_replies_are_matched_by_order_within_channel_and_key() -> None:
    """A bot that never names a message answers the oldest of its kind."""
    found = book()
    for number, (channel, key) in enumerate(
        (("one", "wins"), ("two", "wins"), ("one", "deaths"), ("one", "wins"))
    ):
        found.ask(str(number), channel, key, float(number))
    assert found.heard("one", "deaths: 1", "", 10.0)
    assert found.heard("one", "wins: 1", "", 11.0)
    assert found.heard("one", "wins: 2", "", 12.0)
    assert [one.replied_at for one in found.asked] == [11.0, None, 10.0, 12.0]


def test_a_message_answered_by_name_is_not_answered_again_by_order() -> None:
    """Both ways may mix."""
    found = book()
    found.ask("a", "one", "wins", 1.0)
    found.ask("b", "one", "wins", 2.0)
    found.heard("one", "wins: 1", "a", 3.0)
    found.heard("one", "wins: 2", "", 4.0)
    assert [one.replied_at for one in found.asked] == [3.0, 4.0]


def test_what_answers_nothing_is_counted() -> None:
    """Another text, a second reply to one message, a reply to an unknown message, a reply when nothing is open."""
    found = book()
    found.ask("a", "one", "wins", 1.0)
    assert not found.heard("one", "hello there", "a", 2.0)
    assert not found.heard("one", "wins: 1", "never-sent", 2.0)
    assert found.heard("one", "wins: 1", "a", 3.0)
    assert not found.heard("one", "wins: 1", "a", 4.0)
    assert not found.heard("one", "wins: 2", "", 5.0)
    assert (found.unrecognised, found.asked[0].replied_at) == (4, 3.0)


def test_the_largest_value_told_to_viewers_is_confirmed() -> None:
    """Also one whose reply came too late to answer anything, since a viewer read it; `clear` keeps it."""
    found = book()
    found.ask("a", "one", "wins", 1.0)
    found.heard("one", "wins: 7", "a", 2.0)
    found.heard("one", "wins: 6", "", 3.0)
    found.clear()
    assert (found.confirmed, found.asked, found.outstanding) == ({("one", "wins"): 7}, [], 0)
    assert not found.heard("one", "wins: 8", "", 4.0)
    assert found.confirmed == {("one", "wins"): 8}


def test_a_pattern_without_groups_has_one_key_a_channel() -> None:
    """For a bot that always says the same."""
    found = book("(?i)pong")
    found.ask("a", "one", "", 1.0)
    assert found.heard("one", "PONG!", "", 2.0)
    assert (found.outstanding, found.confirmed) == (0, {})


def test_a_broken_pattern_is_refused() -> None:
    """At once, not at the first reply."""
    with pytest.raises(re.error):
        Expectation("(")
