"""Replies of unknown bots: by the message they name, by its number, or by the order in which they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.bench.matching import Asked
from simulator.bench.target_options import expectation_of
from simulator.bench.target_replies import TargetReplies, match_latest


def asked(count: int, expect: str = "pong") -> TargetReplies:
    """So many messages in one channel, one a second from second 1 on."""
    book = TargetReplies(expectation_of(expect))
    for number in range(1, count + 1):
        book.ask(f"id-{number}", "lobby", number, float(number))
    return book


def latencies(book: TargetReplies) -> list[float | None]:
    """Seconds from each message to its reply, None: it has none."""
    return [
        None if one.replied_at is None else round(one.replied_at - one.intended_at, 6)
        for one in book.settle()
    ]


def test_a_reply_that_names_its_message_answers_it() -> None:
    """The tag decides, not the order."""
    book = asked(2)
    assert book.heard("lobby", "pong", "id-2", 3.0) and book.outstanding == 1
    assert book.heard("lobby", "pong", "id-1", 4.0) and book.outstanding == 0
    assert latencies(book) == [3.0, 1.0]


def test_a_number_in_the_reply_answers_its_message() -> None:
    """With {n} the text decides; a number that nobody asked for, or asked for before, answers nothing."""
    book = asked(12, "echo {n}")
    assert book.heard("lobby", "Echo 12!", "", 13.0)
    assert not book.heard("lobby", "echo 12", "", 14.0)
    assert not book.heard("lobby", "echo 99", "", 14.0)
    assert latencies(book) == [None] * 11 + [1.0]
    assert book.strange == 2


def test_a_bot_that_answers_all_is_matched_in_order() -> None:
    """A stall of three seconds is three, two and one second for the messages behind it."""
    book = asked(3)
    for _ in range(3):
        book.heard("lobby", "pong", "", 4.0)
    assert latencies(book) == [3.0, 2.0, 1.0]


def test_messages_left_out_do_not_make_later_ones_late() -> None:
    """After an outage in which nothing was answered every reply belongs to the message just before it."""
    book = TargetReplies(expectation_of("pong"))
    for number in range(1, 7):
        book.ask(f"id-{number}", "lobby", number, float(number))
        if number not in (2, 3):
            book.heard("lobby", "pong", "", number + 0.25)
    assert latencies(book) == [0.25, None, None, 0.25, 0.25, 0.25]


def test_a_second_text_for_a_command_answers_nothing() -> None:
    """A bot that says two things for each command is neither faster nor slower for it."""
    book = TargetReplies(expectation_of("pong"))
    for number in range(1, 4):
        book.ask(f"id-{number}", "lobby", number, float(number))
        book.heard("lobby", "pong", "", number + 0.1)
        book.heard("lobby", "pong pong", "", number + 0.2)
    assert latencies(book) == [0.1, 0.1, 0.1]
    assert book.strange == 3


def test_other_texts_and_other_channels_answer_nothing() -> None:
    """What was not expected, or was said elsewhere, is counted and no reply."""
    book = asked(1)
    assert not book.heard("lobby", "what?", "", 2.0)
    assert not book.heard("arcade", "pong", "", 2.0)
    assert latencies(book) == [None]
    assert book.strange == 2


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=30))
def test_as_many_messages_are_answered_as_there_were_replies(delays: list[tuple[float, bool]]) -> None:
    """Whatever was left out and however late: no reply precedes its message, none is wasted, and order is kept."""
    messages = [Asked(float(number), True) for number in range(len(delays))]
    replies = sorted(number + delay for number, (delay, is_answered) in enumerate(delays) if is_answered)
    match_latest(messages, replies)
    matched = [one for one in messages if one.replied_at is not None]
    assert len(matched) == len(replies)
    assert all(one.replied_at is not None and one.replied_at >= one.intended_at for one in matched)
    assert [one.replied_at for one in matched] == replies
