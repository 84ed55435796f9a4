"""A bot in plain sockets as a newcomer may write one, configured by its command line: what `byte-sim bench` must measure.

Words in its command line change what it does: `asking` asks its database before each answer, and leaves the answer out when
that fails; `mute` never answers; `away` never joins; `dies` ends at once; `fragile` ends when its database fails.
It names no message that it replies to, as most small bots.
"""

from __future__ import annotations

import os
import socket
import sys
import urllib.error
import urllib.request

DATABASE_TIMEOUT_S = 0.2


def looked_up() -> bool:
    """Ask the database for the channels, as a bot without a cache does for each command; whether that worked."""
    request = urllib.request.Request(
        os.environ["DB_URL"] + "/rest/v1/channels_config?select=login",
        headers={"apikey": os.environ["DB_KEY"]},
    )
    try:
        with urllib.request.urlopen(request, timeout=DATABASE_TIMEOUT_S):
            return True
    except (urllib.error.URLError, TimeoutError) as error:
        sys.stdout.write(f"no answer from the database: {error}\n")
        return False


def main(host: str, port: int, words: list[str]) -> int:
    """Log in, join, answer until the connection ends."""
    if "dies" in words:
        sys.stdout.write("I have no idea what to do\n")
        return 3
    with socket.create_connection((host, port)) as connection:
        login, token = os.environ["TWITCH_LOGIN"], os.environ["TWITCH_TOKEN"]
        connection.sendall(f"PASS {token}\r\nNICK {login}\r\n".encode())
        if "away" not in words:
            for channel in os.environ["TWITCH_CHANNEL_LOGINS"].split(","):
                connection.sendall(f"JOIN #{channel}\r\n".encode())
        received = b""
        while data := connection.recv(65_536):
            *lines, received = (received + data).split(b"\r\n")
            for line in lines:
                text = line.decode()
                if text.startswith("PING"):
                    connection.sendall(b"PONG :tmi.twitch.tv\r\n")
                elif " PRIVMSG " in text and ":!ping" in text:
                    if "asking" in words and not looked_up():
                        if "fragile" in words:
                            return 4
                        continue
                    if "mute" not in words:
                        where = text.split(" PRIVMSG ")[1].split(" :")[0]
                        connection.sendall(f"PRIVMSG {where} :Pong!\r\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
