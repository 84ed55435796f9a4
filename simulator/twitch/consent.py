"""What lets an app act as a chat bot with a token of its own: consents of two people, asked for anew each time.

The bot's account must have granted the app the scope in question and `user:bot`; the broadcaster must have granted it `channel:bot`, unless
the account moderates there (dev.twitch.tv/docs/chat/authenticating, cloud chat bots; the reference says the same of Send Chat Message
and of the EventSub types channel.chat.*). Helix asks this when such an app speaks, EventSub when it subscribes.
"""

from __future__ import annotations

from simulator.twitch.events import Channel, User
from simulator.twitch.state import TwitchState


def app_may_chat(state: TwitchState, client_id: str, user: User, channel: Channel, scope: str) -> bool:
    """Say whether the app may do in the channel, as the user, what the scope is for, without a token of theirs."""
    granted = state.credentials.granted
    if not (granted(client_id, user.login, scope) and granted(client_id, user.login, "user:bot")):
        return False
    moderates = user.login == channel.login or user.login in channel.moderators
    return moderates or user.login in channel.granted_bots or granted(client_id, channel.login, "channel:bot")
