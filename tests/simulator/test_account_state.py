"""What is confirmed about games, notes, quotes and commands is believed, and what stays open may be either way."""

from __future__ import annotations

import pytest

from simulator.account import Account
from simulator.account_state import Range
from simulator.twitch.events import SentMessage


def talk(*lines: tuple[str, str | None], channel: str = "lobby") -> Account:
    """Wishes in the order they were said, with the bot's replies, None where there was none."""
    account = Account()
    for number, (wish, _) in enumerate(lines):
        account.said(SentMessage(0.0, channel, "mod", wish, "", f"m{number}"))
    for number, (_, reply) in enumerate(lines):
        if reply is not None:
            account.replied(SentMessage(0.1, channel, "byte_bot", reply, f"m{number}", f"r{number}"))
    return account


@pytest.mark.parametrize(
    ("wish", "reply", "key", "value"),
    [
        ("!game Celeste", "Game: Celeste", ("game", ""), "Celeste"),
        ("!GAME  Hollow Knight ", "@mod Jogo: Hollow Knight \u034f", ("game", ""), "Hollow Knight"),
        ("!game -", "No game is set.", ("game", ""), ""),
        ("!vibe calm", "Vibe: calm", ("vibe", ""), "calm"),
        ("!vibe clear", "Nenhum clima definido.", ("vibe", ""), ""),
        ("!style dry", "Estilo: dry", ("style", ""), "dry"),
        ("!scene movie Alien", "On screen: movie: Alien", ("scene", "movie"), "Alien"),
        ("!scene movie -", "Na tela: nada em filme, que eu saiba.", ("scene", "movie"), ""),
        ("!cmd add Hug {user} hugs", "The command !hug is ready.", ("cmd", "hug"), "{user} hugs"),
        ("!cmd add !hug hi", "O comando !hug está pronto.", ("cmd", "hug"), "hi"),
        ("!cmd edit hug hey", "The command !hug is changed.", ("cmd", "hug"), "hey"),
        ("!cmd del hug", "The command !hug is gone. \u034f\u034f", ("cmd", "hug"), ""),
        ("!cmd del hug", "There is no command !hug of this channel's own.", ("cmd", "hug"), ""),
        ("!cmd del !hug", "@mod Este canal não tem um comando !hug.", ("cmd", "hug"), ""),
    ],
)
def test_a_confirmed_value_is_believed(wish: str, reply: str, key: tuple[str, str], value: str) -> None:
    """In both languages, with or without the invisible mark; "" where something was taken away."""
    state = talk((wish, reply)).state
    assert state.values() == {("lobby", *key): {value}}
    assert state.confirmed == 1


def test_a_value_may_be_the_last_confirmed_one_or_what_was_wished_after_it() -> None:
    """An open wish before the last confirmed one was replaced whatever became of it; a refused one never happened."""
    state = talk(
        ("!game First", None),
        ("!game Second", "Game: Second"),
        ("!game Third", None),
        ("!game Fourth", "That is too long: at most 400 characters."),
    ).state
    assert state.values() == {("lobby", "game", ""): {"Second", "Third"}}


@pytest.mark.parametrize(
    ("wish", "reply"),
    [
        ("!game", "Game: Celeste"),
        ("!game Celeste", None),
        ("!cmd add hug hi", "The command !hug exists already: change it with !cmd edit hug TEXT"),
        ("!cmd list", "Commands of this channel: !hug"),
        ("!scene movie", "On screen: movie: Alien"),
        ("!note list", "Notes: 1) it is kept."),
        ("!note add x", "There are 50 notes already, and that is the most: remove one with !note del N"),
        ("!quote 3", "Quote 3: it is kept."),
        ("!quote del 3", "There is no quote 3."),
        ("hello", "Game: Celeste"),
    ],
)
def test_questions_refusals_and_silence_say_nothing(wish: str, reply: str | None) -> None:
    """What was there before is not known, and only a confirmation makes it known."""
    state = talk((wish, reply)).state
    assert (state.values(), state.entries(), state.confirmed) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("wish", "reply", "taking", "none_there", "key"),
    [
        ("!game Celeste", "Game: Celeste", "!game -", "No game is set.", ("game", "")),
        (
            "!cmd add hug hi",
            "The command !hug is ready.",
            "!cmd del hug",
            "There is no command !hug of this channel's own.",
            ("cmd", "hug"),
        ),
    ],
)
def test_who_takes_away_what_the_process_has_lost_takes_it_away(
    wish: str, reply: str, taking: str, none_there: str, key: tuple[str, str]
) -> None:
    """The machine's power went, and with it what the database has already: who is told that there is none must find none."""
    account = talk((wish, reply), (taking, none_there))
    account.lose(["m0"])
    assert account.state.values() == {("lobby", *key): {""}}


