"""Twitch's side of the wire for the tests: captured lines, and an open connection in memory.

The connection has no network: what one side writes, the other has at once. It is unrealistic in that it never
splits or merges what was written (the session's own tests do) and has no latency.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[3] / "data" / "twitch-wire-lines.txt"

WELCOME = ":tmi.twitch.tv 001 byte_bot :Welcome, GLHF!"


def wire_line(part: str) -> str:
    """The first captured line that contains ``part``."""
    return next(line for line in DATA.read_text(encoding="utf-8").split("\n") if part in line)


def joined_lines(channel: str, channel_id: str = "1", *, badges: str = "") -> list[str]:
    """What Twitch answers to a JOIN by byte_bot, in its order."""
    userstate = f"@badge-info=;badges={badges};color=;display-name=byte_bot;emote-sets=0;mod=0;user-type="
    roomstate = f"@emote-only=0;followers-only=-1;r9k=0;room-id={channel_id};slow=0;subs-only=0"
    return [
        f":byte_bot!byte_bot@byte_bot.tmi.twitch.tv JOIN #{channel}",
        f":byte_bot.tmi.twitch.tv 353 byte_bot = #{channel} :byte_bot",
        f":byte_bot.tmi.twitch.tv 366 byte_bot #{channel} :End of /NAMES list",
        f"{userstate} :tmi.twitch.tv USERSTATE #{channel}",
        f"{roomstate} :tmi.twitch.tv ROOMSTATE #{channel}",
    ]


def privmsg(channel: str, text: str, message_id: str = "m1") -> str:
    """A line somebody wrote."""
    return (
        f"@badges=;display-name=Ana;id={message_id};mod=0;room-id=1;subscriber=0;tmi-sent-ts=1500;user-id=7 "
        f":ana!ana@ana.tmi.twitch.tv PRIVMSG #{channel} :{text}"
    )


class Wire(asyncio.Transport):
    """One connection in memory, seen from the server: ``lines`` is what the client wrote, ``say`` answers."""

    def __init__(self, answer: Callable[[Wire, str], None]) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.aborted = False
        self.refusing = False
        self._answer = answer
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader()
        self._protocol = asyncio.StreamReaderProtocol(self.reader)
        self._protocol.connection_made(self)
        self.writer = asyncio.StreamWriter(self, self._protocol, self.reader, self._loop)

    def say(self, *lines: str) -> None:
        """The server sends lines."""
        if not self._closed:
            self._protocol.data_received("".join(line + "\r\n" for line in lines).encode())

    def drop(self, error: Exception | None = None) -> None:
        """The server closes (or, with an error, resets) the connection."""
        if not self._closed:
            self._closed = True
            self._protocol.connection_lost(error)

    def refuse_bytes(self) -> None:
        """The server stops reading: from now on a flush waits."""
        self.refusing = True
        self._protocol.pause_writing()

    def write(self, data: Any) -> None:
        """The client writes."""
        for line in bytes(data).decode().split("\r\n"):
            if line and not self._closed:
                self.lines.append(line)
                self._answer(self, line)

    def is_closing(self) -> bool:
        """Whether either side closed."""
        return self._closed

    def close(self) -> None:
        """The client closes."""
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """The client gives the connection up."""
        self.aborted = True
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known about a connection in memory."""
        return default


class TinyTwitch:
    """A connector whose every connection answers like Twitch: it welcomes, lets join and part, and answers
    PING.

    ``refusals`` are raised by the next attempts to connect, first to last. ``ids`` of channels are their
    lengths.
    """

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.opened_at: list[float] = []
        self.refusals: list[Exception] = []
        self.refuse_login = ""
        self.silent = False
        self.hanging = False
        self.drops_after_welcome = False

    @property
    def wire(self) -> Wire:
        """The latest connection."""
        return self.wires[-1]

    async def open(
        self, host: str, port: int, *, tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect in memory, or fail as the test wants it."""
        self.opened_at.append(asyncio.get_running_loop().time())
        if self.hanging:
            await asyncio.get_running_loop().create_future()
        if self.refusals:
            raise self.refusals.pop(0)
        self.wires.append(Wire(self._answer))
        return self.wire.reader, self.wire.writer

    def _answer(self, wire: Wire, line: str) -> None:
        command, _, rest = line.partition(" ")
        if self.silent:
            return
        if command == "NICK" and self.refuse_login:
            wire.say(f":tmi.twitch.tv NOTICE * :{self.refuse_login}")
            wire.drop()
        elif command == "NICK":
            wire.say(
                ":tmi.twitch.tv CAP * ACK :twitch.tv/commands twitch.tv/membership twitch.tv/tags", WELCOME
            )
            if self.drops_after_welcome:
                wire.drop()
        elif command == "PING":
            wire.say(f":tmi.twitch.tv PONG tmi.twitch.tv {rest}")
        elif command == "JOIN":
            for channel in rest.replace("#", "").split(","):
                wire.say(*joined_lines(channel, str(len(channel))))
        elif command == "PART":
            wire.say(f":byte_bot!byte_bot@byte_bot.tmi.twitch.tv PART {rest}")
