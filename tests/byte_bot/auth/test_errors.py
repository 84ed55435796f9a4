"""The errors' tree."""

from __future__ import annotations

from byte_bot.auth.errors import AuthError, OAuthUnavailable
from byte_bot.errors import ByteBotError


def test_a_server_s_wish_to_wait_travels_with_the_error() -> None:
    """None if it had none."""
    assert OAuthUnavailable("x", 5.0).retry_after_s == 5.0
    assert OAuthUnavailable("x").retry_after_s is None
    assert issubclass(OAuthUnavailable, AuthError)
    assert issubclass(AuthError, ByteBotError)
