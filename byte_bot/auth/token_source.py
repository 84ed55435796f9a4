"""Where a transport gets the bot's token from, as the transport sees it; and the simplest source of one.

:class:`~byte_bot.auth.keeper.TokenKeeper` is the source that refreshes. :class:`FixedToken` is that of a bare ``TWITCH_TOKEN``: it
hands that out, asks nobody, and cannot renew it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from byte_bot.auth.user_token import UserToken

Listener = Callable[[UserToken | None], None]


class TokenSource(Protocol):
    """Gives out a token that is valid now."""

    @property
    def renewable(self) -> bool:
        """False if a refused token is the end of it: nothing better will come."""
        ...

    @property
    def waiting(self) -> bool:
        """True while there is no token to use, and only a human can change that."""
        ...

    async def token(self) -> UserToken:
        """A token that is valid now, as far as is known; waits until there is one."""
        ...

    async def rejected(self, access: str) -> None:
        """Twitch refused the access token ``access``; one that is not today's is ignored."""
        ...

    def on_change(self, callback: Listener) -> None:
        """Call ``callback`` with each new token, and with None when sessions with the old one have to end."""
        ...

    async def run(self) -> None:
        """Do what it takes, until cancelled."""
        ...


class FixedToken:
    """A token that was copied by hand and is used as it is, until Twitch refuses it.

    Args:
        access: the token.
        login: whose it is.
    """

    renewable = False
    waiting = False

    def __init__(self, access: str, login: str) -> None:
        self._token = UserToken(access=access, login=login)

    async def token(self) -> UserToken:
        """The one that there is."""
        return self._token

    async def rejected(self, access: str) -> None:
        """Nothing can be done about it here."""

    def on_change(self, callback: Listener) -> None:
        """It never changes."""

    async def run(self) -> None:
        """Nothing to do."""
