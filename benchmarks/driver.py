"""The load: a fake Twitch chat that does nothing but speak and count, in a process of its own.

How it works. :class:`ChatServer` listens on one port for IRC and for IRC over WebSocket (a first byte "G" is an HTTP request).
It lets any bot log in and join the way Twitch answers (welcome, JOIN echo, names, USERSTATE as a moderator, ROOMSTATE), and
answers every PRIVMSG with the USERSTATE that Twitch sends its author.

A *step* speaks at a fixed rate, as an **open loop**: message n is due at ``start + n / rate`` whether or not the bot keeps up.
About every millisecond what is due is rendered (all of Twitch's tags, an id of its own each) and written in one piece, channel
after channel. Every message carries its serial number, in its text or its id, and the reply names it; latency is counted from
the moment the message was *due* until the read in which its reply arrived. A message without a reply counts as infinitely
late. The driver measures itself too: how late it wrote what was due, and how much of its core it used, so that its own limit
is not taken for the bot's.

The process reads one JSON object a line on standard input and answers each with one on standard output:
``{"do": "wait", "seconds": 20}`` until a bot is in every channel, ``{"do": "step", …}`` with the fields of :class:`StepPlan`.

Left out: everything of Twitch that costs time and is not on the way of a command: rate limits, checks of the token, the
arrival of the same message twice (``byte-sim serve`` has those).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import sys
import time
from array import array
from collections.abc import Iterable
from typing import Final

import msgspec

from benchmarks.step import Step, StepPlan, StepResult, part_between, queued_seconds
from benchmarks.websocket import FrameReader, WebSocketError, accept_upgrade, text_frame

HOST: Final = "127.0.0.1"
CHANNELS: Final = 20

#: Seconds between two looks at what is due. Chosen: far below the 50 ms that are judged, far above the cost of a look.
TICK_S: Final = 0.001
#: A step ends early when this many seconds' worth of messages are unanswered: its p99 cannot be saved any more.
BACKLOG_S: Final = 0.5
#: The longest wait for the replies that are missing at the end of a step, while some still arrive every QUIET_S.
DRAIN_S: Final = 15.0
QUIET_S: Final = 0.5
#: A bot that reads nothing must not fill the memory with what waits for it.
UNREAD_BYTES_MAX: Final = 64 << 20

_FIRST_ROOM: Final = 50_000_000
_MODERATOR: Final = b"badge-info=;badges=moderator/1;color=#FF0000;"
# A moderator's line as Twitch sends it; the order of the tags is the wire's.
_LINE: Final = (
    b"@badge-info=subscriber/22;badges=moderator/1,subscriber/12;client-nonce=%(nonce)b;color=#19E6E6;display-name=Mod_%(who)d;"
    b"emotes=;first-msg=0;flags=;id=%%08x-5eed-4000-8000-%%012x;mod=1;returning-chatter=0;room-id=%(room)d;subscriber=1;"
    b"tmi-sent-ts=%%d;turbo=0;user-id=%(user)d;user-type=mod :mod_%(who)d!mod_%(who)d@mod_%(who)d.tmi.twitch.tv "
    b"PRIVMSG #%(channel)b :%(text)b\r\n"
)


def channel_names(count: int) -> tuple[str, ...]:
    """The logins of the channels there are."""
    return tuple(f"arena_{number:03d}" for number in range(count))


class ChatServer:
    """The fake chat; one bot at a time is spoken to, the one that joined last."""

    def __init__(self, channels: Iterable[str]) -> None:
        self.channels = tuple(channels)
        self.step: Step | None = None
        self._serial = 1
        self._steps = 0
        self._connection: ChatConnection | None = None
        self._present = asyncio.Event()

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Listen on loopback; 0 takes any free port."""
        return await asyncio.get_running_loop().create_server(lambda: ChatConnection(self), HOST, port)

    def joined(self, connection: ChatConnection) -> None:
        """A connection joined one more channel."""
        if connection.joined.issuperset(self.channels):
            self._connection = connection
            self._present.set()

    def left(self, connection: ChatConnection) -> None:
        """A connection is gone."""
        if connection is self._connection:
            self._connection = None
            self._present.clear()

    async def wait_for_bot(self, seconds: float) -> bool:
        """Wait until a bot is in every channel; whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._present.wait()
        except TimeoutError:
            return False
        return True

    async def run_step(self, plan: StepPlan) -> StepResult:
        """Speak at the plan's rate to the bot that is there, wait for the missing replies, and return the figures."""
        pieces = [
            self._render_template(number, channel, plan.text) for number, channel in enumerate(self.channels)
        ]
        self._steps += 1
        # What the interpreter made so far is not looked through again while time counts.
        gc.collect()
        gc.disable()
        start_s, start_cpu_s, start_queued_s = time.perf_counter(), time.process_time(), queued_seconds()
        step = self.step = Step(plan, self._serial, start_s)
        try:
            cut_short = await self._speak(step, pieces)
            seconds = time.perf_counter() - start_s
            cpu = (time.process_time() - start_cpu_s) / seconds
            queued = part_between(start_queued_s, queued_seconds(), seconds)
            await self._drain(step)
        finally:
            self.step = None
            self._serial += step.total
            gc.enable()
        return step.result(seconds, cpu, queued, cut_short)

    async def _speak(self, step: Step, templates: list[bytes]) -> str:
        """Write what is due until all is said; why that ended early, or nothing."""
        backlog_max = step.plan.rate * BACKLOG_S + 10
        run, count, first, rate = self._steps, len(templates), step.first, step.plan.rate
        numbered = b"%d" in templates[0].rpartition(b" :")[2]
        while step.sent < step.total:
            connection, now_s = self._connection, time.perf_counter()
            if connection is None:
                return "the bot left"
            begin, end = step.sent, step.due(now_s)
            if end > begin:
                wall_ms = time.time_ns() // 1_000_000
                if numbered:
                    lines = [
                        templates[index % count] % (run, first + index, wall_ms, first + index)
                        for index in range(begin, end)
                    ]
                else:
                    lines = [
                        templates[index % count] % (run, first + index, wall_ms)
                        for index in range(begin, end)
                    ]
                step.sent = end
                connection.write(b"".join(lines))
                elapsed_s = time.perf_counter() - step.start_s
                step.lag_s[begin:end] = array("d", [elapsed_s - index / rate for index in range(begin, end)])
                if connection.unread_bytes > UNREAD_BYTES_MAX:
                    return "the bot does not read"
                if step.sent - step.answered > backlog_max:
                    return f"{BACKLOG_S:g} s of messages unanswered"
            # Below the resolution of the loop's timers nothing else would get its turn.
            await asyncio.sleep(TICK_S)
        return ""

    async def _drain(self, step: Step) -> None:
        """Wait for missing replies until all are there, none came for a while, or time is up."""
        ended_s = time.perf_counter()
        while step.answered < step.sent and self._connection is not None:
            await asyncio.sleep(0.02)
            now_s = time.perf_counter()
            if now_s - max(step.last_reply_s, ended_s) > QUIET_S or now_s - ended_s > DRAIN_S:
                return

    def _render_template(self, number: int, channel: str, text: str) -> bytes:
        values = {
            b"nonce": b"%032x" % (0x5EED << 64 | number),
            b"who": number,
            b"room": _FIRST_ROOM + number,
            b"user": 2 * _FIRST_ROOM + number,
            b"channel": channel.encode(),
            # Rendered twice: what is left of "%%" here is filled in for each message.
            b"text": text.encode().replace(b"%", b"%%").replace(b"{n}", b"%d"),
        }
        return _LINE % values


