"""Apps and tokens: expiry, refresh with rotation, revocation, scopes."""

from __future__ import annotations

import random

import pytest

from simulator.twitch.credentials import ALL_SCOPES, DEFAULT_CLIENT_ID, CredentialBook
from tests.simulator.twitch.rig import Clock


def book(clock: Clock) -> CredentialBook:
    return CredentialBook(lambda: clock.now_s, random.Random(1))


def test_a_token_is_valid_until_it_expires() -> None:
    """A token works up to its lifetime, and not at its end."""
    clock = Clock()
    credentials = book(clock)
    token = credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:read",), lifetime_s=10.0)
    clock.now_s = 9.9
    assert credentials.valid(token.access) == token
    clock.now_s = 10.0
    assert credentials.valid(token.access) is None


def test_refreshing_gives_a_new_pair_and_uses_the_old_refresh_token_up() -> None:
    """The scopes stay; the refresh token that was sent does not work a second time, nor for another app."""
    credentials = book(Clock())
    other = credentials.add_app("other")
    first = credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:read", "chat:edit"))
    assert credentials.refresh(other.client_id, first.refresh) is None
    second = credentials.refresh(DEFAULT_CLIENT_ID, first.refresh)
    assert second is not None
    assert second.scopes == first.scopes
    assert (second.access, second.refresh) != (first.access, first.refresh)
    assert credentials.refresh(DEFAULT_CLIENT_ID, first.refresh) is None
    assert credentials.valid(first.access) == first  # an access token lives on after the refresh


def test_an_expired_token_can_still_be_refreshed() -> None:
    """Expiry ends the access token only."""
    credentials = book(Clock())
    token = credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:read",))
    credentials.expire(token.access)
    assert credentials.valid(token.access) is None
    assert credentials.refresh(DEFAULT_CLIENT_ID, token.refresh) is not None


def test_disconnecting_an_app_ends_every_token_of_the_pair_and_tells_the_observers() -> None:
    """Another account's token of the same app stays."""
    credentials = book(Clock())
    heard: list[tuple[str, str]] = []
    stop = credentials.on_revoked(lambda client_id, login: heard.append((client_id, login)))
    first = credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:read",))
    second = credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:edit",))
    other = credentials.issue_user(DEFAULT_CLIENT_ID, "alice", ("chat:read",))
    assert credentials.granted(DEFAULT_CLIENT_ID, "bot", "chat:edit")
    assert credentials.disconnect(DEFAULT_CLIENT_ID, "bot") == 2
    assert [credentials.valid(one.access) for one in (first, second, other)] == [None, None, other]
    assert credentials.refresh(DEFAULT_CLIENT_ID, first.refresh) is None
    assert not credentials.granted(DEFAULT_CLIENT_ID, "bot", "chat:edit")
    stop()
    credentials.disconnect(DEFAULT_CLIENT_ID, "alice")
    assert heard == [(DEFAULT_CLIENT_ID, "bot")]


def test_a_consent_outlives_its_tokens_and_ends_with_the_connection() -> None:
    """Neither revoking the only token nor letting it run out takes back what was granted; disconnecting does."""
    clock = Clock()
    credentials = book(clock)
    token = credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("user:bot",), lifetime_s=10.0)
    credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:read",), lifetime_s=10.0)
    credentials.revoke(token.access)
    clock.now_s = 10.0
    assert credentials.granted(DEFAULT_CLIENT_ID, "bot", "user:bot")
    assert credentials.granted(DEFAULT_CLIENT_ID, "bot")
    assert not credentials.granted(DEFAULT_CLIENT_ID, "bot", "user:read:chat")
    credentials.disconnect(DEFAULT_CLIENT_ID, "bot")
    assert not credentials.granted(DEFAULT_CLIENT_ID, "bot")


def test_an_app_token_belongs_to_nobody_and_has_no_refresh_token() -> None:
    """Client credentials give no user."""
    credentials = book(Clock())
    token = credentials.issue_app(DEFAULT_CLIENT_ID)
    assert (token.kind, token.login, token.refresh, token.scopes) == ("app", "", "", ())


@pytest.mark.parametrize(
    ("scopes", "asked", "held"),
    [
        (("a", "b"), ("b",), True),
        (("a",), ("b", "a"), True),
        (("a",), ("b",), False),
        ((ALL_SCOPES,), ("b",), True),
    ],
)
def test_one_of_the_scopes_asked_for_is_enough(
    scopes: tuple[str, ...], asked: tuple[str, ...], held: bool
) -> None:
    """`has_scope` takes alternatives, as Twitch's reference gives them."""
    token = book(Clock()).issue_user(DEFAULT_CLIENT_ID, "bot", scopes)
    assert token.has_scope(*asked) is held
