"""A chat client in sixty lines on a bare socket, with faults to order: not in the table, but the measure that the table is tested with.

The variable ``DEFECT`` names what it gets wrong, so that each act of the table can be seen to notice: ``deaf`` tells nothing that Twitch
refused, ``flat`` replies without the tag, ``garbled`` hands texts on without their accents, ``fragile`` never connects again,
``lost`` joins one channel only, ``twice`` hands on a message that comes again, ``dumb`` never speaks, ``blunt`` sends texts of any length,
``hasty`` any number of them. "" is sound.
"""

from __future__ import annotations

import asyncio
import os
import re
import time

from lines import obey, saw, scene

SCENE = scene()
DEFECT = os.environ.get("DEFECT", "")
LINE = re.compile(
    r"(?:@(?P<tags>\S+) )?(?::(?P<who>[^\s!]+)\S* )?(?P<what>\S+)(?: #?(?P<where>\S+))?(?: :(?P<text>.*))?"
)


class Client:
    """One connection at a time."""

    def __init__(self):
        self._writer = None
        self._seen = set()
        self._said_at_s = []

    async def run(self):
        """Connect, and again whenever the connection is gone."""
        while True:
            reader, self._writer = await asyncio.open_connection(SCENE["irc"]["host"], SCENE["irc"]["port"])
            self._send("CAP REQ :twitch.tv/commands twitch.tv/tags", f"PASS oauth:{SCENE['token']}")
            self._send(f"NICK {SCENE['login']}")
            async for raw in reader:
                self._take(raw.decode().rstrip("\r\n"))
            saw("closed")
            if DEFECT == "fragile":
                return

    def _send(self, *lines):
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())

    def _take(self, line):
        found = LINE.match(line)
        tags = dict(tag.partition("=")[::2] for tag in (found["tags"] or "").split(";"))
        if found["what"] == "PING":
            self._send(f"PONG :{found['text']}")
        elif found["what"] == "001":
            saw("ready")
            joined = SCENE["channels"][:1] if DEFECT == "lost" else SCENE["channels"]
            self._send(*(f"JOIN #{channel['login']}" for channel in joined))
        elif found["what"] == "ROOMSTATE":
            saw("joined", channel=found["where"])
        elif found["what"] == "NOTICE" and DEFECT != "deaf":
            saw("refused", channel=found["where"], reason=f"{tags.get('msg-id')}: {found['text']}")
        elif found["what"] == "PRIVMSG" and tags["id"] not in self._seen:
            if DEFECT != "twice":
                self._seen.add(tags["id"])
            text = found["text"].encode("ascii", "ignore").decode() if DEFECT == "garbled" else found["text"]
            saw("message", channel=found["where"], login=found["who"], text=text, id=tags["id"])

    async def say(self, channel, text):
        """Say something, if Twitch takes so long a text and so many."""
        if len(text) > 500 and DEFECT != "blunt":
            return "more than 500 characters"
        now_s = time.monotonic()
        self._said_at_s = [at_s for at_s in self._said_at_s if now_s - at_s < 30.0]
        if len(self._said_at_s) >= 20 and DEFECT != "hasty":
            return "more than 20 messages in 30 s"
        self._said_at_s.append(now_s)
        if DEFECT != "dumb":
            self._send(f"PRIVMSG #{channel} :{text}")
        return ""

    async def reply(self, channel, message_id, text):
        """Reply to a message."""
        tag = "" if DEFECT == "flat" else f"@reply-parent-msg-id={message_id} "
        if DEFECT != "dumb":
            self._send(f"{tag}PRIVMSG #{channel} :{text}")


async def main():
    """Connect and obey until the input ends."""
    client = Client()
    running = asyncio.create_task(client.run())
    await obey(client.say, client.reply)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