class ChatConnection(asyncio.Protocol):
    """One client of the fake chat."""

    def __init__(self, server: ChatServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._kept = b""
        self._frames: FrameReader | None = None
        self._fresh = True
        self._login = "bot"
        self.joined: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the connection is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # The driver never waits for its bot; what is unread is bounded by the step.
        transport.set_write_buffer_limits(high=2 * UNREAD_BYTES_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's: the connection is gone."""
        self._server.left(self)

    @property
    def unread_bytes(self) -> int:
        """What the client has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def write(self, lines: bytes) -> None:
        """Send whole lines: one piece of the stream, or one frame."""
        assert self._transport is not None, "written to before it was open"
        self._transport.write(lines if self._frames is None else text_frame(lines))

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes arrived."""
        now_s = time.perf_counter()
        if self._fresh:
            if data.startswith(b"G"):
                self._upgrade(data)
                return
            self._fresh = False
        if self._frames is not None:
            data = self._unframed(data)
        data = self._kept + data
        end = data.rfind(b"\n") + 1
        self._kept = data[end:]
        lines = data[:end]
        if replies := lines.count(b"PRIVMSG #"):
            if self._server.step is not None:
                self._server.step.take_replies(lines, now_s)
            self._acknowledge(lines)
            if replies == lines.count(b"\n"):
                return
        for line in lines.splitlines():
            self._obey(line)

    def _unframed(self, data: bytes) -> bytes:
        assert self._frames is not None and self._transport is not None
        try:
            payloads = self._frames.receive(data)
        except WebSocketError as error:
            sys.stderr.write(f"driver: {error}\n")
            self._transport.close()
            return b""
        if self._frames.answers:
            self._transport.write(self._frames.answers)
            self._frames.answers = b""
        if self._frames.closed:
            self._transport.close()
        # A frame is a line, with or without its end.
        return b"".join(payload.rstrip(b"\r\n") + b"\n" for payload in payloads)

    def _upgrade(self, data: bytes) -> None:
        assert self._transport is not None
        self._kept += data
        if b"\r\n\r\n" not in self._kept:
            return
        request, _, rest = self._kept.partition(b"\r\n\r\n")
        try:
            self._transport.write(accept_upgrade(request + b"\r\n"))
        except WebSocketError as error:
            sys.stderr.write(f"driver: {error}\n")
            self._transport.close()
            return
        self._kept, self._frames, self._fresh = b"", FrameReader(), False
        if rest:
            self.data_received(rest)

    def _acknowledge(self, lines: bytes) -> None:
        """Twitch tells the author of every message its standing, and every client has to read that."""
        answer = [
            b"@%bdisplay-name=ByteTestBot;emote-sets=0;mod=1;subscriber=0;user-type=mod :tmi.twitch.tv USERSTATE #%b\r\n"
            % (_MODERATOR, channel)
            for channel in _SPOKEN_TO.findall(lines)
        ]
        self.write(b"".join(answer))

    def _obey(self, line: bytes) -> None:
        command, _, rest = line.decode("utf-8", "replace").partition(" ")
        match command.upper():
            case "CAP" if rest.startswith("REQ"):
                self._say(f":tmi.twitch.tv CAP * ACK :{rest.partition(':')[2] or rest[4:]}")
            case "CAP" if rest.startswith("LS"):
                self._say(":tmi.twitch.tv CAP * LS :twitch.tv/commands twitch.tv/membership twitch.tv/tags")
            case "NICK":
                self._welcome(rest.strip().lstrip(":").lower())
            case "PING":
                self._say(f":tmi.twitch.tv PONG tmi.twitch.tv {rest or ':tmi.twitch.tv'}")
            case "JOIN":
                for name in rest.strip().lstrip(":").split(","):
                    self._join(name.strip().removeprefix("#").lower())

    def _welcome(self, login: str) -> None:
        self._login = login
        numerics = (
            ("001", ":Welcome, GLHF!"),
            ("002", ":Your host is tmi.twitch.tv"),
            ("003", ":This server is rather new"),
            ("004", ":-"),
            ("375", ":-"),
            ("372", ":You are in a maze of twisty passages, all alike."),
            ("376", ":>"),
        )
        self._say(*(f":tmi.twitch.tv {number} {login} {words}" for number, words in numerics))
        self._say(
            f"@badge-info=;badges=;color=#FF0000;display-name={login};emote-sets=0;user-id=49999999;user-type= "
            ":tmi.twitch.tv GLOBALUSERSTATE"
        )

    def _join(self, channel: str) -> None:
        if channel not in self._server.channels:
            return  # as Twitch does: silence
        login, room = self._login, _FIRST_ROOM + self._server.channels.index(channel)
        host = f"{login}.tmi.twitch.tv"
        # USERSTATE before ROOMSTATE: tmi.js takes the second for the end of its join.
        self._say(
            f":{login}!{login}@{host} JOIN #{channel}",
            f":{host} 353 {login} = #{channel} :{login}",
            f":{host} 366 {login} #{channel} :End of /NAMES list",
            f"@{_MODERATOR.decode()}display-name={login};emote-sets=0;mod=1;subscriber=0;user-type=mod "
            f":tmi.twitch.tv USERSTATE #{channel}",
            f"@emote-only=0;followers-only=-1;r9k=0;rituals=0;room-id={room};slow=0;subs-only=0 "
            f":tmi.twitch.tv ROOMSTATE #{channel}",
        )
        self.joined.add(channel)
        self._server.joined(self)

    def _say(self, *lines: str) -> None:
        self.write("".join(f"{line}\r\n" for line in lines).encode())


_SPOKEN_TO: Final = re.compile(rb"PRIVMSG #(\w+) ")


async def serve(channels: int) -> None:
    """Listen, say where in a line of JSON, and carry out what standard input asks for until it ends."""
    server = ChatServer(channel_names(channels))
    listener = await server.listen()
    answer({"port": listener.sockets[0].getsockname()[1], "channels": server.channels})
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        if order.pop("do") == "wait":
            answer({"present": await server.wait_for_bot(order["seconds"])})
        else:
            answer(msgspec.to_builtins(await server.run_step(msgspec.convert(order, StepPlan))))
    listener.close()


def answer(value: object) -> None:
    """Print one line of JSON at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """``python -m benchmarks.driver --channels N``."""
    parser = argparse.ArgumentParser(description="the load of benchmarks/throughput.py")
    parser.add_argument("--channels", type=int, default=CHANNELS)
    asyncio.run(serve(parser.parse_args().channels))


if __name__ == "__main__":
    main()
