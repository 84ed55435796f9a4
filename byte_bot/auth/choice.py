"""Which source of the token the settings lead to: one that refreshes, or the bare ``TWITCH_TOKEN``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx

from byte_bot.auth.keeper import TokenKeeper
from byte_bot.auth.oauth import TwitchOAuth
from byte_bot.auth.token_file import TokenFile, TokenStore, token_path
from byte_bot.auth.token_source import FixedToken, TokenSource
from byte_bot.clock import Clock
from byte_bot.persistence.backoff import Uniform
from byte_bot.settings import Settings


def keeper_for(
    settings: Settings,
    *,
    http: httpx.AsyncClient | None,
    store: TokenStore | None,
    clock: Clock,
    new_rng: Callable[[], Uniform],
) -> TokenSource:
    """The source of the token that ``settings`` lead to.

    Args:
        settings: checked already.
        http: how to reach Twitch's authorization server; None if it is not to be asked.
        store: the token's file.
        clock: wall time.
        new_rng: draws the keeper's generator, if one is needed: a bot with a bare token draws as it always did.
    """
    given = settings.twitch_token.get_secret_value()
    if http is None:
        return FixedToken(given, settings.twitch_login)
    return TokenKeeper(
        login=settings.twitch_login,
        chat_mode=settings.twitch_chat_mode,
        oauth=oauth_for(settings, http),
        store=store,
        given=given,
        clock=clock,
        rng=new_rng(),
    )


def oauth_for(settings: Settings, http: httpx.AsyncClient) -> TwitchOAuth:
    """The client of the authorization server that ``settings`` name, with their application."""
    return TwitchOAuth(
        http,
        settings.twitch_oauth_url,
        settings.twitch_client_id,
        settings.twitch_client_secret.get_secret_value(),
    )


def token_file_of(settings: Settings, environment: Mapping[str, str]) -> TokenFile | None:
    """The file in which `byte-bot login` keeps the token; None without an application, which makes its tokens.

    Args:
        settings: checked already.
        environment: the process's, for the default path.
    """
    if not settings.twitch_client_id:
        return None
    return TokenFile(token_path(settings.twitch_token_file, settings.twitch_login, environment))
