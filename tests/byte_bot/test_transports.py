"""Which transport the settings lead to."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import httpx
import pytest

from byte_bot.auth.token_source import FixedToken
from byte_bot.chat.errors import TwitchIoMissing
from byte_bot.chat.eventsub.client import EventSubTransport
from byte_bot.chat.irc.client import IrcTransport
from byte_bot.chat.irc.connector import StreamConnector
from byte_bot.chat.transport import ChatTransport
from byte_bot.clock import SystemClock
from byte_bot.settings import Settings
from byte_bot.transports import transport_for


def chosen(**settings: Any) -> ChatTransport:
    """The transport of these settings."""
    base = {"twitch_login": "my_bot", "twitch_token": "0" * 30, "twitch_channel_logins": ("lobby",)}
    return transport_for(
        Settings(**{**base, **settings}),
        connector=StreamConnector(),
        twitch_http=httpx.AsyncClient(),
        keeper=FixedToken("0" * 30, "my_bot"),
        clock=SystemClock(),
        rng=random.Random(1),
        handler=lambda event: None,
    )


def test_irc_unless_something_else_is_said() -> None:
    """The default needs no TwitchIO."""
    assert isinstance(chosen(), IrcTransport)


async def test_eventsub_if_it_is_asked_for() -> None:
    """At the addresses of the settings."""
    chat = chosen(twitch_chat_mode="eventsub", twitch_eventsub_url="ws://127.0.0.1:1/ws")
    assert isinstance(chat, EventSubTransport)
    assert "ws://127.0.0.1:1/ws" in repr(chat)


async def test_without_the_library_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the first channel is joined."""
    monkeypatch.setitem(sys.modules, "twitchio", None)
    with pytest.raises(TwitchIoMissing):
        chosen(twitch_chat_mode="eventsub")


def test_who_chats_over_irc_loads_no_twitchio() -> None:
    """Nor what it brings: it is an extra, and costs a start half a second."""
    script = "import sys, byte_bot.app; print(*sorted({'twitchio', 'aiohttp'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
