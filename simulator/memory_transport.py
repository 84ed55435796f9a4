"""Two asyncio transports joined by a wire in memory, with the parts of TCP that programs notice.

How it works. A `Wire` carries what one end writes to the other: bytes, then an end of stream (FIN) or a reset (RST), each
due one latency after it was sent and never before what was sent earlier. What is due at one instant arrives as one piece,
as a `recv` would return it, unless `Chunking` cuts it up, or holds it back until more comes.

Like a kernel, a wire takes `WINDOW_BYTES` that the other end has not read yet; beyond that they count as the sender's
buffer, and above its high-water mark `pause_writing` makes `drain()` wait. A closed end answers data with a
reset. A half-open wire swallows everything: the sender's buffer fills up, and nobody is told anything.

What it leaves out: retransmission timeouts (a half-open connection never fails by itself, where Linux gives up after
about 15 minutes), TLS records, urgent data, and the byte limits of real kernels' buffers.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator.process import Process, context_for, current_process

# What the kernels of both sides hold of a connection before its sender notices; Linux's loopback holds more, but a test
# of backpressure should not need megabytes.
WINDOW_BYTES = 256 * 1024
# asyncio's own defaults (transports._FlowControlMixin): pause above 64 KiB, resume at a quarter of it.
_HIGH_BYTES = 64 * 1024
# One recv of asyncio's socket transport (selector_events._SelectorSocketTransport.max_size).
_RECV_BYTES_MAX = 256 * 1024


@dataclass(frozen=True)
class Chunking:
    """How TCP cuts and joins what was written; probabilities per write, 0 to 1."""

    split: float = 0.5  # cut into two to four pieces, which arrive one by one
    merge: float = 0.25  # hold back by `hold_s`, so that what is written meanwhile arrives with it
    hold_s: float = 0.002  # about what Nagle's algorithm costs on a local network


@dataclass
class WireConditions:
    """What the wires of one direction of one address have in common; may be changed while they are in use."""

    latency_s: float = 0.0
    chunking: Chunking | None = None


@dataclass
class _Segment:
    due_s: float
    data: bytes = b""
    end: bool = False  # FIN
    alone: bool = False  # a cut follows: the next segment is another piece even if it is due at the same time


class Wire:
    """One direction of a connection."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, conditions: WireConditions, rng: random.Random
    ) -> None:
        self._loop = loop
        self._conditions = conditions
        self._rng = rng
        self._half_open = False
        self._segments: collections.deque[_Segment] = collections.deque()
        self._last_due_s = 0.0
        self._delivery: asyncio.Handle | None = None
        self._reset_due: asyncio.Handle | None = None
        # Bytes travel on when their sender has crashed, so the wire belongs to the world.
        self._context = context_for(None)
        self.undelivered_bytes = 0
        self.sender: MemoryTransport | None = None
        self.receiver: MemoryTransport | None = None

    def send(self, data: bytes) -> None:
        """Send bytes; they are due one latency from now, and not before what was sent earlier."""
        self.undelivered_bytes += len(data)
        if self._half_open:
            return
        chunking = self._conditions.chunking
        hold_s = 0.0
        pieces = [data]
        if chunking is not None:
            pieces = self._cut(data, chunking)
            hold_s = chunking.hold_s if self._rng.random() < chunking.merge else 0.0
        due_s = self._due(hold_s)
        for piece in pieces[:-1]:
            self._segments.append(_Segment(due_s, piece, alone=True))
        self._segments.append(_Segment(due_s, pieces[-1]))
        self._schedule()

    def send_end(self) -> None:
        """Send the end of the stream after what was sent before."""
        if not self._half_open:
            self._segments.append(_Segment(self._due(0.0), end=True))
            self._schedule()

    def send_reset(self) -> None:
        """Send a reset: it overtakes nothing, but what the receiver has not read when it arrives is lost."""
        if not self._half_open and self._reset_due is None:
            self._reset_due = self._loop.call_at(self._due(0.0), self._arrive_reset, context=self._context)

    def cut_silently(self) -> None:
        """Make the wire half-open: what is under way and what comes is lost, and nobody is told."""
        self._half_open = True
        self._segments.clear()
        for handle in (self._delivery, self._reset_due):
            if handle is not None:
                handle.cancel()
        self._delivery = None

    def resume(self) -> None:
        """Go on delivering after the receiver has paused."""
        self._schedule()

    def _due(self, hold_s: float) -> float:
        self._last_due_s = max(self._last_due_s, self._loop.time() + self._conditions.latency_s + hold_s)
        return self._last_due_s

    def _cut(self, data: bytes, chunking: Chunking) -> list[bytes]:
        if len(data) < 2 or self._rng.random() >= chunking.split:
            return [data]
        count = min(self._rng.randint(1, 3), len(data) - 1)
        cuts = sorted(self._rng.sample(range(1, len(data)), count))
        return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    def _schedule(self) -> None:
        assert self.receiver is not None
        if self._delivery is not None or not self._segments or self.receiver.reading_paused:
            return
        due_s = self._segments[0].due_s
        if due_s <= self._loop.time():
            self._delivery = self._loop.call_soon(self._deliver, context=self._context)
        else:
            self._delivery = self._loop.call_at(due_s, self._deliver, context=self._context)

    def _deliver(self) -> None:
        """Hand over one piece; the next one comes in another iteration, so that the receiver can act between them."""
        self._delivery = None
        assert self.receiver is not None
        assert self.sender is not None
        if self.receiver.reading_paused:
            return
        data, end = self._take()
        self._schedule()
        if end:
            self.receiver.arrive_end()
        else:
            self.undelivered_bytes -= len(data)
            self.receiver.arrive(data)
            self.sender.window_moved()

    def _take(self) -> tuple[bytes, bool]:
        first = self._segments.popleft()
        pieces, size = [first.data], len(first.data)
        last = first
        while self._segments and not last.alone and not last.end and size < _RECV_BYTES_MAX:
            following = self._segments[0]
            if following.end or following.due_s > self._loop.time():
                break
            last = self._segments.popleft()
            pieces.append(last.data)
            size += len(last.data)
        return b"".join(pieces), first.end

    def _arrive_reset(self) -> None:
        assert self.receiver is not None
        if self._segments and not self.receiver.reading_paused:
            # Pieces that came before it are handed over one an iteration.
            self._reset_due = self._loop.call_soon(self._arrive_reset, context=self._context)
            return
        self._segments.clear()
        self.receiver.arrive_reset()


