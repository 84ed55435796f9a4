"""Twitch's rate limits, on a clock that the tests move."""

from __future__ import annotations

import pytest

from simulator.twitch.limits import AccountLimiter, LimitBook, MessageVerdict, SlidingWindow, TwitchLimits

ACCEPTED, OVER, IGNORED = MessageVerdict.ACCEPTED, MessageVerdict.OVER_LIMIT, MessageVerdict.IGNORED


def limiter(*, verified: bool = False) -> AccountLimiter:
    return AccountLimiter(TwitchLimits(), verified=verified)


def test_a_window_takes_its_limit_and_frees_a_place_when_the_first_event_leaves() -> None:
    """20 in 10 seconds: the 21st waits until second 10 exactly."""
    window = SlidingWindow(20, 10.0)
    assert [window.take(0.1 * n) for n in range(20)] == [True] * 20
    assert not window.take(9.99)
    assert window.take(10.0)
    assert not window.take(10.05)


def test_joins_and_logins_have_the_documented_limits_per_tier() -> None:
    """20 logins and 20 joins in 10 s; verified bots 200 and 2,000."""
    normal, verified = limiter(), limiter(verified=True)
    assert sum(normal.take_join(0.0) for _ in range(3_000)) == 20
    assert sum(normal.take_auth(0.0) for _ in range(3_000)) == 20
    assert sum(verified.take_join(0.0) for _ in range(3_000)) == 2_000
    assert sum(verified.take_auth(0.0) for _ in range(3_000)) == 200


def test_the_21st_message_is_dropped_and_the_account_ignored_for_half_an_hour() -> None:
    """Over 20 in 30 s nothing unprivileged goes through until the penalty is over."""
    account = limiter()
    assert [account.take_message(1.0) for _ in range(22)] == [ACCEPTED] * 20 + [OVER, IGNORED]
    assert account.take_message(1_800.0) is IGNORED
    assert account.take_privileged_message(1_800.0) is ACCEPTED
    assert account.take_message(1_801.0) is ACCEPTED


def test_privileged_messages_have_100_and_count_against_the_20() -> None:
    """20 messages as moderator leave nothing for a channel without privilege, but 80 more as moderator."""
    account = limiter()
    assert [account.take_privileged_message(0.0) for _ in range(20)] == [ACCEPTED] * 20
    assert [account.take_privileged_message(0.0) for _ in range(81)] == [ACCEPTED] * 80 + [OVER]
    assert account.take_message(29.9) is IGNORED
    fresh = limiter()
    for _ in range(20):
        fresh.take_privileged_message(0.0)
    assert fresh.take_message(29.9) is OVER


def test_a_verified_bot_may_send_7500_in_30_seconds() -> None:
    """The verified tier replaces both numbers."""
    account = limiter(verified=True)
    assert sum(account.take_message(0.0) is ACCEPTED for _ in range(8_000)) == 7_500


@pytest.mark.parametrize(
    ("text", "at_s", "privileged", "verdict"),
    [
        ("other", 0.99, False, MessageVerdict.TOO_FAST),
        ("other", 1.0, False, ACCEPTED),
        ("other", 0.0, True, ACCEPTED),
        ("same", 29.99, False, MessageVerdict.DUPLICATE),
        ("same", 30.0, False, ACCEPTED),
        ("same", 1.0, True, ACCEPTED),
    ],
)
def test_interval_and_duplicates_are_per_channel_and_spare_the_privileged(
    text: str, at_s: float, privileged: bool, verdict: MessageVerdict
) -> None:
    """One second between messages, 30 between equal ones; another channel is not concerned."""
    account = limiter()
    account.delivered("alice", "same", 0.0)
    assert account.check_text("alice", text, at_s, privileged=privileged) is verdict
    assert account.check_text("bob", text, at_s, privileged=False) is ACCEPTED


def test_silence_is_measured_from_the_last_delivered_message() -> None:
    """Slow mode asks how long ago the account last spoke; never is infinitely long ago."""
    account = limiter()
    assert account.silence_s("alice", 5.0) == float("inf")
    account.delivered("alice", "x", 5.0)
    assert account.silence_s("alice", 7.5) == 2.5


def test_an_account_has_one_limiter_whatever_connection_asks() -> None:
    """Limits are per account."""
    book = LimitBook(TwitchLimits(messages_max=1))
    assert book.account("1").take_message(0.0) is ACCEPTED
    assert book.account("1").take_message(0.0) is OVER
    assert book.account("2").take_message(0.0) is ACCEPTED


def test_a_book_that_forgets_counts_anew() -> None:
    """As on a Twitch that has just started."""
    book = LimitBook()
    while book.account("1").take_join(0.0):
        pass
    book.forget()
    assert book.account("1").take_join(0.0)
