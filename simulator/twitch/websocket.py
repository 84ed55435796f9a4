"""The server's side of one WebSocket, with its hand on everything that a fake has to do wrong on purpose.

`WebSocketConnection` is an asyncio protocol round the `websockets` package's sans-I/O `ServerProtocol`, which knows RFC 6455; here are
the socket, the deadlines and the faults. A listener makes one when an HTTP request asks for the upgrade, and hands it to a
`WebSocketHandler` once the request is valid. The handler looks at `path`, `query` and `offered`, answers with `accept` (or `refuse`), and
then uses `receive`, `send`, `ping` and `close`. The client's pings are answered by themselves; they are no messages.

Bounded: messages not yet received by the handler (reading stops, so TCP pushes back), the size of one message (RFC code 1009), and what
the client does not read: over `OUT_BYTES_MAX` it is cut off, and counted. `close` waits no longer than `CLOSE_TIMEOUT_S` for the client.

A half-open connection takes bytes and gives none, answers no ping, and is closed by nobody until the client does. What is unrealistic: TCP
still acknowledges, so only silence reveals it. Left out: compression (offered extensions are declined) and the Date header, whose
ticking would make two runs differ.
"""

from __future__ import annotations

import asyncio
import http
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidUpgrade
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

INCOMING_MESSAGES_MAX = 64  # reading stops until the handler caught up
MESSAGE_BYTES_MAX = 1_048_576  # chosen: the default of the `websockets` package
OUT_BYTES_MAX = 4 * 1024 * 1024  # as for a plain IRC connection
CLOSE_TIMEOUT_S = (
    10.0  # chosen: how long the client may take to answer a close, as the `websockets` package has it
)
PINGS_MAX = 1_000  # chosen: a client that answers no ping costs no more memory than this

WebSocketHandler = Callable[["WebSocketConnection"], Awaitable[None]]


