"""The device code flow: a human allows, in any browser, what this program asks for, and no redirect address is needed.

How it works. Twitch gives a short code and an address; a human opens the address as the bot's account, types the code and allows it;
meanwhile this program asks every few seconds whether that has happened (RFC 8628; interval and end of the code are Twitch's). A
server that cannot be reached for a while is no reason to begin anew. What comes back is validated, since only Twitch knows which
account the browser was logged in to: a token of another account is revoked at once.

What is shown meanwhile is the :class:`LoginScreen`'s business.

Left out: keeping the token (:mod:`byte_bot.auth.token_file`), and Twitch's other flows, which need a redirect address.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, Protocol

from byte_bot.auth.errors import AuthError, LoginFailed, OAuthUnavailable
from byte_bot.auth.oauth import DeviceCode, Grant, Pending, TwitchOAuth, Validation
from byte_bot.auth.user_token import NEVER, UserToken
from byte_bot.clock import Clock

_SHOW_EVERY_S: Final = 1.0
_SLOW_DOWN_S: Final = 5.0  # RFC 8628 section 3.5: "the interval MUST be increased by 5 seconds"
_INTERVAL_MIN_S: Final = 1.0  # whatever a server says: not faster
#: A token that was allowed is too precious to be dropped for one lost answer. Chosen: half a minute of trouble.
_VALIDATE_TRIES: Final = 6


class LoginScreen(Protocol):
    """Tells a human, or a program, what to do and how it stands."""

    def show(self, code: DeviceCode) -> None:
        """This is to be opened and typed."""
        ...

    def waiting(self, left_s: float, trouble: str) -> None:
        """Nothing yet; ``left_s`` seconds remain. ``trouble`` says why Twitch cannot be asked, empty if it can."""
        ...


async def log_in(
    oauth: TwitchOAuth, scopes: Sequence[str], *, login: str, screen: LoginScreen, clock: Clock
) -> UserToken:
    """Get a token of the account ``login`` with ``scopes``.

    Args:
        oauth: with the application's id.
        scopes: what to ask for.
        login: the account that has to allow it.
        screen: shows the code.
        clock: wall time, for the token's end.

    Raises:
        LoginFailed: denied, too late, or allowed by another account.
        ClientRefused: Twitch does not know the application.
        OAuthUnavailable: Twitch could not be asked.
    """
    code = await oauth.device_code(scopes)
    screen.show(code)
    grant = await _redeemed(oauth, code, scopes, screen)
    validation = await _validated(oauth, grant)
    if validation.login != login:
        # Nobody wants it: better gone than forgotten. If that fails it runs out by itself.
        with contextlib.suppress(AuthError):
            await oauth.revoke(grant.access_token)
        raise LoginFailed(
            f"the browser was logged in as {validation.login}, not as {login}: log in there as {login} (a private window "
            f"helps) and start `byte-bot login` again; or set TWITCH_LOGIN={validation.login}"
        )
    now_unix = clock.unix()
    return UserToken(
        access=grant.access_token,
        login=validation.login,
        user_id=validation.user_id,
        scopes=tuple(validation.scopes or ()),
        expires_at=now_unix + validation.expires_in if validation.expires_in else NEVER,
        client_id=validation.client_id,
        refresh=grant.refresh_token,
        obtained_at=now_unix,
    )


async def _redeemed(
    oauth: TwitchOAuth, code: DeviceCode, scopes: Sequence[str], screen: LoginScreen
) -> Grant:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + code.expires_in
    interval_s = max(code.interval, _INTERVAL_MIN_S)
    ask_at = loop.time() + interval_s
    trouble = ""
    while (left_s := give_up_at - loop.time()) > 0:
        screen.waiting(left_s, trouble)
        await asyncio.sleep(min(_SHOW_EVERY_S, left_s, max(0.0, ask_at - loop.time())))
        if loop.time() < ask_at:
            continue
        trouble = ""
        try:
            answer = await oauth.redeem(code, scopes)
        except OAuthUnavailable as error:
            trouble = str(error)
            interval_s = max(interval_s, error.retry_after_s or 0.0)
        else:
            if isinstance(answer, Grant):
                return answer
            if answer is Pending.TOO_FAST:
                interval_s += _SLOW_DOWN_S
        ask_at = loop.time() + interval_s
    raise LoginFailed(
        f"nobody allowed it within {code.expires_in / 60:g} minutes: start `byte-bot login` again for a new code"
    )


async def _validated(oauth: TwitchOAuth, grant: Grant) -> Validation:
    for _ in range(_VALIDATE_TRIES - 1):
        try:
            return await oauth.validate(grant.access_token)
        except OAuthUnavailable as error:
            await asyncio.sleep(max(_SLOW_DOWN_S, error.retry_after_s or 0.0))
    return await oauth.validate(grant.access_token)
