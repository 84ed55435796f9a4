"""The part of ``byte-bot check`` about a bot in the cloud: may the application speak, with a token of its own, as the bot's account.

How it works. A token of the application is fetched, as the bot will, and ended again. With it Helix is asked what the bot's account and the
broadcasters of the channels have granted this application (Get Authorization By User). Twitch wants ``user:bot`` and the two chat scopes of
the bot's account, and ``channel:bot`` of the broadcaster, unless the bot is a moderator there (dev.twitch.tv/docs/chat/authenticating); where it
is one the account's own token tells, if it may. Nothing is said or subscribed to. A wrong secret is the line `application`'s to tell.

Left out: channels that stand in the database only, bans, and what a chat's modes refuse.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Final

import httpx

from byte_bot.auth.choice import oauth_for
from byte_bot.auth.errors import AuthError
from byte_bot.chat.errors import HelixError, HelixRefused, TwitchIoMissing
from byte_bot.chat.eventsub.helix import APP, USER, Helix
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.twitchio_parts import check_installed
from byte_bot.clock import Clock
from byte_bot.finding import Finding, Status
from byte_bot.logs import redact_also
from byte_bot.settings import Settings

NAME = "cloud bot"
#: What the bot's account has to grant, and what does not work without it.
NEEDED: Final[Mapping[str, str]] = {
    "user:bot": "the application may not appear as this account",
    "user:read:chat": "it hears nothing",
    "user:write:chat": "it can say nothing",
}
_CHANNEL_SCOPE: Final = "channel:bot"
#: GET /users takes no more at once.
_LOGINS_MAX: Final = 100


class _Access:
    """The application's token, and the account's if there is one."""

    def __init__(self, app: str, user: str) -> None:
        self._app = app
        self._user = user

    async def access(self, kind: str) -> str:
        """The account's only where it is asked for."""
        return self._user if kind == USER and self._user else self._app

    async def rejected(self, kind: str, access: str) -> bool:
        """A check renews nothing."""
        return False


async def check_cloud(
    settings: Settings, http: httpx.AsyncClient, clock: Clock, access: str
) -> list[Finding]:
    """Ask whether the application may speak as the bot; nothing for a bot that is not in the cloud.

    Args:
        settings: name the bot, the application and the servers.
        http: to Twitch's authorization server.
        clock: wall time.
        access: the account's token; empty if there is none now.
    """
    if settings.twitch_chat_mode != "eventsub" or settings.twitch_bot_auth != "cloud":
        return []
    try:
        check_installed()
    except TwitchIoMissing:
        return [Finding(NAME, Status.SKIPPED, "TwitchIO is not installed", "see `eventsub`")]
    oauth = oauth_for(settings, http)
    try:
        grant = await oauth.app_token()
    except AuthError as error:
        words = f"there is no token of the application: {error}"
        return [Finding(NAME, Status.SKIPPED, words, "see `application`")]
    redact_also((grant.access_token,))
    helix = Helix(
        settings.twitch_helix_url,
        settings.twitch_client_id,
        _Access(grant.access_token, access),
        send_as=APP,
        clock=clock,
        limits=EventSubLimits(),
        on_send_held=lambda until_s: None,
    )
    try:
        async with helix:
            return [await _judged(settings, helix)]
    except HelixRefused as error:
        words = f"Helix answers {error} to the application's token"
        return [Finding(NAME, Status.FAILED, words, "check TWITCH_CLIENT_ID and TWITCH_HELIX_URL")]
    except HelixError as error:
        return [Finding(NAME, Status.FAILED, str(error), "check the network and TWITCH_HELIX_URL")]
    finally:
        await _end(oauth.revoke(grant.access_token))


async def _end(revoking: Awaitable[None]) -> None:
    try:
        await revoking
    except AuthError:
        pass  # it ends by itself; what was found out is what counts


async def _judged(settings: Settings, helix: Helix) -> Finding:
    """The finding about an application whose token Helix takes."""
    bot, channels = settings.twitch_login, settings.twitch_channel_logins
    ids = await _ids(helix, (bot, *channels))
    if bot not in ids:
        return Finding(NAME, Status.FAILED, f"Twitch has no account {bot}", "correct TWITCH_LOGIN")
    consents = await helix.consents(ids.values())
    lacking = [scope for scope in NEEDED if scope not in consents.get(ids[bot], ())]
    if lacking:
        words = ", ".join(f"{scope} ({NEEDED[scope]})" for scope in lacking)
        return Finding(
            NAME, Status.FAILED, f"{bot} has not granted this application {words}", "start `byte-bot login`"
        )
    closed = [
        login
        for login in channels
        if login in ids and login != bot and _CHANNEL_SCOPE not in consents.get(ids[login], ())
    ]
    moderated = await _moderated(helix, ids[bot]) if closed else frozenset[str]()
    closed = [login for login in closed if moderated is None or ids[login] not in moderated]
    if not closed:
        asked = ", ".join(channels) or "which channels they are only the database knows"
        return Finding(NAME, Status.OK, f"the application may speak as {bot}: {asked}")
    words = f"{', '.join(closed)}: the broadcaster has not granted this application {_CHANNEL_SCOPE}"
    advice = "let the broadcaster allow the application with that scope, or make the bot a moderator there"
    if moderated is None:
        words += f"; whether {bot} is a moderator there, which would do, could not be asked"
        return Finding(NAME, Status.WARNING, words, advice)
    return Finding(NAME, Status.FAILED, f"{words}, and {bot} is no moderator there", advice)


async def _ids(helix: Helix, logins: Iterable[str]) -> dict[str, str]:
    """Login -> id of those accounts that exist, however many are asked about."""
    wanted = list(dict.fromkeys(logins))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _LOGINS_MAX):
        found |= await helix.user_ids(wanted[start : start + _LOGINS_MAX])
    return found


async def _moderated(helix: Helix, user_id: str) -> frozenset[str] | None:
    """Ids of the channels where the bot is a moderator; None where its own token does not tell."""
    try:
        return await helix.moderated(user_id)
    except HelixError:
        return None
