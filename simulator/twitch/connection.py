"""The shell round one session: reads and writes the streams, keeps the timers, delays and loses what it is told to.

Four tasks in one TaskGroup, which lives exactly as long as the server's handler: *receive* (bytes into a bounded queue), *process*
(lines into the session, after the latency of the way up), *send* (queued lines out, after the latency of the way down), *keep* (PING,
missing PONG, missing login, the end of a RECONNECT's grace). Whichever ends first ends the rest.

Lines leave in order, except those sent with an `extra_delay_s`, which later lines may overtake. A client that does not read fills the
outgoing queue; at the limit it is cut off and counted, as a chat server must. A half-open connection takes bytes and gives none, and
nothing is closed until the client does: what a client behind a dead router sees. What is unrealistic: a half-open connection still
acknowledges TCP segments, so only silence, not a failing send, can reveal it.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulator.twitch.line import LineSplitter
from simulator.twitch.session import IrcSession

READ_BYTES = 65_536
INCOMING_CHUNKS_MAX = 64  # reading stops until the session caught up: TCP pushes back on the client
CLOSE_TIMEOUT_S = 1.0  # chosen: how long a closing transport may take before it is aborted
PING_LINE = b"PING :tmi.twitch.tv\r\n"
PROBES_MAX = 1_000  # chosen: a client that answers no PING costs no more memory than this


@dataclass(frozen=True, slots=True)
class Timing:
    """The server's own timers, in seconds, and the bound of each connection's outgoing queue, in bytes."""

    ping_interval_s: float = 295.0  # documented: "about once every five minutes"; observed just under
    pong_timeout_s: float = 30.0  # chosen: the documentation names none
    login_timeout_s: float = 60.0  # chosen: bounds connections that never log in
    out_bytes_max: int = 4 * 1024 * 1024  # chosen: the answers to a JOIN of 2,000 channels fit four times


@dataclass(frozen=True, slots=True)
class LinkLatency:
    """Delay of each direction, in seconds, plus up to `jitter_s` drawn for every chunk or line; order is kept."""

    to_server_s: float = 0.0
    to_client_s: float = 0.0
    jitter_s: float = 0.0


class _Ended(Exception):
    """Unwinds the TaskGroup of one connection; never leaves this module."""


class Connection:
    """One accepted connection; `run` is the handler's body."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        timing: Timing,
        delay_up_s: Callable[[], float],
        delay_down_s: Callable[[], float],
        count: Callable[[str], None],
    ) -> None:
        """`delay_up_s` and `delay_down_s` draw the delay (s) of the next chunk or line; `count` counts by name."""
        self._reader = reader
        self._writer = writer
        self._timing = timing
        self._delay_up_s = delay_up_s
        self._delay_down_s = delay_down_s
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._incoming: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(INCOMING_CHUNKS_MAX)
        # A heap: when a line is due (s), its number, so that no two are compared further, and the line.
        self._outgoing: list[tuple[float, int, bytes]] = []
        self._out_bytes = 0
        self._order = 0
        self._last_due_s = 0.0
        self._output = asyncio.Event()
        self._keeper = asyncio.Event()
        self._closing = False
        self._gone = False
        self._opened_s = self._loop.time()
        self._ping_due_s = self._opened_s + timing.ping_interval_s
        self._pong_due_s = math.inf
        self._close_due_s = math.inf
        self._flushed_due_s = math.inf
        # A PONG belongs to the oldest unanswered PING: clients answer in order, some without the text that would tell.
        self._pings: deque[tuple[float, Callable[[float], None] | None]] = deque(maxlen=PROBES_MAX)
        self.half_open = False
        self.close_reason = ""

    @property
    def sound(self) -> bool:
        """True while bytes go both ways."""
        return not (self._closing or self._gone or self.half_open)

    # -- what the session and the server's verbs call ---------------------------------------------------------------------------

    def send(self, data: bytes, *, extra_delay_s: float = 0.0) -> None:
        """Queue bytes; after `close`, or half-open, they vanish."""
        if self._closing or self._gone or self.half_open:
            return
        due_s = max(self._last_due_s, self._loop.time() + self._delay_down_s())
        if extra_delay_s == 0.0:
            self._last_due_s = due_s
        heapq.heappush(self._outgoing, (due_s + extra_delay_s, self._order, data))
        self._order += 1
        self._out_bytes += len(data)
        if self._out_bytes > self._timing.out_bytes_max:
            self._count("slow_readers_cut_off")
            self.abort("the client does not read")
        self._output.set()

    def close(self, reason: str) -> None:
        """Close after everything queued is out, or, when the client does not read, after `CLOSE_TIMEOUT_S` more."""
        if self.half_open:
            return  # the FIN would vanish like everything else
        self.close_reason = self.close_reason or reason
        if not self._closing:
            self._closing = True
            self._flushed_due_s = max(self._last_due_s, self._loop.time()) + CLOSE_TIMEOUT_S
        self._output.set()
        self._keeper.set()

    def abort(self, reason: str) -> None:
        """Close at once; what is queued is lost (on TCP the client sees a reset)."""
        self.close_reason = self.close_reason or reason
        self._gone = True
        self._outgoing.clear()
        self._out_bytes = 0
        self._writer.transport.abort()
        self._output.set()

    def close_in(self, grace_s: float, reason: str) -> None:
        """Close after a grace, in seconds."""
        self.close_reason = reason
        self._close_due_s = min(self._close_due_s, self._loop.time() + grace_s)
        self._keeper.set()

    def pong(self) -> None:
        """Note that the client answered a PING."""
        self._pong_due_s = math.inf
        if self._pings:
            sent_s, answered = self._pings.popleft()
            if answered is not None:
                answered(self._loop.time() - sent_s)

    def probe(self, answered: Callable[[float], None]) -> None:
        """Send a PING now, which no deadline watches; `answered` gets the seconds until its PONG, if one comes."""
        self._ping(answered)

    def _ping(self, answered: Callable[[float], None] | None) -> None:
        if not self.sound:
            return
        self._pings.append((self._loop.time(), answered))
        self.send(PING_LINE)

    def go_half_open(self) -> None:
        """Let bytes vanish in both directions without closing anything."""
        self.half_open = True
        silence = self._writer.get_extra_info("go_half_open")
        if silence is not None:
            silence()  # over WebSocket there is a layer below that would still answer pings
        self._outgoing.clear()
        self._out_bytes = 0

    # -- the handler -------------------------------------------------------------------------------------------------------------------

    async def run(self, session: IrcSession) -> None:
        """Serve until either side closes; returns without an error however the connection ends."""
        finished = False
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive())
                tasks.create_task(self._process(session))
                tasks.create_task(self._send())
                tasks.create_task(self._keep(session))
        except* _Ended:
            finished = True
        finally:
            self._gone = True
            self._writer.close()
        if finished:
            await self._wait_closed()

    async def _wait_closed(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            # A peer that vanished or reset cannot acknowledge; there is nothing left to deliver to it.
            self._writer.transport.abort()

    async def _receive(self) -> None:
        while True:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError:
                raise _Ended from None
            await self._incoming.put((self._loop.time() + self._delay_up_s(), data))
            if not data:
                return

    async def _process(self, session: IrcSession) -> None:
        splitter = LineSplitter()
        while True:
            due_s, data = await self._incoming.get()
            if due_s > self._loop.time():
                await asyncio.sleep(due_s - self._loop.time())
            if not data:
                raise _Ended
            if self.half_open:
                continue
            oversized = splitter.oversized
            for text in splitter.feed(data):
                if self._closing or self._gone:
                    break  # nothing a client sends after its rejection or QUIT counts
                session.receive(text)
            if splitter.oversized > oversized:
                self._count("oversized_lines")

    async def _send(self) -> None:
        while True:
            ready = self._take_due()
            if ready:
                try:
                    self._writer.write(ready)
                    await self._writer.drain()
                except OSError:
                    raise _Ended from None
                continue
            if self._gone or (self._closing and not self._outgoing):
                raise _Ended
            self._output.clear()
            await self._wait(self._output, self._outgoing[0][0] if self._outgoing else math.inf)

    def _take_due(self) -> bytes:
        if not self._outgoing:
            return b""
        now_s = self._loop.time()
        ready: list[bytes] = []
        while self._outgoing and self._outgoing[0][0] <= now_s:
            ready.append(heapq.heappop(self._outgoing)[2])
        data = b"".join(ready)
        self._out_bytes -= len(data)
        return data

    async def _keep(self, session: IrcSession) -> None:
        login_due_s = self._opened_s + self._timing.login_timeout_s
        while True:
            now_s = self._loop.time()
            if session.registered:
                login_due_s = math.inf
            if now_s >= self._pong_due_s or now_s >= login_due_s:
                self._count("silent_clients_closed")
                self._expire(session)
                login_due_s = math.inf
            if now_s >= self._flushed_due_s:
                raise _Ended
            if now_s >= self._close_due_s:
                self._close_due_s = math.inf
                self.close(self.close_reason)
            if now_s >= self._ping_due_s:
                self._ping_due_s = now_s + self._timing.ping_interval_s
                self._pong_due_s = min(self._pong_due_s, now_s + self._timing.pong_timeout_s)
                self._ping(None)
            self._keeper.clear()
            next_s = min(
                login_due_s, self._pong_due_s, self._close_due_s, self._flushed_due_s, self._ping_due_s
            )
            await self._wait(self._keeper, next_s)

    def _expire(self, session: IrcSession) -> None:
        self._pong_due_s = math.inf
        if self.half_open:
            # The server gives the session up, but its FIN would vanish as well: the client's socket stays open.
            session.ended()
            self._ping_due_s = math.inf
        else:
            self.close("no answer from the client")

    async def _wait(self, event: asyncio.Event, until_s: float) -> None:
        """Wait for the event, but no longer than a moment of the loop's clock."""
        if until_s == math.inf:
            await event.wait()
            return
        try:
            async with asyncio.timeout_at(until_s):
                await event.wait()
        except TimeoutError:
            pass  # the moment came: the caller looks at its deadlines again
