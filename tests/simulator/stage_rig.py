"""What the tests of a stage share: a chat client, an EventSub client, calls to Helix, and the control address."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection

from simulator.loop import START_UNIX_S
from simulator.serve import BOT_LOGIN, BOT_TOKEN, Stage
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.eventsub_types import FROM_BROADCASTER, USER, subscribable
from tests.simulator.supabase.project import BOT_SCHEMA
from tests.simulator.twitch.rig import ALL_CAPS, Client
from tests.simulator.twitch.web_rig import client


def stage(**options: Any) -> Stage:
    """A stage with the bot's own tables."""
    return Stage(BOT_SCHEMA, unix_start_s=START_UNIX_S, seed=3, **options)


@asynccontextmanager
async def controlled(**options: Any) -> AsyncIterator[tuple[Stage, httpx.AsyncClient]]:
    """A stage, and a client of its control address."""
    async with stage(**options) as place, httpx.AsyncClient(base_url=place.control_url) as http:
        yield place, http


async def error_of(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> str:
    """Send what cannot be carried out; the words of the 400."""
    answer = await http.request(method, path, json=body)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"])


@asynccontextmanager
async def bot_on(place: Stage, *channels: str) -> AsyncIterator[Client]:
    """A client that logged in with the stage's token and joined."""
    chat = await log_in(Client(*await asyncio.open_connection(*place.irc_address)), *channels)
    try:
        yield chat
    finally:
        await chat.close()


async def log_in(chat: Client, *channels: str) -> Client:
    """Log a client in as the bot, and join."""
    chat.send(ALL_CAPS, f"PASS oauth:{BOT_TOKEN}", f"NICK {BOT_LOGIN}")
    await chat.until("GLOBALUSERSTATE")
    for channel in channels:
        chat.send(f"JOIN #{channel}")
        await chat.until("ROOMSTATE")
    return chat


@dataclass
class Events:
    """An EventSub client after its welcome."""

    connection: ClientConnection
    session_id: str


@asynccontextmanager
async def events_of(
    place: Stage, *, url: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Events]:
    """Connect to EventSub, at this address or the announced one, and take the welcome."""
    options: dict[str, Any] = {"ssl": tls} if tls is not None else {}
    async with client(url or place.addresses()["eventsub"]["url"], **options) as connection:
        welcome = json.loads(await connection.recv())
        assert welcome["metadata"]["message_type"] == "session_welcome"
        yield Events(connection, welcome["payload"]["session"]["id"])


async def subscribed(
    place: Stage, events: Events, kind: str, channel: str, *, version: str = "", fields: tuple[str, ...] = ()
) -> None:
    """Subscribe to a type about a channel, over Helix with the bot's token; to one that is in no list with its version and fields."""
    if not version:
        version, fields = next(
            (version, one.fields) for (name, version), one in subscribable().items() if name == kind
        )
    ids = {field: place.twitch.channel(channel).id for field in fields if field != FROM_BROADCASTER}
    about_the_bot = {
        field: place.twitch.user(BOT_LOGIN).id for field in fields if field in (USER, "moderator_user_id")
    }
    body = {
        "type": kind,
        "version": version,
        "condition": {**ids, **about_the_bot},
        "transport": {"method": "websocket", "session_id": events.session_id},
    }
    async with httpx.AsyncClient() as http:
        answer = await helix(http, place, "POST", "/eventsub/subscriptions", BOT_TOKEN, body)
    assert answer.status_code == 202, answer.text


async def next_event(events: Events) -> Any:
    """The event of the next notification; keepalives are passed over."""
    while True:
        message = json.loads(await events.connection.recv())
        if message["metadata"]["message_type"] == "notification":
            return message["payload"]["event"]


async def helix(
    http: httpx.AsyncClient, place: Stage, method: str, path: str, token: str, body: Any = None
) -> httpx.Response:
    """Call Helix with a token of the ready-made app."""
    headers = {"Authorization": f"Bearer {token}", "Client-Id": DEFAULT_CLIENT_ID}
    return await http.request(method, place.addresses()["helix"]["url"] + path, headers=headers, json=body)
