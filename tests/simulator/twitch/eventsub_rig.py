"""What the EventSub tests share: a small Twitch with the server on a loopback port, and a client that reads its JSON."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection

from simulator.twitch.credentials import DEFAULT_CLIENT_ID, Token
from simulator.twitch.eventsub import EventSubServer
from simulator.twitch.eventsub_session import EventSubTiming
from simulator.twitch.eventsub_subscriptions import Subscription
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from tests.simulator.twitch.rig import UNIX_START, small_twitch
from tests.simulator.twitch.web_rig import client, closing, listener

CHAT = "channel.chat.message"


def eventsub_server(
    state: TwitchState, timing: EventSubTiming | None = None, **options: Any
) -> EventSubServer:
    """Return a server for a state; it sends clients back to where they came from."""
    options = {"unix_start": UNIX_START, "ws_url": lambda: "", **options}
    return EventSubServer(state, random.Random(7), timing=timing, **options)


class Place:
    """The server on an address, and the state behind it."""

    def __init__(self, server: EventSubServer, state: TwitchState, url: str) -> None:
        self.server = server
        self.state = state
        self.life = StreamLife(state, random.Random(8))
        self.url = url

    def token(self, login: str = "bot", *scopes: str, client_id: str = DEFAULT_CLIENT_ID) -> Token:
        """Return a user's token for an app: with these scopes, or with all of them."""
        self.state.add_user(login)
        return self.state.credentials.issue_user(client_id, login, scopes or ("*",))

    @asynccontextmanager
    async def listener(self, query: str = "", **options: Any) -> AsyncIterator[Listener]:
        """Connect, and take the welcome."""
        async with client(self.url + query, **options) as connection:
            mine = Listener(self, connection)
            mine.welcome = await mine.next("session_welcome")
            yield mine


class Listener:
    """A client of EventSub."""

    def __init__(self, place: Place, connection: ClientConnection) -> None:
        self._place = place
        self.connection = connection
        self.welcome: Mapping[str, Any] = {}

    @property
    def session_id(self) -> str:
        return str(self.welcome["payload"]["session"]["id"])

    async def message(self) -> dict[str, Any]:
        """Return the next message."""
        text = await self.connection.recv()
        assert isinstance(text, str)
        message = json.loads(text)
        assert isinstance(message, dict)
        return message

    async def next(self, kind: str) -> dict[str, Any]:
        """Return the next message, which is of this kind."""
        message = await self.message()
        assert message["metadata"]["message_type"] == kind, message
        return message

    async def event(self, kind: str = CHAT) -> dict[str, Any]:
        """Return the event of the next message, a notification of this type."""
        message = await self.next("notification")
        assert message["metadata"]["subscription_type"] == kind, message
        return dict(message["payload"]["event"])

    def subscribe(
        self, kind: str = CHAT, version: str = "1", *, token: Token | None = None, **condition: str
    ) -> Subscription:
        """Subscribe to a type; without a condition to channel alice, chat as bot."""
        place, users = self._place, self._place.state.users
        if not condition and kind.startswith("channel.chat"):
            condition = {"broadcaster_user_id": users["alice"].id, "user_id": users["bot"].id}
        elif not condition:
            condition = {"broadcaster_user_id": users["alice"].id}
        return place.server.subscribe(token or place.token(), kind, version, condition, self.session_id)


@asynccontextmanager
async def eventsub(timing: EventSubTiming | None = None, **options: Any) -> AsyncIterator[Place]:
    """Serve a small Twitch's EventSub at /ws on a free loopback port."""
    state = small_twitch(asyncio.get_running_loop().time)
    server = eventsub_server(state, timing, **options)
    async with listener({"/ws": server.handler}) as listening:
        yield Place(server, state, f"{listening.ws_url}/ws")


def now_s() -> float:
    """Return the loop's time in seconds."""
    return asyncio.get_running_loop().time()


async def closed(mine: Listener) -> int:
    """Return the code with which the server closes."""
    return (await closing(mine.connection))[0]
