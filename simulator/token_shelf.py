"""Where the token of a world's bot lies between its processes: the token's file of the shipped bot, without a disk.

It outlives every process, as a file does, and its lock does not: a process that dies inside :meth:`TokenShelf.exclusive` no longer
holds it. Both machines of a world with two processes use the same one (a shared folder, say).

Left out: modes, a file that others change or that cannot be written. The tests of the real file have those.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from byte_bot.auth.token_file import Stamp
from byte_bot.auth.user_token import UserToken
from simulator.loop import Process, current_process
from simulator.twitch.credentials import Token

#: How often a process that waits for the lock tries again, as with the real file.
LOCK_TRY_S = 0.1


def shelved(token: Token, obtained_unix_s: float) -> TokenShelf:
    """A shelf with this token of an account, as `byte-bot login` would have left it then; what Twitch says of it is not known yet."""
    return TokenShelf(
        UserToken(
            access=token.access,
            login=token.login,
            client_id=token.client_id,
            refresh=token.refresh,
            obtained_at=obtained_unix_s,
        )
    )


class TokenShelf:
    """See the module's docstring; a :class:`~byte_bot.auth.token_file.TokenStore`."""

    place = "the world's token file"

    def __init__(self, token: UserToken) -> None:
        self._token = token
        self._changes = 1
        #: Who has the lock, if anybody has; None stands for a bot that is no process of its own.
        self._holders: list[Process | None] = []

    def stamp(self) -> Stamp | None:
        """A number that counts changes."""
        return (self._changes,)

    @property
    def token(self) -> UserToken:
        """What lies there now."""
        return self._token

    async def load(self) -> UserToken | None:
        """The token."""
        return self._token

    async def save(self, token: UserToken) -> None:
        """Keep ``token`` instead."""
        self.put(token)

    def put(self, token: UserToken) -> None:
        """The same, at once."""
        self._token = token
        self._changes += 1

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Keep other processes from changing it inside the block."""
        while any(  # noqa: ASYNC110  # a dead process would set no event
            holder is None or not holder.killed for holder in self._holders
        ):
            await asyncio.sleep(LOCK_TRY_S)
        self._holders = [current_process()]
        try:
            yield
        finally:
            self._holders.clear()
