"""What can be subscribed to: each type with its version, the fields of its condition, and whose consent it takes.

Source: dev.twitch.tv/docs/eventsub/eventsub-subscription-types and …/docs/eventsub/reference (automod, channel-moderation, drop, guest-star, user, …),
compared with the types of twitch-rs/twitch_api and, for channel.custom_power_up_redemption.add, of TwitchIO 3.3; the groups of scopes that
channel.moderate takes together are in twitch4j's ChannelModerateType too.

A type with `consenting` needs one of the `scopes` from the user whom that field of the condition names, and one of each group in `also`; over a WebSocket
that is the user of the token that subscribes. A type without it is open to everybody, and costs.

`fired` are the types that this fake sends by itself when something happens in its state. Those `sent_by_hand` can be subscribed to, with the same
checks, and come only when a test sends them (`EventSubServer.send_event`). Those `about_conduits` name an app instead of users. A type that is
in none of these, one of tomorrow, say, can be `declared` by whoever sends it; it is open to everybody.

Left out: channel.hype_train in version 1, which the documentation does not list any more, batching, whether an app's owner belongs to the
organization of drop.entitlement.grant, and whose extension that of extension.bits_transaction.create is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BROADCASTER = "broadcaster_user_id"
MODERATOR = "moderator_user_id"
USER = "user_id"
FROM_BROADCASTER = "from_broadcaster_user_id"
TO_BROADCASTER = "to_broadcaster_user_id"
CLIENT = "client_id"
CONDUIT = "conduit_id"
SHARD_DISABLED = "conduit.shard.disabled"
CHANNEL_FIELDS = (BROADCASTER, TO_BROADCASTER, FROM_BROADCASTER)  # name the channel in which it happens
ACCOUNT_FIELDS = (*CHANNEL_FIELDS, MODERATOR, USER)  # hold the ids of accounts
WEBSOCKET = "websocket"
_CONDUIT = "conduit"


@dataclass(frozen=True, slots=True)
class EventType:
    """One type in one version; of `fields` all are needed, or with `either` one; `optional` ones may come too."""

    name: str
    version: str
    fields: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    consenting: str = ""
    either: bool = False
    optional: tuple[str, ...] = ()
    also: tuple[tuple[str, ...], ...] = ()
    transports: tuple[str, ...] = (WEBSOCKET, _CONDUIT)

    @property
    def scope_groups(self) -> tuple[tuple[str, ...], ...]:
        """One scope of each of these is needed."""
        return (self.scopes, *self.also) if self.scopes else ()

    @property
    def subject_fields(self) -> tuple[str, ...]:
        """The fields by which an event finds its subscriptions: those of the channel, or the app, else all that are needed."""
        return tuple(name for name in self.fields if name in (*CHANNEL_FIELDS, CLIENT)) or self.fields

    @property
    def is_about_app(self) -> bool:
        """Say whether the condition names an app, and nobody's consent is needed but its own."""
        return self.fields == (CLIENT,)

    @property
    def is_chat(self) -> bool:
        """Say whether it shows a chat room to the user in the condition, who may be banned from it."""
        return self.fields == (BROADCASTER, USER)


def _open(name: str, version: str = "1") -> EventType:
    return EventType(name, version, (BROADCASTER,))


def _channel(name: str, *scopes: str, version: str = "1", optional: tuple[str, ...] = ()) -> EventType:
    return EventType(name, version, (BROADCASTER,), scopes, BROADCASTER, optional=optional)


def _chat(name: str) -> EventType:
    return EventType(name, "1", (BROADCASTER, USER), ("user:read:chat",), USER)


def _moderator(name: str, *scopes: str, version: str = "1") -> EventType:
    return EventType(name, version, (BROADCASTER, MODERATOR), scopes, MODERATOR)


def fired() -> tuple[EventType, ...]:
    """Return the types that happenings in the state bring about."""
    return (
        _chat("channel.chat.message"),
        _chat("channel.chat.notification"),
        _chat("channel.chat.message_delete"),
        _chat("channel.chat.clear"),
        _chat("channel.chat.clear_user_messages"),
        _chat("channel.chat_settings.update"),
        _open("channel.update", "2"),
        _open("stream.online"),
        _open("stream.offline"),
        EventType("channel.raid", "1", (FROM_BROADCASTER, TO_BROADCASTER), either=True),
        _moderator("channel.follow", "moderator:read:followers", version="2"),
        _channel("channel.subscribe", "channel:read:subscriptions"),
        _channel("channel.subscription.gift", "channel:read:subscriptions"),
        _channel("channel.subscription.message", "channel:read:subscriptions"),
        _channel("channel.cheer", "bits:read"),
        _channel("channel.ban", "channel:moderate"),
        _channel("channel.unban", "channel:moderate"),
        _channel("channel.moderator.add", "moderation:read"),
        _channel("channel.moderator.remove", "moderation:read"),
    )


