"""Complaints: said at once, when it gets worse, then every hour, until they are settled."""

from __future__ import annotations

from structlog.testing import capture_logs

from byte_bot.auth.complaint import Complaints, until
from byte_bot.auth.user_token import UserToken

TOKEN = UserToken(access="a", login="my_bot", expires_at=1_767_268_800.0)


def test_a_complaint_is_repeated_every_hour() -> None:
    """However often it is made in between."""
    with capture_logs() as lines:
        complaints = Complaints(3_600)
        for now in range(0, 7_300, 100):
            complaints.make("token", "it is refused", "log in")
            complaints.say(float(now), None)
    assert [line["why"] for line in lines] == ["it is refused"] * 3
    assert lines[0]["what_to_do"] == "log in"
    assert lines[0]["what_it_means"] == "the bot waits for a new token"
    assert complaints


def test_a_new_reason_and_a_worse_state_are_news() -> None:
    """Another reason replaces the first; that the old token has run out too is said."""
    with capture_logs() as lines:
        complaints = Complaints(3_600)
        complaints.make("token", "one", "x")
        complaints.say(0, TOKEN)
        complaints.make("token", "two", "x")
        complaints.say(1, TOKEN)
        complaints.say(2, None)
    assert [line["why"] for line in lines] == ["one", "two", "two"]
    assert lines[1]["what_it_means"] == "the bot goes on until 2026-01-01T12:00:00.000000+00:00"


def test_each_subject_is_settled_by_itself() -> None:
    """A line says so, once, and only if there was a complaint."""
    complaints = Complaints(3_600)
    complaints.make("file", "one", "x")
    complaints.make("token", "two", "x")
    with capture_logs() as lines:
        complaints.settle("file")
        complaints.settle("file", "application")
        assert complaints
        complaints.settle("token")
        assert not complaints
    assert [line["settled"] for line in lines] == ["file", "token"]


def test_the_end_of_a_token_in_words() -> None:
    """One that never expires lasts until it is refused."""
    assert until(UserToken(access="a", login="b")) == "Twitch refuses its token"
