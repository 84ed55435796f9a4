"""The account believes what the bot confirms in chat, and nothing else."""

from __future__ import annotations

import pytest

from simulator.account import Account
from simulator.twitch.events import SentMessage


def wish(account: Account, text: str, message_id: str = "m1", channel: str = "lobby") -> None:
    """A moderator says something."""
    account.said(SentMessage(0.0, channel, "mod", text, "", message_id))


def confirm(account: Account, text: str, to: str = "m1", channel: str = "lobby") -> None:
    """The bot replies."""
    account.replied(SentMessage(0.1, channel, "byte_bot", text, to, "r1"))


@pytest.mark.parametrize(
    ("text", "reply", "value"),
    [
        ("!count deaths +2", "deaths: 12", 12),
        ("!count deaths -3", "@mod deaths: 7", 7),
        ("!count Deaths =5", "deaths: 5 \u034f", 5),
        ("!COUNT deaths + 1", "deaths: 11", 11),
    ],
)
def test_a_confirmed_change_counts(text: str, reply: str, value: int) -> None:
    """Sums, differences and absolute values, however they are written."""
    account = Account()
    account.open_with("lobby", "deaths", 10)
    wish(account, text)
    confirm(account, reply)
    assert account.counters["lobby", "deaths"] == value
    assert account.range_of("lobby", "deaths") == (value, value)
    assert (account.confirmed, account.told["lobby", "deaths"]) == (1, value)


def test_an_unconfirmed_change_may_have_happened_or_not() -> None:
    """Its reply may have been lost on its way: the value lies in a range."""
    account = Account()
    wish(account, "!count deaths +2", "m1")
    wish(account, "!count deaths -1", "m2")
    assert account.counters == {}
    assert account.range_of("lobby", "deaths") == (-1, 2)
    assert account.range_of("arcade", "deaths") == (0, 0)


def test_after_an_unconfirmed_absolute_value_nothing_can_be_said() -> None:
    """It may have discarded everything before it."""
    account = Account()
    wish(account, "!count deaths =5")
    assert account.range_of("lobby", "deaths") is None


@pytest.mark.parametrize(
    "reply",
    [
        "The counter deaths is gone (it was at 10).",
        "@mod O contador deaths foi apagado (estava em 10).",
        # The bot did not know of it: whoever is told so must find none all the same.
        "There is no counter called deaths.",
        "@mod Não existe um contador chamado deaths.",
    ],
)
def test_a_removed_counter_starts_anew(reply: str) -> None:
    """In either language; until it is confirmed nothing can be said."""
    account = Account()
    account.open_with("lobby", "deaths", 10)
    wish(account, "!count Deaths del")
    assert account.range_of("lobby", "deaths") is None
    confirm(account, reply)
    assert account.range_of("lobby", "deaths") == (0, 0)


def test_a_removal_that_is_answered_otherwise_removes_nothing() -> None:
    """What the bot says instead settles the wish."""
    account = Account()
    account.open_with("lobby", "deaths", 10)
    wish(account, "!count deaths del")
    confirm(account, "A counter's name has 1 to 30 letters or digits, - and _, and no spaces.")
    assert account.range_of("lobby", "deaths") == (10, 10)


@pytest.mark.parametrize("text", ["!ping", "!count deaths", "hello", "!count deaths delete"])
def test_other_talk_is_no_wish(text: str) -> None:
    """Nothing but a change of a counter is followed."""
    account = Account()
    wish(account, text)
    confirm(account, "deaths: 1")
    assert account.counters == {} and account.confirmed == 0


def test_a_reply_to_another_message_or_an_excuse_confirms_nothing() -> None:
    """Only the answer to the very message, and only one that names the value."""
    account = Account()
    wish(account, "!count deaths +1")
    confirm(account, "deaths: 1", to="other")
    confirm(account, "There are 200 counters already.")
    assert account.confirmed == 0
    confirm(account, "deaths: 1")
    confirm(account, "deaths: 1")
    assert account.counters["lobby", "deaths"] == 1, "a second reply to the same message adds nothing"


