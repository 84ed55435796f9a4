"""EventSub's part of ``byte-bot check``: is TwitchIO there, does Helix take the token, does Twitch welcome a socket.

Nothing is subscribed to and nothing is said; the bot may be running beside. Every wait has the transport's own deadline.

Left out: whether the channels would let the bot in.
"""

from __future__ import annotations

import httpx

from byte_bot.auth.choice import oauth_for
from byte_bot.auth.errors import AuthError
from byte_bot.chat.errors import HelixError, HelixRefused, SocketFailed, TwitchIoMissing
from byte_bot.chat.eventsub.helix import USER, Helix
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.twitchio_parts import Json, check_installed, make_socket
from byte_bot.clock import Clock
from byte_bot.finding import Finding, Status
from byte_bot.settings import Settings

NAME = "eventsub"


class _Access:
    """One token for every request."""

    def __init__(self, access: str) -> None:
        self._access = access

    async def access(self, kind: str) -> str:
        """The one that there is."""
        return self._access

    async def rejected(self, kind: str, access: str) -> bool:
        """A check renews nothing."""
        return False


class _Nobody:
    """Wants to hear nothing of a socket that is only opened."""

    def on_notification(self, message: Json) -> None:
        """Nothing was subscribed to."""

    def on_revocation(self, subscription: Json) -> None:
        """Nothing was subscribed to."""

    def on_reconnect(self, url: str) -> None:
        """It is closed already."""

    def on_end(self, words: str) -> None:
        """It is closed already."""


async def check_eventsub(settings: Settings, http: httpx.AsyncClient, clock: Clock, access: str) -> Finding:
    """Reach Helix and EventSub as the bot would.

    Args:
        settings: name the bot and the servers.
        http: to Twitch's authorization server, which says to which application the token belongs.
        clock: wall time.
        access: the token; empty if there is none now.
    """
    try:
        check_installed()
    except TwitchIoMissing as error:
        return Finding(NAME, Status.FAILED, str(error), "install the extra [eventsub], or choose irc")
    if not access:
        return Finding(NAME, Status.SKIPPED, "there is no token to use now", "see `twitch token`")
    try:
        validation = await oauth_for(settings, http).validate(access)
    except AuthError as error:
        return Finding(NAME, Status.SKIPPED, f"not tried: {error}", "see `twitch token`")
    limits = EventSubLimits()
    helix = Helix(
        settings.twitch_helix_url,
        validation.client_id,
        _Access(access),
        send_as=USER,
        clock=clock,
        limits=limits,
        on_send_held=lambda until_s: None,
    )
    try:
        async with helix:
            await helix.user_ids([settings.twitch_login])
    except HelixRefused as error:
        return Finding(NAME, Status.FAILED, f"Helix answers {error}", "see `twitch token`")
    except HelixError as error:
        return Finding(NAME, Status.FAILED, str(error), "check the network and TWITCH_HELIX_URL")
    socket = make_socket(validation.user_id, _Nobody(), limits)
    try:
        await socket.open(settings.twitch_eventsub_url)
    except SocketFailed as error:
        words = f"{settings.twitch_eventsub_url}: {error}"
        return Finding(NAME, Status.FAILED, words, "check the network and TWITCH_EVENTSUB_URL")
    finally:
        await socket.close()
    return Finding(
        NAME, Status.OK, f"{settings.twitch_eventsub_url} welcomes the bot, and Helix takes its token"
    )
