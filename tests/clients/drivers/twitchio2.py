"""twitchio 2.10, the last release that speaks IRC, as a bot on ``commands.Bot``.

It has no option for other addresses. The chat's is a module attribute; the check of the token goes through an aiohttp session, which
is given to it: one that takes requests for Twitch's hosts to the fake. The library itself is as it comes. simulator/README.md shows the
same lines, and a test compares them.
"""

from __future__ import annotations

import asyncio
import re

import aiohttp
import twitchio.websocket
from lines import obey, saw, scene, words_of
from twitchio.ext import commands

SCENE = scene()
WEB = SCENE["helix"].removesuffix("/helix")


class FakeTwitch(aiohttp.ClientSession):
    """An ordinary session, but for where Twitch's two hosts are."""

    async def _request(self, method, url, **options):
        url = re.sub(r"https://(id|api)\.twitch\.tv", WEB, str(url))
        return await super()._request(method, url, **options)


class Bot(commands.Bot):
    """Tells what the library tells it."""

    def __init__(self):
        super().__init__(
            token=SCENE["token"],
            prefix="!",
            initial_channels=[channel["login"] for channel in SCENE["channels"]],
        )
        self.heard = {}

    async def event_ready(self):
        saw("ready")

    async def event_channel_joined(self, channel):
        saw("joined", channel=channel.name)

    async def event_channel_join_failure(self, channel):
        saw("error", reason=f"could not join {channel}")

    async def event_reconnect(self):
        saw("reconnect")

    async def event_message(self, message):
        if message.echo:
            return
        self.heard[message.id] = message
        saw(
            "message",
            channel=message.channel.name,
            login=message.author.name,
            text=message.content,
            id=message.id,
        )

    async def event_notice(self, message, msg_id, channel):
        saw("refused", channel=channel.name if channel else "", reason=f"{msg_id}: {message}")

    async def event_error(self, error, data=None):
        saw("error", reason=words_of(error))

    async def say(self, channel, text):
        await self.get_channel(channel).send(text)

    async def reply(self, channel, message_id, text):
        context = await self.get_context(self.heard[message_id])
        await context.reply(text)


async def main():
    """Connect and obey until the input ends."""
    twitchio.websocket.HOST = SCENE["irc_ws"]
    bot = Bot()
    async with FakeTwitch() as session:
        bot._http.session = session
        running = asyncio.create_task(bot.start())
        await obey(bot.say, bot.reply)
        running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
