"""``byte-bot login``: get a token of the bot's account and put it where the bot looks for it.

How it works. The device code flow (:mod:`byte_bot.auth.device_flow`) asks for the scopes that the bot's transports need; what it gives
goes into the token's file (:mod:`byte_bot.auth.token_file`), under its lock, so that a running bot's refresh does not meet it half
way. A bot that runs takes it up by itself within seconds. That the file can be written is tried before anybody is sent to a browser.

:class:`TextScreen` tells a human what to do, with a line that counts down if somebody is looking; :class:`JsonScreen` tells a program, one
object a line. Neither ever shows a token.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any, Final, TextIO

import httpx

from byte_bot.auth.choice import oauth_for, token_file_of
from byte_bot.auth.device_flow import LoginScreen, log_in
from byte_bot.auth.oauth import TIMEOUT_S, DeviceCode
from byte_bot.auth.scopes import wanted_scopes
from byte_bot.auth.token_file import TokenFile
from byte_bot.auth.user_token import NEVER, UserToken
from byte_bot.clock import Clock, SystemClock, iso_utc
from byte_bot.errors import SettingsError
from byte_bot.settings import Settings

NO_CLIENT_ID: Final = """TWITCH_CLIENT_ID is missing: the id of an application in Twitch's developer console (dev.twitch.tv/console).
Register one there (client type: public; any OAuth redirect URL), copy its client id, and try again"""

LoginFunction = Callable[[Settings, LoginScreen], tuple[UserToken, str]]


class TextScreen:
    """For people.

    Args:
        out: what to do goes there.
        progress: the line that counts down; it is rewritten in place if that is a terminal, and otherwise written once.
        login: the account that has to allow it.
    """

    def __init__(self, out: TextIO, progress: TextIO, login: str) -> None:
        self._out = out
        self._progress = progress
        self._login = login
        self._rewrites = progress.isatty()
        self._line = ""

    def show(self, code: DeviceCode) -> None:
        """Address and code."""
        self._out.write(
            f"Open   {code.verification_uri}\n"
            f"       in a browser in which {self._login} is logged in: the bot's account, not your own\n"
            f"enter  {code.user_code}\n"
            "       and allow what is asked for.\n"
        )
        self._out.flush()

    def waiting(self, left_s: float, trouble: str) -> None:
        """Count down."""
        minutes, seconds = divmod(round(left_s), 60)
        note = f"; {trouble}, trying again" if trouble else ""
        line = f"Waiting for it, {minutes}:{seconds:02d} left{note} (Ctrl-C gives up)"
        if self._rewrites:
            self._progress.write(f"\r{line:<{len(self._line)}}")
            self._line = line
        elif not self._line or trouble:
            self._line = line
            self._progress.write(f"{line}\n")
        self._progress.flush()

    def end(self) -> None:
        """Take the line that counts down away."""
        if self._rewrites and self._line:
            self._progress.write(f"\r{'':<{len(self._line)}}\r")
            self._progress.flush()


class JsonScreen:
    """For programs: one object a line, the code before anything is waited for.

    Args:
        out: where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, code: DeviceCode) -> None:
        """``{"event": "code", "verification_uri", "user_code", "expires_in_s"}``."""
        self.write(
            "code",
            verification_uri=code.verification_uri,
            user_code=code.user_code,
            expires_in_s=round(code.expires_in),
        )

    def waiting(self, left_s: float, trouble: str) -> None:
        """Nothing: a program needs no patience."""

    def end(self) -> None:
        """Nothing to take away."""

    def write(self, event: str, **fields: Any) -> None:
        """One line."""
        self._out.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
        self._out.flush()


async def login(
    settings: Settings, *, http: httpx.AsyncClient, file: TokenFile, clock: Clock, screen: LoginScreen
) -> UserToken:
    """Get a token and keep it; whose it is.

    Args:
        settings: checked already, with a client id.
        http: to Twitch, made without redirects.
        file: where to keep it.
        clock: wall time.
        screen: tells what to do.

    Raises:
        AuthError: there is no token, or it cannot be kept; the message says why.
    """
    file.check_writable()
    token = await log_in(
        oauth_for(settings, http), wanted_scopes(), login=settings.twitch_login, screen=screen, clock=clock
    )
    async with file.exclusive():
        await file.save(token)
    return token


def login_for_real(settings: Settings, screen: LoginScreen) -> tuple[UserToken, str]:
    """:func:`login` over the real network, into the file of the settings; the token, and where it lies.

    Raises:
        SettingsError: there is no client id.
        AuthError: there is no token, or it cannot be kept.
    """
    file = token_file_of(settings, os.environ)
    if file is None:
        raise SettingsError(NO_CLIENT_ID)

    async def run() -> UserToken:
        async with httpx.AsyncClient(follow_redirects=False, timeout=TIMEOUT_S) as http:
            return await login(settings, http=http, file=file, clock=SystemClock(), screen=screen)

    return asyncio.run(run()), file.place


def outcome_as_text(token: UserToken, place: str, now_unix: float) -> str:
    """For people: whose token it is, what it may, when it ends, where it lies."""
    return (
        f"The token belongs to {token.login} (id {token.user_id}), scopes {' '.join(sorted(token.scopes))}.\n"
        f"It {ends_in(token, now_unix)}{'; the bot renews it before' if token.refresh else ''}.\n"
        f"It is kept in {place}; a bot that runs takes it up by itself."
    )


def outcome_as_fields(token: UserToken, place: str) -> dict[str, Any]:
    """For programs: ``{"login", "user_id", "scopes", "expires_at", "file"}``; never the token."""
    return {
        "login": token.login,
        "user_id": token.user_id,
        "scopes": sorted(token.scopes),
        "expires_at": None if token.expires_at == NEVER else iso_utc(token.expires_at),
        "file": place,
    }


def ends_in(token: UserToken, now_unix: float) -> str:
    """``"ends in 3 h 58 min"``, ``"has ended"``, ``"never ends by itself"``."""
    if token.expires_at == NEVER:
        return "never ends by itself"
    left_s = token.expires_at - now_unix
    if left_s <= 0:
        return "has ended"
    minutes = round(left_s / 60)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"ends in {days} d {hours} h"
    return f"ends in {hours} h {minutes % 60} min" if hours else f"ends in {minutes} min"
