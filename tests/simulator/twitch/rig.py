"""What the tests of the fake Twitch share: a small world, a wire that records, and a raw client in memory or on a socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from simulator.certificates import ThrowAwayAuthority
from simulator.network import MemoryNetwork
from simulator.twitch.connection import Timing
from simulator.twitch.irc import IrcServer
from simulator.twitch.limits import LimitBook, TwitchLimits
from simulator.twitch.line import Line, LineSplitter, parse
from simulator.twitch.session import IrcSession
from simulator.twitch.state import TwitchState

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

EVERY_FACE = pytest.mark.parametrize("face", ["memory", "tcp", "tls"])
UNIX_START = 1_700_000_000.0
ALL_CAPS = "CAP REQ :twitch.tv/tags twitch.tv/commands twitch.tv/membership"
WIRE_LINES = Path(__file__).parents[2] / "data" / "twitch-wire-lines.txt"


def recorded_lines() -> list[str]:
    """Return the lines captured from the real server."""
    return WIRE_LINES.read_text(encoding="utf-8").split("\n")


class Clock:
    """A time source that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def small_twitch(time_source: Callable[[], float], seed: int = 1) -> TwitchState:
    """Return a Twitch with channel alice (viewer: carol), and an account bot with the token oauth:bot-token."""
    state = TwitchState(time_source, random.Random(seed), UNIX_START)
    state.add_user("alice", display_name="Alice", color="#FF0000")
    state.add_channel("alice")
    state.add_channel("bob")
    state.add_user("bot", display_name="Bot")
    state.grant_token("oauth:bot-token", "bot")
    state.grant_token("oauth:carol-token", "carol")
    return state


class RecordingWire:
    """A wire without a network: keeps what the session sent."""

    def __init__(self) -> None:
        self._splitter = LineSplitter()
        self.raw: list[str] = []
        self.closed = ""
        self.pongs = 0

    def send(self, data: bytes, *, extra_delay_s: float = 0.0) -> None:
        self.raw += self._splitter.feed(data)

    def close(self, reason: str) -> None:
        self.closed = self.closed or reason

    def pong(self) -> None:
        self.pongs += 1

    def take(self) -> list[str]:
        """Return what came since the last call."""
        taken, self.raw = self.raw, []
        return taken


class Desk:
    """A server whose sessions are driven by hand: no sockets, no loop, time in `clock`."""

    def __init__(self, limits: TwitchLimits | None = None) -> None:
        self.clock = Clock()
        self.state = small_twitch(self.clock)
        self.server = IrcServer(self.state, LimitBook(limits), random.Random(2))

    def connect(self) -> tuple[IrcSession, RecordingWire]:
        """Open a session that has said nothing yet."""
        wire = RecordingWire()
        return IrcSession(self.server, wire), wire

    def log_in(self, login: str = "bot", *joins: str, caps: bool = True) -> tuple[IrcSession, RecordingWire]:
        """Open a session, log it in, join, and forget what was answered."""
        session, wire = self.connect()
        if caps:
            session.receive(ALL_CAPS)
        session.receive(f"PASS oauth:{login}-token")
        session.receive(f"NICK {login}")
        for channel in joins:
            session.receive(f"JOIN #{channel}")
        wire.take()
        return session, wire


class Client:
    """A raw IRC client on a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *lines: str) -> None:
        self.writer.write("".join(line + "\r\n" for line in lines).encode())

    async def line(self) -> str:
        """Return the next line, "" at the end of the stream."""
        return (await self.reader.readline()).decode().removesuffix("\r\n")

    async def until(self, command: str) -> Line:
        """Read up to and including the next line with this command."""
        while True:
            text = await self.line()
            if not text:
                raise EOFError(f"the server closed before {command}")
            line = parse(text)
            if line.command == command:
                return line

    async def log_in(self, login: str = "bot", *joins: str) -> Client:
        self.send(ALL_CAPS, f"PASS oauth:{login}-token", f"NICK {login}")
        await self.until("GLOBALUSERSTATE")
        for channel in joins:
            self.send(f"JOIN #{channel}")
            await self.until("ROOMSTATE")
        return self

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass  # the server was first


class Station:
    """A server on an address, and its clients."""

    def __init__(self, server: IrcServer, connect: Connect) -> None:
        self.server = server
        self.state = server.state
        self._connect = connect
        self._clients: list[Client] = []

    async def client(self) -> Client:
        client = Client(*await self._connect())
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        self.server.disconnect_all(abort=True)
        await self.server.wait_closed()


@asynccontextmanager
async def station(
    face: str, *, limits: TwitchLimits | None = None, timing: Timing | None = None
) -> AsyncIterator[Station]:
    """Serve a small Twitch in memory or on a free loopback port; at the end every handler must have ended."""
    loop = asyncio.get_running_loop()
    server = IrcServer(small_twitch(loop.time), limits, random.Random(3), timing=timing)
    async with listening(face, server) as connect:
        place = Station(server, connect)
        try:
            yield place
        finally:
            await place.close()


@asynccontextmanager
async def listening(face: str, server: IrcServer) -> AsyncIterator[Connect]:
    """Listen for a server and yield what opens a connection to it."""
    if face == "memory":
        network = MemoryNetwork(random.Random(4))
        network.listen("irc.test", 6667, server.handle)
        yield lambda: network.open("irc.test", 6667)
        return
    authority = ThrowAwayAuthority() if face == "tls" else None
    of_server, of_client = (
        (authority.server_context(), authority.client_context()) if authority else (None, None)
    )
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=of_server)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield lambda: asyncio.open_connection("127.0.0.1", port, ssl=of_client)
    finally:
        listener.close()
        await listener.wait_closed()
