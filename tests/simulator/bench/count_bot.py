"""A bot for the tests of measuring: counts in RAM, answers `NAME: VALUE`, and is slow, forgetful or mute as its arguments say.

`count_bot.py DELAY_S LEAVES_OUT [EVERY_S]`: answers each message after the delay, one after the other, and every LEAVES_OUT-th
(0: none) not at all. With EVERY_S it stores the counter before it answers (and does not, if that fails), and has one more request to
make for each, of which it makes one every so many seconds. Standard library only, so that it starts in no time.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
import time
import urllib.request
from typing import Any


def ask_database(row: dict[str, Any] | None = None) -> bool:
    """One request: this row upserted, or the table read; whether it was answered."""
    key = os.environ["DB_KEY"]
    request = urllib.request.Request(
        os.environ["DB_URL"] + "/rest/v1/counters",
        data=None if row is None else json.dumps(row).encode(),
        headers={
            "apikey": key,
            "Content-Type": "application/json",
            "Prefer": "resolution=merge-duplicates",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=5.0):
            return True
    except OSError:
        return False


def trickle(every_s: float, due: queue.Queue[None]) -> None:
    """Make the requests that are due, one every so many seconds."""
    while True:
        due.get()
        time.sleep(every_s)
        ask_database()


def main() -> None:
    """Chat until the connection ends."""
    delay_s, leaves_out = float(sys.argv[1]), int(sys.argv[2])
    due: queue.Queue[None] | None = None
    if len(sys.argv) > 3:
        due = queue.Queue()
        threading.Thread(target=trickle, args=(float(sys.argv[3]), due), daemon=True).start()
    connection = socket.create_connection((os.environ["HOST"], int(os.environ["PORT"])))
    values: dict[tuple[str, str], int] = {}
    asked = 0

    def send(line: str) -> None:
        connection.sendall(f"{line}\r\n".encode())

    send(f"PASS {os.environ['TOKEN']}")
    send("NICK somebody")
    for channel in os.environ["CHANNELS"].split(","):
        send(f"JOIN #{channel}")
    for raw in connection.makefile("rb"):
        line = raw.decode().rstrip()
        if line.startswith("PING"):
            send("PONG" + line.removeprefix("PING"))
        _, found, rest = line.partition(" PRIVMSG #")
        channel, _, text = rest.partition(" :")
        if not found or not text.startswith("!count "):
            continue
        asked += 1
        if leaves_out and asked % leaves_out == 0:
            continue
        name = text.split()[1]
        values[channel, name] = values.get((channel, name), 0) + 1
        time.sleep(delay_s)
        if due is not None:
            due.put(None)
            if not ask_database({"name": name, "value": values[channel, name]}):
                continue
        send(f"PRIVMSG #{channel} :{name}: {values[channel, name]}")


if __name__ == "__main__":
    main()
