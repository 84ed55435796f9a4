"""What happens in chat, as values: messages, joins, refusals, bans.

Every transport (IRC, EventSub) turns its wire into these frozen structs, so nothing behind a transport knows
which one it is. They carry no behaviour. Logins and channels are lower case, channels without ``#``; times
are seconds.

Left out: emotes and their positions, colours, whispers.
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
    the line was really written: the same line arrives once for every channel that shares. ``bits`` are those cheered
    with the line, 0 for nearly all.
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
    bits: int = 0


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


class SendingHeld(msgspec.Struct, frozen=True):
    """Twitch wants no message of the account before ``until_s`` (seconds of the loop's clock), whatever our own count says."""

    until_s: float


class Standing(msgspec.Struct, frozen=True):
    """Whether the bot is moderator, VIP or broadcaster of a channel; when first known and when it changes."""

    channel: str
    privileged: bool


#: EventSub tells whose messages went, not for how long they are silenced.
DURATION_UNKNOWN = -1


class ChatterBanned(msgspec.Struct, frozen=True):
    """Somebody was timed out (``duration_s`` > 0, seconds), banned (0), or one of the two (:data:`DURATION_UNKNOWN`)."""

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
    """A moderator deleted one message; ``channel_id`` and ``text`` are empty where Twitch leaves them out (IRC the one,
    EventSub the other)."""

    channel: str
    channel_id: str
    message_id: str
    login: str
    text: str


class ChatNotice(msgspec.Struct, frozen=True):
    """Something Twitch announces about a channel: a raid, a subscription, a gift, an announcement.

    ``kind`` is IRC's ``msg-id`` (``raid``, ``sub``, ``resub``, ``subgift``, ``announcement``, …) on both transports,
    ``system_text`` Twitch's ready-made sentence (may be empty), ``text`` what the person wrote with it (may be
    empty), ``login``, ``user_id`` and ``name`` who it was (empty where Twitch names nobody). ``id`` and
    ``source_channel_id`` are as in :class:`ChatMessage`; ``id`` is empty if Twitch sent none.

    The kinds of which a component wants to know more are classes of their own, below.
    """

    channel: str
    channel_id: str
    kind: str
    login: str
    system_text: str
    text: str
    id: str = ""
    source_channel_id: str = ""
    user_id: str = ""
    name: str = ""


class Raid(ChatNotice, frozen=True):
    """Another stream sent its ``viewers`` here; ``login`` is the raider."""

    viewers: int = 0


class Subscription(ChatNotice, frozen=True):
    """Somebody subscribed for the first time (``kind`` ``sub``) or told of a further month (``resub``).

    ``tier`` is ``1000``, ``2000``, ``3000`` or ``Prime``; ``months`` counts all of them, this one included.
    """

    tier: str = ""
    months: int = 1


class Gift(ChatNotice, frozen=True):
    """Somebody gave subscriptions away.

    A gift to several is announced once with its ``count`` and no recipient (``kind`` ``submysterygift``), then once for
    each recipient (``subgift``); ``bundle_id`` is the same in all of them where Twitch tells it, and empty for a gift to
    one person. ``tier`` is as in :class:`Subscription`.
    """

    tier: str = ""
    count: int = 1
    recipient_id: str = ""
    recipient_login: str = ""
    recipient_name: str = ""
    bundle_id: str = ""


class Follow(ChatNotice, frozen=True):
    """Somebody follows the channel from now on (``kind`` ``follow``); chat itself does not show it."""


ChatEvent: TypeAlias = (
    ChatMessage
    | Connected
    | Disconnected
    | ChannelJoined
    | ChannelParted
    | JoinFailed
    | MessageRefused
    | SendingHeld
    | Standing
    | ChatterBanned
    | ChatCleared
    | MessageDeleted
    | ChatNotice
)
