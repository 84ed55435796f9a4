"""What happens in the state, written as EventSub's events: the one place that knows which type carries what.

An `Occurrence` names its type and whom it concerns, as the conditions of subscriptions do, and writes its payload when first asked for: most
of what happens has nobody listening. Payloads have every field that Twitch's documentation and recorded payloads have, in their order, with
nulls where Twitch has them (dev.twitch.tv/docs/eventsub/eventsub-subscription-types; recorded ones in twitch-rs/twitch_api).

Differences from IRC that are Twitch's: a bot's own messages come too; the text of `/me` stands in "\\x01ACTION …\\x01" while its fragments do
not (recorded); one USERNOTICE becomes several events of several types. Left out: shared chat (its fields are null), channel points,
streaks, watch streaks, and the totals of gifts that people hide anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from simulator.twitch.events import (
    BanLifted,
    Channel,
    ChannelUpdated,
    ChatCleared,
    ChatSaid,
    Followed,
    Happening,
    MessageDeleted,
    ModeratorChanged,
    Noticed,
    ReplyParent,
    RoomChanged,
    StreamChanged,
    User,
)
from simulator.twitch.eventsub_text import (
    Json,
    badge_list,
    broadcaster,
    emote_positions,
    fragments,
    message,
    rfc3339_ms,
    user_fields,
)
from simulator.twitch.eventsub_types import BROADCASTER, FROM_BROADCASTER, TO_BROADCASTER
from simulator.twitch.messages import wrap_action

# Of channel.chat.notification, in Twitch's order; the one that happened is filled, the others are null.
NOTICE_FIELDS = (
    "sub",
    "resub",
    "sub_gift",
    "community_sub_gift",
    "gift_paid_upgrade",
    "prime_paid_upgrade",
    "pay_it_forward",
    "raid",
    "unraid",
    "announcement",
    "bits_badge_tier",
    "charity_donation",
    "watch_streak",
    "modiversary",
    "shared_chat_sub",
    "shared_chat_resub",
    "shared_chat_sub_gift",
    "shared_chat_community_sub_gift",
    "shared_chat_gift_paid_upgrade",
    "shared_chat_prime_paid_upgrade",
    "shared_chat_pay_it_forward",
    "shared_chat_raid",
    "shared_chat_announcement",
    "shared_chat_modiversary",
)
# IRC's msg-id -> EventSub's notice_type.
NOTICE_TYPES: Mapping[str, str] = {
    "sub": "sub",
    "resub": "resub",
    "subgift": "sub_gift",
    "submysterygift": "community_sub_gift",
    "raid": "raid",
    "announcement": "announcement",
}


@dataclass(frozen=True)
class Occurrence:
    """One event for those who subscribed to `type` with one of the pairs of `about` in their condition."""

    type: str
    about: tuple[tuple[str, str], ...]
    write: Callable[[], Json]

    @cached_property
    def payload(self) -> Json:
        """What happened, as Twitch writes it."""
        return self.write()


class Scribe:
    """Writes happenings; `emotes` and `users` are the state's own, read when an event is written."""

    def __init__(self, emotes: Mapping[str, str], users: Mapping[str, User]) -> None:
        self._emotes = emotes
        self._users = users

    def occurrences(self, happening: Happening) -> Iterator[Occurrence]:
        """Yield the events that a happening brings about, in the order in which Twitch sends them."""
        match happening:
            case ChatSaid():
                yield _in(happening.channel, "channel.chat.message", lambda: self._chat_message(happening))
                if happening.bits:
                    yield _in(happening.channel, "channel.cheer", lambda: _cheer(happening))
            case Noticed():
                yield from self._noticed(happening)
            case ChatCleared(channel=channel, target=None):
                yield _in(channel, "channel.chat.clear", lambda: broadcaster(channel))
            case ChatCleared(channel=channel, target=User() as target):
                yield _in(
                    channel,
                    "channel.chat.clear_user_messages",
                    lambda: {**broadcaster(channel), **user_fields("target_", target)},
                )
                yield _in(channel, "channel.ban", lambda: _ban(happening, target))
            case MessageDeleted(channel=channel):
                yield _in(channel, "channel.chat.message_delete", lambda: self._deleted(happening))
            case RoomChanged(channel=channel):
                yield _in(channel, "channel.chat_settings.update", lambda: _settings(channel))
            case BanLifted(channel=channel):
                yield _in(
                    channel,
                    "channel.unban",
                    lambda: {
                        **user_fields("", happening.user),
                        **broadcaster(channel),
                        **user_fields("moderator_", happening.moderator),
                    },
                )
            case Followed(channel=channel):
                followed_at = rfc3339_ms(happening.sent_ms)
                yield _in(
                    channel,
                    "channel.follow",
                    lambda: {
                        **user_fields("", happening.user),
                        **broadcaster(channel),
                        "followed_at": followed_at,
                    },
                )
            case StreamChanged(channel=channel, live=True):
                yield _in(
                    channel,
                    "stream.online",
                    lambda: {
                        "id": happening.stream.id,
                        **broadcaster(channel),
                        "type": "live",
                        "started_at": rfc3339_ms(happening.stream.started_ms),
                    },
                )
            case StreamChanged(channel=channel, stream=ended):
                yield _in(channel, "stream.offline", lambda: {"id": ended.id, **broadcaster(channel)})
            case ChannelUpdated(channel=channel):
                yield _in(channel, "channel.update", lambda: _update(channel))
            case ModeratorChanged(channel=channel):
                kind = "channel.moderator.add" if happening.added else "channel.moderator.remove"
                yield _in(channel, kind, lambda: {**user_fields("", happening.user), **broadcaster(channel)})
            case _:
                return  # JOIN and PART of others have no event

    # -- chat ---------------------------------------------------------------------------------------------------------------------

    def _fragments(self, text: str, bits: int = 0) -> list[Json]:
        return fragments(text, self._emotes, self._users, bits=bits)

    def _chat_message(self, said: ChatSaid) -> Json:
        text = wrap_action(said.message, said.shown_text)
        return {
            **broadcaster(said.channel),
            "source_broadcaster_user_id": None,
            "source_broadcaster_user_login": None,
            "source_broadcaster_user_name": None,
            **user_fields("chatter_", said.user),
            "message_id": said.message.id,
            "source_message_id": None,
            "is_source_only": None,
            "message": message(text, self._fragments(said.shown_text, said.bits)),
            "color": said.user.color,
            "badges": badge_list(said.user, said.channel),
            "source_badges": None,
            "message_type": "text",
            "cheer": {"bits": said.bits} if said.bits else None,
            "reply": _reply(said.parent) if said.parent is not None else None,
            "channel_points_custom_reward_id": None,
            "channel_points_animation_id": None,
        }

    def _deleted(self, deleted: MessageDeleted) -> Json:
        author = self._users[deleted.message.login]
        return {
            **broadcaster(deleted.channel),
            **user_fields("target_", author),
            "message_id": deleted.message.id,
        }

    # -- notices: one happening, several events ---------------------------------------------------------------------------------------

    def _noticed(self, notice: Noticed) -> Iterator[Occurrence]:
        channel = notice.channel
        if notice.kind in NOTICE_TYPES:
            yield _in(channel, "channel.chat.notification", lambda: self._notification(notice))
        match notice.kind:
            case "raid":
                about = ((TO_BROADCASTER, channel.id), (FROM_BROADCASTER, notice.user.id))
                yield Occurrence("channel.raid", about, lambda: _raid(notice))
            case "sub":
                yield _in(channel, "channel.subscribe", lambda: _subscribed(notice, notice.user))
            case "resub":
                # "When a user sends a resubscription chat message": shared in chat, with or without words.
                yield _in(channel, "channel.subscription.message", lambda: self._resubscribed(notice))
            case "submysterygift":
                yield _in(channel, "channel.subscription.gift", lambda: _gift(notice))
            case "subgift":
                if "community-gift-id" not in notice.params:  # else the mystery gift has told of it
                    yield _in(channel, "channel.subscription.gift", lambda: _gift(notice))
                recipient = self._users[notice.params["recipient-user-name"]]
                yield _in(channel, "channel.subscribe", lambda: _subscribed(notice, recipient, is_gift=True))

    def _notification(self, notice: Noticed) -> Json:
        kind = NOTICE_TYPES[notice.kind]
        details = dict.fromkeys(NOTICE_FIELDS)
        return {
            **broadcaster(notice.channel),
            "source_broadcaster_user_id": None,
            "source_broadcaster_user_login": None,
            "source_broadcaster_user_name": None,
            **user_fields("chatter_", notice.user),
            "chatter_is_anonymous": False,
            "color": notice.user.color,
            "badges": badge_list(notice.user, notice.channel),
            "source_badges": None,
            "system_message": notice.system_text,
            "message_id": notice.id,
            "source_message_id": None,
            "is_source_only": None,
            "message": message(notice.text, self._fragments(notice.text)),
            "notice_type": kind,
            **details,
            kind: self._details(notice, kind),
        }

    def _details(self, notice: Noticed, kind: str) -> Json:
        params = notice.params
        match kind:
            case "sub":
                return {**_plan(params), "duration_months": _months(params)}
            case "resub":
                return {
                    "cumulative_months": int(params["cumulative-months"]),
                    "duration_months": _months(params),
                    "streak_months": None,
                    **_plan(params),
                    "is_gift": False,
                    "gifter_is_anonymous": None,
                    **user_fields("gifter_", None),
                }
            case "sub_gift":
                return {
                    "duration_months": int(params["gift-months"]),
                    "cumulative_total": None,
                    **user_fields("recipient_", self._users[params["recipient-user-name"]]),
                    "sub_tier": params["sub-plan"],
                    "community_gift_id": params.get("community-gift-id"),
                }
            case "community_sub_gift":
                return {
                    "id": params.get("community-gift-id", notice.id),
                    "total": int(params["mass-gift-count"]),
                    "sub_tier": params["sub-plan"],
                    "cumulative_total": None,
                }
            case "raid":
                return {
                    **user_fields("", notice.user),
                    "viewer_count": int(params["viewerCount"]),
                    "profile_image_url": params["profileImageURL"],
                }
            case _:
                return {"color": params["color"]}

    def _resubscribed(self, notice: Noticed) -> Json:
        return {
            **user_fields("", notice.user),
            **broadcaster(notice.channel),
            "tier": _tier(notice.params),
            "message": {"text": notice.text, "emotes": emote_positions(notice.text, self._emotes)},
            "cumulative_months": int(notice.params["cumulative-months"]),
            "streak_months": None,
            "duration_months": _months(notice.params),
        }


