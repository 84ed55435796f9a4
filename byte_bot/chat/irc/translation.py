"""Lines of Twitch's IRC as chat events, one function a command. Pure, and without memory.

A function raises KeyError, IndexError or ValueError when a line lacks what every such line of Twitch has; the
session counts it and goes on. Commands that change a session's state (ROOMSTATE, USERSTATE, NOTICE, …) are
the session's.

Source: dev.twitch.tv/docs/chat/irc ("Commands", "Tags"), and the real lines in
``tests/data/twitch-wire-lines.txt``, in which CLEARMSG has an empty ``room-id``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from byte_bot.chat.badges import is_privileged, role_of
from byte_bot.chat.irc.line import IrcLine, parse_action
from byte_bot.chat.irc.memberships import normalize_channel
from byte_bot.chat.message import (
    ChatCleared,
    ChatEvent,
    ChatMessage,
    ChatNotice,
    ChatterBanned,
    Gift,
    MessageDeleted,
    Raid,
    Role,
    Subscription,
)


def _badges(raw: str) -> list[str]:
    """The names in a ``badges`` tag: ``moderator/1,subscriber/12`` is moderator and subscriber."""
    return [badge.partition("/")[0] for badge in raw.split(",")] if raw else []


def read_role(tags: Mapping[str, str]) -> Role:
    """What the author of a message is in the channel, from the ``badges``, ``mod``, ``vip`` and
    ``subscriber`` tags.

    Twitch sets ``mod=0`` for the broadcaster, and sometimes a badge without the tag or the tag without the
    badge, so either counts.
    """
    return _role(tags.get("badges", ""), tags.get("mod"), tags.get("vip"), tags.get("subscriber"))


@lru_cache(maxsize=256)
def _role(badges: str, mod: str | None, vip: str | None, subscriber: str | None) -> Role:
    # Remembered: every line of chat has them, and nearly all have one of a few sets of values.
    role = role_of(_badges(badges))
    if role < Role.MODERATOR and mod == "1":
        return Role.MODERATOR
    if role < Role.VIP and vip == "1":
        return Role.VIP
    if role < Role.SUBSCRIBER and subscriber == "1":
        return Role.SUBSCRIBER
    return role


def read_privileged(tags: Mapping[str, str]) -> bool:
    """Whether a USERSTATE says that the bot is moderator, VIP or broadcaster."""
    return tags.get("mod") == "1" or is_privileged(_badges(tags.get("badges", "")))


def _source(tags: Mapping[str, str]) -> str:
    """Where a line of a shared chat comes from, "" if from this room: Twitch marks every line of one, this room's too."""
    source = tags.get("source-room-id", "")
    return "" if source == tags["room-id"] else source


def read_privmsg(line: IrcLine) -> ChatEvent | None:
    """Somebody said something; None if it was not said in a channel."""
    target, text = line.params
    if not target.startswith("#"):
        return None
    tags = line.tags
    message_id, channel_id, author_id = tags["id"], tags["room-id"], tags["user-id"]
    if not (message_id and channel_id and author_id):
        raise ValueError("a PRIVMSG without ids cannot be told apart from its duplicates")
    text, is_action = parse_action(text)
    login = line.nick
    return ChatMessage(
        id=message_id,
        channel_id=channel_id,
        channel=normalize_channel(target),
        author_id=author_id,
        author_login=login,
        # Real display names come with a space at their end now and then.
        author_name=tags.get("display-name", "").strip() or login,
        role=read_role(tags),
        text=text,
        is_action=is_action,
        sent_at=int(tags.get("tmi-sent-ts") or 0) / 1000,
        reply_parent_id=tags.get("reply-parent-msg-id", ""),
        source_channel_id=_source(tags),
        bits=int(tags.get("bits") or 0),
    )


def read_usernotice(line: IrcLine) -> ChatEvent:
    """A raid, a subscription, an announcement, …

    A number that cannot be read costs the notice its detail, not the notice: of these tags Twitch has changed many.
    """
    tags = line.tags
    kind = tags["msg-id"]
    common = {
        "channel": normalize_channel(line.params[0]),
        "channel_id": tags["room-id"],
        "kind": kind,
        "login": tags.get("login", ""),
        "system_text": tags.get("system-msg", ""),
        "text": parse_action(line.params[1])[0] if len(line.params) > 1 else "",
        "id": tags.get("id", ""),
        "source_channel_id": _source(tags),
        "user_id": tags.get("user-id", ""),
        "name": tags.get("display-name", "").strip(),
    }
    match kind:
        case "raid":
            return Raid(**common, viewers=_number(tags, "viewerCount"))
        case "sub" | "resub":
            return Subscription(
                **common,
                tier=tags.get("msg-param-sub-plan", ""),
                months=_number(tags, "cumulative-months", 1),
            )
        case "subgift" | "submysterygift":
            return Gift(
                **common,
                tier=tags.get("msg-param-sub-plan", ""),
                count=_number(tags, "mass-gift-count", 1),
                recipient_id=tags.get("msg-param-recipient-id", ""),
                recipient_login=tags.get("msg-param-recipient-user-name", ""),
                recipient_name=tags.get("msg-param-recipient-display-name", ""),
                bundle_id=tags.get("msg-param-community-gift-id", ""),
            )
        case _:
            return ChatNotice(**common)


def _number(tags: Mapping[str, str], name: str, default: int = 0) -> int:
    """A ``msg-param-`` tag that should be a number."""
    value = tags.get(f"msg-param-{name}", "")
    return int(value) if value.isascii() and value.isdigit() else default


def read_clearchat(line: IrcLine) -> ChatEvent:
    """A ban, a timeout, or the whole chat cleared."""
    tags, channel = line.tags, normalize_channel(line.params[0])
    if len(line.params) < 2:
        return ChatCleared(channel, tags["room-id"])
    return ChatterBanned(
        channel=channel,
        channel_id=tags["room-id"],
        user_id=tags["target-user-id"],
        login=line.params[1],
        duration_s=int(tags.get("ban-duration") or 0),
    )


def read_clearmsg(line: IrcLine) -> ChatEvent:
    """One message deleted."""
    tags = line.tags
    return MessageDeleted(
        channel=normalize_channel(line.params[0]),
        channel_id=tags.get("room-id", ""),
        message_id=tags["target-msg-id"],
        login=tags.get("login", ""),
        text=parse_action(line.params[1])[0],
    )


TRANSLATORS: Mapping[str, Callable[[IrcLine], ChatEvent | None]] = {
    "PRIVMSG": read_privmsg,
    "USERNOTICE": read_usernotice,
    "CLEARCHAT": read_clearchat,
    "CLEARMSG": read_clearmsg,
}
