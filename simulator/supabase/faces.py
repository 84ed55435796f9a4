"""The fake Supabase as httpx sees it: a transport for seed sweeps, a respx router for assertions on requests.

`SupabaseTransport` stands where the network would be. It enforces the read timeout of
``request.extensions["timeout"]`` itself, because httpx leaves timeouts to its transports and with any other
transport than its own they never fire. The execution is a timer of the world, not a step of the client's
task: a request that was sent is carried out, whether its client waits, has given up, or has crashed, as on a
real network.

The sockets' face (`asgi_app`, `SupabaseServer`) is in `sockets.py` and can be imported from here too.

Simplified: connections are not modelled, so connect, write and pool timeouts never fire and a request in
flight is not reset when a fault begins; a refused connection fails at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx

from simulator.faults import CommitThenDrop, CutBody, Drip, Hang, Refused, Reset
from simulator.process import context_for
from simulator.supabase.conduct import FACE_FAULTS, Conduct, decide, drip
from simulator.supabase.server import FakeSupabase
from simulator.supabase.sockets import SupabaseServer, asgi_app
from simulator.supabase.wire import Request, Response

if TYPE_CHECKING:
    import respx

__all__ = ["SupabaseServer", "SupabaseTransport", "asgi_app", "respx_router"]

# httpcore's words for what happens when a server closes the connection.
_DISCONNECTED = "Server disconnected without sending a response."


class SupabaseTransport(httpx.AsyncBaseTransport):
    """An httpx transport that answers from a `FakeSupabase`, whatever the host of the URL.

    Raises httpx's own exceptions: ConnectError (refused), ReadTimeout (hang, delay, slow drip), ReadError
    (reset), RemoteProtocolError (dropped answer, cut body).
    """

    def __init__(self, fake: FakeSupabase) -> None:
        self._fake = fake

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request through the active faults to the database and bring its answer back."""
        body = await request.aread()
        fake = self._fake
        fake.attempts_total += 1
        conduct = decide(fake.faults.database_draw(*FACE_FAULTS), fake.rng)
        read_s = request.extensions.get("timeout", {}).get("read")
        if isinstance(conduct.connection, Refused):
            raise httpx.ConnectError("All connection attempts failed")
        if isinstance(conduct.connection, Hang):
            await _wait(None, read_s)
        if isinstance(conduct.connection, Reset):
            await _wait(conduct.delay_s, read_s)
            raise httpx.ReadError("")
        response = await self._answer(_request(request, body), conduct, read_s)
        return _shaped(response, conduct, read_s)

    async def _answer(self, request: Request, conduct: Conduct, read_s: float | None) -> Response:
        if not conduct.delay_s:
            return self._act(request, conduct)
        loop = asyncio.get_running_loop()
        # Timers of the world's context: they outlive the process (see simulator/process.py) that sent the
        # request.
        world = context_for(None)
        answer: asyncio.Future[Response] = loop.create_future()

        def arrive() -> None:
            if answer.cancelled() and not conduct.late:
                return  # lost on its way
            response = self._act(request, conduct)
            if not answer.done():
                loop.call_later(conduct.after_s, deliver, response, context=world)

        def deliver(response: Response) -> None:
            if not answer.done():
                answer.set_result(response)

        loop.call_later(conduct.before_s, arrive, context=world)
        try:
            async with asyncio.timeout(read_s):
                return await answer
        except TimeoutError:
            raise httpx.ReadTimeout("") from None

    def _act(self, request: Request, conduct: Conduct) -> Response:
        if conduct.canned is not None:
            self._fake.record(request, conduct.canned)
            return conduct.canned
        return self._fake.execute(request)


def respx_router(fake: FakeSupabase) -> respx.MockRouter:
    """A respx router that answers from the fake, with a named route for every table and function.

    Use it as respx is used: ``with respx_router(fake) as router: ...; router["channels_config"].call_count``.
    The routes are named after the table, ``rpc/<function>``, and ``other``. Faults act as on
    `SupabaseTransport`.
    """
    import respx  # lazy: whoever asks for no router starts without it, and what it brings of unittest

    router = respx.MockRouter(base_url=fake.url, assert_all_called=False)
    transport = SupabaseTransport(fake)

    async def answer(request: httpx.Request, **_: Any) -> httpx.Response:
        return await transport.handle_async_request(request)

    for name in fake.engine.schema.tables:
        router.route(name=name, path=f"/rest/v1/{name}").mock(side_effect=answer)
    for name in fake.engine.schema.functions:
        router.route(name=f"rpc/{name}", path=f"/rest/v1/rpc/{name}").mock(side_effect=answer)
    router.route(name="other").mock(side_effect=answer)
    return router


def _request(request: httpx.Request, body: bytes) -> Request:
    path = request.url.raw_path.partition(b"?")[0].decode("ascii")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method, path, request.url.query.decode("ascii"), headers, body)


async def _wait(seconds: float | None, read_s: float | None) -> None:
    """Wait that long (None: for ever), or raise ReadTimeout when the client's patience is shorter."""
    try:
        async with asyncio.timeout(read_s):
            if seconds is None:
                await asyncio.get_running_loop().create_future()  # nobody will ever resolve it
            else:
                await asyncio.sleep(seconds)
    except TimeoutError:
        raise httpx.ReadTimeout("") from None


def _shaped(response: Response, conduct: Conduct, read_s: float | None) -> httpx.Response:
    headers = [*response.headers, ("content-length", str(len(response.body)))]
    if isinstance(conduct.ending, CommitThenDrop) or (
        isinstance(conduct.ending, CutBody) and not response.body
    ):
        raise httpx.RemoteProtocolError(_DISCONNECTED)
    if isinstance(conduct.ending, CutBody):
        return httpx.Response(response.status, headers=headers, stream=_CutStream(response.body))
    if isinstance(conduct.ending, Drip):
        stream = _DripStream(response.body, conduct.ending.bytes_per_s, read_s)
        return httpx.Response(response.status, headers=headers, stream=stream)
    if response.status == 204:
        headers.pop()
    return httpx.Response(response.status, headers=headers, content=response.body)


class _CutStream(httpx.AsyncByteStream):
    """The first half of a body, then the end of the connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = len(self._body) // 2
        yield self._body[:received]
        raise httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body "
            f"(received {received} bytes, expected {len(self._body)})"
        )


class _DripStream(httpx.AsyncByteStream):
    """A body that arrives in small portions; the read timeout counts from portion to portion."""

    def __init__(self, body: bytes, bytes_per_s: float, read_s: float | None) -> None:
        self._interval_s, self._portions = drip(body, bytes_per_s)
        self._read_s = read_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for portion in self._portions:
            await _wait(self._interval_s, self._read_s)
            yield portion