def test_channels_have_counters_of_their_own() -> None:
    """The same name in two channels is two counters."""
    account = Account()
    for number, channel in enumerate(("lobby", "arcade"), start=1):
        wish(account, f"!count deaths +{number}", channel, channel)
        confirm(account, f"deaths: {number}", channel, channel)
    assert account.counters == {("lobby", "deaths"): 1, ("arcade", "deaths"): 2}


def test_what_is_no_number_is_followed_too() -> None:
    """Games, notes, quotes and commands; they do not count as changes of counters."""
    account = Account()
    wish(account, "!game Celeste")
    confirm(account, "Game: Celeste")
    wish(account, "!quote add so close", "m2")
    confirm(account, "Quote 1 is kept.", to="m2")
    assert account.state.values() == {("lobby", "game", ""): {"Celeste"}}
    assert account.state.entries() == {("lobby", "quote", "so close"): (1, 1)}
    assert (account.confirmed, account.state.confirmed) == (0, 2)


def test_what_is_taken_back_may_have_happened_or_not() -> None:
    """Sums leave a range; of other messages nothing is taken back, and what was never confirmed stays as it is."""
    account = Account()
    for number, text in enumerate(("!count deaths +2", "!count deaths -1", "!count deaths +5"), start=1):
        wish(account, text, f"m{number}")
        confirm(account, "deaths: 1", f"m{number}")
    assert account.range_of("lobby", "deaths") == (6, 6)
    account.take_back(["m1", "m2", "m2", "m9"])
    assert account.range_of("lobby", "deaths") == (4, 7)


def test_after_an_absolute_value_was_taken_back_nothing_can_be_said() -> None:
    """It may have discarded everything before it."""
    account = Account()
    wish(account, "!count deaths =5")
    confirm(account, "deaths: 5")
    account.take_back(["m1"])
    assert account.range_of("lobby", "deaths") is None


def test_a_sum_that_may_count_again_widens_the_range() -> None:
    """By its own size, in its own direction, for its own counter."""
    account = Account()
    account.open_with("lobby", "deaths", 10)
    account.may_count_again("lobby", "deaths", 3)
    account.may_count_again("lobby", "deaths", -1)
    assert account.range_of("lobby", "deaths") == (9, 13)
    assert account.range_of("lobby", "wins") == (0, 0)


def test_an_ungated_confirmation_is_remembered_until_it_is_taken_back() -> None:
    """Whether it has to be is known only when the bot dies."""
    account = Account()
    wish(account, "!count deaths +1")
    account.replied(SentMessage(0.1, "lobby", "byte_bot", "deaths: 1", "m1", "r1"), ungated=True)
    assert list(account.ungated) == ["m1"]
    account.take_back(account.ungated)
    assert list(account.ungated) == []
    assert account.range_of("lobby", "deaths") == (0, 1)


def test_a_message_that_is_delivered_again_wishes_nothing_new() -> None:
    """Also if the bot confirms it once more."""
    account = Account()
    for _ in range(2):
        wish(account, "!count deaths +1")
        confirm(account, "deaths: 1")
    assert account.range_of("lobby", "deaths") == (1, 1)


def test_what_is_forsaken_is_taken_back_for_good() -> None:
    """Of the messages that are named, also if the reply to one was still on its way; all others stay certain."""
    account = Account()
    for number, message_id in enumerate(("m1", "m2", "m3")):
        wish(account, "!count deaths +1", message_id)
        if message_id != "m3":
            confirm(account, f"deaths: {number + 1}", to=message_id)
    account.forsake(lambda message_id, channel: (message_id, channel) != ("m1", "lobby"))
    confirm(account, "deaths: 3", to="m3")
    assert account.range_of("lobby", "deaths") == (1, 3)
    assert list(account.forsaken) == ["m3", "m2"]


def test_what_two_processes_made_may_be_there_twice_or_not_at_all() -> None:
    """A sum by its own size; of an absolute value nothing can be said."""
    account = Account()
    for message_id, text, reply in (
        ("m1", "!count deaths +5", "deaths: 5"),
        ("m2", "!count wins =3", "wins: 3"),
    ):
        wish(account, text, message_id)
        confirm(account, reply, to=message_id)
        account.may_be_made_twice(message_id)
    assert account.range_of("lobby", "deaths") == (0, 10)
    assert account.range_of("lobby", "wins") is None
