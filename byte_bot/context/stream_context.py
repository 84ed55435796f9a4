"""StreamContext: what the bot knows about a channel's stream; itself a :class:`ChannelState`.

It is stored in ``channel_state`` (one row a channel); what components keep is in ``component_state``. Everything in it
is capped, so that a channel costs the same after a year as after an evening (P5).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from byte_bot.persistence.operations import Base
from byte_bot.persistence.row import CONFIG_TABLE
from byte_bot.persistence.state import ChannelState, Recent

#: Chat lines that are remembered per channel (the last 50 lines of the original plan).
CHAT_LINES_MAX = 50
#: Code points of a remembered chat line; Twitch's own limit of a message.
CHAT_LINE_CHARS_MAX = 500
#: Notes per channel (DESIGN section 3).
NOTES_MAX = 50

#: Seconds of silence in chat after which a line begins a new session. IRC does not say when a stream goes online, so a
#: session is taken for it; chosen: a stream's chat hardly sleeps for an hour, and streams are hours apart.
SESSION_GAP_S = 3600.0

#: What a scene can be about, and what viewers can be told is on screen: the original plan's types.
OBSERVABLE_TYPES = ("game", "movie", "series", "youtube", "x", "topic")


class ChatLine(msgspec.Struct, frozen=True):
    """One remembered line of chat."""

    author: str
    text: str
    at: float = 0.0


class Note(msgspec.Struct, frozen=True):
    """Something a moderator wanted to be remembered."""

    text: str
    author: str = ""
    at: float = 0.0


class LastEvent(msgspec.Struct, frozen=True):
    """The last thing that happened to the stream: a raid, a subscription, an announcement."""

    kind: str = ""
    text: str = ""
    at: float = 0.0


class StreamContext(ChannelState, key="", version=1, table="channel_state"):
    """The stream as the bot knows it."""

    current_game: str = ""
    vibe: str = ""
    style_profile: str = ""
    #: What is on screen, by type (:data:`OBSERVABLE_TYPES`), e.g. ``{"movie": "Alien"}``.
    observability: dict[str, str] = {}
    last_event: LastEvent = LastEvent()
    #: By a key that sorts by time; see ``Context.unique_key``.
    notes: dict[str, Note] = {}
    chat_lines: Annotated[list[ChatLine], Recent(CHAT_LINES_MAX)] = []
    last_reply: str = ""
    #: Unix seconds at which the present session began, 0 before the first line.
    live_since: float = 0.0

    def heard(self, line: ChatLine) -> None:
        """Remember a line of chat; the first one after :data:`SESSION_GAP_S` of silence begins a new session.

        So does one from before the session's beginning: the wall clock was wrong then, and has been set back.
        """
        last_at = self.chat_lines[-1].at if self.chat_lines else float("-inf")
        if line.at - last_at > SESSION_GAP_S or line.at < self.live_since:
            self.live_since = line.at
        self.chat_lines.append(line)

    def uptime_s(self, now: float) -> float:
        """Seconds since the session began, 0 before the first line of chat."""
        return max(0.0, now - self.live_since) if self.live_since else 0.0


class ChannelConfig(ChannelState, key="", table=CONFIG_TABLE):
    """One row of ``channels_config``: it belongs to humans, the bot changes single columns of it."""

    channel_id: str = ""
    enabled: bool = True
    paused: bool = False
    language: str = ""
    prefix: str = ""


class _ChannelIdColumn(msgspec.Struct):
    channel_id: str = ""


def stored_channel_id(base: Base) -> str:
    """The id in a row of ``channels_config``; '' if there is none or the row cannot be read."""
    try:
        return msgspec.json.decode(base.data or b"{}", type=_ChannelIdColumn).channel_id
    except msgspec.ValidationError:
        return ""
