"""The database of :mod:`benchmarks.scale`: PostgREST's answers for any number of channels, by formula.

How it works. It keeps nothing: every row is made from its channel's number, so 100,000 channels cost no memory and an
answer costs little, and what the benchmark measures is the bot. It speaks as much HTTP and as much of PostgREST as
:class:`~byte_bot.persistence.supabase_store.SupabaseStore` uses: pages of ``channels_config``, rows by channel id with
``Content-Range``, ``byte_bot_take_epoch`` and ``byte_bot_save`` (which answers that everything was saved).

It runs in a process of its own (``python -m benchmarks.scale_database``), prints its port and lives until its standard
input ends.

Left out: everything that a database is for; ``simulator/supabase`` has that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

#: What channel ids start from: nine digits, like most of Twitch's.
FIRST_ID = 100_000_000
_GAMES = ("Elden Ring", "Just Chatting", "Celeste", "Stardew Valley", "Hollow Knight")
_LINE = "gg that was close, how many times did this boss get you today?"


def login_of(number: int) -> str:
    """The login of the channel with that number; logins sort like numbers."""
    return f"channel{number:06d}"


def id_of(number: int) -> str:
    """Twitch's id of the channel with that number."""
    return str(FIRST_ID + number)


class Rows:
    """The rows of ``channels`` quiet channels, each with ``lines`` remembered lines of chat."""

    def __init__(self, channels: int, lines: int) -> None:
        self._channels = channels
        self._chat = [
            {"author": f"viewer_{n:03d}", "text": _LINE[: 20 + n * 7 % 43], "at": 1_790_000_000.125 + n}
            for n in range(lines)
        ]

    def config(self, after: str, limit: int) -> Iterator[dict[str, object]]:
        """A page of ``channels_config`` behind the login ``after``; the sentinel comes first."""
        first = int(after.removeprefix("channel")) + 1 if after else 0
        if not after:
            limit -= 1
            yield {"login": ".sentinel", "enabled": False, "paused": False, **_stamp(0)}
        for number in range(first, min(first + limit, self._channels)):
            row = {"login": login_of(number), "channel_id": id_of(number), "language": None, "prefix": None}
            yield {**row, "enabled": True, "paused": False, **_stamp(0)}

    def state(self, channel_id: str) -> dict[str, object]:
        """A row of ``channel_state``."""
        number = int(channel_id) - FIRST_ID
        data = {
            "current_game": _GAMES[number % len(_GAMES)],
            "vibe": "cosy",
            "style_profile": "",
            "observability": {},
            "last_event": {
                "kind": "raid",
                "text": f"{number % 90 + 3} raiders joined",
                "at": 1_789_999_000.5,
            },
            "notes": {},
            "chat_lines": self._chat,
            "last_reply": f"deaths: {number % 100}",
            "live_since": 1_789_990_000.0,
        }
        return {"channel_id": channel_id, "data": data, "version": 1, "tombstones": {}, **_stamp(1)}

    def component(self, channel_id: str) -> dict[str, object]:
        """The row of ``component_state`` with the channel's counters."""
        data = {"values": {"deaths": int(channel_id) % 100, "wins": 3, "hugs": 12}}
        row = {"channel_id": channel_id, "key": "counters", "data": data, "version": 1, "tombstones": {}}
        return {**row, **_stamp(1)}


def _stamp(epoch: int) -> dict[str, object]:
    updated = "2026-09-01T12:00:00+00:00"
    return {"epoch": epoch, "revision": 7 if epoch else 0, "edit_no": 0, "updated_at": updated}


def answer(rows: Rows, method: str, target: str) -> tuple[bytes, str]:
    """Body and ``Content-Range`` for one request."""
    url = urlsplit(target)
    table = url.path.rsplit("/", 1)[-1]
    if method == "POST":
        saved: object = 2 if table == "byte_bot_take_epoch" else {"status": "ok", "epoch": 2, "refused": []}
        return json.dumps(saved).encode(), ""
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    if table == "channels_config":
        after = query.get("login", "").removeprefix("gt.")
        found = list(rows.config(after, int(query["limit"])))
    else:
        make = rows.state if table == "channel_state" else rows.component
        found = [make(channel_id) for channel_id in query["channel_id"][4:-1].replace('"', "").split(",")]
    return json.dumps(found).encode(), f"0-{max(0, len(found) - 1)}/{len(found)}"


async def _serve(rows: Rows, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: request after request."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            start, *lines = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = start.split(" ")
            body, extent = answer(rows, method, target)
            fields = [f"content-length: {len(body)}", "content-type: application/json; charset=utf-8"]
            fields += [f"content-range: {extent}"] if extent else []
            writer.write(("\r\n".join(["HTTP/1.1 200 OK", *fields]) + "\r\n\r\n").encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _run(channels: int, lines: int) -> None:
    rows = Rows(channels, lines)
    server = await asyncio.start_server(lambda r, w: _serve(rows, r, w), "127.0.0.1", 0, limit=1 << 24)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # A whole read: at the end of the input whoever started it is gone.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    server.close()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="The database of the scale benchmark.")
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--lines", type=int, default=10)
    options = parser.parse_args()
    asyncio.run(_run(options.channels, options.lines))


if __name__ == "__main__":
    main()
