"""The errors of ``byte_bot.chat``, split by what the caller can do about them.

::

    ByteBotError
    └── ChatError
        ├── NotConnected      wait for the connection, then send the same message again: nothing was written
        ├── SendUnconfirmed   do not send again: the bytes may or may not have reached Twitch
        ├── LoginRejected     give up and tell a human: the token or the login is wrong
        └── IrcLineError      skip the line: it cannot be read, or would not be one line when written
"""

from __future__ import annotations

from byte_bot.errors import ByteBotError


class ChatError(ByteBotError):
    """Root of everything that goes wrong between the bot and Twitch's chat."""


class NotConnected(ChatError):
    """There is no logged-in connection now; nothing was written, so the message may be sent again later."""


class SendUnconfirmed(ChatError):
    """The connection broke while the message was being written; sending it again could say it twice."""


class LoginRejected(ChatError):
    """Twitch refused the token or the login. Trying again with the same ones never helps.

    Args:
        login: the account that was refused.
        words: Twitch's own words, e.g. ``Login authentication failed``.
    """

    def __init__(self, login: str, words: str) -> None:
        super().__init__(
            f"Twitch refused to log in {login!r}: {words!r}. Make a new user token for this account with the "
            "scopes chat:read and chat:edit and set it as TWITCH_TOKEN."
        )
        self.login = login
        self.words = words


class IrcLineError(ChatError):
    """One line of IRC that cannot be read or must not be written; it never ends the connection."""
