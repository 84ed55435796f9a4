"""What crosses the edge of the bot's process, written into the trace: chat lines, requests, answers, and what is planned.

How it works. Wrappers around what a world connects the bot with anyway: the fake Twitch's handler of a connection
(`recorded_chat`), the httpx transport (`RecordedTransport`), the fake Supabase (`record_answers`). Lines are recorded
whole, however the network cut them, at the instant at which Twitch sent or got them; a body stands as a hash, since the order of
rows in a save is a difference like any other. So two runs with one trace hash were the same run for everybody outside.

What it leaves out: what the bot thinks. A difference inside it that never reaches its edge is none.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Iterable
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import httpx

from simulator.network import Handler
from simulator.trace import Trace
from simulator.twitch.websocket import WebSocketConnection, WebSocketHandler

if TYPE_CHECKING:
    from simulator.faults import Fault
    from simulator.supabase.server import FakeSupabase, RequestRecord

_BODY_DIGEST_BYTES = 8


def record_plan(trace: Trace, faults: Iterable[Fault]) -> None:
    """Record which faults a night begins with: their kinds and times in seconds (no `duration_s`: until healed)."""
    for fault in faults:
        lasting = {"duration_s": fault.duration_s} if fault.duration_s < math.inf else {}
        trace.record("planned", fault=fault.kind, start_s=fault.start_s, **lasting)


def record_answers(trace: Trace, supabase: FakeSupabase) -> None:
    """Record every request that the database, or a fault in its place, has answered."""

    def answered(record: RequestRecord) -> None:
        trace.record("http", method=record.method, path=record.path, status=record.status)

    supabase.observe(answered)


def recorded_chat(handle: Handler, trace: Trace) -> Handler:
    """The handler of a chat server, with every line of its connections recorded; connections are numbered from 1."""
    numbers = count(1)

    async def recorded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(numbers)
        trace.record("irc_open", connection=number)
        heard = _RecordingReader(reader, _Lines(trace, "irc_in", number))
        said = _RecordingWriter(writer, _Lines(trace, "irc_out", number))
        try:
            await handle(cast("asyncio.StreamReader", heard), cast("asyncio.StreamWriter", said))
        finally:
            trace.record("irc_closed", connection=number)

    return recorded


def recorded_socket(handle: WebSocketHandler, trace: Trace) -> WebSocketHandler:
    """The handler of an EventSub socket, with the beginning and the end of its connections recorded, numbered from 1.

    Not the events: each is a `chat` event already, and the ids in their JSON say nothing to anybody.
    """
    numbers = count(1)

    async def recorded(connection: WebSocketConnection) -> None:
        number = next(numbers)
        trace.record("eventsub_open", connection=number)
        try:
            await handle(connection)
        finally:
            trace.record("eventsub_closed", connection=number)

    return recorded


class RecordedTransport(httpx.AsyncBaseTransport):
    """Records what the bot asks `inner` for, as the bot sees it: the request when it leaves, then the answer or the error."""

    def __init__(self, inner: httpx.AsyncBaseTransport, trace: Trace) -> None:
        self._inner = inner
        self._trace = trace

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on."""
        target = request.url.raw_path.decode("ascii")
        body = digest(await request.aread())
        self._trace.record("request", method=request.method, target=target, body=body)
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.HTTPError as error:
            self._trace.record("request_failed", target=target, error=type(error).__name__)
            raise
        self._trace.record("response", target=target, status=response.status_code)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


def digest(body: bytes) -> str:
    """The hash under which a body stands in the trace; an empty one as ''."""
    return hashlib.blake2b(body, digest_size=_BODY_DIGEST_BYTES).hexdigest() if body else ""


class _Lines:
    """Bytes in, an event for each whole line out."""

    def __init__(self, trace: Trace, kind: str, number: int) -> None:
        self._trace = trace
        self._kind = kind
        self._number = number
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", "backslashreplace")
            self._trace.record(self._kind, connection=self._number, line=text)


class _RecordingReader:
    """A stream reader; what is read is recorded."""

    def __init__(self, reader: asyncio.StreamReader, lines: _Lines) -> None:
        self._reader = reader
        self._lines = lines

    async def read(self, bytes_max: int = -1) -> bytes:
        """Read up to `bytes_max` bytes, as `StreamReader.read`."""
        data = await self._reader.read(bytes_max)
        self._lines.feed(data)
        return data


class _RecordingWriter:
    """A stream writer; what is written is recorded."""

    def __init__(self, writer: asyncio.StreamWriter, lines: _Lines) -> None:
        self._writer = writer
        self._lines = lines

    def write(self, data: bytes) -> None:
        """Send bytes, as `StreamWriter.write`."""
        self._lines.feed(data)
        self._writer.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)
