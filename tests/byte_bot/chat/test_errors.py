"""Chat errors tell the caller what to do."""

from __future__ import annotations

import pytest

from byte_bot.chat.errors import ChatError, IrcLineError, LoginRejected, NotConnected, SendUnconfirmed
from byte_bot.errors import ByteBotError


@pytest.mark.parametrize("error", [IrcLineError, LoginRejected, NotConnected, SendUnconfirmed])
def test_every_chat_error_is_a_byte_bot_error(error: type[Exception]) -> None:
    """One ``except ByteBotError`` at a supervisor catches them all."""
    assert issubclass(error, ChatError)
    assert issubclass(error, ByteBotError)


def test_login_rejected_names_the_account_twitchs_words_and_the_way_out() -> None:
    """Whoever reads the message knows which account failed, why, and which setting to change."""
    text = str(LoginRejected("byte_bot", "Login authentication failed"))
    assert "byte_bot" in text
    assert "Login authentication failed" in text
    assert "TWITCH_TOKEN" in text
