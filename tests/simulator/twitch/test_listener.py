"""HTTP and WebSockets on one port, plain and under TLS, in virtual time over loopback."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from simulator.errors import UnhandledError
from simulator.loop import in_virtual_time, run
from simulator.twitch.websocket import WebSocketConnection
from tests.simulator.twitch.test_websocket import Held, echo
from tests.simulator.twitch.web_rig import client, closing, listener, loopback_tls


@in_virtual_time(hybrid=True)
async def test_one_port_serves_http_and_websockets() -> None:
    """Both at the same time, HTTP connections kept alive between."""
    async with listener({"/echo": echo}) as place, httpx.AsyncClient(base_url=place.url) as http:
        assert (await http.get("/hello")).text == "hello over HTTP"
        async with client(f"{place.ws_url}/echo") as mine:
            await mine.send("hello over WebSocket")
            assert (await http.get("/hello")).text == "hello over HTTP"
            assert await mine.recv() == "hello over WebSocket"


@in_virtual_time(hybrid=True)
async def test_a_websocket_for_another_path_gets_404() -> None:
    """And so does HTTP for a path which only WebSockets know."""
    async with listener({"/echo": echo}) as place, httpx.AsyncClient(base_url=place.url) as http:
        for path in ("/hello", "/elsewhere"):
            with pytest.raises(InvalidStatus) as refusal:
                async with client(place.ws_url + path):
                    pass
            assert refusal.value.response.status_code == 404
        assert (await http.get("/echo")).status_code == 404


def test_tls_carries_both(tmp_path: Path) -> None:
    """https and wss under one certificate."""
    server, trusting = loopback_tls(tmp_path)

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        async with listener({"/echo": echo}, tls=server) as place:
            assert place.url.startswith("https://") and place.ws_url.startswith("wss://")
            async with httpx.AsyncClient(verify=trusting) as http:
                assert (await http.get(f"{place.url}/hello")).text == "hello over HTTP"
            async with client(f"{place.ws_url}/echo", ssl=trusting) as mine:
                await mine.send("secret")
                assert await mine.recv() == "secret"

    story()


@in_virtual_time(hybrid=True)
async def test_the_end_of_the_context_ends_every_connection() -> None:
    """Clients are cut off, half-open ones too, and no handler is left."""
    held = Held()
    async with listener({"/": held}) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        async with client(place.ws_url) as first, client(place.ws_url) as second:
            await held.next()
            (await held.next()).go_half_open()
            await place.__aexit__(None, None, None)
            assert await closing(first) == await closing(second) == (1006, "")
        assert await reader.read() == b""
        writer.close()
        assert not [task for task in asyncio.all_tasks() if "_serve" in repr(task)]


@in_virtual_time(hybrid=True)
async def test_the_port_is_free_afterwards() -> None:
    """The same port can be listened on again at once."""
    async with listener({}) as place:
        port = place.port
    listening = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port)
    listening.close()


def test_a_failing_handler_costs_one_connection_and_is_reported() -> None:
    """The others go on; a virtual run ends with the error."""

    async def fail(connection: WebSocketConnection) -> None:
        connection.accept()
        raise LookupError("a defect of the fake")

    async def story() -> None:
        sockets = {"/echo": echo, "/fail": fail}
        async with listener(sockets) as place, client(f"{place.ws_url}/echo") as good:
            async with client(f"{place.ws_url}/fail") as bad:
                assert await closing(bad) == (1006, "")
            await good.send("still here")
            assert await good.recv() == "still here"

    with pytest.raises(UnhandledError, match="a defect of the fake"):
        run(story(), hybrid=True)
    gc.collect()


@in_virtual_time(hybrid=True)
async def test_a_closed_connection_leaves_no_handler_waiting() -> None:
    """A handler which never receives ends when its client goes."""
    held = Held()
    async with listener({"/": held}) as place:
        async with client(place.ws_url):
            await held.next()
        await asyncio.sleep(1)
        assert not place._handlers
