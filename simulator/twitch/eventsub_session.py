"""One EventSub session, and the WebSocket it has at the moment: what goes out when, and what ends it.

A session outlives its socket when Twitch asks the client to reconnect: the new socket takes over id and subscriptions, and for the rest of
the grace there are two. `EventSubSocket.run` is four tasks in one TaskGroup: *receive* (any message is against the rules: 4001), *send*
(queued messages, after the latency), *keepalive* (only when nothing went out for the session's time) and *ping* (no pong: 4002).

Messages leave in order, except those with an extra delay, which later ones overtake. A client that does not read fills the queue; at the
limit it is closed with 4005 and counted. On a half-open socket the server notices the missing pong as the real one would, and gives the
session up; the client sees nothing but silence.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulator.twitch.eventsub_text import Json
from simulator.twitch.websocket import WebSocketClosed, WebSocketConnection

# Source: dev.twitch.tv/docs/eventsub/handling-websocket-events#close-message
CLOSE_REASONS: Mapping[int, str] = {
    4000: "internal server error",
    4001: "client sent inbound traffic",
    4002: "client failed ping-pong",
    4003: "connection unused",
    4004: "client reconnect grace time expired",
    4005: "network timeout",
    4006: "network error",
    4007: "invalid reconnect",
}
# What becomes of the subscriptions (dev.twitch.tv/docs/api/reference#get-eventsub-subscriptions).
STATUSES: Mapping[int, str] = {
    4000: "websocket_internal_error",
    4001: "websocket_received_inbound_traffic",
    4002: "websocket_failed_ping_pong",
    4003: "websocket_connection_unused",
    4004: "websocket_failed_to_reconnect",
    4005: "websocket_network_timeout",
    4006: "websocket_network_error",
    4007: "websocket_failed_to_reconnect",
}
DISCONNECTED = "websocket_disconnected"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SESSION_CHARS = 32


@dataclass(frozen=True, slots=True)
class EventSubTiming:
    """The server's own timers, in seconds, and the bound of each socket's queue, in messages."""

    subscribe_s: float = 10.0  # documented: from the welcome to the first subscription
    keepalive_s: int = 10  # documented default of keepalive_timeout_seconds
    keepalive_min_s: int = 10
    keepalive_max_s: int = 600
    ping_interval_s: float = 30.0  # chosen: the documentation names none
    pong_timeout_s: float = 10.0  # chosen; with the interval, below the age at which idle proxies cut
    queue_max: int = 10_000  # chosen: a minute of 160 events a second

    def keepalive(self, asked: str | None) -> int:
        """Return the keepalive time for what the client asked: the nearest that is allowed, the default for no number."""
        try:
            wanted = float(asked) if asked is not None else self.keepalive_s
        except ValueError:
            return self.keepalive_s
        if wanted != wanted:
            return self.keepalive_s  # "nan" is a float to Python and no number to Twitch
        return int(min(max(wanted, self.keepalive_min_s), self.keepalive_max_s))


@dataclass(order=True, slots=True)
class _Outgoing:
    due_s: float
    order: int
    text: str = field(compare=False)


class _Ended(Exception):
    """Unwinds the TaskGroup of one socket; never leaves this module."""


class EventSubSocket:
    """One WebSocket of a session."""

    def __init__(
        self,
        connection: WebSocketConnection,
        *,
        keepalive_s: int,
        timing: EventSubTiming,
        delay_s: Callable[[], float],
        keepalive: Callable[[], str | None],
        ended: Callable[[EventSubSocket], None],
        count: Callable[[str], None],
    ) -> None:
        """`delay_s` draws the latency (s) of a message, `keepalive` writes one (None: lost); `ended` is told once, `count` counts."""
        self.connection = connection
        self._keepalive_s = keepalive_s
        self._timing = timing
        self._delay_s = delay_s
        self._keepalive_text = keepalive
        self._ended = ended
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._queue: list[_Outgoing] = []
        self._order = 0
        self._last_due_s = 0.0
        self._last_sent_s = self._loop.time()
        self._more = asyncio.Event()
        self.grace: asyncio.TimerHandle | None = None  # after the client was asked to reconnect
        self.status = ""  # of the subscriptions when it has ended, "" before

    def post(self, text: str, *, extra_delay_s: float = 0.0) -> None:
        """Queue a message; after the end, or half-open, it vanishes."""
        if self.status or not self.connection.sound:
            return
        if len(self._queue) >= self._timing.queue_max:
            self._count("slow_readers_cut_off")
            self.close(4005)
            return
        due_s = max(self._last_due_s, self._loop.time() + self._delay_s())
        if extra_delay_s == 0.0:
            self._last_due_s = due_s
        heapq.heappush(self._queue, _Outgoing(due_s + extra_delay_s, self._order, text))
        self._order += 1
        self._more.set()

    def close(self, code: int) -> None:
        """End it for the server at once, and for the client with this code after what is due is out."""
        if self.status:
            return
        self._finish(STATUSES.get(code, DISCONNECTED))
        self._count(f"closed_{code}")
        self._flush()
        self.connection.close(code, CLOSE_REASONS.get(code, ""))

    def abort(self) -> None:
        """End it for both at once, without a close frame."""
        self._finish(DISCONNECTED)
        self.connection.abort()

    def _finish(self, status: str) -> None:
        if not self.status:
            self.status = status
            self._ended(self)

    async def run(self) -> None:
        """Serve until the connection is gone."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive())
                tasks.create_task(self._send())
                tasks.create_task(self._keepalive())
                tasks.create_task(self._ping())
        except* _Ended:
            pass
        finally:
            self._finish(DISCONNECTED)

    async def _receive(self) -> None:
        try:
            while True:
                await self.connection.receive()
                self.close(4001)
        except WebSocketClosed:
            raise _Ended from None

    async def _send(self) -> None:
        while True:
            self._flush()
            await self.connection.drain()
            self._more.clear()
            try:
                async with asyncio.timeout_at(self._queue[0].due_s if self._queue else None):
                    await self._more.wait()
            except TimeoutError:
                pass  # the first in the queue is due

    def _flush(self) -> None:
        now_s = self._loop.time()
        while self._queue and self._queue[0].due_s <= now_s:
            if not self.connection.writable:
                return  # the client is behind: what waits, waits here, where it is bounded
            self.connection.send(heapq.heappop(self._queue).text)
            self._last_sent_s = now_s

    async def _keepalive(self) -> None:
        while not self.status:
            due_s = self._last_sent_s + self._keepalive_s
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            if self._last_sent_s + self._keepalive_s > due_s:
                continue  # something went out meanwhile
            self._last_sent_s = due_s
            if self._queue:
                continue  # something is about to
            text = self._keepalive_text()
            if text is not None:
                self.post(text)

    async def _ping(self) -> None:
        while not self.status:
            await asyncio.sleep(self._timing.ping_interval_s)
            try:
                async with asyncio.timeout(self._timing.pong_timeout_s):
                    await self.connection.ping()
            except TimeoutError:
                self.close(4002)
            except WebSocketClosed:
                return


