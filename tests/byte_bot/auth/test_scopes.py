"""Which scopes are asked for, and what is said about missing ones."""

from __future__ import annotations

from byte_bot.auth.scopes import in_words, missing_extras, missing_scopes, wanted_scopes


def test_a_login_asks_for_what_both_transports_need() -> None:
    """In order, each once; another chat mode needs no new login."""
    assert wanted_scopes() == (
        "chat:edit",
        "chat:read",
        "moderator:read:followers",
        "user:bot",
        "user:read:chat",
        "user:read:moderated_channels",
        "user:write:chat",
    )
    for mode in ("irc", "eventsub"):
        assert missing_scopes(wanted_scopes(), mode) == missing_extras(wanted_scopes(), mode) == {}


def test_what_is_missing_is_said_with_what_does_not_work() -> None:
    """Only what the mode needs."""
    assert in_words(missing_scopes(("chat:read",), "irc")) == "chat:edit (the bot can say nothing)"
    assert list(missing_scopes(("user:bot", "chat:edit"), "eventsub")) == [
        "user:read:chat",
        "user:write:chat",
    ]
    assert missing_extras((), "irc") == {}
    assert "moderator:read:followers" in missing_extras((), "eventsub")
