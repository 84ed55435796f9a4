"""EventSub without sockets: the same server and protocol on the in-memory network, in pure virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from simulator.loop import run
from simulator.network import MemoryNetwork
from simulator.twitch.connection import LinkLatency
from simulator.twitch.eventsub import EventSubServer
from simulator.twitch.websocket import WebSocketConnection
from tests.simulator.twitch.eventsub_rig import CHAT, eventsub_server
from tests.simulator.twitch.rig import small_twitch

ADDRESS = ("eventsub.test", 80)


def in_memory(
    server: EventSubServer,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return a handler for the network that gives its transport to a WebSocket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requested = asyncio.Event()
        connection = WebSocketConnection(lambda _: requested.set(), lambda _: None)
        connection.connection_made(writer.transport)
        request = await reader.readuntil(b"\r\n\r\n")
        writer.transport.set_protocol(connection)
        connection.data_received(request)
        await requested.wait()
        await server.handler(connection)
        await connection.wait_closed()

    return serve


class MemoryClient:
    """A client of RFC 6455 from the `websockets` package's sans-I/O half."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = ClientProtocol(parse_uri("ws://eventsub.test/ws"))
        self._texts: list[str] = []

    async def start(self) -> MemoryClient:
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        return self

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._writer.write(data)

    async def text(self) -> str:
        """Return the next text message; pings are answered on the way."""
        while not self._texts:
            self._protocol.receive_data(await self._reader.read(65_536))
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    self._texts.append(bytes(event.data).decode())
            self._flush()
        return self._texts.pop(0)


async def conversation() -> list[tuple[float, dict[str, Any]]]:
    """Follow alice's chat for two minutes of latency, redelivery, reordering and silence; return what came, and when."""
    loop = asyncio.get_running_loop()
    state = small_twitch(loop.time)
    server = eventsub_server(state)
    server.latency = LinkLatency(0.0, 0.04, jitter_s=0.05)
    server.duplicate_probability = server.reorder_probability = 0.2
    network = MemoryNetwork(random.Random(4), latency_s=0.02)
    network.listen(*ADDRESS, in_memory(server))
    client = await MemoryClient(*await network.open(*ADDRESS)).start()
    welcome = json.loads(await client.text())
    token = state.credentials.valid("bot-token")
    assert token is not None
    condition = {"broadcaster_user_id": state.user("alice").id, "user_id": state.user("bot").id}
    server.subscribe(token, CHAT, "1", condition, welcome["payload"]["session"]["id"])
    received = []
    for number in range(60):
        state.say("alice", f"viewer{number % 7}", f"line {number}")
    state.say("alice", "carol", "the end")
    while loop.time() < 120:
        received.append((loop.time(), json.loads(await client.text())))
    network.reset_all(*ADDRESS)
    await asyncio.sleep(1)
    assert server.connected == ()
    return received


def test_eventsub_runs_in_pure_virtual_time_and_repeats() -> None:
    """Every message once or twice, the keepalives after them, at the same microseconds in every run."""
    first = run(conversation(), seed=1)
    assert first == run(conversation(), seed=1)
    texts = [one["payload"]["event"]["message"]["text"] for _, one in first if "event" in one["payload"]]
    assert {f"line {number}" for number in range(60)} < set(texts)
    assert len(texts) > 65
    kinds = [one["metadata"]["message_type"] for _, one in first]
    assert kinds[-10:] == ["session_keepalive"] * 10