class EventSubSession:
    """A session: its id, whose it is, its socket, and the reconnect that is under way."""

    def __init__(self, rng: random.Random, keepalive_s: int) -> None:
        self._rng = rng
        self.id = "AgoQ" + "".join(rng.choices(_ALPHABET, k=_SESSION_CHARS))
        self.keepalive_s = keepalive_s
        self.connected_at = ""
        self.owner: tuple[str, str] | None = None  # client id and login ("": a shard), from the first use on
        self.sockets: list[EventSubSocket] = []  # the newest last; two while a reconnect is under way
        self.challenge = ""  # what the next socket has to show, while a reconnect is under way

    @property
    def socket(self) -> EventSubSocket:
        """The socket that gets the events."""
        return self.sockets[-1]

    def new_id(self) -> str:
        """Draw the id of a message or a challenge."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def message(self, kind: str, at: str, payload: Json) -> str:
        """Write a message about the session itself."""
        metadata = {"message_id": self.new_id(), "message_type": kind, "message_timestamp": at}
        return encode({"metadata": metadata, "payload": payload})

    def to_json(self, status: str, reconnect_url: str | None = None) -> Json:
        """The session as its welcome and its reconnect show it."""
        return {
            "session": {
                "id": self.id,
                "status": status,
                "connected_at": self.connected_at,
                "keepalive_timeout_seconds": self.keepalive_s if reconnect_url is None else None,
                "reconnect_url": reconnect_url,
            }
        }


def encode(value: Json) -> str:
    """Write JSON as Twitch does, without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
