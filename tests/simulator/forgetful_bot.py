"""A small bot in plain sockets, which answers at once and saves nothing: what the demo must find out.

It is configured like Byte Bot, by the same environment variables, and logs its status in the same shape. Started with the
word ``mute`` it leaves at once, with exit code 3.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections import Counter

STATUS = {"event": "status", "circuit": "closed", "rows_waiting": 0, "oldest_unsaved_s": 0.0}


def log(**event: object) -> None:
    """Write one line of the log."""
    sys.stderr.write(json.dumps(event) + "\n")
    sys.stderr.flush()


def answer(counters: Counter[tuple[str, str]], channel: str, text: str) -> str:
    """What to say to a command."""
    words = text.split()
    if words[0] == "!count" and words[-1] == "+1":
        counters[channel, words[1]] += 1
        return f"{words[1]}: {counters[channel, words[1]]}"
    return "Pong!" if words[0] == "!ping" else "What was that?"


def handle(connection: socket.socket, counters: Counter[tuple[str, str]], line: str) -> None:
    """React to one line of Twitch's."""
    if line.startswith("PING"):
        connection.sendall(b"PONG :tmi.twitch.tv\r\n")
        return
    tags, _, rest = line.partition(" ")
    _, _, command = rest.partition(" ")
    if not command.startswith("PRIVMSG ") or " :!" not in command:
        return
    channel, _, text = command.removeprefix("PRIVMSG ").partition(" :")
    message_id = dict(tag.split("=", 1) for tag in tags[1:].split(";"))["id"]
    said = answer(counters, channel, text)
    connection.sendall(f"@reply-parent-msg-id={message_id} PRIVMSG {channel} :{said}\r\n".encode())


def main() -> None:
    """Log in, join, answer until the connection ends."""
    settings = os.environ
    address = (settings["TWITCH_IRC_HOST"], int(settings["TWITCH_IRC_PORT"]))
    counters: Counter[tuple[str, str]] = Counter()
    with socket.create_connection(address) as connection:
        connection.settimeout(0.05)
        connection.sendall(
            "CAP REQ :twitch.tv/tags twitch.tv/commands\r\n"
            f"PASS oauth:{settings['TWITCH_TOKEN']}\r\nNICK {settings['TWITCH_LOGIN']}\r\n".encode()
        )
        for channel in settings["TWITCH_CHANNEL_LOGINS"].split(","):
            connection.sendall(f"JOIN #{channel}\r\n".encode())
        received = b""
        while True:
            try:
                data = connection.recv(65_536)
            except TimeoutError:
                log(**STATUS)
                continue
            if not data:
                return
            *lines, received = (received + data).split(b"\r\n")
            for line in lines:
                handle(connection, counters, line.decode())


if __name__ == "__main__":
    if "mute" in sys.argv:
        log(event="gone", why="it was told to")
        sys.exit(3)
    main()
