"""The judge of the kill tests sees what is lost, what is doubled, and what may be either."""

from __future__ import annotations

import random

import pytest

from tests.kill.changes import Change, Place, Script, State
from tests.kill.told import Book, judge

DEATHS = Place("lobby", "tally", "deaths")
SCORE = Place("lobby", "counter", "score")
GAME = Place("lobby", "game")
NOTE = Place("lobby", "note", "buy milk")
HUG = Place("lobby", "command", "hug")

DIED = Change(DEATHS, "+", "1")


def told(*said: tuple[Change, str]) -> Book:
    """A book with these messages and replies ("": none)."""
    book = Book()
    for number, (change, reply) in enumerate(said):
        book.said(str(number), change)
        if reply:
            book.heard(str(number), reply)
    return book


@pytest.mark.parametrize(
    ("stored", "lost", "doubled"),
    [({DEATHS: 1}, 1, 0), ({}, 2, 0), ({DEATHS: 2}, 0, 0), ({DEATHS: 3}, 0, 0), ({DEATHS: 4}, 0, 1)],
)
def test_a_counter_is_what_was_confirmed_and_at_most_what_was_asked(
    stored: dict[Place, State], lost: int, doubled: int
) -> None:
    """Two confirmed and one without a reply: 2 or 3; what is missing is lost, what is too much was doubled."""
    book = told((DIED, "deaths: 1"), (DIED, "deaths: 2"), (DIED, ""))
    verdict = judge(book.exchanges, stored)
    assert (verdict.confirmed, verdict.lost, verdict.doubled) == (2, lost, doubled)
    assert bool(verdict.broken) == bool(lost + doubled)


def test_a_look_settles_what_was_in_doubt() -> None:
    """What a viewer was told after the restart must stay: 3 that becomes 2 again is lost, though 2 was possible before."""
    book = told((DIED, "deaths: 1"), (DIED, ""), (Change(DEATHS, "look"), "deaths: 2"))
    assert not judge(book.exchanges, {DEATHS: 2}).broken
    assert judge(book.exchanges, {DEATHS: 1}).lost == 1


def test_a_false_reply_is_a_loss() -> None:
    """A viewer who is told less than was confirmed need not look into the database; what comes back later counts once."""
    book = told((DIED, "deaths: 1"), (DIED, "deaths: 2"), (Change(DEATHS, "look"), "deaths: 1"))
    for stored in (1, 2):
        verdict = judge(book.exchanges, {DEATHS: stored})
        assert (verdict.lost, verdict.doubled) == (1, 0)
        assert len(verdict.broken) == 1


@pytest.mark.parametrize(("stored", "right"), [(None, True), (5, True), (7, True), (2, False), (12, False)])
def test_a_number_set_or_removed_discards_what_was_before(stored: State, right: bool) -> None:
    """Without replies each step may have been done or not, in their order."""
    book = told(
        (Change(SCORE, "+", "2"), "score: 2"),
        (Change(SCORE, "=", "5"), "score: 5"),
        (Change(SCORE, "+", "2"), ""),
        (Change(SCORE, "del"), ""),
    )
    verdict = judge(book.exchanges, {} if stored is None else {SCORE: stored})
    assert (not verdict.broken) == right


def test_of_a_text_the_newest_confirmed_counts() -> None:
    """An older game is a loss; one that was asked for later and not confirmed is possible."""
    book = told((Change(GAME, "set", "A"), "Game: A"), (Change(GAME, "set", "B"), "Game: B"))
    assert not judge(book.exchanges, {GAME: "B"}).broken
    assert judge(book.exchanges, {GAME: "A"}).lost == 1
    book.said("more", Change(GAME, "set", "C"))
    assert not judge(book.exchanges, {GAME: "C"}).broken


def test_a_note_is_there_once() -> None:
    """Kept twice is doubled, kept nowhere is lost."""
    book = told((Change(NOTE, "add"), "Note 1 is kept."))
    assert not judge(book.exchanges, {NOTE: 1}).broken
    assert judge(book.exchanges, {NOTE: 2}).doubled == 1
    assert judge(book.exchanges, {}).lost == 1


def test_a_command_that_was_deleted_stays_away() -> None:
    """A late write that brings it back is found."""
    book = told(
        (Change(HUG, "add", "hugs"), "The command !hug is ready."),
        (Change(HUG, "del"), "The command !hug is gone."),
    )
    assert not judge(book.exchanges, {}).broken
    assert judge(book.exchanges, {HUG: "hugs"}).broken


def test_what_nobody_asked_for_is_found() -> None:
    """A row about something that no viewer spoke of is wrong too."""
    assert judge((), {DEATHS: 1}).doubled == 1


def test_answered_twice_is_doubled() -> None:
    """One message has one reply, the invisible mark at its end apart."""
    book = told((DIED, "deaths: 1 \u034f"))
    assert not judge(book.exchanges, {DEATHS: 1}).broken
    book.heard("0", "deaths: 1")
    assert judge(book.exchanges, {DEATHS: 1}).doubled == 1


def test_a_script_asks_for_every_kind_and_repeats_no_text() -> None:
    """Every kind of operation is tried; two notes, quotes or games are never the same."""
    script = Script(("lobby", "arcade"), random.Random(1))
    changes = [script.next() for _ in range(1_000)]
    assert {change.place.kind for change in changes} == {
        "tally", "counter", "game", "vibe", "note", "quote", "command",
    }  # fmt: skip
    assert {change.action for change in changes} >= {"+", "-", "=", "del", "add", "edit", "set"}
    unique = [change.text for change in changes if change.place.kind not in ("tally", "counter")]
    deletions = sum(change.place.kind == "command" and change.action == "del" for change in changes)
    assert len(set(unique)) >= len(unique) - deletions
