"""EventSub notifications as chat events, one function a subscription type. Pure, and without memory.

Read is Twitch's JSON as it came, not TwitchIO's models: those need every field of a type, and one that is missing would cost
the whole message. A function raises KeyError, TypeError or ValueError when a notification lacks what every one of its type
has; the transport counts it and goes on.

Source: dev.twitch.tv/docs/eventsub/eventsub-subscription-types. That ``/me`` arrives as ``\\x01ACTION …\\x01``, as on IRC, is
not in there; recorded by others (a real event in navarr/multi-stream-chat, issue 22).

Left out: what chat does not show (predictions, rewards, the broadcast itself), and the fragments of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from byte_bot.chat.badges import is_privileged, role_of
from byte_bot.chat.irc.line import parse_action
from byte_bot.chat.message import (
    DURATION_UNKNOWN,
    ChatCleared,
    ChatEvent,
    ChatMessage,
    ChatNotice,
    ChatterBanned,
    Follow,
    Gift,
    MessageDeleted,
    Raid,
    Subscription,
)

Json = Mapping[str, Any]

#: Of which the id and the time of a notification are taken where its event has none.
Envelope = Mapping[str, Any]

CHAT_MESSAGE: Final = "channel.chat.message"
FOLLOW: Final = "channel.follow"

#: ``notice_type`` -> IRC's ``msg-id`` for the same thing; a new one keeps EventSub's name.
_KINDS: Final[Mapping[str, str]] = {
    "sub_gift": "subgift",
    "community_sub_gift": "submysterygift",
    "gift_paid_upgrade": "giftpaidupgrade",
    "prime_paid_upgrade": "primepaidupgrade",
    "pay_it_forward": "standardpayforward",
    "bits_badge_tier": "bitsbadgetier",
    "charity_donation": "charitydonation",
}

# What IRC calls whoever gave anonymously.
_ANONYMOUS: Final = "ananonymousgifter"


def sent_at(envelope: Envelope) -> float:
    """When Twitch sent a notification, in Unix seconds; RFC 3339 with nanoseconds."""
    return datetime.fromisoformat(envelope["message_timestamp"]).timestamp()


def author_id(event: Json) -> str:
    """Who wrote a chat message."""
    return str(event["chatter_user_id"])


def privileged_author(event: Json) -> bool:
    """Whether the author of a chat message is moderator, VIP or broadcaster."""
    return is_privileged(_badges(event["badges"]))


def read_message(event: Json, envelope: Envelope) -> ChatEvent:
    """Somebody said something."""
    text, is_action = parse_action(event["message"]["text"])
    reply, cheer, login = event.get("reply"), event.get("cheer"), event["chatter_user_login"]
    message_id, channel_id = event["message_id"], event["broadcaster_user_id"]
    if not (message_id and channel_id and event["chatter_user_id"]):
        raise ValueError("a message without ids cannot be told apart from its duplicates")
    return ChatMessage(
        id=message_id,
        channel_id=channel_id,
        channel=event["broadcaster_user_login"],
        author_id=event["chatter_user_id"],
        author_login=login,
        author_name=event["chatter_user_name"].strip() or login,
        role=role_of(_badges(event["badges"])),
        text=text,
        is_action=is_action,
        sent_at=sent_at(envelope),
        reply_parent_id=reply["parent_message_id"] if reply else "",
        source_channel_id=_source(event),
        bits=int(cheer["bits"]) if cheer else 0,
    )


def read_notification(event: Json, envelope: Envelope) -> ChatEvent:
    """A raid, a subscription, an announcement, …"""
    told = event["notice_type"]
    # In a shared chat the other room's notices come under names of their own.
    plain = told.removeprefix("shared_chat_")
    detail: Json = event.get(told) or {}
    is_anonymous = event.get("chatter_is_anonymous", False)
    common = {
        "channel": event["broadcaster_user_login"],
        "channel_id": event["broadcaster_user_id"],
        "kind": _KINDS.get(plain, plain),
        "login": (event.get("chatter_user_login") or "") if not is_anonymous else _ANONYMOUS,
        "system_text": event["system_message"],
        "text": parse_action(event["message"]["text"])[0],
        "id": event["message_id"],
        "source_channel_id": _source(event),
        "user_id": event.get("chatter_user_id") or "",
        "name": (event.get("chatter_user_name") or "").strip(),
    }
    match plain:
        case "raid":
            return Raid(**common, viewers=int(detail["viewer_count"]))
        case "sub":
            return Subscription(**common, tier=_tier(detail))
        case "resub":
            return Subscription(**common, tier=_tier(detail), months=int(detail["cumulative_months"]))
        case "sub_gift":
            return Gift(
                **common,
                tier=_tier(detail),
                recipient_id=detail["recipient_user_id"],
                recipient_login=detail["recipient_user_login"],
                recipient_name=detail["recipient_user_name"],
                bundle_id=detail.get("community_gift_id") or "",
            )
        case "community_sub_gift":
            return Gift(
                **common, tier=_tier(detail), count=int(detail["total"]), bundle_id=detail.get("id") or ""
            )
        case _:
            return ChatNotice(**common)


def read_clear(event: Json, envelope: Envelope) -> ChatEvent:
    """The whole chat was cleared."""
    return ChatCleared(event["broadcaster_user_login"], event["broadcaster_user_id"])


def read_clear_user(event: Json, envelope: Envelope) -> ChatEvent:
    """Somebody's messages went: a ban or a timeout, EventSub does not say which."""
    return ChatterBanned(
        channel=event["broadcaster_user_login"],
        channel_id=event["broadcaster_user_id"],
        user_id=event["target_user_id"],
        login=event["target_user_login"],
        duration_s=DURATION_UNKNOWN,
    )


def read_delete(event: Json, envelope: Envelope) -> ChatEvent:
    """One message was deleted."""
    return MessageDeleted(
        channel=event["broadcaster_user_login"],
        channel_id=event["broadcaster_user_id"],
        message_id=event["message_id"],
        login=event["target_user_login"],
        text="",
    )


def read_follow(event: Json, envelope: Envelope) -> ChatEvent:
    """Somebody follows the channel."""
    login = event["user_login"]
    return Follow(
        channel=event["broadcaster_user_login"],
        channel_id=event["broadcaster_user_id"],
        kind="follow",
        login=login,
        system_text="",
        text="",
        # The event has no id of its own, and a copy keeps that of its notification.
        id=envelope["message_id"],
        user_id=event["user_id"],
        name=event["user_name"].strip() or login,
    )


TRANSLATORS: Mapping[str, Callable[[Json, Envelope], ChatEvent]] = {
    CHAT_MESSAGE: read_message,
    "channel.chat.notification": read_notification,
    "channel.chat.clear": read_clear,
    "channel.chat.clear_user_messages": read_clear_user,
    "channel.chat.message_delete": read_delete,
    FOLLOW: read_follow,
}


def _badges(badges: list[Json]) -> list[str]:
    return [badge["set_id"] for badge in badges]


def _source(event: Json) -> str:
    """Where an event of a shared chat comes from, "" if from this room."""
    source = event.get("source_broadcaster_user_id") or ""
    return "" if source == event["broadcaster_user_id"] else str(source)


def _tier(detail: Json) -> str:
    return "Prime" if detail.get("is_prime") else str(detail["sub_tier"])
