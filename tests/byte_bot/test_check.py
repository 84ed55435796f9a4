"""``byte-bot check``: the login against a fake Twitch in memory, and what is printed."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from byte_bot.check import (
    LOGIN_TIMEOUT_S,
    as_json,
    as_text,
    check,
    check_for_real,
    check_login,
    describe_settings,
    exit_code,
)
from byte_bot.errors import ExitCode
from byte_bot.finding import Finding, Status
from byte_bot.settings import Settings
from simulator.loop import START_UNIX_S, current_loop, run
from simulator.network import MemoryNetwork
from simulator.twitch.irc import IrcServer
from simulator.twitch.state import TwitchState

HOST, PORT = "irc.test", 6667
TOKEN = "abcdefghijklmnopqrstuvwxyz0123"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def make_settings(**changes: Any) -> Settings:
    """Settings for a fake Twitch, without a database."""
    values = {
        "twitch_login": "my_bot",
        "twitch_token": SecretStr(TOKEN),
        "twitch_channel_logins": ("my_channel", "a_friend"),
        "twitch_irc_host": HOST,
        "twitch_irc_port": PORT,
        "twitch_irc_tls": False,
    }
    return Settings(**{**values, **changes})


def log_in(
    prepare: Callable[[MemoryNetwork, TwitchState], None] = lambda network, state: None,
    *,
    handler: Handler | None = None,
    listen: bool = True,
    **changes: Any,
) -> tuple[Finding, float, int]:
    """Check the login in virtual time: what was found, how long it took in seconds, connections left open."""

    async def story() -> tuple[Finding, float, int]:
        loop = current_loop()
        network = MemoryNetwork(random.Random(1), latency_s=0.02)
        state = TwitchState(loop.time, random.Random(2), START_UNIX_S)
        state.add_user("my_bot")
        state.grant_token(TOKEN, "my_bot")
        server = IrcServer(state)
        if listen:
            network.listen(HOST, PORT, handler or server.handle)
        prepare(network, state)
        finding = await check_login(make_settings(**changes), network, TOKEN)
        elapsed_s = loop.time()
        await asyncio.sleep(1)
        return finding, elapsed_s, network.connections(HOST, PORT)

    return run(story())


def says(*lines: bytes) -> Handler:
    """A server that says these lines to whoever connects, and then listens until the client leaves."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in lines:
            writer.write(line + b"\r\n")
        while await reader.read(1024):
            pass
        writer.close()

    return handle


def test_a_good_token_logs_in_and_leaves() -> None:
    """The connection is closed again, and nothing was joined."""
    finding, elapsed_s, open_connections = log_in()
    assert finding == Finding("twitch login", Status.OK, "irc.test:6667 welcomes my_bot")
    assert elapsed_s < 1
    assert open_connections == 0


def test_a_refused_token_is_answered_with_how_to_get_another() -> None:
    """Twitch's own words, and the scopes that are needed."""
    finding, _, open_connections = log_in(lambda network, state: state.revoke_token(TOKEN))
    assert finding.status is Status.FAILED
    assert finding.words == "irc.test:6667: Login authentication failed"
    assert "chat:read and chat:edit" in finding.advice
    assert open_connections == 0


def test_a_token_of_another_account_is_found_out() -> None:
    """Twitch welcomes the token's owner, whatever NICK said: the bot would not know its own messages."""
    finding, _, _ = log_in(twitch_login="other_bot")
    assert finding.status is Status.FAILED
    assert finding.words == "the token belongs to my_bot, not to other_bot"
    assert finding.advice.startswith("set TWITCH_LOGIN=my_bot")


def test_a_refused_connection_is_told() -> None:
    """Nobody listens there."""
    finding, _, _ = log_in(listen=False)
    assert finding.status is Status.FAILED
    assert "TWITCH_IRC_HOST and TWITCH_IRC_PORT" in finding.advice


def test_without_a_token_nobody_is_troubled() -> None:
    """The line about the token has said why there is none."""
    finding = run(check_login(make_settings(), FailingConnector(OSError("not tried")), ""))
    assert finding.status is Status.SKIPPED
    assert "`twitch token`" in finding.advice


def test_an_address_that_swallows_packets_is_given_up() -> None:
    """The deadline covers connecting too."""
    finding, elapsed_s, _ = log_in(lambda network, state: network.hang(HOST, PORT))
    assert "not logged in within 10 s" in finding.words
    assert elapsed_s == pytest.approx(LOGIN_TIMEOUT_S, abs=2)


def test_a_silent_server_is_given_up() -> None:
    """A TLS port spoken to without TLS looks like this; the connection is not left behind."""
    finding, elapsed_s, open_connections = log_in(handler=says())
    assert finding.status is Status.FAILED
    assert "6697 with TLS, 6667 without" in finding.advice
    assert elapsed_s == pytest.approx(LOGIN_TIMEOUT_S, abs=2)
    assert open_connections == 0


