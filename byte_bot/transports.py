"""Which transport the settings ask for: the one place outside ``byte_bot/chat`` that knows there are two."""

from __future__ import annotations

import random

import httpx

from byte_bot.auth.choice import oauth_for
from byte_bot.auth.token_source import TokenSource
from byte_bot.chat.eventsub.client import EventSubTransport
from byte_bot.chat.eventsub.helix import APP, USER
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.tokens import BotTokens
from byte_bot.chat.eventsub.twitchio_parts import check_installed
from byte_bot.chat.irc.client import IrcTransport
from byte_bot.chat.transport import ChatTransport, Connector, EventHandler
from byte_bot.clock import Clock
from byte_bot.settings import Settings


def transport_for(
    settings: Settings,
    *,
    connector: Connector,
    twitch_http: httpx.AsyncClient | None,
    keeper: TokenSource,
    clock: Clock,
    rng: random.Random,
    handler: EventHandler,
) -> ChatTransport:
    """The transport of ``TWITCH_CHAT_MODE``.

    Args:
        settings: checked already.
        connector: opens IRC's byte streams.
        twitch_http: to Twitch's authorization server; there with EventSub.
        keeper: has the account's token.
        clock: wall time.
        rng: draws the pauses between attempts.
        handler: gets every event.

    Raises:
        TwitchIoMissing: EventSub was asked for, and TwitchIO is not installed.
    """
    if settings.twitch_chat_mode == "irc":
        return IrcTransport(
            connector,
            host=settings.twitch_irc_host,
            port=settings.twitch_irc_port,
            tls=settings.twitch_irc_tls,
            login=settings.twitch_login,
            tokens=keeper,
            handler=handler,
            rng=rng,
            tier=settings.twitch_rate_tier,
        )
    check_installed()
    assert twitch_http is not None, "settings.asks_twitch is true of EventSub"
    limits = EventSubLimits()
    return EventSubTransport(
        eventsub_url=settings.twitch_eventsub_url,
        helix_url=settings.twitch_helix_url,
        login=settings.twitch_login,
        keeper=keeper,
        tokens=BotTokens(
            keeper, oauth_for(settings, twitch_http).app_token, clock, wait_s=limits.helix_timeout_s
        ),
        send_as=APP if settings.twitch_bot_auth == "cloud" else USER,
        handler=handler,
        rng=rng,
        clock=clock,
        limits=limits,
    )
