"""TwitchIO's parts: that its private names which the transport leans on are there, and what is put right about them."""

from __future__ import annotations

import asyncio
import inspect
import sys
from importlib.metadata import version
from typing import Any

import pytest
from twitchio.eventsub.websockets import Websocket
from twitchio.http import HTTPClient, Route

from byte_bot.chat.errors import SocketFailed, TwitchIoMissing
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.twitchio_parts import check_installed, make_socket
from simulator.loop import run
from tests.byte_bot.chat.eventsub.fake_twitch import Place

# What `make_socket` overrides or reads; each is called or set by TwitchIO itself.
SOCKET_SEAMS = (
    "_create_connection_task", "_process_keepalive", "_process_notification", "_process_revocation",
    "_process_reconnect", "close", "connect", "_last_keepalive", "_keep_alive_task", "_listen_task",
    "_keep_alive_timeout", "_ready", "_socket",
)  # fmt: skip


class Heard:
    """What a socket told."""

    def __init__(self) -> None:
        self.notifications: list[Any] = []
        self.ends: list[str] = []

    def on_notification(self, message: Any) -> None:
        self.notifications.append(message)

    def on_revocation(self, subscription: Any) -> None:
        raise AssertionError("nothing is revoked here")

    def on_reconnect(self, url: str) -> None:
        raise AssertionError("nobody asks to reconnect here")

    def on_end(self, words: str) -> None:
        self.ends.append(words)


def test_twitchio_is_the_release_that_this_was_written_for() -> None:
    """Another one may have changed a private name without a word."""
    assert version("twitchio").startswith("3.3.")


@pytest.mark.parametrize("seam", SOCKET_SEAMS)
def test_the_sockets_seams_are_there(seam: str) -> None:
    """A method that TwitchIO no longer calls would be overridden in vain."""
    assert hasattr(Websocket, seam)
    assert f"self.{seam}" in inspect.getsource(Websocket)


def test_the_helix_clients_seams_are_there() -> None:
    """Every request goes through `request`, and a route's address can be moved."""
    assert Route("GET", "users").url.startswith(Route.BASE)
    assert "_url" in Route.__slots__
    assert "self.request(route)" in inspect.getsource(HTTPClient.request_json)


def test_without_twitchio_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install, or the other transport."""
    monkeypatch.setitem(sys.modules, "twitchio", None)
    with pytest.raises(TwitchIoMissing, match=r"byte-bot-twitch\[eventsub\].*TWITCH_CHAT_MODE=irc"):
        check_installed()


def connect(limits: EventSubLimits, *, accepting: bool = True) -> Heard:
    """Open a socket that nobody uses, and wait for a minute."""
    heard = Heard()

    async def body() -> None:
        place = Place()
        async with place.listener:
            place.eventsub.accepting = accepting
            socket = make_socket("1", heard, limits)
            try:
                await socket.open(f"{place.listener.ws_url}/ws?keepalive_timeout_seconds=10")
                assert socket.session_id
                await asyncio.sleep(60.0)
            finally:
                await socket.close()
                await socket.close()

    run(body(), hybrid=True)
    return heard


def test_the_end_of_an_unused_socket_is_told_once_with_its_code() -> None:
    """TwitchIO itself gives up at 4003 without a word."""
    assert connect(EventSubLimits()).ends == ["close 4003, no subscription within Twitch's 10 s"]


def test_a_socket_that_is_refused_is_an_error_and_tells_nothing() -> None:
    """Whoever opens it knows already."""
    with pytest.raises(SocketFailed):
        connect(EventSubLimits(), accepting=False)
