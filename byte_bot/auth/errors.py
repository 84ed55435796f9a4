"""The errors of ``byte_bot.auth``, split by what the caller can do about them.

::

    ByteBotError
    └── AuthError
        ├── OAuthUnavailable   try again later: transport, 408, 429, 5xx, an answer that is none
        ├── TokenRefused       ask the account again: `byte-bot login`
        ├── ClientRefused      correct TWITCH_CLIENT_ID or TWITCH_CLIENT_SECRET
        ├── LoginFailed        start `byte-bot login` again: denied, too late, or the wrong account
        ├── TokenFileRefused   correct the file: its modes, its contents, its place
        └── TokenFileBusy      try again: another process is at the file

No message holds a token: what a server says is quoted only after what was sent to it has been taken out.
"""

from __future__ import annotations

from byte_bot.errors import ByteBotError


class AuthError(ByteBotError):
    """Root of everything that goes wrong between the bot and its token."""


class OAuthUnavailable(AuthError):
    """Twitch's authorization server could not be asked.

    Args:
        words: what happened.
        retry_after_s: seconds that the server asked to wait; None if it did not.
    """

    def __init__(self, words: str, retry_after_s: float | None = None) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


class TokenRefused(AuthError):
    """Twitch does not accept the access or refresh token (any more)."""


class ClientRefused(AuthError):
    """Twitch does not know the application, its secret is wrong, or it may not do this."""


class LoginFailed(AuthError):
    """``byte-bot login`` got no token that the bot can use; the message says why."""


class TokenFileRefused(AuthError):
    """The token's file cannot or must not be used; the message names it and has the way out."""


class TokenFileBusy(AuthError):
    """Another process has held the token's file for longer than a refresh takes."""
