"""A network in memory: listeners, connections, latency and faults by address.

    network = MemoryNetwork(seeds.stream("network"))
    network.listen("irc.test", 6667, server.handle)            # handle(reader, writer)
    reader, writer = await network.open("irc.test", 6667)      # real asyncio streams
    network.half_open_all("irc.test", 6667)

How it works. `open` joins two `MemoryTransport`s (`memory_transport.py`) under real `StreamReader`s and `StreamWriter`s,
starts the listener's handler as a task of whoever listens, and takes one round trip, as a TCP handshake does. Every
verb acts on an address, and says how many connections it met. Each connection draws its packets from a generator of
its own, so traffic on one does not change another. When a simulated process ends, its connections end as a kernel would end
them, and its ports are free again.

What it leaves out: names and routes (a host is any string), TLS itself (`tls=True` only makes the streams behave like TLS
streams at an end of stream), a backlog of connections not yet accepted, and ICMP. `TcpProxy` has the same verbs for
real sockets.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import random
from asyncio import events
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from simulator.memory_transport import Chunking, Ends, MemoryTransport, Wire, WireConditions
from simulator.process import Process, context_for, current_process
from simulator.tcp_proxy import TcpProxy
from simulator.virtual_loop import VirtualLoop

__all__ = ["Chunking", "Handler", "MemoryNetwork", "TcpProxy"]

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_FIRST_CLIENT_PORT = 49_152  # RFC 6335: the dynamic ports


@dataclass
class _Connection:
    client: MemoryTransport
    server: MemoryTransport
    wires: tuple[Wire, Wire]

    def half_open(self) -> None:
        for wire in self.wires:
            wire.cut_silently()


@dataclass
class _Listener:
    handler: Handler
    context: contextvars.Context
    process: Process | None
    limit: int


@dataclass
class _Address:
    """One host and port: its conditions outlive its listener, as a network outlives a server."""

    to_server: WireConditions
    to_client: WireConditions
    mode: Literal["accept", "refuse", "hang"] = "accept"
    listener: _Listener | None = None
    connections: dict[int, _Connection] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryNetwork:
    """Every connection of a world; see the module's docstring."""

    def __init__(
        self, rng: random.Random, *, latency_s: float = 0.0, chunking: Chunking | None = None
    ) -> None:
        """Make an empty network; `latency_s` in seconds per direction and `chunking` are the defaults of each address."""
        self._rng = rng
        self._latency_s = latency_s
        self._chunking = chunking
        self._addresses: dict[tuple[str, int], _Address] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._numbers = 0
        self._watched_loop: VirtualLoop | None = None

    # -- what programs use ------------------------------------------------------------------------------------------

    def listen(self, host: str, port: int, handler: Handler, *, limit: int = 2**16) -> None:
        """Serve (host, port): `handler(reader, writer)` runs for each connection, which is closed when it returns.

        Handlers are tasks of the process that listens. `limit` is the stream reader's, in bytes. Raises OSError
        (EADDRINUSE) if somebody listens there.
        """
        address = self._address(host, port)
        if address.listener is not None:
            raise OSError(errno.EADDRINUSE, f"{host}:{port} is in use")
        self._watch()
        address.listener = _Listener(handler, contextvars.copy_context(), current_process(), limit)

    def close_listener(self, host: str, port: int) -> None:
        """Stop serving (host, port); open connections stay."""
        self._address(host, port).listener = None

    async def open(
        self, host: str, port: int, *, tls: bool = False, limit: int = 2**16
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to (host, port), which takes one round trip; raises ConnectionRefusedError if nobody serves there."""
        loop = asyncio.get_running_loop()
        self._watch()
        address = self._address(host, port)
        await asyncio.sleep(address.to_server.latency_s)
        while address.mode == "hang":
            address.changed.clear()
            await address.changed.wait()
        listener = address.listener
        if listener is None or address.mode == "refuse":
            await asyncio.sleep(address.to_client.latency_s)
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody serves {host}:{port}")
        streams = self._connect(loop, (host, port), address, listener, tls=tls, limit=limit)
        try:
            await asyncio.sleep(address.to_client.latency_s)
        except asyncio.CancelledError:
            streams[1].transport.abort()
            raise
        return streams

    def _connect(
        self,
        loop: asyncio.AbstractEventLoop,
        at: tuple[str, int],
        address: _Address,
        listener: _Listener,
        *,
        tls: bool,
        limit: int,
    ) -> _Streams:
        self._numbers += 1
        number = self._numbers
        rngs = [random.Random(self._rng.getrandbits(64)) for _ in range(2)]
        to_server = Wire(loop, address.to_server, rngs[0])
        to_client = Wire(loop, address.to_client, rngs[1])
        client_at = ("client", _FIRST_CLIENT_PORT + number)

        def lost(_end: MemoryTransport) -> None:
            connection = address.connections.get(number)
            if connection is not None and connection.client.is_closing() and connection.server.is_closing():
                del address.connections[number]

        def make_end(
            ends: Ends, outgoing: Wire, incoming: Wire, limit: int
        ) -> tuple[MemoryTransport, _Streams]:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
            transport = MemoryTransport(loop, protocol, ends, outgoing, incoming, lost)
            protocol.connection_made(transport)
            return transport, (reader, asyncio.StreamWriter(transport, protocol, reader, loop))

        client, client_streams = make_end(Ends(client_at, at, tls), to_server, to_client, limit)
        server, server_streams = listener.context.copy().run(
            make_end, Ends(at, client_at, tls), to_client, to_server, listener.limit
        )
        address.connections[number] = _Connection(client, server, (to_server, to_client))
        self._start_handler(loop, listener, server_streams)
        return client_streams

    def _start_handler(self, loop: asyncio.AbstractEventLoop, listener: _Listener, streams: _Streams) -> None:
        task = loop.create_task(_serve(listener.handler, *streams), context=listener.context.copy())
        self._tasks[task] = None
        task.add_done_callback(self._handler_done, context=context_for(None))

    def _handler_done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and task.exception() is not None:
            task.get_loop().call_exception_handler(
                {"message": "a connection's handler failed", "exception": task.exception(), "task": task}
            )

    # -- conditions and faults, by address ------------------------------------------------------------------------------

    def conditions(
        self,
        host: str,
        port: int,
        *,
        to_server_s: float | None = None,
        to_client_s: float | None = None,
    ) -> None:
        """Set the latency of (host, port) in seconds per direction, for open connections too; None leaves it as it is."""
        address = self._address(host, port)
        if to_server_s is not None:
            address.to_server.latency_s = to_server_s
        if to_client_s is not None:
            address.to_client.latency_s = to_client_s

    def chunk(self, host: str, port: int, chunking: Chunking | None) -> None:
        """Split and merge packets of (host, port) from now on, in both directions; None stops it."""
        address = self._address(host, port)
        address.to_server.chunking = address.to_client.chunking = chunking

    def accept(self, host: str, port: int) -> None:
        """Accept connections again, those that hang included."""
        self._set_mode(host, port, "accept")

    def refuse(self, host: str, port: int) -> None:
        """Refuse new connections (ECONNREFUSED); open ones stay."""
        self._set_mode(host, port, "refuse")

    def hang(self, host: str, port: int) -> None:
        """Let new connections wait without an answer, as when packets are dropped; open ones stay."""
        self._set_mode(host, port, "hang")

    def reset_all(self, host: str, port: int) -> int:
        """Reset every connection: both ends get ConnectionResetError at this instant. Returns how many there were."""
        connections = list(self._address(host, port).connections.values())
        for connection in connections:
            connection.half_open()  # nothing that is under way arrives after a reset
            connection.client.arrive_reset()
            connection.server.arrive_reset()
        return len(connections)

    def half_open_all(self, host: str, port: int) -> int:
        """Let the bytes of every connection vanish, both ways and for good, without telling anybody. Returns how many."""
        connections = list(self._address(host, port).connections.values())
        for connection in connections:
            connection.half_open()
        return len(connections)

    def disconnect(self, process: Process | str) -> int:
        """End the connections and listeners of a process (or of all of that name) as its kernel would when it dies.

        Returns how many connections it had. On a virtual loop this happens by itself when a process ends.
        """

        def is_its(owner: Process | None) -> bool:
            return owner is not None and (owner is process or owner.name == process)

        ended = 0
        for address in self._addresses.values():
            if address.listener is not None and is_its(address.listener.process):
                address.listener = None
            for connection in list(address.connections.values()):
                ends = [end for end in (connection.client, connection.server) if is_its(end.process)]
                for end in ends:
                    end.die()
                ended += bool(ends)
        return ended

    def connections(self, host: str, port: int) -> int:
        """Return how many connections of (host, port) have an end that is not closed."""
        return len(self._address(host, port).connections)

    def _set_mode(self, host: str, port: int, mode: Literal["accept", "refuse", "hang"]) -> None:
        address = self._address(host, port)
        address.mode = mode
        address.changed.set()

    def _address(self, host: str, port: int) -> _Address:
        if (host, port) not in self._addresses:
            self._addresses[host, port] = _Address(
                WireConditions(self._latency_s, self._chunking),
                WireConditions(self._latency_s, self._chunking),
            )
        return self._addresses[host, port]

    def _watch(self) -> None:
        """Learn of the end of processes from a loop that has them."""
        loop = events._get_running_loop()
        if isinstance(loop, VirtualLoop) and self._watched_loop is not loop:
            self._watched_loop = loop
            loop.on_process_end(self._process_ended)

    def _process_ended(self, process: Process) -> None:
        self.disconnect(process)


async def _serve(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await handler(reader, writer)
    finally:
        writer.close()
