"""The tags of each kind of message, in the keys, forms and order of recorded lines (tests/data/twitch-wire-lines.txt).

Twitch sends every tag of a kind every time, empty ones as `key=`; clients rely on it (twitchio 2 fails on a PRIVMSG without
`subscriber`, `mod`, `display-name` or `color`, tmi.js and dank-twitch-irc on thinner USERSTATEs). Optional tags (`client-nonce`,
`reply-*`, `vip`) appear only where Twitch adds them.

Left out: emote-only messages, flags (always empty), source-* of shared chat.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.twitch.events import (
    SUBSCRIBER_BADGE_STEPS,
    Channel,
    ChatCleared,
    ChatSaid,
    MessageDeleted,
    Noticed,
    ReplyParent,
    RoomModes,
    User,
)

Tags = dict[str, str]


def badge_info(user: User, channel: Channel) -> str:
    """Return the exact months of a subscription, "subscriber/14", or nothing."""
    months = channel.subscribers.get(user.login)
    return f"subscriber/{months}" if months is not None else ""


def badges(user: User, channel: Channel) -> str:
    """Return the badges shown in this channel: role first, then subscriber with its step, then global ones."""
    login = user.login
    shown: list[str] = []
    if login == channel.login:
        shown.append("broadcaster/1")
    elif login in channel.moderators:
        shown.append("moderator/1")
    elif login in channel.vips:
        shown.append("vip/1")
    if login in channel.subscribers:
        months = max(channel.subscribers[login], 0)
        shown.append(f"subscriber/{max(step for step in SUBSCRIBER_BADGE_STEPS if step <= months)}")
    return ",".join((*shown, *user.badges))


def emote_ranges(text: str, emotes: Mapping[str, str]) -> str:
    """Return "25:0-4,12-16/1902:6-10": inclusive positions in code points of each emote name standing as a word."""
    words = text.split(" ")
    if emotes.keys().isdisjoint(words):
        return ""
    found: dict[str, list[str]] = {}
    position = 0
    for word in words:
        emote = emotes.get(word)
        if emote is not None:
            found.setdefault(emote, []).append(f"{position}-{position + len(word) - 1}")
        position += len(word) + 1
    return "/".join(f"{emote}:{','.join(ranges)}" for emote, ranges in found.items())


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _is_mod(user: User, channel: Channel) -> str:
    return _flag(user.login in channel.moderators)


def _user_type(user: User, channel: Channel) -> str:
    # A moderator's type shows in the room; staff keep theirs.
    return user.user_type or ("mod" if user.login in channel.moderators else "")


def privmsg(said: ChatSaid, emotes: Mapping[str, str]) -> Tags:
    """Tags of a chat message."""
    user, channel = said.user, said.channel
    tags: Tags = {"badge-info": badge_info(user, channel), "badges": badges(user, channel)}
    if said.client_nonce:
        tags["client-nonce"] = said.client_nonce
    if said.bits:
        tags["bits"] = str(said.bits)  # documented: there only when bits were cheered
    tags["color"] = user.color
    tags["display-name"] = user.display_name
    tags["emotes"] = emote_ranges(said.shown_text, emotes)
    tags["first-msg"] = _flag(said.first)
    tags["flags"] = ""
    tags["id"] = said.message.id
    tags["mod"] = _is_mod(user, channel)
    if said.parent is not None:
        tags |= _reply(said.parent)
    tags["returning-chatter"] = "0"
    tags["room-id"] = channel.id
    tags["subscriber"] = _flag(user.login in channel.subscribers)
    tags["tmi-sent-ts"] = str(said.sent_ms)
    tags["turbo"] = _flag(user.turbo)
    tags["user-id"] = user.id
    tags["user-type"] = _user_type(user, channel)
    if user.login in channel.vips:
        tags["vip"] = "1"  # documented: there only when the sender is a VIP
    return tags


def _reply(parent: ReplyParent) -> Tags:
    return {
        "reply-parent-display-name": parent.user.display_name,
        "reply-parent-msg-body": parent.message.text,
        "reply-parent-msg-id": parent.message.id,
        "reply-parent-user-id": parent.user.id,
        "reply-parent-user-login": parent.user.login,
        "reply-thread-parent-display-name": parent.thread_user.display_name,
        "reply-thread-parent-msg-id": parent.thread_id,
        "reply-thread-parent-user-id": parent.thread_user.id,
        "reply-thread-parent-user-login": parent.thread_user.login,
    }


def userstate(user: User, channel: Channel, *, message_id: str = "", client_nonce: str = "") -> Tags:
    """Tags of the account's own standing in a channel; after a message also that message's id and nonce (documented)."""
    tags: Tags = {"badge-info": badge_info(user, channel), "badges": badges(user, channel)}
    if client_nonce:
        tags["client-nonce"] = client_nonce
    tags["color"] = user.color
    tags["display-name"] = user.display_name
    tags["emote-sets"] = user.emote_sets
    if message_id:
        tags["id"] = message_id
    tags["mod"] = _is_mod(user, channel)
    tags["subscriber"] = _flag(user.login in channel.subscribers)
    tags["user-type"] = _user_type(user, channel)
    return tags


def globaluserstate(user: User) -> Tags:
    """Tags of the account outside any channel, sent once after the login."""
    return {
        "badge-info": "",
        "badges": ",".join(user.badges),
        "color": user.color,
        "display-name": user.display_name,
        "emote-sets": user.emote_sets,
        "user-id": user.id,
        "user-type": user.user_type,
    }


def roomstate(channel: Channel, changed: Mapping[str, str] | None = None) -> Tags:
    """Tags of a channel's modes: all of them on JOIN, only what changed (and the room) afterwards."""
    if changed is not None:
        return dict(sorted({**changed, "room-id": channel.id}.items()))
    modes: RoomModes = channel.modes
    return {
        "emote-only": _flag(modes.emote_only),
        "followers-only": str(modes.followers_only),
        "r9k": _flag(modes.r9k),
        "rituals": "0",
        "room-id": channel.id,
        "slow": str(modes.slow_s),
        "subs-only": _flag(modes.subs_only),
    }


