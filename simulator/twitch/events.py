"""What happens in a fake Twitch chat, as values: the state emits them, every face (IRC, EventSub) writes them its own way.

Times are Twitch's: whole milliseconds of Unix time, as in `tmi-sent-ts`. Users and channels are the state's own objects, read by the
faces and changed by nobody but the state.

What is made for every message is a msgspec struct: it takes a tenth of the time of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

# Badges Twitch puts first, in this order, before subscriber and the global ones (seen in recorded lines).
SUBSCRIBER_BADGE_STEPS = (0, 2, 3, 6, 9, 12)


@dataclass(slots=True)
class User:
    """An account. `login` is lower case, `display_name` any case or script; `verified` is the tier of a verified bot."""

    id: str
    login: str
    display_name: str
    color: str = ""
    verified: bool = False
    turbo: bool = False
    badges: tuple[str, ...] = ()  # global ones, such as "premium/1"
    user_type: str = ""  # "", "admin", "global_mod", "staff"
    emote_sets: str = "0"


@dataclass(slots=True)
class RoomModes:
    """Chat modes of a channel; `followers_only` in minutes (-1 off), `slow_s` in seconds (0 off)."""

    emote_only: bool = False
    followers_only: int = -1
    r9k: bool = False
    slow_s: int = 0
    subs_only: bool = False


@dataclass(frozen=True, slots=True)
class LiveStream:
    """A broadcast that is on the air; `started_ms` is Unix time in milliseconds."""

    id: str
    started_ms: int
    viewer_count: int = 0


@dataclass(slots=True)
class Channel:
    """A chat room; its id and login are its broadcaster's. Dictionaries are used as ordered sets: their order is stable."""

    id: str
    login: str
    owner: User
    moderators: dict[str, None] = field(default_factory=dict)
    vips: dict[str, None] = field(default_factory=dict)
    subscribers: dict[str, int] = field(default_factory=dict)  # login -> months
    followers: dict[str, None] = field(default_factory=dict)
    bans: dict[str, float] = field(
        default_factory=dict
    )  # login -> loop second at which it ends, infinity for a ban
    refusals: dict[str, str] = field(default_factory=dict)  # login -> NOTICE id every message of theirs gets
    granted_bots: dict[str, None] = field(
        default_factory=dict
    )  # accounts to which the channel granted channel:bot
    viewers: dict[str, None] = field(default_factory=dict)  # in the room without a connection of ours
    chatted: dict[str, None] = field(default_factory=dict)  # who ever said something here: decides first-msg
    modes: RoomModes = field(default_factory=RoomModes)
    suspended: bool = False
    title: str = ""
    game_id: str = ""
    game_name: str = ""
    language: str = "en"
    stream: LiveStream | None = None
    followed_ms: dict[str, int] = field(default_factory=dict)  # login -> when, for the faces that tell it
    tags: tuple[str, ...] = ()  # what the broadcaster says the stream is about; only Helix shows it

    def privileged(self, login: str) -> bool:
        """Say whether the account has the higher message limits here: broadcaster, moderator or VIP."""
        return login == self.login or login in self.moderators or login in self.vips


class SentMessage(msgspec.Struct, frozen=True):
    """One message that went through. `text` is what its author wrote, without ACTION wrapping and without a reply's mention."""

    at_s: float  # seconds of the loop's clock
    channel: str
    login: str
    text: str
    reply_to: str
    id: str
    is_action: bool = False
    from_client: bool = True


class ReplyParent(msgspec.Struct, frozen=True):
    """The message that a reply answers, and the first message of its thread."""

    message: SentMessage
    user: User
    thread_id: str
    thread_user: User


class ChatSaid(msgspec.Struct, frozen=True):
    """A chat message. `origin` is the connection it came from, which gets no copy of its own message."""

    channel: Channel
    user: User
    message: SentMessage
    shown_text: str
    sent_ms: int
    first: bool
    parent: ReplyParent | None = None
    client_nonce: str = ""
    origin: object | None = None
    bits: int = 0  # cheered with the message


@dataclass(frozen=True, slots=True)
class ChatCleared:
    """The room was cleared, or (with `target`) one user's messages: a ban, or with `duration_s` a timeout.

    `moderator` is None where the caller named nobody: the faces then show the broadcaster.
    """

    channel: Channel
    sent_ms: int
    target: User | None = None
    duration_s: int | None = None
    moderator: User | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A moderator deleted one message."""

    channel: Channel
    sent_ms: int
    message: SentMessage


@dataclass(frozen=True, slots=True)
class Noticed:
    """A USERNOTICE: a subscription, a raid, an announcement; `params` become msg-param-* tags."""

    channel: Channel
    user: User
    kind: str
    id: str
    sent_ms: int
    system_text: str
    text: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """Some chat modes changed; `changed` has only those, in Twitch's names and forms."""

    channel: Channel
    changed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ViewerCame:
    """A viewer without a connection of ours entered (`here`) or left the room."""

    channel: Channel
    login: str
    here: bool


@dataclass(frozen=True, slots=True)
class BanLifted:
    """A ban or a timeout was ended by a moderator before its time; chat shows nothing."""

    channel: Channel
    user: User
    moderator: User
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Followed:
    """An account followed the channel; chat shows nothing."""

    channel: Channel
    user: User
    sent_ms: int


@dataclass(frozen=True, slots=True)
class StreamChanged:
    """The broadcast went on the air, or (`live` false) off it; `stream` is the one that began or ended."""

    channel: Channel
    stream: LiveStream
    live: bool
    sent_ms: int


@dataclass(frozen=True, slots=True)
class ChannelUpdated:
    """The channel's title, category or language changed; the channel has the new ones."""

    channel: Channel
    sent_ms: int


@dataclass(frozen=True, slots=True)
class ModeratorChanged:
    """An account became a moderator of the channel (`added`), or is one no more; chat shows nothing."""

    channel: Channel
    user: User
    added: bool
    sent_ms: int


ChatHappening = ChatSaid | ChatCleared | MessageDeleted | Noticed | RoomChanged | ViewerCame
ChannelHappening = BanLifted | Followed | StreamChanged | ChannelUpdated | ModeratorChanged  # not on IRC
Happening = ChatHappening | ChannelHappening
Face = Callable[[Happening], None]