def _in(channel: Channel, kind: str, write: Callable[[], Json]) -> Occurrence:
    return Occurrence(kind, ((BROADCASTER, channel.id),), write)


def _tier(params: Mapping[str, str]) -> str:
    plan = params["sub-plan"]
    return "1000" if plan == "Prime" else plan


def _plan(params: Mapping[str, str]) -> Json:
    return {"sub_tier": _tier(params), "is_prime": params["sub-plan"] == "Prime"}


def _months(params: Mapping[str, str]) -> int:
    return max(1, int(params.get("months", "1")))  # paid in advance: one, unless several at once


def _reply(parent: ReplyParent) -> Json:
    return {
        "parent_message_id": parent.message.id,
        "parent_message_body": parent.message.text,
        **user_fields("parent_", parent.user),
        "thread_message_id": parent.thread_id,
        **user_fields("thread_", parent.thread_user),
    }


def _cheer(said: ChatSaid) -> Json:
    return {
        "is_anonymous": False,
        **user_fields("", said.user),
        **broadcaster(said.channel),
        "message": said.shown_text,
        "bits": said.bits,
    }


def _ban(cleared: ChatCleared, target: User) -> Json:
    ends_ms = None if cleared.duration_s is None else cleared.sent_ms + cleared.duration_s * 1_000
    return {
        **user_fields("", target),
        **broadcaster(cleared.channel),
        **user_fields("moderator_", cleared.moderator or cleared.channel.owner),
        "reason": cleared.reason,
        "banned_at": rfc3339_ms(cleared.sent_ms),
        "ends_at": None if ends_ms is None else rfc3339_ms(ends_ms),
        "is_permanent": ends_ms is None,
    }