@pytest.mark.parametrize(
    ("subject", "kept"), [("note", "Note {} is kept."), ("quote", "A citação {} foi guardada.")]
)
def test_entries_are_counted_by_their_text(subject: str, kept: str) -> None:
    """The same text twice is two entries; one that was wished and not confirmed may be a third."""
    state = talk(
        (f"!{subject} add tea", kept.format(1)),
        (f"!{subject} add tea", kept.format(2)),
        (f"!{subject} add tea", None),
        (f"!{subject} add cake", None),
    ).state
    assert state.entries() == {("lobby", subject, "tea"): Range(2, 3)}


def test_a_deleted_note_is_the_one_at_its_place() -> None:
    """The numbers of those after it change with it."""
    state = talk(
        ("!note add a", "Note 1 is kept."),
        ("!note add b", "Note 2 is kept."),
        ("!note add c", "Note 3 is kept."),
        ("!note del 1", "Note 1 is gone."),
        ("!note del #2", "A nota 2 foi apagada."),
    ).state
    assert {text: found for (_, _, text), found in state.entries().items()} == {
        "a": (0, 0),
        "b": (1, 1),
        "c": (0, 0),
    }


def test_a_deleted_quote_is_the_one_that_got_the_number() -> None:
    """Quotes keep their numbers for life."""
    state = talk(
        ("!quote add a", "Quote 4 is kept."),
        ("!quote add b", "Quote 5 is kept."),
        ("!quote del 4", "Quote 4 is gone."),
        ("!quote del 7", "Quote 7 is gone."),
    ).state
    assert state.entries() == {("lobby", "quote", "a"): (0, 0), ("lobby", "quote", "b"): (1, 1)}


def test_cleared_notes_are_gone() -> None:
    """All that were there, in either language; later ones are counted again from the first place."""
    state = talk(
        ("!note add a", "Note 1 is kept."),
        ("!note clear", "Todas as notas foram apagadas (1)."),
        ("!note add b", "Note 1 is kept."),
        ("!note del 1", "Note 1 is gone."),
    ).state
    assert state.entries() == {("lobby", "note", "a"): (0, 0), ("lobby", "note", "b"): (0, 0)}


@pytest.mark.parametrize("overtaking", [False, True])
def test_cleared_notes_are_gone_whatever_number_is_told(overtaking: bool) -> None:
    """The bot did not know of them, or of more. Only what may have been heard later may be there."""
    account = talk(
        ("!note add a", "Note 3 is kept."), ("!note add b", None), ("!note clear", "All notes are gone (0).")
    )
    account.state.overtaking = overtaking
    account.said(SentMessage(1.0, "lobby", "mod", "!note add b", "", "later"))
    account.replied(SentMessage(1.1, "lobby", "byte_bot", "Note 1 is kept.", "later", "r-later"))
    assert account.state.entries() == {
        ("lobby", "note", "a"): (0, 0),
        ("lobby", "note", "b"): (1, 2 if overtaking else 1),
    }


@pytest.mark.parametrize("deletion", ["!note del 1", "!note clear"])
def test_after_an_open_deletion_every_note_may_be_gone(deletion: str) -> None:
    """Its reply was lost: it may have been made."""
    state = talk(("!note add a", "Note 1 is kept."), (deletion, None)).state
    assert state.entries() == {("lobby", "note", "a"): (0, 1)}


