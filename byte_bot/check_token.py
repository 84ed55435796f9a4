"""The token's part of ``byte-bot check``: whose it is, what it may do, when it ends, and whether the bot can renew it; and whether Twitch
knows the application, since a wrong secret would only show hours later, when the token has to be refreshed.

Twitch is asked (``/validate``), and nothing is changed: a token that has run out is not refreshed here, since the new pair would have to
be kept, and the bot may be running beside. A bot that is pointed at another chat server than Twitch's is not asked about at Twitch.

Left out: whether a refresh would work; only a refresh tells.
"""

from __future__ import annotations

import httpx

from byte_bot.auth.choice import oauth_for
from byte_bot.auth.errors import AuthError, ClientRefused, OAuthUnavailable, TokenRefused
from byte_bot.auth.oauth import Validation
from byte_bot.auth.scopes import in_words, missing_extras, missing_scopes
from byte_bot.auth.token_file import TokenFile
from byte_bot.auth.user_token import NEVER, UserToken
from byte_bot.clock import Clock
from byte_bot.finding import Finding, Status
from byte_bot.login import ends_in
from byte_bot.settings import Settings

NAME = "twitch token"
APPLICATION = "application"
_LOG_IN = "start `byte-bot login`"
_NEW_TOKEN = (
    "make a new user access token of the bot's account for TWITCH_TOKEN; or set TWITCH_CLIENT_ID, start `byte-bot login`, "
    "and the bot renews it by itself"
)


async def check_application(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    """Whether Twitch takes the application's id and secret; nothing without a secret, which only asking a human would try.

    Args:
        settings: checked already.
        http: to Twitch's authorization server; made without redirects.
    """
    if not settings.twitch_client_secret:
        return []
    oauth = oauth_for(settings, http)
    try:
        grant = await oauth.app_token()
        await oauth.revoke(grant.access_token)
    except ClientRefused as error:
        return [
            Finding(
                APPLICATION,
                Status.FAILED,
                str(error),
                "copy both from the application's page in Twitch's developer console",
            )
        ]
    except AuthError as error:
        return [
            Finding(APPLICATION, Status.WARNING, f"Twitch cannot be asked: {error}", "try again in a minute")
        ]
    return [Finding(APPLICATION, Status.OK, "Twitch takes TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET")]


async def check_token(
    settings: Settings, http: httpx.AsyncClient, clock: Clock, file: TokenFile | None
) -> tuple[Finding, str]:
    """What is known about the bot's token, and the access token to log in with; that is empty if there is none.

    Args:
        settings: checked already.
        http: to Twitch's authorization server; made without redirects.
        clock: wall time.
        file: where `byte-bot login` keeps a token; None without a client id.
    """
    way_out = _LOG_IN if file is not None else _NEW_TOKEN
    given = settings.twitch_token.get_secret_value()
    try:
        token = file.read() if file is not None else None
    except AuthError as error:
        return Finding(NAME, Status.FAILED, str(error), "see above"), given
    source = f"in {file.place}" if file is not None and token is not None else "in TWITCH_TOKEN"
    if token is None:
        if not given:
            assert file is not None, "the settings want one of the two"
            return Finding(NAME, Status.FAILED, f"there is none yet in {file.place}", _LOG_IN), ""
        token = UserToken(access=given, login=settings.twitch_login)
    if token.client_id not in ("", settings.twitch_client_id):
        words = f"the token {source} was made with another TWITCH_CLIENT_ID ({token.client_id})"
        return Finding(NAME, Status.FAILED, words, f"{_LOG_IN}, or correct TWITCH_CLIENT_ID"), ""
    if not _twitch_itself(settings):
        words = "not asked about: TWITCH_IRC_HOST is not Twitch's, and TWITCH_OAUTH_URL is"
        return Finding(NAME, Status.SKIPPED, words, "set TWITCH_OAUTH_URL to ask there"), token.access
    try:
        validation = await oauth_for(settings, http).validate(token.access)
    except OAuthUnavailable as error:
        advice = "check the network and TWITCH_OAUTH_URL; the bot goes on with its token meanwhile"
        return Finding(NAME, Status.WARNING, f"Twitch cannot be asked: {error}", advice), token.access
    except TokenRefused as error:
        if token.refresh:
            # It may only have run out; the bot refreshes it when it needs it.
            words = f"the token {source} is not valid now ({error}); the bot refreshes it when it starts"
            return Finding(NAME, Status.WARNING, words, f"if that fails, {_LOG_IN}"), ""
        return Finding(NAME, Status.FAILED, f"the token {source}: {error}", way_out), token.access
    return _judged(settings, token, validation, clock.unix(), source, way_out), token.access


def _judged(
    settings: Settings, token: UserToken, validation: Validation, now_unix: float, source: str, way_out: str
) -> Finding:
    """The finding about a token that Twitch knows."""
    scopes = tuple(validation.scopes or ())
    ends = ends_in(
        UserToken(
            access="",
            login="",
            expires_at=now_unix + validation.expires_in if validation.expires_in else NEVER,
        ),
        now_unix,
    )
    whose = validation.login or f"the application {validation.client_id}, and to no account"
    who = f"{whose} (id {validation.user_id})" if validation.user_id else whose
    if validation.login != settings.twitch_login:
        advice = f"{way_out} as {settings.twitch_login}"
        if validation.login:
            advice += f"; or set TWITCH_LOGIN={validation.login}"
        return Finding(NAME, Status.FAILED, f"belongs to {who}, not to {settings.twitch_login}", advice)
    renewal = "; the bot renews it before" if token.refresh else ""
    words = f"belongs to {who}, scopes {' '.join(sorted(scopes)) or 'none'}, {ends}{renewal}; {source}"
    lacking = missing_scopes(scopes, settings.twitch_chat_mode)
    if lacking:
        return Finding(NAME, Status.FAILED, f"{words}; lacks {in_words(lacking)}", way_out)
    extras = missing_extras(scopes, settings.twitch_chat_mode)
    if extras:
        return Finding(NAME, Status.WARNING, f"{words}; lacks {in_words(extras)}", way_out)
    if settings.twitch_client_id not in ("", validation.client_id):
        words += f"; made by another application ({validation.client_id}) than TWITCH_CLIENT_ID"
        return Finding(NAME, Status.WARNING, words, way_out)
    return Finding(NAME, Status.OK, words)


def _twitch_itself(settings: Settings) -> bool:
    """False if chat is somebody else's (a simulator's), and the authorization server was left at Twitch's."""
    default = Settings.model_fields["twitch_oauth_url"].default
    return settings.twitch_oauth_url != default or settings.twitch_irc_host.endswith("twitch.tv")