def clearchat(cleared: ChatCleared) -> Tags:
    """Tags of a ban, a timeout or a cleared room."""
    tags: Tags = {}
    if cleared.duration_s is not None:
        tags["ban-duration"] = str(cleared.duration_s)
    tags["room-id"] = cleared.channel.id
    if cleared.target is not None:
        tags["target-user-id"] = cleared.target.id
    tags["tmi-sent-ts"] = str(cleared.sent_ms)
    return tags


def clearmsg(deleted: MessageDeleted) -> Tags:
    """Tags of a deleted message; `room-id` is empty in every recorded line."""
    return {
        "login": deleted.message.login,
        "room-id": "",
        "target-msg-id": deleted.message.id,
        "tmi-sent-ts": str(deleted.sent_ms),
    }


def usernotice(notice: Noticed, emotes: Mapping[str, str]) -> Tags:
    """Tags of a subscription, a raid or an announcement."""
    user, channel = notice.user, notice.channel
    tags: Tags = {
        "badge-info": badge_info(user, channel),
        "badges": badges(user, channel),
        "color": user.color,
        "display-name": user.display_name,
        "emotes": emote_ranges(notice.text, emotes),
        "flags": "",
        "id": notice.id,
        "login": user.login,
        "mod": _is_mod(user, channel),
        "msg-id": notice.kind,
    }
    tags |= {f"msg-param-{key}": value for key, value in notice.params.items()}
    return tags | {
        "room-id": channel.id,
        "subscriber": _flag(user.login in channel.subscribers),
        "system-msg": notice.system_text,
        "tmi-sent-ts": str(notice.sent_ms),
        "user-id": user.id,
        "user-type": _user_type(user, channel),
        "vip": _flag(user.login in channel.vips),
    }
