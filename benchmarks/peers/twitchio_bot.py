"""twitchio 2.10.0 answering ``!echo N`` with ``pong N``, for benchmarks/throughput.py; runs in an environment of its own.

Three things are replaced, since twitchio 2 has no options for them: the address of the chat, the check of the token (it would call
Twitch), and the rate limiter (it refuses more than 20 messages in 30 s, or 100, by raising). Everything else is the
library's: its parser, its router, its task for every line.
"""

from __future__ import annotations

import logging
import os

import aiohttp
import twitchio
import twitchio.http
import twitchio.websocket
from twitchio.abcs import Messageable
from twitchio.ext import commands


async def validate(self, *, token=None):
    """Stands in for the request to Twitch that checks the token."""
    # The original opens the session in passing.
    self.session = self.session or aiohttp.ClientSession()
    self.nick, self.user_id, self.client_id = "byte_test_bot", 49_999_999, "none"
    return {"login": self.nick, "user_id": str(self.user_id), "client_id": self.client_id}


class EchoBot(commands.Bot):
    """A bot as the library's documentation shows it."""

    async def event_message(self, message):
        """Every message of chat; our own come back as echoes."""
        if not message.echo:
            await self.handle_commands(message)

    @commands.command()
    async def echo(self, ctx, number: str):
        """Says the number it was given."""
        await ctx.send(f"pong {number}")


def main():
    """Connect to the chat of the environment and answer until the end."""
    twitchio.websocket.HOST = f"ws://{os.environ['CHAT_HOST']}:{os.environ['CHAT_PORT']}"
    twitchio.http.TwitchHTTP.validate = validate
    Messageable.check_bucket = lambda self, channel: None
    logging.basicConfig(level=logging.WARNING)
    channels = os.environ["CHAT_CHANNELS"].split(",")
    EchoBot(token="none", prefix="!", initial_channels=channels).run()


if __name__ == "__main__":
    main()
