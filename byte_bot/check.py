"""``byte-bot check``: what works, what does not, and what to do about it.

How it works. Each part is tried for real, in the order in which a newcomer meets them: the settings, the journal's place
(:mod:`byte_bot.check_journal`; nothing is made or locked), the token (:mod:`byte_bot.check_token`; nothing is refreshed), a login to
Twitch's chat with it (nothing is joined or said; the bot may be running beside) or, in that mode, EventSub
(:mod:`byte_bot.check_eventsub`; for a bot in the cloud :mod:`byte_bot.check_cloud` too), the database
(:mod:`byte_bot.check_database`; nothing is changed). Whatever happens becomes a :class:`~byte_bot.finding.Finding`, never
a traceback, and every wait for the network has a deadline.

Left out: whether the channels exist (Twitch answers a JOIN of a channel that is not there with silence).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import Sequence
from typing import Final

import httpx

from byte_bot.auth.choice import token_file_of
from byte_bot.auth.token_file import TokenFile
from byte_bot.chat.irc.connector import StreamConnector
from byte_bot.chat.irc.session import EndKind, IrcSession
from byte_bot.chat.limiter import SlidingWindow
from byte_bot.chat.transport import Connector
from byte_bot.check_cloud import check_cloud
from byte_bot.check_database import check_database
from byte_bot.check_eventsub import check_eventsub
from byte_bot.check_journal import check_journal
from byte_bot.check_token import check_application, check_token
from byte_bot.clock import Clock, SystemClock
from byte_bot.errors import ExitCode
from byte_bot.finding import Finding, Status
from byte_bot.settings import Settings

# Seconds for connecting, TLS and login together. Twitch takes well under 1 s; 10 s is chosen for a bad line.
LOGIN_TIMEOUT_S: Final = 10.0
# Seconds for saying goodbye: a server that does not answer the closing of TLS must not hold up the report.
_CLOSE_TIMEOUT_S: Final = 1.0
_READ_BYTES: Final = 65_536

# The one word of the welcome that the session does not pass on: whom Twitch takes the token's owner for.
_WELCOME: Final = re.compile(rb"^(?:@\S+ )?:\S+ 001 (\S+) ", re.MULTILINE)

_NEW_TOKEN = (
    "make a new user access token of the bot's account, with the scopes chat:read and chat:edit: with TWITCH_CLIENT_ID by "
    "`byte-bot login`, else for TWITCH_TOKEN"
)


async def check(
    settings: Settings,
    *,
    connector: Connector,
    http: httpx.AsyncClient,
    clock: Clock,
    token_file: TokenFile | None = None,
) -> list[Finding]:
    """Try everything that ``settings`` lead to.

    Args:
        settings: checked already.
        connector: how to reach the chat server.
        http: how to reach the database and Twitch's authorization server; made without redirects, owned by the caller.
        clock: the wall clock to compare with the server's.
        token_file: where `byte-bot login` keeps a token; None without a client id.
    """
    token, access = await check_token(settings, http, clock, token_file)
    if settings.twitch_chat_mode == "eventsub":
        chat = await check_eventsub(settings, http, clock, access)
    else:
        chat = await check_login(settings, connector, access)
    return [
        describe_settings(settings),
        *await check_application(settings, http),
        token,
        chat,
        *await check_cloud(settings, http, clock, access),
        *await check_database(settings, http, clock),
    ]


async def check_for_real(settings: Settings) -> list[Finding]:
    """:func:`check` over the real network, with the machine's clock, and a look at the journal on its disk.

    Raises:
        SettingsError: a path in them begins with the home folder of nobody.
    """
    # First: what is wrong with the settings shows at once.
    journal = check_journal(settings, os.environ)
    # Without redirects: a redirected POST becomes a GET. HTTP/1.1, as the bot itself.
    async with httpx.AsyncClient(follow_redirects=False, timeout=settings.database_timeout_s) as http:
        first, *others = await check(
            settings,
            connector=StreamConnector(),
            http=http,
            clock=SystemClock(),
            token_file=token_file_of(settings, os.environ),
        )
        return [first, journal, *others]


def describe_settings(settings: Settings) -> Finding:
    """What the settings say, in a line."""
    channels = ", ".join(settings.twitch_channel_logins) or "those in the table channels_config"
    return Finding("settings", Status.OK, f"bot {settings.twitch_login}, channels: {channels}")


async def check_login(settings: Settings, connector: Connector, access: str) -> Finding:
    """Log in to Twitch's chat as the bot, and leave again.

    Args:
        settings: name the bot and the server.
        connector: how to reach it.
        access: the token to log in with; empty if there is none now.
    """
    if not access:
        return Finding(
            "twitch login", Status.SKIPPED, "there is no token to log in with now", "see `twitch token`"
        )
    host, port = settings.twitch_irc_host, settings.twitch_irc_port
    session = IrcSession(
        login=settings.twitch_login,
        token=access,
        # Nothing is joined; the window only has to be there.
        joins=SlidingWindow(1, 1.0),
    )
    where = f"{host}:{port}{' with TLS' if settings.twitch_irc_tls else ''}"
    try:
        async with asyncio.timeout(LOGIN_TIMEOUT_S):
            welcomed = await _log_in(session, connector, host, port, tls=settings.twitch_irc_tls)
    except TimeoutError:
        words = f"{where}: not logged in within {LOGIN_TIMEOUT_S:g} s"
        return _failed(
            words,
            "check the network, TWITCH_IRC_PORT and TWITCH_IRC_TLS (Twitch: 6697 with TLS, 6667 without)",
        )
    except ssl.SSLError as error:
        return _failed(
            f"{where}: {error}",
            "check TWITCH_IRC_PORT and TWITCH_IRC_TLS (Twitch: 6697 with TLS, 6667 without)",
        )
    except OSError as error:
        words = error.strerror or str(error) or type(error).__name__
        return _failed(f"{where}: {words}", "check the network, TWITCH_IRC_HOST and TWITCH_IRC_PORT")
    if session.closed is not None:
        advice = _NEW_TOKEN if session.closed.kind is EndKind.LOGIN_REFUSED else "try again in a minute"
        return _failed(f"{where}: {session.closed.words}", advice)
    if welcomed not in ("", settings.twitch_login):
        advice = f"set TWITCH_LOGIN={welcomed}, or {_NEW_TOKEN}"
        return _failed(f"the token belongs to {welcomed}, not to {settings.twitch_login}", advice)
    return Finding("twitch login", Status.OK, f"{where} welcomes {settings.twitch_login}")


def _failed(words: str, advice: str) -> Finding:
    return Finding("twitch login", Status.FAILED, words, advice)


async def _log_in(session: IrcSession, connector: Connector, host: str, port: int, *, tls: bool) -> str:
    """Run ``session`` until Twitch has said yes or no; whom it welcomed, empty if nobody.

    Raises:
        OSError: the connection could not be made, or broke.
    """
    loop = asyncio.get_running_loop()
    reader, writer = await connector.open(host, port, tls=tls)
    received = b""
    try:
        session.start(loop.time())
        while not session.ready and session.closed is None:
            writer.write(session.data_to_send())
            await writer.drain()
            data = await reader.read(_READ_BYTES)
            if not data:
                session.receive_eof("the server closed the connection")
                break
            session.receive_data(data, loop.time())
            # Only the beginning matters: the welcome is the first thing Twitch says.
            received = (received + data)[:_READ_BYTES]
    finally:
        await _close(writer)
    found = _WELCOME.search(received)
    return found[1].decode("ascii", "replace").lower() if found else ""


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await writer.wait_closed()
    except (TimeoutError, OSError):
        writer.transport.abort()


def exit_code(findings: Sequence[Finding]) -> ExitCode:
    """OK if nothing failed; warnings and what was skipped do not count."""
    return ExitCode.FAILED if any(finding.status is Status.FAILED for finding in findings) else ExitCode.OK


def as_text(findings: Sequence[Finding]) -> str:
    """For people: a line each, with what to do below it."""
    width = max(len(finding.name) for finding in findings)
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.status.value:<8}{finding.name:<{width}}  {finding.words}")
        if finding.advice:
            lines.append(f"{'':8}{'':<{width}}  -> {finding.advice}")
    failed = sum(finding.status is Status.FAILED for finding in findings)
    lines.append(
        f"\n{failed} of {len(findings)} checks failed." if failed else "\nEverything the bot needs works."
    )
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    """For machines: ``{"ok": bool, "checks": [{"name", "status", "words", "advice"}]}``."""
    checks = [
        {
            "name": finding.name,
            "status": finding.status.value,
            "words": finding.words,
            "advice": finding.advice,
        }
        for finding in findings
    ]
    return json.dumps(
        {"ok": exit_code(findings) is ExitCode.OK, "checks": checks}, indent=2, ensure_ascii=False
    )