def sent_by_hand() -> tuple[EventType, ...]:
    """Return the types that come only when somebody sends them."""
    points = ("channel:read:redemptions", "channel:manage:redemptions")
    polls = ("channel:read:polls", "channel:manage:polls")
    predictions = ("channel:read:predictions", "channel:manage:predictions")
    vips = ("channel:read:vips", "channel:manage:vips")
    shoutouts = ("moderator:read:shoutouts", "moderator:manage:shoutouts")
    shield = ("moderator:read:shield_mode", "moderator:manage:shield_mode")
    unbans = ("moderator:read:unban_requests", "moderator:manage:unban_requests")
    warnings = ("moderator:read:warnings", "moderator:manage:warnings")
    suspicious = ("moderator:read:suspicious_users",)
    guests = tuple(f"{who}:{do}:guest_star" for who in ("channel", "moderator") for do in ("read", "manage"))
    redemption = "channel.channel_points_custom_reward_redemption"
    automatic = "channel.channel_points_automatic_reward_redemption.add"
    one_reward = ("reward_id",)
    return (
        _channel("channel.subscription.end", "channel:read:subscriptions"),
        _channel("channel.bits.use", "bits:read"),
        _channel("channel.ad_break.begin", "channel:read:ads"),
        _channel("channel.custom_power_up_redemption.add", "bits:read", optional=one_reward),
        _channel("channel.channel_points_custom_reward.add", *points),
        *(
            _channel(f"channel.channel_points_custom_reward.{what}", *points, optional=one_reward)
            for what in ("update", "remove")
        ),
        *(_channel(f"{redemption}.{what}", *points, optional=one_reward) for what in ("add", "update")),
        *(_channel(automatic, *points, version=version) for version in ("1", "2")),
        *(_channel(f"channel.poll.{what}", *polls) for what in ("begin", "progress", "end")),
        *(
            _channel(f"channel.prediction.{what}", *predictions)
            for what in ("begin", "progress", "lock", "end")
        ),
        *(_channel(f"channel.goal.{what}", "channel:read:goals") for what in ("begin", "progress", "end")),
        *(
            _channel(f"channel.hype_train.{what}", "channel:read:hype_train", version="2")
            for what in ("begin", "progress", "end")
        ),
        *(
            _channel(f"channel.charity_campaign.{what}", "channel:read:charity")
            for what in ("donate", "start", "progress", "stop")
        ),
        *(_channel(f"channel.vip.{what}", *vips) for what in ("add", "remove")),
        *(_moderator(f"channel.shoutout.{what}", *shoutouts) for what in ("create", "receive")),
        *(_moderator(f"channel.shield_mode.{what}", *shield) for what in ("begin", "end")),
        *(_moderator(f"channel.unban_request.{what}", *unbans) for what in ("create", "resolve")),
        *(_moderator(f"channel.warning.{what}", *warnings) for what in ("acknowledge", "send")),
        *(_moderator(f"channel.suspicious_user.{what}", *suspicious) for what in ("message", "update")),
        *(_open(f"channel.shared_chat.{what}") for what in ("begin", "update", "end")),
        *(_chat(f"channel.chat.user_message_{what}") for what in ("hold", "update")),
        *(_moderation(version) for version in ("1", "2")),
        *(
            _moderator(f"automod.message.{what}", "moderator:manage:automod", version=version)
            for what in ("hold", "update")
            for version in ("1", "2")
        ),
        _moderator("automod.settings.update", "moderator:read:automod_settings"),
        _moderator("automod.terms.update", "moderator:manage:automod"),
        *(
            _moderator(f"channel.guest_star_{what}", *guests, version="beta")
            for what in ("session.begin", "session.end", "guest.update", "settings.update")
        ),
        EventType("user.update", "1", (USER,)),
        EventType("user.whisper.message", "1", (USER,), ("user:read:whispers", "user:manage:whispers"), USER),
        *_not_over_websockets(),
    )


def _moderation(version: str) -> EventType:
    """Everything that moderators do, and so whoever hears it needs the scope to read each of it."""
    both: tuple[str, ...] = (
        "blocked_terms",
        "chat_settings",
        "unban_requests",
        "banned_users",
        "chat_messages",
    )
    if version == "2":
        both = (*both, "warnings")
    first, *others = (tuple(f"moderator:{do}:{what}" for do in ("read", "manage")) for what in both)
    also = (*others, ("moderator:read:moderators",), ("moderator:read:vips",))
    return EventType("channel.moderate", version, (BROADCASTER, MODERATOR), first, MODERATOR, also=also)


def _not_over_websockets() -> tuple[EventType, ...]:
    """The documentation says of each that WebSockets do not carry it."""
    drops, extensions = ("category_id", "campaign_id"), ("extension_client_id",)
    return (
        *(
            EventType(f"user.authorization.{what}", "1", (CLIENT,), transports=(_CONDUIT,))
            for what in ("grant", "revoke")
        ),
        EventType(
            "drop.entitlement.grant", "1", ("organization_id",), optional=drops, transports=(_CONDUIT,)
        ),
        EventType("extension.bits_transaction.create", "1", extensions, transports=(_CONDUIT,)),
    )


def declared(name: str, version: str, fields: Iterable[str]) -> EventType:
    """Return a type that is in no list; only WebSockets carry it, since no seed file could bring a conduit's subscription back."""
    return EventType(name, version, tuple(sorted(fields)), transports=(WEBSOCKET,))


def about_conduits() -> tuple[EventType, ...]:
    """Return the types that tell an app of its conduits."""
    return (EventType(SHARD_DISABLED, "1", (CLIENT,), optional=(CONDUIT,)),)


def subscribable() -> Mapping[tuple[str, str], EventType]:
    """Return every type by name and version."""
    return {(kind.name, kind.version): kind for kind in (*fired(), *sent_by_hand(), *about_conduits())}


# Versions that Twitch has withdrawn: it answers 410 (twitchdev/issues#1018).
WITHDRAWN = (("channel.follow", "1"),)
