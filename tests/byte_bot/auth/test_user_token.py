"""A token as a value."""

from __future__ import annotations

from byte_bot.auth.user_token import UserToken

TOKEN = UserToken(
    access="accessaccess", login="my_bot", refresh="refreshrefresh", obtained_at=100.0, expires_at=400.0
)


def test_no_text_of_it_shows_a_secret() -> None:
    """Neither repr nor str nor a container's."""
    for text in (repr(TOKEN), str(TOKEN), f"{[TOKEN]}", f"{ {'token': TOKEN} }"):
        assert "my_bot" in text
        assert "accessaccess" not in text
        assert "refreshrefresh" not in text


def test_its_lifetime() -> None:
    """From when it was given to its end."""
    assert TOKEN.lifetime_s == 300.0
