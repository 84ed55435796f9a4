"""twitchAPI's ``Chat``: IRC over WebSocket, in a thread of the library's own. Its own options point it at the fake."""

from __future__ import annotations

import asyncio

from lines import obey, saw, scene
from twitchAPI.chat import Chat
from twitchAPI.type import AuthScope, ChatEvent
from twitchapi_login import logged_in

SCENE = scene()


async def main():
    """Connect and obey until the input ends."""
    twitch = await logged_in(SCENE, [AuthScope.CHAT_READ, AuthScope.CHAT_EDIT])
    chat = await Chat(
        twitch,
        connection_url=SCENE["irc_ws"],
        initial_channel=[channel["login"] for channel in SCENE["channels"]],
    )
    heard = {}
    loops = []

    async def on_ready(event):
        loops.append(asyncio.get_running_loop())
        saw("ready")

    async def on_joined(event):
        saw("joined", channel=event.room_name)

    async def on_message(message):
        heard[message.id] = message
        saw(
            "message",
            channel=message.room.name,
            login=message.user.name,
            text=message.text,
            id=message.id,
        )

    async def on_notice(notice):
        saw(
            "refused",
            channel=notice.room.name if notice.room else "",
            reason=f"{notice.msg_id}: {notice.message}",
        )

    chat.register_event(ChatEvent.READY, on_ready)
    chat.register_event(ChatEvent.JOINED, on_joined)
    chat.register_event(ChatEvent.MESSAGE, on_message)
    chat.register_event(ChatEvent.NOTICE, on_notice)
    chat.start()

    async def in_its_loop(coroutine):
        # The library's socket belongs to the loop of its thread, which handlers run in; so do a bot's calls.
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loops[0]))

    async def say(channel, text):
        await in_its_loop(chat.send_message(channel, text))

    async def reply(channel, message_id, text):
        await in_its_loop(heard[message_id].reply(text))

    await obey(say, reply)
    chat.stop()
    await twitch.close()


if __name__ == "__main__":
    asyncio.run(main())
