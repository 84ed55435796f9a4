"""How a journal is shown: readable at 80 columns, safe in a terminal, complete for programs."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.journal_tables import (
    LEVELS_SHOWN,
    FileSizes,
    Use,
    age,
    entry_data,
    entry_text,
    escaped,
    json_text,
    listing_text,
    overview_data,
    overview_text,
    size,
)
from byte_bot.persistence.fresh_stack import on_fresh_stack
from byte_bot.persistence.journal_image import DeadLettered
from byte_bot.persistence.journal_inspection import Entry, Listing, Overview
from byte_bot.persistence.journal_lock import Holder
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.nesting import BOTTOMLESS, deepest, nested

KEY = RowKey("component_state", "141981764", "custom_commands")
NASTY = "\x1b[2J red \u202e nul \x00 ol\u00e1 \U0001f44b [bold]b[/bold] \ud800"
LETTER = DeadLettered(
    KEY, 3, "22P05", f"unsupported {NASTY}", json.dumps({"text": NASTY}).encode(), 1_767_225_604.5
)
ENTRY = Entry(
    KEY,
    Base(b'{"commands":{"hug":{"uses":3}}}', {"commands": {"old": [4, 2, 1_767_225_602]}}, 1, 4, 2, 0),
    Stamp(4, 3),
    [Operation(Kind.PUT, "commands", NASTY, {"text": NASTY}, Stamp(4, 3), "m1:1", 1_767_225_600)],
    LETTER,
)
CLEAN = Entry(
    RowKey("channel_state", "1"), None, Stamp(), [Operation(Kind.SET, "game", None, "Celeste", Stamp(0, 1))]
)
OVERVIEW = Overview("my_bot", "host/1/abc", 1, 12, 4, 30, 2, 5, 725.0, 1, 10_000, 12)
HOLDER = Holder(7, "here", "my_bot", "2026-01-01")


def test_an_overview_says_what_waits_and_what_was_refused() -> None:
    """With the command that shows more, and who holds the journal."""
    text = overview_text(
        "/data/my_bot.journal", OVERVIEW, FileSizes(36_864, 4_100_000), Use(True, HOLDER), 80
    )
    assert "waiting       2 rows with 5 changes, the oldest 12 min old" in text
    assert "dead letters  1 row refused: byte-bot journal list --dead" in text
    assert "in use        by process 7 on here (bot my_bot, since 2026-01-01)" in text
    assert "size          37 kB, WAL 4.1 MB" in text
    saved = msgspec.structs.replace(
        OVERVIEW, rows_pending=0, operations=0, oldest_unsaved_s=None, dead_letters=0
    )
    text = overview_text("/data/my_bot.journal", saved, FileSizes(0, 0), Use(False), 80)
    assert "waiting       nothing: everything is in the database" in text
    assert "dead letters  none" in text


@pytest.mark.parametrize(
    ("use", "words", "in_use", "held_by"),
    [
        (Use(False), "no", False, None),
        (Use(True), "by another process", True, "another process"),
        (Use(None), "this account cannot tell: ", None, None),
    ],
)
def test_who_holds_it_is_not_guessed(use: Use, words: str, in_use: bool | None, held_by: str | None) -> None:
    """Nobody, somebody whose name the lock does not say, and what cannot be known."""
    assert f"in use        {words}" in overview_text("/data/j", OVERVIEW, FileSizes(0, 0), use, 80)
    data = overview_data("/data/j", OVERVIEW, FileSizes(0, 0), use)
    assert (data["in_use"], data["held_by"]) == (in_use, held_by)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_of_a_list_is_wider_than_the_terminal(width: int) -> None:
    """Names stay in one piece, so that they can be copied; the server's words are wrapped, and cut."""
    long = msgspec.structs.replace(LETTER, words="words " * 200)
    listing = Listing([msgspec.structs.replace(ENTRY, letter=long), CLEAN], 3)
    text = listing_text(listing, 1_767_225_600 + 90, width)
    assert max(map(len, text.splitlines())) <= width
    assert "component_state/141981764/custom_commands" in text
    assert "1 min" in text
    assert "refused: 22P05 words" in text
    assert text.endswith("3 more: --limit")
    assert len(text.splitlines()) == 7


def test_an_empty_list_says_so() -> None:
    """Instead of headings over nothing."""
    assert listing_text(Listing([], 0), 0, 80) == "Nothing waits, and nothing was refused."


def test_what_viewers_wrote_is_shown_and_moves_no_cursor() -> None:
    """No control character, no change of direction, no half of a pair; letters, emoji and brackets as they are."""
    for text in (
        entry_text(ENTRY, 80),
        listing_text(Listing([ENTRY], 0), 0, 80),
        json_text(entry_data(ENTRY)),
    ):
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "[bold]b[/bold]" in text
    shown = entry_text(ENTRY, 80)
    assert "olá 👋" in shown
    assert "\\x1b[2J" in shown
    assert "SQLSTATE     22P05" in shown
    assert "a save up to 4/3 was sent, and may have arrived" in shown


