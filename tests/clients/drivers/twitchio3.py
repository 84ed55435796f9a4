"""twitchio 3 on EventSub and Helix, as a bot on ``commands.Bot``.

Pointed at the fake by the library's class variables and one module attribute; it has no options for them.
"""

from __future__ import annotations

import asyncio

import twitchio.eventsub.websockets
import twitchio.http
from lines import obey, saw, scene, words_of
from twitchio import eventsub
from twitchio.ext import commands

SCENE = scene()
IDS = {channel["login"]: channel["id"] for channel in SCENE["channels"]}


class Bot(commands.Bot):
    """Tells what the library tells it."""

    def __init__(self):
        super().__init__(
            client_id=SCENE["client_id"],
            client_secret=SCENE["client_secret"],
            bot_id=SCENE["user_id"],
            prefix="!",
        )

    async def setup_hook(self):
        await self.add_token(SCENE["token"], SCENE["refresh_token"])
        for login, broadcaster_id in IDS.items():
            subscription = eventsub.ChatMessageSubscription(
                broadcaster_user_id=broadcaster_id, user_id=SCENE["user_id"]
            )
            await self.subscribe_websocket(payload=subscription)
            saw("joined", channel=login)

    async def event_ready(self):
        saw("ready")

    async def event_message(self, payload):
        if payload.chatter.id == SCENE["user_id"]:
            return
        saw(
            "message",
            channel=payload.broadcaster.name,
            login=payload.chatter.name,
            text=payload.text,
            id=payload.id,
        )

    async def event_websocket_welcome(self, payload):
        saw("welcome")

    async def event_subscription_revoked(self, payload):
        saw("revoked", id=payload.id, status=str(payload.status))

    async def event_error(self, payload):
        saw("error", reason=words_of(payload.error))

    async def say(self, channel, text, reply_to=None):
        user = self.create_partialuser(user_id=IDS[channel])
        # Both ways that Twitch has for bots: in the first channel with the app's token (the library's own choice), in the second
        # with the user's.
        own = {"token_for": SCENE["user_id"]} if channel == SCENE["channels"][1]["login"] else {}
        sent = await user.send_message(
            message=text, sender=SCENE["user_id"], reply_to_message_id=reply_to, **own
        )
        return "" if sent.sent else f"{sent.dropped_code}: {sent.dropped_message}"

    async def reply(self, channel, message_id, text):
        return await self.say(channel, text, message_id)


async def main():
    """Connect and obey until the input ends."""
    twitchio.http.Route.BASE = SCENE["helix"] + "/"
    twitchio.http.Route.ID_BASE = SCENE["oauth"].removesuffix("oauth2")
    twitchio.eventsub.websockets.WSS = SCENE["eventsub"]
    async with Bot() as bot:
        running = asyncio.create_task(bot.start(with_adapter=False, load_tokens=False, save_tokens=False))
        running.add_done_callback(ended)
        await obey(bot.say, bot.reply)
        running.cancel()


def ended(task):
    """The library's start() came back: it is over, whatever the reason."""
    if not task.cancelled() and task.exception() is not None:
        saw("error", reason=words_of(task.exception()))


if __name__ == "__main__":
    asyncio.run(main())