def _settings(channel: Channel) -> Json:
    modes = channel.modes
    return {
        **broadcaster(channel),
        "emote_mode": modes.emote_only,
        "follower_mode": modes.followers_only >= 0,
        "follower_mode_duration_minutes": modes.followers_only if modes.followers_only >= 0 else None,
        "slow_mode": modes.slow_s > 0,
        "slow_mode_wait_time_seconds": modes.slow_s if modes.slow_s > 0 else None,
        "subscriber_mode": modes.subs_only,
        "unique_chat_mode": modes.r9k,
    }


def _update(channel: Channel) -> Json:
    labels: list[Any] = []
    return {
        **broadcaster(channel),
        "title": channel.title,
        "language": channel.language,
        "category_id": channel.game_id,
        "category_name": channel.game_name,
        "content_classification_labels": labels,
    }


def _raid(notice: Noticed) -> Json:
    return {
        **user_fields("from_broadcaster_", notice.user),
        **broadcaster(notice.channel, "to_broadcaster_"),
        "viewers": int(notice.params["viewerCount"]),
    }


def _subscribed(notice: Noticed, subscriber: User, *, is_gift: bool = False) -> Json:
    return {
        **user_fields("", subscriber),
        **broadcaster(notice.channel),
        "tier": _tier(notice.params),
        "is_gift": is_gift,
    }


def _gift(notice: Noticed) -> Json:
    return {
        **user_fields("", notice.user),
        **broadcaster(notice.channel),
        "total": int(notice.params.get("mass-gift-count", "1")),
        "tier": _tier(notice.params),
        "cumulative_total": None,
        "is_anonymous": False,
    }