def test_a_server_that_talks_for_ever_is_given_up() -> None:
    """Lines without a welcome among them."""

    async def chatter(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b":tmi.twitch.tv NOTICE * :please wait\r\n")
            await asyncio.sleep(0.5)

    finding, elapsed_s, _ = log_in(handler=chatter)
    assert finding.status is Status.FAILED
    assert elapsed_s == pytest.approx(LOGIN_TIMEOUT_S, abs=2)


def test_a_server_that_hangs_up_is_told() -> None:
    """End of stream before the welcome."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    finding, _, _ = log_in(handler=hang_up)
    assert finding.status is Status.FAILED
    assert finding.words == "irc.test:6667: the server closed the connection"


def test_refused_capabilities_are_told() -> None:
    """A proxy or bouncer between us and Twitch."""
    finding, _, _ = log_in(handler=says(b":tmi.twitch.tv CAP * NAK :twitch.tv/tags"))
    assert finding.status is Status.FAILED
    assert "capabilities" in finding.words


def test_a_welcome_in_pieces_is_read() -> None:
    """However the network cuts it, after other lines, with tags or without."""

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for (
            byte
        ) in b":tmi.twitch.tv CAP * ACK :twitch.tv/tags\r\n:tmi.twitch.tv 001 my_bot :Welcome, GLHF!\r\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    finding, _, _ = log_in(handler=drip)
    assert finding.status is Status.OK


class FailingConnector:
    """A network on which connecting fails in one way."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    async def open(
        self, host: str, port: int, *, tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Never opens."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "words", "advice"),
    [
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "WRONG_VERSION_NUMBER",
            "TWITCH_IRC_TLS",
        ),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "verify failed", "TWITCH_IRC_TLS"),
        (OSError(-2, "Name or service not known"), "Name or service not known", "TWITCH_IRC_HOST"),
        (ConnectionResetError(), "ConnectionResetError", "TWITCH_IRC_HOST"),
    ],
)
def test_a_failed_connection_keeps_the_system_s_words(error: OSError, words: str, advice: str) -> None:
    """TLS has its own way out."""
    finding = run(check_login(make_settings(), FailingConnector(error), TOKEN))
    assert finding.status is Status.FAILED
    assert words in finding.words
    assert advice in finding.advice


def test_everything_is_tried_in_the_order_of_a_newcomer() -> None:
    """A failure does not keep the next part from being tried."""

    class NoClock:
        def unix(self) -> float:
            """Not asked without a database."""
            return 0.0

    async def story() -> list[Finding]:
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(lambda request: httpx.Response(500))
        ) as http:
            return await check(
                make_settings(), connector=FailingConnector(OSError("no network")), http=http, clock=NoClock()
            )

    findings = run(story())
    assert [(finding.name, finding.status.value) for finding in findings] == [
        ("settings", "ok"),
        ("twitch token", "skipped"),
        ("twitch login", "failed"),
        ("database", "skipped"),
    ]


async def test_the_real_network_is_wired_up() -> None:
    """On a real loop and loopback: nobody listens at the port that was just free."""
    server = await asyncio.start_server(says(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    settings = make_settings(twitch_irc_host="127.0.0.1", twitch_irc_port=port, durability="off")
    findings = await check_for_real(settings)
    assert [finding.status.value for finding in findings] == ["ok", "warning", "skipped", "failed", "skipped"]


def test_the_settings_are_summed_up_without_secrets() -> None:
    """Who the bot is and where it goes."""
    assert describe_settings(make_settings()).words == "bot my_bot, channels: my_channel, a_friend"
    database = {
        "supabase_url": "http://localhost",
        "supabase_key": SecretStr("x"),
        "twitch_channel_logins": (),
    }
    assert describe_settings(make_settings(**database)).words.endswith(
        "channels: those in the table channels_config"
    )


FINE = Finding("settings", Status.OK, "bot my_bot")
WARNED = Finding("clock", Status.WARNING, "7 s ahead", "switch on NTP")
BROKEN = Finding("twitch login", Status.FAILED, "refused", "make a new token")


def test_text_puts_the_advice_below_its_line() -> None:
    """Columns line up, and the last line sums up."""
    assert as_text([FINE, BROKEN]) == (
        "ok      settings      bot my_bot\n"
        "failed  twitch login  refused\n"
        "                      -> make a new token\n"
        "\n1 of 2 checks failed."
    )
    assert as_text([FINE, WARNED]).endswith("Everything the bot needs works.")


def test_json_is_for_programs() -> None:
    """One object with ok and the checks."""
    assert json.loads(as_json([FINE, BROKEN])) == {
        "ok": False,
        "checks": [
            {"name": "settings", "status": "ok", "words": "bot my_bot", "advice": ""},
            {"name": "twitch login", "status": "failed", "words": "refused", "advice": "make a new token"},
        ],
    }


def test_only_a_failure_fails() -> None:
    """Warnings and what was skipped do not."""
    skipped = Finding("database", Status.SKIPPED, "not set")
    assert exit_code([FINE, WARNED, skipped]) is ExitCode.OK
    assert exit_code([FINE, BROKEN]) is ExitCode.FAILED
