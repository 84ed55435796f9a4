"""What crosses the bot's edge is in the trace: whole lines, requests with their bodies, answers, and the plan."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from simulator.faults import Hang, Refused
from simulator.loop import current_loop, run
from simulator.network import MemoryNetwork
from simulator.recording import RecordedTransport, digest, record_plan, recorded_chat, recorded_socket
from simulator.trace import Trace
from simulator.twitch.listener import WebListener


def kept() -> Trace:
    """A trace that keeps its events."""
    return Trace(current_loop().time, keep=True)


def test_lines_are_recorded_whole_however_they_were_cut() -> None:
    """Packets end anywhere; an event is a line, with its connection, at the instant at which its end came."""

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data.upper())
            await writer.drain()

    async def story() -> list[Any]:
        trace = kept()
        network = MemoryNetwork(current_loop().seeds.stream("network"))
        network.listen("chat.test", 1, recorded_chat(shout, trace))
        reader, writer = await network.open("chat.test", 1)
        for part in (b"hel", b"lo\r\nagain", b" \xff\n"):
            await asyncio.sleep(1)
            writer.write(part)
        await reader.readexactly(15)
        writer.close()
        await asyncio.sleep(1)
        return trace.events()

    assert run(story()) == [
        (0, "irc_open", {"connection": 1}),
        (2_000_000, "irc_in", {"connection": 1, "line": "hello"}),
        (2_000_000, "irc_out", {"connection": 1, "line": "HELLO"}),
        (3_000_000, "irc_in", {"connection": 1, "line": "again \\xff"}),
        (3_000_000, "irc_out", {"connection": 1, "line": "AGAIN \\xff"}),
        (3_000_000, "irc_closed", {"connection": 1}),
    ]


def test_requests_are_recorded_with_their_body_and_their_end() -> None:
    """The order of two rows is a difference; an error is recorded by its name and still raised."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/down":
            raise httpx.ReadTimeout("")
        return httpx.Response(201)

    async def story() -> list[Any]:
        trace = kept()
        async with httpx.AsyncClient(transport=RecordedTransport(httpx.MockTransport(answer), trace)) as http:
            await http.post("http://db.test/rows?a=1", content=b"[1,2]")
            await http.post("http://db.test/rows?a=1", content=b"[2,1]")
            with pytest.raises(httpx.ReadTimeout):
                await http.get("http://db.test/down")
        return trace.events()

    events = run(story())
    assert [kind for _, kind, _ in events] == ["request", "response"] * 2 + ["request", "request_failed"]
    first, answered, second = (fields for _, _, fields in events[:3])
    assert first == {"method": "POST", "target": "/rows?a=1", "body": digest(b"[1,2]")}
    assert answered == {"target": "/rows?a=1", "status": 201}
    assert second["body"] == digest(b"[2,1]") != first["body"]
    assert events[-1][2] == {"target": "/down", "error": "ReadTimeout"}
    assert events[-2][2]["body"] == ""


def test_the_plan_names_each_fault() -> None:
    """A fault that lasts until it is healed has no duration."""

    async def story() -> list[Any]:
        trace = kept()
        record_plan(trace, (Hang(start_s=3, duration_s=4), Refused(start_s=1)))
        return [fields for _, _, fields in trace.events("planned")]

    assert run(story()) == [
        {"fault": "hang", "start_s": 3, "duration_s": 4},
        {"fault": "refused", "start_s": 1},
    ]


def test_the_beginning_and_the_end_of_an_eventsub_socket_are_recorded() -> None:
    """What it carries are events of the chat already."""

    async def story() -> list[Any]:
        trace = kept()
        ended = asyncio.Event()

        async def handle(_connection: Any) -> None:
            await ended.wait()

        listener = WebListener(Starlette(), {"/ws": recorded_socket(handle, trace)}, host="127.0.0.1")
        async with listener:
            _reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            writer.write(f"GET /ws HTTP/1.1\r\nHost: test\r\n{upgrade}{key}\r\n".encode())
            await asyncio.sleep(1)
            ended.set()
            await asyncio.sleep(1)
            writer.close()
        return [line for line in trace.lines if "eventsub" in line]

    opened, closed = run(story(), hybrid=True)
    assert "eventsub_open" in opened
    assert "eventsub_closed" in closed
