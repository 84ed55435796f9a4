"""One port for HTTP and WebSockets, in plain or under TLS, on the running loop.

HTTP is uvicorn's protocol over an ASGI application; a request for a WebSocket goes over to `websocket.WebSocketConnection` on the same
socket, and to the handler of its path. No signal handlers, no ticking, no lifespan: it works in a hybrid virtual loop as in a real one.
Whoever enters the context owns the handlers' tasks: at its end connections are aborted and tasks cancelled.

A handler that fails ends its connection and is reported to the loop's exception handler (a virtual loop raises it at the end of the
run): one client's connection must not take the others' with it, and a defect of the fake must not pass unseen.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from simulator.twitch.websocket import WebSocketClosed, WebSocketConnection, WebSocketHandler


class WebListener:
    """Serves an application and WebSockets while the context is entered; port 0 takes a free one."""

    def __init__(
        self,
        app: Starlette,
        sockets: Mapping[str, WebSocketHandler],
        *,
        host: str,
        port: int = 0,
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        """`sockets` maps a path to its handler; a WebSocket for any other path gets 404."""
        self._sockets = sockets
        self._host = host
        self._tls = ssl
        self._state = ServerState()
        self._handlers: dict[asyncio.Task[None], None] = {}
        self._config = uvicorn.Config(
            app,
            http="h11",
            # uvicorn calls this with its configuration and state, and gives what it returns the socket.
            ws=cast("type[asyncio.Protocol]", self._upgraded),
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
        )
        self.port = port
        self.stats: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """The address for HTTP, without a slash at its end."""
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The address for WebSockets, without a slash at its end."""
        return f"{'ws' if self._tls is None else 'wss'}://{self._host}:{self.port}"

    async def __aenter__(self) -> WebListener:
        self._config.load()
        loop = asyncio.get_running_loop()

        def accept() -> H11Protocol:
            return H11Protocol(self._config, self._state, {}, loop)

        self._server = await loop.create_server(accept, self._host, self.port, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for protocol in tuple(self._state.connections):
            protocol.transport.abort()
        tasks = [*sorted(self._state.tasks, key=asyncio.Task.get_name), *self._handlers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _upgraded(self, **_uvicorn: Any) -> WebSocketConnection:
        return WebSocketConnection(self._requested, self._count)

    def _count(self, what: str) -> None:
        self.stats[what] += 1

    def _requested(self, connection: WebSocketConnection) -> None:
        handler = self._sockets.get(connection.path)
        if handler is None:
            connection.refuse(404, f"there is no WebSocket at {connection.path}\n")
            return
        task = asyncio.get_running_loop().create_task(self._serve(handler, connection))
        self._handlers[task] = None
        task.add_done_callback(self._ended)

    async def _serve(self, handler: WebSocketHandler, connection: WebSocketConnection) -> None:
        try:
            try:
                await handler(connection)
            except WebSocketClosed:
                pass  # the client left in the middle of something
            connection.close(1000)
            await connection.wait_closed()
        except BaseException:
            connection.abort()
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._handlers[task]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            words = "a WebSocket's handler failed; its connection was aborted"
            task.get_loop().call_exception_handler({"message": words, "exception": error, "task": task})