@dataclass
class Ends:
    """What one end of a connection says about itself."""

    sockname: tuple[str, int]
    peername: tuple[str, int]
    tls: bool = False
    extra: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.extra = {"sockname": self.sockname, "peername": self.peername}
        if self.tls:
            # asyncio's stream protocol only asks whether there is one: with TLS an end of stream closes both directions.
            self.extra["sslcontext"] = self.extra["ssl_object"] = object()


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        ends: Ends,
        outgoing: Wire,
        incoming: Wire,
        on_lost: Callable[[MemoryTransport], None],
    ) -> None:
        super().__init__(ends.extra)
        self._loop = loop
        self._protocol: asyncio.BaseProtocol = protocol
        self._outgoing, self._incoming = outgoing, incoming
        self._on_lost = on_lost
        self.process: Process | None = current_process()
        # Callbacks run as code of whoever made this end, whoever sends to it.
        self._context = contextvars.copy_context()
        self._high, self._low = _HIGH_BYTES, _HIGH_BYTES // 4
        self._closing = self._lost = self._end_sent = self._writing_paused = False
        self._finishing = False  # closed, but bytes wait for room on the wire
        self.reading_paused = False
        outgoing.sender = incoming.receiver = self

    # -- what programs call ---------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes; after the connection was lost they are dropped, as asyncio's own transports do."""
        if self._end_sent and not self._closing:
            raise RuntimeError("Cannot call write() after write_eof()")
        if data and not self._closing:
            self._outgoing.send(bytes(data))
            if self.get_write_buffer_size() > self._high and not self._writing_paused:
                self._writing_paused = True
                self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send several pieces as one write."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Say whether one direction can be closed alone: not with TLS."""
        return self.get_extra_info("sslcontext") is None

    def write_eof(self) -> None:
        """Close this direction; the other end reads to the end and may go on sending."""
        if not self._closing and not self._end_sent:
            self._end_sent = True
            self._outgoing.send_end()

    def close(self) -> None:
        """Send what waits, then the end; nothing is received any more."""
        if self._closing:
            return
        self._closing = True
        self._finishing = self.get_write_buffer_size() > 0
        if not self._finishing:
            self._finish()

    def abort(self) -> None:
        """Drop everything; the other end gets a reset."""
        if not self._lost:
            self._outgoing.send_reset()
            self._lose(None)

    def is_closing(self) -> bool:
        """Whether this end was closed or lost."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for room on the wire."""
        return max(0, self._outgoing.undelivered_bytes - WINDOW_BYTES)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, in bytes, at which `drain()` starts and stops waiting."""
        self._high = _HIGH_BYTES if high is None and low is None else 4 * (low or 0) if high is None else high
        self._low = self._high // 4 if low is None else low
        if not self._high >= self._low >= 0:
            raise ValueError(f"high ({self._high!r}) must be >= low ({self._low!r}) must be >= 0")

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return (low, high) in bytes."""
        return self._low, self._high

    def pause_reading(self) -> None:
        """Leave what arrives on the wire."""
        self.reading_paused = True

    def resume_reading(self) -> None:
        """Take what has arrived."""
        self.reading_paused = False
        if not self._lost:
            self._incoming.resume()

    def is_reading(self) -> bool:
        """Whether this end takes what arrives."""
        return not self.reading_paused and not self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand this end to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that is told what arrives."""
        return self._protocol

    # -- what the wires call ----------------------------------------------------------------------------------------

    def arrive(self, data: bytes) -> None:
        """Take bytes; a closed end answers with a reset."""
        if self._lost:
            self._outgoing.send_reset()
        if self._closing:
            return
        assert isinstance(self._protocol, asyncio.Protocol)
        self._context.run(self._protocol.data_received, data)

    def arrive_end(self) -> None:
        """Take the end of the other side's stream."""
        if self._closing:
            return
        assert isinstance(self._protocol, asyncio.Protocol)
        if not self._context.run(self._protocol.eof_received):
            self.close()

    def arrive_reset(self) -> None:
        """Take a reset."""
        if not self._lost:
            self._lose(ConnectionResetError(104, "Connection reset by peer"))

    def window_moved(self) -> None:
        """Notice that the other end has taken bytes: writing may go on, or closing be completed."""
        if self._lost:
            return
        if self._writing_paused and self.get_write_buffer_size() <= self._low:
            self._writing_paused = False
            self._context.run(self._protocol.resume_writing)
        if self._finishing and self.get_write_buffer_size() == 0:
            self._finishing = False
            self._finish()

    def die(self) -> None:
        """End as a kernel ends the connections of a dead process: FIN, or a reset if anything was left unread."""
        if self._lost:
            return
        self._lost = self._closing = True
        if self._incoming.undelivered_bytes:
            self._outgoing.send_reset()
        elif not self._end_sent:
            self._end_sent = True
            self._outgoing.send_end()
        self.reading_paused = False
        self._on_lost(self)

    def _finish(self) -> None:
        if not self._end_sent:
            self._end_sent = True
            self._outgoing.send_end()
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        assert not self._lost
        self._lost = self._closing = True
        # What still arrives must be taken off the wire, to be answered with a reset.
        if self.reading_paused:
            self.reading_paused = False
            self._incoming.resume()
        self._on_lost(self)
        self._loop.call_soon(self._protocol.connection_lost, error, context=self._context)
