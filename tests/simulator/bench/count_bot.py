"""A bot for the tests of measuring: counts in RAM, answers `NAME: VALUE`, and is slow, forgetful or mute as its arguments say.

`count_bot.py DELAY_S LEAVES_OUT`: answers each message after the delay, one after the other, and every LEAVES_OUT-th (0: none)
not at all. Standard library only, so that it starts in no time.
"""

from __future__ import annotations

import os
import socket
import sys
import time


def main() -> None:
    """Chat until the connection ends."""
    delay_s, leaves_out = float(sys.argv[1]), int(sys.argv[2])
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
        send(f"PRIVMSG #{channel} :{name}: {values[channel, name]}")


if __name__ == "__main__":
    main()
