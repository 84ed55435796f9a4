"""twitchio 3 on EventSub and Helix, as a bot on ``commands.Bot``, or with ``OVER_CONDUIT`` set on ``commands.AutoBot``.

Pointed at the fake by the library's class variables and one module attribute; it has no options for them. An AutoBot makes a conduit, puts
its subscriptions on it with the app's token, and gives its two shards their sockets; started anew, it finds the conduit and takes it over.
"""

from __future__ import annotations

import asyncio
import os

import twitchio.eventsub.websockets
import twitchio.http
from lines import obey, saw, scene, words_of
from twitchio import eventsub
from twitchio.ext import commands

SCENE = scene()
IDS = {channel["login"]: channel["id"] for channel in SCENE["channels"]}
OVER_CONDUIT = "OVER_CONDUIT" in os.environ


def chat_of(login):
    """The subscription to a channel's messages."""
    return eventsub.ChatMessageSubscription(broadcaster_user_id=IDS[login], user_id=SCENE["user_id"])


class Bot(commands.AutoBot if OVER_CONDUIT else commands.Bot):
    """Tells what the library tells it."""

    def __init__(self):
        super().__init__(
            client_id=SCENE["client_id"],
            client_secret=SCENE["client_secret"],
            bot_id=SCENE["user_id"],
            prefix="!",
            **({"subscriptions": [chat_of(login) for login in IDS]} if OVER_CONDUIT else {}),
        )

    async def setup_hook(self):
        await self.add_token(SCENE["token"], SCENE["refresh_token"])
        for login in IDS:
            if OVER_CONDUIT:
                await self.join_over_conduit(login)
            else:
                await self.subscribe_websocket(payload=chat_of(login))
                saw("joined", channel=login)

    async def join_over_conduit(self, login):
        # The library has put its subscriptions on a new conduit already; then Twitch answers 409, as on one that was taken over.
        outcome = await self.multi_subscribe([chat_of(login)])
        failed = [one.error for one in outcome.errors if one.error.status != 409]
        if failed:
            saw("error", reason=words_of(failed[0]))
        else:
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
