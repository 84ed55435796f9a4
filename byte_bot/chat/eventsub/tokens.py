"""Whose token a request to Helix carries: the account's, from its keeper, or the application's own.

How it works. The application's token is fetched when it is first needed, once however many ask, and again when it ends soon or
Helix refuses it; it cannot be refreshed (dev.twitch.tv/docs/authentication, client credentials). Helix refuses with the same 401 what the
application may not do (no channel:bot, say), which another token would not change: one that was fetched a moment ago is kept. Nobody waits longer than
``wait_s`` for either: a reply to chat is not worth more, and what could not be asked for has certainly not been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from byte_bot.auth.errors import AuthError
from byte_bot.auth.oauth import Grant
from byte_bot.auth.token_source import TokenSource
from byte_bot.chat.errors import HelixUnavailable
from byte_bot.chat.eventsub.helix import APP
from byte_bot.clock import Clock
from byte_bot.logs import redact_also

# Chosen: an application's token lives for two months, so a quarter of an hour of them costs nothing.
_RENEW_BEFORE_S = 900.0
# Chosen: a token that is refused within this time of its fetch is not to blame; one that is costs a minute, and a withdrawn one is rare.
_TRUST_S = 60.0


class BotTokens:
    """See the module's docstring.

    Args:
        keeper: has the account's token.
        fetch_app: asks the authorization server for a token of the application.
        clock: wall time, in which tokens end.
        wait_s: the longest wait for a token, seconds.
    """

    def __init__(
        self,
        keeper: TokenSource,
        fetch_app: Callable[[], Awaitable[Grant]],
        clock: Clock,
        *,
        wait_s: float,
    ) -> None:
        self._keeper = keeper
        self._fetch_app = fetch_app
        self._clock = clock
        self._wait_s = wait_s
        self._app = ""
        self._app_ends_at = 0.0
        #: By the loop's clock, which does not jump.
        self._app_fetched_at_s = 0.0
        self._fetching = asyncio.Lock()

    async def access(self, kind: str) -> str:
        """A token of that kind (``user`` or ``app``) that is valid as far as known.

        Raises:
            HelixUnavailable: there is none now.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                return await self._app_access() if kind == APP else (await self._keeper.token()).access
        except TimeoutError:
            raise HelixUnavailable("there is no valid token", undelivered=True) from None
        except AuthError as error:
            raise HelixUnavailable(f"no token of the application: {error}", undelivered=True) from None

    async def rejected(self, kind: str, access: str) -> bool:
        """Helix answered 401 to this one; whether to ask again."""
        if kind != APP:
            await self._keeper.rejected(access)
        elif access == self._app:
            if asyncio.get_running_loop().time() < self._app_fetched_at_s + _TRUST_S:
                return False
            self._app = ""
        return True

    async def _app_access(self) -> str:
        async with self._fetching:
            if not self._app or self._clock.unix() >= self._app_ends_at - _RENEW_BEFORE_S:
                grant = await self._fetch_app()
                redact_also((grant.access_token,))
                self._app = grant.access_token
                self._app_fetched_at_s = asyncio.get_running_loop().time()
                self._app_ends_at = self._clock.unix() + (grant.expires_in or float("inf"))
            return self._app
