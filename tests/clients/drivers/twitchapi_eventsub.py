"""twitchAPI's ``EventSubWebsocket`` (in a thread of the library's own) and its Helix client. Its own options point both at the fake."""

from __future__ import annotations

import asyncio

from lines import obey, saw, scene
from twitchAPI.eventsub.websocket import EventSubWebsocket
from twitchAPI.type import AuthScope
from twitchapi_login import logged_in

SCENE = scene()
IDS = {channel["login"]: channel["id"] for channel in SCENE["channels"]}


async def main():
    """Connect and obey until the input ends."""
    twitch = await logged_in(SCENE, [AuthScope.USER_READ_CHAT, AuthScope.USER_WRITE_CHAT, AuthScope.USER_BOT])

    async def on_message(data):
        event = data.event
        if event.chatter_user_id != SCENE["user_id"]:
            saw(
                "message",
                channel=event.broadcaster_user_login,
                login=event.chatter_user_login,
                text=event.message.text,
                id=event.message_id,
            )

    async def on_revoked(data):
        saw("revoked", id=data["subscription"]["id"], status=data["subscription"]["status"])

    socket = EventSubWebsocket(twitch, connection_url=SCENE["eventsub"], revocation_handler=on_revoked)
    socket.start()
    saw("ready")
    for login, broadcaster_id in IDS.items():
        await socket.listen_channel_chat_message(broadcaster_id, SCENE["user_id"], on_message)
        saw("joined", channel=login)

    async def say(channel, text, reply_to=None):
        sent = await twitch.send_chat_message(
            IDS[channel], SCENE["user_id"], text, reply_parent_message_id=reply_to
        )
        return reason_of(sent)

    async def reply(channel, message_id, text):
        return await say(channel, text, message_id)

    await obey(say, reply)
    await socket.stop()
    await twitch.close()


def reason_of(sent):
    """What the library's answer says about a message that was not sent."""
    return "" if sent.is_sent else f"{sent.drop_reason.code}: {sent.drop_reason.message}"


if __name__ == "__main__":
    asyncio.run(main())
