"""A TCP proxy that breaks connections on request, between two real programs.

    async with TcpProxy("127.0.0.1", database_port) as proxy:
        client.connect(proxy.host, proxy.port)
        proxy.hang()
        proxy.heal()

How it works. Each accepted connection is a link: two sockets and a pump for each direction. The verbs act at once and need
no await. `refuse` closes the listening socket and binds its port again without listening, so that the kernel answers with a
reset and nobody else gets the port. It runs on any event loop, and on a hybrid virtual one.

What it leaves out: packets (TCP is a stream; the kernel cuts it as it likes) and latency. What waits in a hung link is
forwarded when it is healed, even if its sender has given up meanwhile, as a server does that was only slow.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import struct
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

_READ_BYTES = 64 * 1024
_BACKLOG = 100  # asyncio's own default
_CONNECT_TIMEOUT_S = 10.0
# How finely a drip is cut: pieces of 50 ms look like a trickle to every client, and cost 20 wake-ups a second.
_DRIP_STEP_S = 0.05
# SO_LINGER on, 0 s: close() sends RST instead of FIN.
_LINGER_RESET = struct.pack("ii", 1, 0) if os.name != "nt" else struct.pack("hh", 1, 0)


class _Link:
    """One connection through the proxy."""

    def __init__(
        self, client: tuple[asyncio.StreamReader, asyncio.StreamWriter], *, blackhole: bool = False
    ) -> None:
        self.client_reader, self.client = client
        self.upstream: asyncio.StreamWriter | None = None
        self.half_open = blackhole
        self.passed_bytes = 0  # towards the client, since cut_after was called

    def reset(self) -> None:
        for writer in (self.client, self.upstream):
            if writer is not None:
                _reset(writer)


class TcpProxy:
    """Forwards a local port to an upstream address, until a verb says otherwise."""

    def __init__(
        self, upstream_host: str, upstream_port: int, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Make a proxy that will listen on (host, port); port 0 takes a free one."""
        self.host = host
        self.port = port
        self._upstream = (upstream_host, upstream_port)
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._drip_bytes_per_s: float | None = None
        self._cut_after_bytes: int | None = None

    async def __aenter__(self) -> Self:
        self._bind()
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop listening, reset what is open, and wait until nothing of the proxy runs."""
        accepting = self._accepting
        self._unbind()
        tasks = [*self._links.values(), *([accepting] if accepting is not None else [])]
        self.reset_all()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many connections go through the proxy."""
        return len(self._links)

    # -- verbs --------------------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Refuse new connections; open ones stay."""
        if self._accepting is not None:
            self._unbind()
            self._bind()

    def hang(self) -> None:
        """Accept new connections, but forward nothing in either direction on any connection, until `heal`."""
        self._flowing.clear()

    def reset_all(self) -> int:
        """Reset every open connection (RST to both sides). Returns how many there were."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def half_open(self) -> int:
        """Let the bytes of every open connection vanish for good, both ways, closing nothing. Returns how many."""
        for link in self._links:
            link.half_open = True
        return len(self._links)

    def drip(self, bytes_per_s: float) -> None:
        """Let answers trickle to the client at this rate, which must be above 0."""
        if bytes_per_s <= 0:
            raise ValueError(f"bytes_per_s is {bytes_per_s}; it must be above 0 (hang() forwards nothing)")
        self._drip_bytes_per_s = bytes_per_s

    def cut_after(self, count_bytes: int) -> None:
        """End each connection, open or new, once so many more bytes have reached its client; a FIN, in mid-answer."""
        self._cut_after_bytes = count_bytes
        for link in self._links:
            link.passed_bytes = 0

    def heal(self) -> None:
        """Accept and forward again; connections that are half-open stay dead, as real ones do."""
        self._drip_bytes_per_s = self._cut_after_bytes = None
        self._flowing.set()
        if self._socket is not None and self._accepting is None:
            self._listen()

    # -- the listening socket -------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        if os.name == "posix":  # on Windows it would let two programs share a port
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((self.host, self.port))
        self.port = self._socket.getsockname()[1]

    def _listen(self) -> None:
        assert self._socket is not None
        self._socket.listen(_BACKLOG)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._socket))
        self._accepting.add_done_callback(_report)

    def _unbind(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        if self._socket is not None:
            # Before it is closed: its number may be another socket's by the time the cancelled accept takes it back.
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(listening)
            link = _Link(await asyncio.open_connection(sock=accepted))
            task = loop.create_task(self._serve(link))
            self._links[link] = task
            task.add_done_callback(functools.partial(self._ended, link))

    def _ended(self, link: _Link, task: asyncio.Task[None]) -> None:
        # A callback and not a `finally`: a task that is cancelled before its first step runs none.
        del self._links[link]
        for writer in (link.client, link.upstream):
            if writer is not None:
                writer.close()
        _report(task)

    # -- one connection -------------------------------------------------------------------------------------------------

    async def _serve(self, link: _Link) -> None:
        try:
            await self._flowing.wait()
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                reader, link.upstream = await asyncio.open_connection(*self._upstream)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_quiet(self._pump_up(link, link.upstream)))
                pumps.create_task(_quiet(self._pump_down(link, reader)))
        except (
            OSError
        ):  # refused, or too slow (TimeoutError): the client sees what a dead upstream looks like
            link.reset()

    async def _pump_up(self, link: _Link, upstream: asyncio.StreamWriter) -> None:
        """Client to upstream."""
        while data := await self._read(link, link.client_reader, upstream):
            upstream.write(data)
            await upstream.drain()
        upstream.write_eof()

    async def _pump_down(self, link: _Link, reader: asyncio.StreamReader) -> None:
        """Upstream to client."""
        while data := await self._read(link, reader, link.client):
            if not await self._give(link, data):
                link.client.close()
                return
        link.client.write_eof()

    async def _read(self, link: _Link, reader: asyncio.StreamReader, other: asyncio.StreamWriter) -> bytes:
        """Read the next bytes to forward, or b"" at the end; a half-open link reads for ever. Passes on a reset."""
        while True:
            try:
                data = await reader.read(_READ_BYTES)
            except ConnectionError:
                if not link.half_open:
                    _reset(other)
                    raise
                data = b""
            await self._flowing.wait()
            if not link.half_open:
                return data
            if not data:
                await asyncio.Event().wait()  # this side has closed, and the other one must not learn of it

    async def _give(self, link: _Link, data: bytes) -> bool:
        """Write to the client at the rate and up to the limit in force; returns False at the limit."""
        while data:
            size = len(data)
            rate = self._drip_bytes_per_s
            if rate is not None:
                size = min(size, max(1, int(rate * _DRIP_STEP_S)))
            if self._cut_after_bytes is not None:
                size = min(size, self._cut_after_bytes - link.passed_bytes)
            link.client.write(data[:size])
            await link.client.drain()
            link.passed_bytes += size
            data = data[size:]
            if self._cut_after_bytes is not None and link.passed_bytes >= self._cut_after_bytes:
                return False
            if rate is not None:
                await asyncio.sleep(size / rate)
        return True


async def _quiet(pump: Coroutine[Any, Any, None]) -> None:
    """Run a pump to its end; a broken connection is how connections end here, and no reason to stop the other pump."""
    try:
        await pump
    except ConnectionError:
        return


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, dropping what waits."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() != -1:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    writer.transport.abort()


def _report(task: asyncio.Task[None]) -> None:
    """Hand a bug in the proxy to the loop's exception handler: nobody awaits these tasks before the end."""
    if not task.cancelled() and task.exception() is not None:
        task.get_loop().call_exception_handler(
            {"message": "the TCP proxy failed", "exception": task.exception(), "task": task}
        )