def test_an_entry_without_base_or_letter_is_short() -> None:
    """Nothing is shown that is not there."""
    assert entry_text(CLEAN, 80).splitlines() == [
        "channel_state/1",
        "",
        "base: none, the database had no such row, or it was not read yet",
        "",
        "pending: 1 change that no save has contained yet",
        '    0/1  set game  "Celeste"',
    ]
    gone = Entry(KEY, Base(), Stamp(), [])
    assert "    no such row" in entry_text(gone, 80)
    assert "pending: nothing" in entry_text(gone, 80)


def test_a_row_as_json_is_complete() -> None:
    """The documented shape; what is not visible is escaped as JSON does it, so nothing is lost."""
    data = json.loads(json_text(entry_data(ENTRY)))
    assert data["row"] == KEY.name
    assert data["base"]["data"] == {"commands": {"hug": {"uses": 3}}}
    assert data["base"]["tombstones"] == {"commands": {"old": [4, 2, 1_767_225_602]}}
    (operation,) = data["operations"]
    assert operation["stamp"] == [4, 3]
    assert (operation["kind"], operation["key"], operation["value"]) == ("put", NASTY, {"text": NASTY})
    assert json.loads(data["dead_letter"]["payload"])["text"] == NASTY, "no JSON for msgspec: kept as text"
    fine = msgspec.structs.replace(ENTRY, letter=msgspec.structs.replace(LETTER, payload=b'{"a":[1]}'))
    assert entry_data(fine)["dead_letter"]["payload"] == {"a": [1]}


def test_what_is_nested_too_deeply_to_be_shown_stands_there_as_text() -> None:
    """Up to a bound it is data; beyond it JSON all the same, for whoever can read that."""
    for levels, deep in ((LEVELS_SHOWN - 1, False), (LEVELS_SHOWN, True), (BOTTOMLESS, True)):
        text = "[" * levels + "]" * levels
        data = f'{{"tree":{text}}}'.encode()
        entry = Entry(KEY, Base(data, {}, 1, 1, 1, 0), Stamp(), [], LETTER)
        entry = msgspec.structs.replace(entry, letter=msgspec.structs.replace(LETTER, payload=data))
        shown = json.loads(json_text(entry_data(entry)))
        for value in (shown["base"]["data"], shown["dead_letter"]["payload"]):
            assert value == (data.decode() if deep else {"tree": nested(levels)})
        assert (entry_text(entry, 80).count(text) == 2) is deep


def test_a_change_that_is_nested_too_deeply_to_be_shown_is_there_as_text() -> None:
    """However deep it is that a journal can be read."""
    for levels in (LEVELS_SHOWN, LEVELS_SHOWN + 1, on_fresh_stack(lambda _: deepest(), None) - 20):
        change = Operation(Kind.SET, "tree", None, nested(levels), Stamp(1, 1))
        (shown,) = json.loads(json_text(entry_data(Entry(KEY, None, Stamp(), [change]))))["operations"]
        deep = levels > LEVELS_SHOWN
        assert shown["value"] == ("[" * levels + "]" * levels if deep else nested(levels))
        assert "[" * levels in entry_text(Entry(KEY, None, Stamp(), [change]), 80)


def test_a_base_that_python_cannot_read_is_shown_as_it_stands() -> None:
    """PostgreSQL knows numbers of more digits than Python does."""
    data = b'{"total":' + b"7" * 5_000 + b"}"
    entry = Entry(KEY, Base(data, {}, 1, 1, 1, 0), Stamp(), [])
    assert entry_data(entry)["base"]["data"] == data.decode()
    assert data.decode() in entry_text(entry, 80)


@given(st.text(st.characters(codec=None)))
def test_any_text_survives_as_json_and_can_be_shown(text: str) -> None:
    """Whatever it holds."""
    assert json.loads(json_text({"text": text, "more": [text]}, indent=2)) == {"text": text, "more": [text]}
    assert escaped(text).isprintable()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "60 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (7_300, "2 h"),
        (200_000, "2 d"),
    ],
)
def test_ages_have_one_unit(seconds: float, words: str) -> None:
    """A glance is enough."""
    assert age(seconds) == words


def test_sizes_have_one_unit() -> None:
    """Likewise."""
    assert [size(number) for number in (0, 999, 36_864, 4_100_000)] == [
        "0 bytes",
        "999 bytes",
        "37 kB",
        "4.1 MB",
    ]
