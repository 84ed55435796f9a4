"""The fake on real loopback sockets, in virtual time (hybrid mode), with httpx's own transport."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Flapping,
    Hang,
    Html520,
    HtmlOk,
    Latency,
    MissingGrant,
    ReadOnly,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.loop import current_loop, in_virtual_time, run
from simulator.supabase.server import FakeSupabase
from simulator.supabase.sockets import SupabaseServer, asgi_app
from tests.simulator.supabase.project import Clock, closing, project, stock_client
from tests.simulator.supabase.stock_client_body import exercise

EVENT = {"id": "1", "at": "2026-01-01T00:00:00Z", "kind": "x"}


def loop_time() -> float:
    return current_loop().time()


@asynccontextmanager
async def world(
    *faults: Fault, read_s: float = 5.0
) -> AsyncIterator[tuple[FakeSupabase, SupabaseServer, httpx.AsyncClient]]:
    fake = project(clock=loop_time, faults=faults)
    async with (
        SupabaseServer(fake) as server,
        httpx.AsyncClient(
            base_url=f"{server.url}/rest/v1",
            headers={"apikey": fake.secret_key},
            timeout=read_s,
            trust_env=False,
        ) as client,
    ):
        yield fake, server, client
    fake.close()


def stored(fake: FakeSupabase) -> int:
    return len(fake.engine.rows("bot_events"))


@in_virtual_time(hybrid=True)
async def test_the_stock_client_works_over_real_sockets() -> None:
    """The same body as on the other faces."""
    fake = project(clock=loop_time)
    async with SupabaseServer(fake) as server, httpx.AsyncClient(trust_env=False) as http:
        await exercise(stock_client(server.url, fake.secret_key, http))
        assert server.url == f"http://127.0.0.1:{server.port}"
    fake.close()


@in_virtual_time(hybrid=True)
async def test_a_server_can_have_a_fixed_port_and_gives_it_back() -> None:
    """After the end the port is free for the next one."""
    fake = project(clock=loop_time)
    async with SupabaseServer(fake) as first:
        port = first.port
    async with SupabaseServer(fake, port=port) as second:
        assert second.port == port
        assert second.listening
    fake.close()


@in_virtual_time(hybrid=True)
async def test_latency_is_virtual_time() -> None:
    """Executed half way."""
    async with world(Latency(1000)) as (fake, _, client):
        await client.post("/bot_events", json=EVENT)
        assert loop_time() == pytest.approx(1.0)
        assert fake.requests[0].at_s == pytest.approx(0.5)


@in_virtual_time(hybrid=True)
async def test_refused_closes_the_listener_and_opens_it_again_on_the_same_port() -> None:
    """Kept connections are reset, new ones refused, and afterwards all is as before."""
    async with world(Refused(start_s=10, duration_s=5)) as (_, server, client):
        assert (await client.get("/bot_writer")).status_code == 200
        port = server.port
        await asyncio.sleep(10.5)
        assert not server.listening
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await client.get("/bot_writer")
        await asyncio.sleep(5)
        assert (await client.get("/bot_writer")).status_code == 200
        assert server.port == port


@in_virtual_time(hybrid=True)
async def test_refused_by_hand_acts_at_once_and_heals_at_once() -> None:
    """The listener follows the board, not a poll."""
    async with world() as (fake, server, client):
        fake.faults.set("down", Refused())
        await asyncio.sleep(0.001)
        with pytest.raises(httpx.ConnectError):
            await client.get("/bot_writer")
        fake.faults.clear("down")
        await asyncio.sleep(0.001)
        assert server.listening
        assert (await client.get("/bot_writer")).status_code == 200


@in_virtual_time(hybrid=True)
async def test_a_server_that_starts_refused_opens_when_healed() -> None:
    """The port is known from the start."""
    async with world(Refused(duration_s=3)) as (_, server, client):
        assert server.port > 0
        with pytest.raises(httpx.ConnectError):
            await client.get("/bot_writer")
        await asyncio.sleep(3.1)
        assert (await client.get("/bot_writer")).status_code == 200


@in_virtual_time(hybrid=True)
async def test_flapping_opens_and_closes_in_turns() -> None:
    """Down one second, up two, by timers."""
    async with world(Flapping(up_s=2, down_s=1)) as (_, _, client):
        await asyncio.sleep(0.5)
        answered = []
        for _ in range(6):
            try:
                answered.append((await client.get("/bot_writer")).status_code)
            except httpx.TransportError:
                answered.append(0)
            await asyncio.sleep(1)
        assert answered == [0, 200, 200, 0, 200, 200]


@in_virtual_time(hybrid=True)
async def test_hang_is_httpxs_own_read_timeout() -> None:
    """Nothing is executed, and healing does not answer."""
    async with world(Hang(duration_s=2), read_s=5.0) as (fake, _, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/bot_events", json=EVENT)
        assert loop_time() == pytest.approx(5.0)
        assert stored(fake) == 0


@in_virtual_time(hybrid=True)
async def test_reset_is_httpxs_own_read_error() -> None:
    """The connection is aborted with RST."""
    async with world(Reset()) as (fake, _, client):
        with pytest.raises(httpx.ReadError):
            await client.post("/bot_events", json=EVENT)
        assert stored(fake) == 0


@in_virtual_time(hybrid=True)
async def test_commit_then_drop_is_a_server_that_disconnects() -> None:
    """Committed, and the connection closed in order."""
    async with world(CommitThenDrop()) as (fake, _, client):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await client.post("/bot_events", json=EVENT)
        assert stored(fake) == 1


@in_virtual_time(hybrid=True)
async def test_a_cut_body_is_incomplete() -> None:
    """Half of what Content-Length promised."""
    async with world(CutBody()) as (_, _, client):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            await client.get("/bot_writer")


@in_virtual_time(hybrid=True)
async def test_a_drip_outlasts_the_read_timeout() -> None:
    """As on the transport."""
    async with world(Drip(10), read_s=1.0) as (_, _, client):
        response = await client.get("/bot_writer")
        assert loop_time() == pytest.approx(len(response.content) / 10)


@in_virtual_time(hybrid=True)
async def test_a_client_that_leaves_ends_the_drip() -> None:
    """No task drips on for nobody."""
    async with world(Drip(0.1), read_s=1.0) as (_, server, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/bot_writer")
        await asyncio.sleep(11)
        assert not server._state.tasks


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Status503(), 503), (Html520(), 520), (TooManyRequests(3), 429), (HtmlOk(), 200), (Unauthorized(), 401),
        (ReadOnly(), 405), (MissingGrant("bot_events"), 403),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)  # fmt: skip
def test_http_level_faults_answer_over_sockets(fault: Fault, status: int) -> None:
    """The status the fault names, and nothing written."""

    async def main() -> None:
        async with world(fault) as (fake, _, client):
            response = await client.post("/bot_events", json=EVENT)
            assert response.status_code == status
            assert stored(fake) == 0

    run(main(), hybrid=True)


@in_virtual_time(hybrid=True)
async def test_a_client_that_gives_up_does_not_stop_the_database() -> None:
    """What was received is carried out."""
    async with world(Latency(4000), read_s=1.0) as (fake, _, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/bot_events", json=EVENT)
        await asyncio.sleep(5)
        assert stored(fake) == 1


@in_virtual_time(hybrid=True)
async def test_closing_the_server_ends_what_hangs() -> None:
    """No task is left behind."""
    fake = project(clock=loop_time, faults=(Hang(),))
    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:  # the server must end it
        async with SupabaseServer(fake) as server:
            hanging = asyncio.create_task(client.get(f"{server.url}/rest/v1/bot_events"))
            await asyncio.sleep(1)
        with pytest.raises(httpx.TransportError):
            await hanging
    fake.close()


@in_virtual_time(hybrid=True)
async def test_every_connection_can_be_reset_at_once() -> None:
    """A verb for tests and the control address."""
    async with world(Hang()) as (_, server, client):
        hanging = asyncio.create_task(client.get("/bot_events"))
        await asyncio.sleep(1)
        server.reset_connections()
        with pytest.raises(httpx.ReadError):
            await hanging


@in_virtual_time(hybrid=True)
async def test_half_a_request_is_no_request() -> None:
    """A client that dies while it sends was never heard."""
    async with world() as (fake, server, _):
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.setblocking(False)
            await loop.sock_sendall(
                raw, b"POST /rest/v1/bot_events HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
            )
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        assert fake.attempts_total == 0


@pytest.mark.parametrize("fault", [Reset(), CommitThenDrop(), CutBody()], ids=lambda fault: fault.kind)
@in_virtual_time()
async def test_without_a_server_that_drops_the_application_breaks_its_promise(fault: Fault) -> None:
    """Under any ASGI server: a body is announced and does not come."""
    with closing(project(clock=Clock(), faults=(fault,))) as fake:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/rest/v1/bot_writer", "raw_path": b"/rest/v1/bot_writer",
            "query_string": b"", "headers": [(b"apikey", fake.secret_key.encode())], "client": ("1.2.3.4", 5),
        }  # fmt: skip
        await asgi_app(fake)(scope, receive, send)  # type: ignore[arg-type]  # plain dictionaries will do
    assert sent[0]["type"] == "http.response.start"
    headers = dict(sent[0]["headers"])  # type: ignore[call-overload]  # a list of pairs
    announced = int(headers[b"content-length"])
    assert sum(len(message.get("body", b"")) for message in sent[1:]) < announced  # type: ignore[arg-type]  # bytes


def test_it_runs_in_real_time_too() -> None:
    """A plain asyncio loop is enough."""

    async def main() -> None:
        with closing(project(clock=asyncio.get_running_loop().time)) as fake:
            async with SupabaseServer(fake) as server, httpx.AsyncClient(trust_env=False) as http:
                await exercise(stock_client(server.url, fake.secret_key, http))

    asyncio.run(main())
