"""The errors of ``byte_bot.chat``, split by what the caller can do about them.

::

    ByteBotError
    └── ChatError
        ├── NotConnected      wait for the connection, then send the same message again: nothing was written
        ├── SendUnconfirmed   do not send again: the bytes may or may not have reached Twitch
        ├── LoginRejected     give up and tell a human: the token or the login is wrong
        ├── IrcLineError      skip the line: it cannot be read, or would not be one line when written
        ├── SocketFailed      connect again, after a pause
        ├── TwitchIoMissing   install the extra, or chat over IRC
        └── HelixError
            ├── HelixUnavailable  try again later; ``undelivered`` says whether Twitch can have acted on the request
            ├── HelixThrottled    try again at ``retry_at_s``: Twitch did nothing
            └── HelixRefused      correct the request, or live without it
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


class SocketFailed(ChatError):
    """An EventSub WebSocket could not be opened, or was not welcomed."""


class TwitchIoMissing(ChatError):
    """EventSub was asked for, and the library that speaks it is not installed."""


class HelixError(ChatError):
    """Root of what goes wrong with one request to Helix, Twitch's API."""


class HelixUnavailable(HelixError):
    """No answer, or none that says anything.

    Args:
        words: what happened.
        undelivered: True if the request certainly did not reach Twitch; otherwise it may have been carried out.
    """

    def __init__(self, words: str, *, undelivered: bool) -> None:
        super().__init__(words)
        self.undelivered = undelivered


class HelixThrottled(HelixError):
    """A bucket is empty; Twitch did nothing. ``retry_at_s`` is on the loop's clock."""

    def __init__(self, words: str, retry_at_s: float) -> None:
        super().__init__(words)
        self.retry_at_s = retry_at_s


class HelixRefused(HelixError):
    """Twitch answered with an error that another try would get again.

    Args:
        status: of the answer.
        words: Twitch's own.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.words = words
