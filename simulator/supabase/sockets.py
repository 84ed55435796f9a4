"""The fake Supabase on real sockets: an ASGI application, and a server which runs it on a loopback port.

`asgi_app` works under any ASGI server. What an application cannot do by itself (reset a connection, close it
without an answer) it asks of ``drop``; without one it promises a body and leaves, so that the server ends the
connection.

`SupabaseServer` puts uvicorn's HTTP protocol on a listener of its own in the running loop: no signal
handlers, no lifespan, no ticking Date header, so that it runs in a hybrid virtual-time loop as well as in
real time. While a `Refused` fault acts the listener is closed, the connections are reset and the port is
kept: the same address listens again afterwards. Nothing polls: the fault board says when it was changed and
when it will change.

Left out: HTTP/2, TLS, the handshake of a slow accept. A `Refused` with a probability below one resets
instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from types import TracebackType
from typing import Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from simulator.faults import CommitThenDrop, CutBody, Drip, Hang, Refused, Reset
from simulator.supabase.conduct import FACE_FAULTS, decide, drip
from simulator.supabase.server import FakeSupabase
from simulator.supabase.wire import Request, Response

# As nginx in front of PostgREST: longer than httpx keeps an idle connection, so that the client closes first.
KEEP_ALIVE_S = 75
BACKLOG = 128


class Drop(Protocol):
    """Ends the connection on which the request of ``scope`` came, with a reset or an orderly close."""

    def __call__(self, scope: Scope, *, reset: bool) -> None: ...


def asgi_app(fake: FakeSupabase, *, drop: Drop | None = None) -> Starlette:
    """The fake as an ASGI application, faults included; ``drop`` ends connections where that is possible."""
    return Starlette(routes=[Mount("/", app=_Application(fake, drop))])


class _ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class _Application:
    def __init__(self, fake: FakeSupabase, drop: Drop | None) -> None:
        self._fake = fake
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await _read(scope, receive)
        except _ClientGone:
            return
        fake = self._fake
        fake.attempts_total += 1
        conduct = decide(fake.faults.database_draw(*FACE_FAULTS), fake.rng)
        if isinstance(conduct.connection, Hang):
            await _until_gone(receive)
            return
        # No look at the client from here on: a database carries out what it received.
        await asyncio.sleep(conduct.before_s)
        if isinstance(conduct.connection, Refused | Reset):
            await self._end(scope, send, reset=True)
            return
        if conduct.canned is not None:
            fake.record(request, conduct.canned)
            response = conduct.canned
        else:
            response = fake.execute(request)
        await asyncio.sleep(conduct.after_s)
        cut = isinstance(conduct.ending, CutBody)
        if isinstance(conduct.ending, CommitThenDrop) or (cut and not response.body):
            await self._end(scope, send, reset=False)
        elif cut:
            await _start(send, response)
            half = response.body[: len(response.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            if self._drop is not None:
                self._drop(scope, reset=False)
        elif isinstance(conduct.ending, Drip):
            await _start(send, response)
            await _drip(send, receive, response.body, conduct.ending.bytes_per_s)
        else:
            await _start(send, response)
            await send({"type": "http.response.body", "body": response.body})

    async def _end(self, scope: Scope, send: Send, *, reset: bool) -> None:
        if self._drop is not None:
            self._drop(scope, reset=reset)
        else:
            # The server closes the connection of an application which leaves before its promised body.
            await _start(send, Response(502, (), b"?"))


async def _read(scope: Scope, receive: Receive) -> Request:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"").decode("ascii")
    return Request(scope["method"], path.partition(b"?")[0].decode("ascii"), query, headers, body)


async def _start(send: Send, response: Response) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if response.status != 204:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drip(send: Send, receive: Receive, body: bytes, bytes_per_s: float) -> None:
    interval_s, portions = drip(body, bytes_per_s)
    for portion in portions:
        try:
            async with asyncio.timeout(interval_s):
                await _until_gone(receive)
        except TimeoutError:
            await send({"type": "http.response.body", "body": portion, "more_body": True})
        else:
            return
    await send({"type": "http.response.body", "body": b""})


class SupabaseServer:
    """Serves a `FakeSupabase` on a loopback port of the running loop; port 0 takes a free one. See `url`."""

    def __init__(self, fake: FakeSupabase, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._fake = fake
        self._host = host
        self.port = port
        self._state = ServerState()
        self._changed = asyncio.Event()
        self._config = uvicorn.Config(
            asgi_app(fake, drop=self._drop_connection),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._held: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._resources = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """What goes into SUPABASE_URL."""
        return f"http://{self._host}:{self.port}"

    @property
    def listening(self) -> bool:
        """Whether connections are accepted at the moment."""
        return self._server is not None

    async def __aenter__(self) -> SupabaseServer:
        self._config.load()
        self._held = self._bind()
        self.port = int(self._held.getsockname()[1])
        await self._follow_faults()
        group = await self._resources.enter_async_context(asyncio.TaskGroup())
        keeper = group.create_task(self._keep(), name="supabase-listener")
        self._resources.callback(keeper.cancel)
        self._resources.callback(self._fake.faults.subscribe(self._changed.set))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._resources.aclose()
        self._stop_listening()
        if self._held is not None:
            self._held.close()
        self.reset_connections()
        tasks = sorted(self._state.tasks, key=asyncio.Task.get_name)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset_connections(self) -> None:
        """Reset every open connection."""
        for protocol in self._connections():
            _abort(protocol.transport, reset=True)

    # --- the listener
    # -------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._follow_faults()

    async def _follow_faults(self) -> None:
        board = self._fake.faults
        refused = any(isinstance(fault, Refused) and fault.probability >= 1 for fault in board.database_now())
        if refused and self._server is not None:
            self._stop_listening()
            self._held = self._bind()
            self.reset_connections()
        elif not refused and self._server is None:
            await self._listen()
        if self._timer is not None:
            self._timer.cancel()
        change_s = board.next_change_s()
        self._timer = None
        if change_s is not None:
            delay_s = max(0.0, change_s - board.time_s)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._changed.set)

    def _bind(self) -> socket.socket:
        # Bound and not listening: the port stays ours, and whoever connects to it is refused.
        # The protocol is named because asyncio turns Nagle's delay off only on sockets which say that they
        # are TCP.
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setblocking(False)
        try:
            held.bind((self._host, self.port))
        except OSError:
            held.close()
            raise
        return held

    async def _listen(self) -> None:
        assert self._held is not None, "the port is held whenever nothing listens on it"
        loop = asyncio.get_running_loop()

        def accept() -> H11Protocol:
            return H11Protocol(self._config, self._state, {}, loop)

        self._server = await loop.create_server(accept, sock=self._held, backlog=BACKLOG)
        self._held = None

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    # --- connections
    # --------------------------------------------------------------------------------------------

    def _connections(self) -> list[H11Protocol]:
        protocols = [one for one in self._state.connections if isinstance(one, H11Protocol)]
        return sorted(protocols, key=lambda protocol: protocol.client or ("", 0))

    def _drop_connection(self, scope: Scope, *, reset: bool) -> None:
        for protocol in self._connections():
            if protocol.client == tuple(scope["client"]):
                _abort(protocol.transport, reset=reset)


def _abort(transport: asyncio.Transport, *, reset: bool) -> None:
    if not reset:
        transport.close()  # what was written is still sent
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Lingering for 0 seconds makes the close a reset. Windows' struct has shorts.
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
