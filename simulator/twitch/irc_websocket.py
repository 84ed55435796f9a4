"""IRC over WebSocket: the frames of one connection as the streams that `IrcServer.handle` takes, so that one server is behind both.

Twitch's side of it (dev.twitch.tv/docs/chat/irc; what clients send was seen on the wire): the subprotocol `irc` is echoed where it is
offered (tmi.js cannot connect without) and not missed where it is not (twitchio 2); frames are text; a frame holds one or several
lines, and its end ends a line even without CR LF (tmi.js sends none); what the server has to say at one moment goes out as one frame.

The streams are asyncio's own, over a transport which writes frames. `FRAME_BYTES_MAX` splits a frame, at the end of a line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from simulator.twitch.irc import IrcServer
from simulator.twitch.websocket import WebSocketClosed, WebSocketConnection, WebSocketHandler

SUBPROTOCOL = "irc"
FRAME_BYTES_MAX = 32_768  # chosen: well below what any client takes as one message


def handler(irc: IrcServer) -> WebSocketHandler:
    """Return what serves IRC to each WebSocket; give it to a `WebListener` under the path that clients use."""

    async def serve(connection: WebSocketConnection) -> None:
        connection.accept(SUBPROTOCOL if SUBPROTOCOL in connection.offered else "")
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = _FrameTransport(connection)
        protocol.connection_made(transport)
        writer = _FrameWriter(transport, protocol, reader, connection)
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(_pump(connection, transport, protocol))
            await irc.handle(reader, writer)
            pump.cancel()

    return serve


async def _pump(
    connection: WebSocketConnection, transport: _FrameTransport, protocol: asyncio.StreamReaderProtocol
) -> None:
    """Feed the reader until the connection is gone."""
    try:
        while True:
            message = await connection.receive()
            data = message.encode() if isinstance(message, str) else message
            protocol.data_received(data if data.endswith(b"\n") else data + b"\r\n")
            await transport.readable.wait()
    except WebSocketClosed:
        protocol.eof_received()
        await connection.wait_closed()
        protocol.connection_lost(None)


class _FrameWriter(asyncio.StreamWriter):
    """A writer whose `drain` waits for the WebSocket's own socket."""

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.StreamReaderProtocol,
        reader: asyncio.StreamReader,
        connection: WebSocketConnection,
    ) -> None:
        super().__init__(transport, protocol, reader, asyncio.get_running_loop())
        self._connection = connection

    async def drain(self) -> None:
        """Wait until the socket takes more."""
        await self._connection.drain()


class _FrameTransport(asyncio.Transport):
    """The parts of a transport that streams and `Connection` use, written as text frames."""

    def __init__(self, connection: WebSocketConnection) -> None:
        # "go_half_open": below IRC there is a layer that answers pings, and it has to fall silent too.
        silence: Callable[[], None] = connection.go_half_open
        super().__init__({"go_half_open": silence})
        self._connection = connection
        self._closing = False
        self.readable = asyncio.Event()
        self.readable.set()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send whole lines as one frame, or as few as their length allows."""
        for frame in _frames(bytes(data).splitlines(keepends=True)):
            self._connection.send(frame.decode("utf-8", "replace"))

    def close(self) -> None:
        """Close the WebSocket, as after a QUIT."""
        self._closing = True
        self._connection.close(1000)

    def abort(self) -> None:
        """End the connection without a close frame."""
        self._closing = True
        self._connection.abort()

    def is_closing(self) -> bool:
        """Say whether the server has closed."""
        return self._closing

    def pause_reading(self) -> None:
        """Stop feeding the reader: its buffer is full."""
        self.readable.clear()

    def resume_reading(self) -> None:
        """Feed the reader again."""
        self.readable.set()


def _frames(lines: Iterable[bytes]) -> Iterator[bytes]:
    frame = b""
    for line in lines:
        if frame and len(frame) + len(line) > FRAME_BYTES_MAX:
            yield frame
            frame = b""
        frame += line
    if frame:
        yield frame
