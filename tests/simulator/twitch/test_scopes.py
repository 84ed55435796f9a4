"""Scopes: reading the parameter, and what a client is shown."""

from __future__ import annotations

from simulator.twitch.credentials import ALL_SCOPES
from simulator.twitch.scopes import KNOWN_SCOPES, parse_scopes, shown_scopes, unknown_scope


def test_scopes_are_separated_by_spaces_or_plus_signs() -> None:
    """Some clients encode the '+' of a query once too often; a scope named twice counts once."""
    assert parse_scopes("chat:read chat:edit") == ("chat:read", "chat:edit")
    assert parse_scopes("chat:read+chat:edit+chat:read") == ("chat:read", "chat:edit")
    assert parse_scopes("") == ()


def test_a_scope_that_twitch_does_not_know_is_found() -> None:
    """The first one is named."""
    assert unknown_scope(("chat:read", "chat:reed", "x")) == "chat:reed"
    assert unknown_scope(("chat:read", "user:bot", "channel:bot")) == ""


def test_a_token_for_everything_shows_the_real_names() -> None:
    """Clients know no '*'."""
    assert shown_scopes((ALL_SCOPES,)) == list(KNOWN_SCOPES)
    assert shown_scopes(("chat:read",)) == ["chat:read"]
    assert len(KNOWN_SCOPES) == len(dict.fromkeys(KNOWN_SCOPES))
