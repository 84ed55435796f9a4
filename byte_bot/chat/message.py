"""What happens in chat, as values: messages, joins, refusals, bans.

Every transport (IRC, EventSub) turns its wire into these frozen structs, so nothing behind a transport knows
which one it is. They carry no behaviour. Logins and channels are lower case, channels without ``#``; times
are seconds.

Left out: emotes and their positions, bits, colours, whispers.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec


class Role(enum.IntEnum):
    """What somebody is in a channel; a higher role may do everything a lower one may.

    ``OWNER`` (of the bot) is never given by a transport: it comes from the bot's settings.
    """

    EVERYONE = 0
    SUBSCRIBER = 1
    VIP = 2
    MODERATOR = 3
    BROADCASTER = 4
    OWNER = 5


class ChatMessage(msgspec.Struct, frozen=True, gc=False):
    """One line somebody wrote.

    ``id`` is Twitch's message id, the key for "handled once". ``sent_at`` is Twitch's time in Unix seconds,
    0.0 if it sent none. ``text`` is without the CTCP wrapping of ``/me``; ``is_action`` says it was there.
    ``source_channel_id`` is set only in a shared chat (several streamers at once), to the channel in which
    the line was really written: the same line arrives once for every channel that shares.
    """

    id: str
    channel_id: str
    channel: str
    author_id: str
    author_login: str
    author_name: str
    role: Role
    text: str
    is_action: bool = False
    sent_at: float = 0.0
    reply_parent_id: str = ""
    source_channel_id: str = ""


class Connected(msgspec.Struct, frozen=True):
    """Logged in; channels are being joined."""


class Disconnected(msgspec.Struct, frozen=True):
    """A connection that was logged in ended; the transport is already making the next one."""

    reason: str


class ChannelJoined(msgspec.Struct, frozen=True):
    """The bot is in a channel and knows its id; comes again after every reconnect."""

    channel: str
    channel_id: str


class ChannelParted(msgspec.Struct, frozen=True):
    """The bot left a channel: as it was asked to, or because Twitch put it out (``by_twitch``)."""

    channel: str
    by_twitch: bool = False


class JoinFailed(msgspec.Struct, frozen=True):
    """A channel could not be joined. The transport goes on trying, slowly, until it is told to part."""

    channel: str
    reason: str


class MessageRefused(msgspec.Struct, frozen=True):
    """Twitch did not deliver what the bot said; ``notice_id`` is its name for why (``msg_duplicate``, …)."""

    channel: str
    notice_id: str
    text: str


class Standing(msgspec.Struct, frozen=True):
    """Whether the bot is moderator, VIP or broadcaster of a channel; when first known and when it changes."""

    channel: str
    privileged: bool


class ChatterBanned(msgspec.Struct, frozen=True):
    """Somebody was timed out (``duration_s`` > 0, seconds) or banned (0)."""

    channel: str
    channel_id: str
    user_id: str
    login: str
    duration_s: int = 0


class ChatCleared(msgspec.Struct, frozen=True):
    """A moderator cleared the whole chat of a channel."""

    channel: str
    channel_id: str


class MessageDeleted(msgspec.Struct, frozen=True):
    """A moderator deleted one message; ``channel_id`` is empty where Twitch leaves it out (IRC does)."""

    channel: str
    channel_id: str
    message_id: str
    login: str
    text: str


class ChatNotice(msgspec.Struct, frozen=True):
    """Something Twitch announces in chat: a raid, a subscription, a gift, an announcement.

    ``kind`` is Twitch's ``msg-id`` (``raid``, ``sub``, ``resub``, ``subgift``, ``announcement``, …),
    ``system_text`` its ready-made sentence (may be empty), ``text`` what the person wrote with it (may be
    empty). ``id`` and ``source_channel_id`` are as in :class:`ChatMessage`; ``id`` is empty if Twitch sent none.
    """

    channel: str
    channel_id: str
    kind: str
    login: str
    system_text: str
    text: str
    id: str = ""
    source_channel_id: str = ""


ChatEvent: TypeAlias = (
    ChatMessage
    | Connected
    | Disconnected
    | ChannelJoined
    | ChannelParted
    | JoinFailed
    | MessageRefused
    | Standing
    | ChatterBanned
    | ChatCleared
    | MessageDeleted
    | ChatNotice
)
