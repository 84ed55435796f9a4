"""What the three small bots share: a plain asyncio chat client with one command, `!count NAME +1`, and counters in RAM.

It logs in, asks for tags, joins, answers PING, and calls `save(channel, name, value)` and `reply()` in the order its strategy
says (`inline.py`, `blocking.py`, `task_per_message.py`). One line after the other, as the usual `async for line` bots do.

Settings are environment variables: TWITCH_HOST, TWITCH_PORT, TWITCH_LOGIN, TWITCH_TOKEN, TWITCH_CHANNELS (with commas),
SUPABASE_URL, SUPABASE_KEY. Left out, as small bots leave it out: TLS, reconnects, and Twitch's rate limits, which the
benchmark lifts.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

Reply = Callable[[], None]
Handler = Callable[[str, str, int, Reply], Awaitable[None]]  # channel, name, value, reply

TABLE = "bot_counters"


class CountingBot:
    """One connection; `handler` gets every change and decides when to save and when to reply."""

    def __init__(self, handler: Handler, counters: dict[tuple[str, str], int]) -> None:
        self._handler = handler
        self._counters = counters

    async def run(self) -> None:
        """Serve until the connection ends."""
        env = os.environ
        reader, self._writer = await asyncio.open_connection(env["TWITCH_HOST"], int(env["TWITCH_PORT"]))
        self._send("CAP REQ :twitch.tv/tags twitch.tv/commands")
        self._send(f"PASS {env['TWITCH_TOKEN']}")
        self._send(f"NICK {env['TWITCH_LOGIN']}")
        async for raw in reader:
            line = raw.decode().rstrip("\r\n")
            if line.startswith("PING"):
                self._send("PONG" + line.removeprefix("PING"))
            elif " 001 " in line:
                for channel in env["TWITCH_CHANNELS"].split(","):
                    self._send(f"JOIN #{channel}")
            elif " PRIVMSG #" in line:
                await self._message(line)

    def _send(self, line: str) -> None:
        self._writer.write(f"{line}\r\n".encode())

    async def _message(self, line: str) -> None:
        tags, _, rest = line.partition(" :")
        channel, _, text = rest.partition(" PRIVMSG #")[2].partition(" :")
        words = text.split()
        if len(words) != 3 or words[0] != "!count" or words[2] != "+1" or "mod=1" not in tags.split(";"):
            return
        name = words[1]
        value = self._counters[channel, name] = self._counters.get((channel, name), 0) + 1
        await self._handler(channel, name, value, lambda: self._send(f"PRIVMSG #{channel} :{name}: {value}"))


def counters(rows: Any) -> dict[tuple[str, str], int]:
    """The counters of the table's rows, for the start."""
    return {(one["channel"], one["name"]): one["value"] for one in rows}


def row(channel: str, name: str, value: int) -> dict[str, str | int]:
    """A counter as a row of the table."""
    return {"channel": channel, "name": name, "value": value}