class WebSocketClosed(Exception):
    """The connection has ended; `code` and `reason` are the client's, 1006 where it said none."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the WebSocket is closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocketConnection(asyncio.Protocol):
    """One WebSocket from its request to its end; used from one loop."""

    def __init__(
        self, requested: Callable[[WebSocketConnection], None], count: Callable[[str], None]
    ) -> None:
        """`requested` is called when the request has come and is valid; `count` counts by name."""
        self._requested = requested
        self._count = count
        self._protocol = ServerProtocol(max_size=MESSAGE_BYTES_MAX)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._accept_key = ""
        self._parts: list[bytes] = []
        self._parts_are_text = True
        self._incoming: deque[str | bytes] = deque()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()
        self._reading = True
        self._close_timer: asyncio.TimerHandle | None = None
        self._pings: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._ping_number = 0
        self.path = ""
        self.query: Mapping[str, str] = {}
        self.headers: Mapping[str, str] = {}
        self.offered: tuple[str, ...] = ()
        self.accepted = False
        self.half_open = False

    @property
    def open(self) -> bool:
        """True from `accept` until either side begins to close, half-open or not."""
        return self._protocol.state is State.OPEN and not self._lost.is_set()

    @property
    def sound(self) -> bool:
        """True while messages go both ways."""
        return self.open and not self.half_open

    @property
    def writable(self) -> bool:
        """True while the socket takes more; see `drain`."""
        return self._writable.is_set()

    @property
    def secure(self) -> bool:
        """True under TLS."""
        return self._socket().get_extra_info("sslcontext") is not None

    # -- the handshake ----------------------------------------------------------------------------------------------------------

    def accept(self, subprotocol: str = "") -> None:
        """Answer the request with 101, choosing one of the `offered` subprotocols or none."""
        assert not self.accepted, "a request is answered once"
        headers = Headers(
            {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": self._accept_key}
        )
        if subprotocol:
            headers["Sec-WebSocket-Protocol"] = subprotocol
            self._protocol.subprotocol = Subprotocol(subprotocol)
        self.accepted = True
        if self._lost.is_set():
            return
        self._protocol.send_response(Response(101, "Switching Protocols", headers))
        self._count("websockets_accepted")
        self._flush()

    def refuse(self, status: int, text: str) -> None:
        """Answer the request with an HTTP status and words instead, and close."""
        phrase = http.HTTPStatus(status).phrase
        body = text.encode()
        headers = Headers(
            {
                "Connection": "close",
                "Content-Length": str(len(body)),
                "Content-Type": "text/plain; charset=utf-8",
            }
        )
        if status == http.HTTPStatus.UPGRADE_REQUIRED:
            headers["Upgrade"] = "websocket"
        self._protocol.send_response(Response(status, phrase, headers, body))
        self._count("websockets_refused")
        self._flush()

    def _take_request(self, request: Request) -> None:
        parts = urlsplit(request.path)
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.offered = tuple(
            name.strip() for name in self.headers.get("sec-websocket-protocol", "").split(",") if name.strip()
        )
        try:
            self._accept_key, _, _ = self._protocol.process_request(request)
        except InvalidHandshake as error:
            upgrade = isinstance(error, InvalidUpgrade)
            self.refuse(426 if upgrade else 400, f"Failed to open a WebSocket connection: {error}.\n")
            return
        self._requested(self)

    # -- what the handler calls ---------------------------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """Return the next message; raises `WebSocketClosed` when no more will come."""
        while not self._incoming:
            if self._lost.is_set() or self._protocol.close_rcvd is not None:
                raise self._closed()
            self._arrived.clear()
            await self._arrived.wait()
        message = self._incoming.popleft()
        if not self._reading and len(self._incoming) < INCOMING_MESSAGES_MAX and not self._lost.is_set():
            self._reading = True
            self._socket().resume_reading()
        return message

    def send(self, text: str) -> bool:
        """Send one text message, and return whether it went out: after a close, or half-open, it vanishes."""
        if not self.sound:
            return False
        self._protocol.send_text(text.encode())
        self._flush()
        return True

    async def drain(self) -> None:
        """Wait until the socket takes more, if it is behind; a client that vanished is not waited for."""
        await self._writable.wait()

    async def ping(self) -> None:
        """Send a ping frame and wait for its pong; raises `WebSocketClosed` when the connection ends first."""
        if not self.open:
            raise self._closed()
        self._ping_number += 1
        payload = self._ping_number.to_bytes(4, "big")
        answered = self._loop.create_future()
        self._pings.append((payload, answered))
        if len(self._pings) > PINGS_MAX:
            self._pings.popleft()[1].cancel()
        self._protocol.send_ping(payload)
        self._flush()
        await answered

    def close(self, code: int, reason: str = "") -> None:
        """Begin to close with a code; a client that does not answer is cut off after `CLOSE_TIMEOUT_S`."""
        if self.half_open or not self.open:
            return  # the close frame would vanish like everything else, or is out already
        self._protocol.send_close(code, reason)
        self._flush()

    def abort(self) -> None:
        """End the connection at once, without a close frame; what is queued is lost."""
        if self._transport is not None:
            self._transport.abort()

    def go_half_open(self) -> None:
        """Let bytes vanish in both directions without closing anything."""
        self.half_open = True

    async def wait_closed(self) -> None:
        """Wait until the connection is gone, whoever ended it."""
        await self._lost.wait()

    def _closed(self) -> WebSocketClosed:
        received = self._protocol.close_rcvd
        if received is None:
            return WebSocketClosed(CloseCode.ABNORMAL_CLOSURE, "")
        return WebSocketClosed(received.code, received.reason)

    # -- what asyncio calls -------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read bytes of the request, then frames."""
        if self.half_open:
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._take_request(event)
            elif isinstance(event, Frame):
                self._take_frame(event)
        if self._protocol.handshake_exc is not None and not self.path:
            # h11 let it through and RFC 6455 does not (another method than GET).
            self._socket().write(
                b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self._count("websockets_refused")
        self._flush()
        self._arrived.set()

    def eof_received(self) -> None:
        """Note that the client sends no more; the transport then closes by itself."""
        self._protocol.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits for something that will not come."""
        self._protocol.receive_eof()
        self._lost.set()
        self._arrived.set()
        self._writable.set()
        if self._close_timer is not None:
            self._close_timer.cancel()
        while self._pings:
            self._answer(self._pings.popleft()[1], self._closed())

    def pause_writing(self) -> None:
        """Make `drain` wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `drain` go on."""
        self._writable.set()

    # -- frames -------------------------------------------------------------------------------------------------------------------

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._take_pong(bytes(frame.data))
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._parts_are_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        data, self._parts = b"".join(self._parts), []
        if not self._parts_are_text:
            self._incoming.append(data)
        else:
            try:
                self._incoming.append(data.decode())
            except UnicodeDecodeError as error:
                self._protocol.fail(CloseCode.INVALID_DATA, error.reason)
                return
        if len(self._incoming) >= INCOMING_MESSAGES_MAX and self._reading:
            self._reading = False
            self._socket().pause_reading()

    def _take_pong(self, payload: bytes) -> None:
        # RFC 6455, 5.5.3: the pong of a later ping may stand for those before it.
        if not any(payload == waiting for waiting, _ in self._pings):
            return
        while True:
            oldest, answered = self._pings.popleft()
            self._answer(answered, None)
            if oldest == payload:
                return

    def _answer(self, waiting: asyncio.Future[None], error: WebSocketClosed | None) -> None:
        if waiting.done():
            return  # whoever waited has given up
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    def _flush(self) -> None:
        out = self._protocol.data_to_send()
        transport = self._socket()
        if self.half_open or transport.is_closing():
            return
        for data in out:
            if data is SEND_EOF:
                # Both have said that they close: the server ends the TCP connection first (RFC 6455, 7.1.1).
                transport.close()
            else:
                transport.write(data)
        if transport.get_write_buffer_size() > OUT_BYTES_MAX:
            self._count("slow_readers_cut_off")
            transport.abort()
        elif self._close_timer is None and self._protocol.close_expected():
            self._close_timer = self._loop.call_later(CLOSE_TIMEOUT_S, transport.abort)

    def _socket(self) -> asyncio.Transport:
        assert self._transport is not None, "a protocol has its transport before anything else happens"
        return self._transport
