"""The reference: the least an asyncio program can do to answer a chat command.

One loop over the lines of the stream; a line that holds `` :!echo N`` gets ``pong N``. No tags are read, nothing is routed, nothing
is remembered, no limit is kept. ``byte_bot`` is measured against it because what lies between the two is what a router, state
and persistence cost.
"""

from __future__ import annotations

import asyncio
import os


async def main() -> None:
    """Log in, join, answer until the server closes."""
    reader, writer = await asyncio.open_connection(os.environ["CHAT_HOST"], int(os.environ["CHAT_PORT"]))
    writer.write(
        b"CAP REQ :twitch.tv/commands twitch.tv/membership twitch.tv/tags\r\nPASS oauth:none\r\nNICK byte_test_bot\r\n"
    )
    for channel in os.environ["CHAT_CHANNELS"].split(","):
        writer.write(b"JOIN #%b\r\n" % channel.encode())
    async for line in reader:
        head, found, number = line.rpartition(b" :!echo ")
        if found:
            target = head.rpartition(b" PRIVMSG ")[2]
            writer.write(b"PRIVMSG %b :pong %b" % (target, number))
            await writer.drain()
        elif line.startswith(b"PING"):
            writer.write(b"PONG" + line[4:])


if __name__ == "__main__":
    asyncio.run(main())