def test_a_number_told_over_open_entries_may_mean_any_of_them() -> None:
    """Whether there is a note before it is not known, so neither is which is the first."""
    state = talk(
        ("!note add a", None), ("!note add b", "Note 2 is kept."), ("!note del 1", "Note 1 is gone.")
    ).state
    assert state.entries() == {("lobby", "note", "b"): (0, 1)}


def test_two_quotes_of_one_number_may_each_be_the_deleted_one() -> None:
    """They met in a late load."""
    state = talk(
        ("!quote add a", "Quote 1 is kept."),
        ("!quote add b", "Quote 1 is kept."),
        ("!quote del 1", "Quote 1 is gone."),
    ).state
    assert set(state.entries().values()) == {(0, 1)}


def test_the_order_of_chat_counts_and_not_that_of_the_replies() -> None:
    """A reply that comes late does not make its wish newer."""
    account = Account()
    for number, game in enumerate(("Old", "New")):
        account.said(SentMessage(0.0, "lobby", "mod", f"!game {game}", "", f"m{number}"))
    for number, game in ((1, "New"), (0, "Old")):
        account.replied(SentMessage(0.1, "lobby", "byte_bot", f"Game: {game}", f"m{number}", ""))
    assert account.state.values() == {("lobby", "game", ""): {"New"}}


def test_where_messages_are_overtaken_the_order_of_the_replies_counts() -> None:
    """The bot answers in the order in which it heard; what is open may have been heard last, and have taken a note away."""
    account = Account()
    account.state.overtaking = True
    said = (
        ("lobby", "!game First"),
        ("lobby", "!game Open"),
        ("lobby", "!game Second"),
        ("other", "!game Elsewhere"),
        ("lobby", "!note del 1"),
        ("lobby", "!note add milk"),
        ("lobby", "!vibe calm"),
    )
    for number, (channel, text) in enumerate(said):
        account.said(SentMessage(0.0, channel, "mod", text, "", f"m{number}"))
    replies = {
        3: "Game: Elsewhere",
        2: "Game: Second",
        0: "Game: First",
        5: "Note 1 is kept.",
        6: "Vibe: calm",
    }
    for number, reply in replies.items():
        account.replied(SentMessage(0.1, said[number][0], "byte_bot", reply, f"m{number}", f"r{number}"))
    assert account.state.values() == {
        ("lobby", "game", ""): {"First", "Open"},
        ("other", "game", ""): {"Elsewhere"},
        ("lobby", "vibe", ""): {"calm"},
    }
    assert account.state.entries() == {("lobby", "note", "milk"): Range(0, 1)}


def test_a_confirmed_value_that_is_taken_back_may_be_there_or_not() -> None:
    """Then the one before it may be there as well; what was refused stays refused."""
    account = Account()
    for number, (text, reply) in enumerate(
        (("!game Chess", "Game: Chess"), ("!game Go", "Game: Go"), ("!note add milk", "Notes are full.")),
        start=1,
    ):
        account.said(SentMessage(0.0, "lobby", "mod", text, "", f"m{number}"))
        account.replied(SentMessage(0.1, "lobby", "byte_bot", reply, f"m{number}", ""))
    assert account.state.values() == {("lobby", "game", ""): frozenset({"Go"})}
    account.take_back(["m2", "m3"])
    assert account.state.values() == {("lobby", "game", ""): frozenset({"Chess", "Go"})}
    assert account.state.entries() == {}


def test_an_entry_that_two_processes_made_may_be_there_twice_or_not_at_all() -> None:
    """Beside one of the same words that is certain; what the bot refused is made by nobody."""
    account = talk(
        ("!quote add words", "Quote 1 is kept."),
        ("!quote add words", "Quote 2 is kept."),
        ("!quote add more", "Quotes are full."),
    )
    account.may_be_made_twice("m1")
    account.may_be_made_twice("m2")
    account.may_be_made_twice("m9")
    assert account.state.entries() == {("lobby", "quote", "words"): Range(1, 3)}
    assert account.state.wished_in() == {"m0": "lobby"}
