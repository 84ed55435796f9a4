"""Subscriptions of EventSub: who may make one, what each costs, and who hears of what.

`SubscriptionBook.add` applies Twitch's rules in the order in which its answers were seen, and raises `SubscriptionRefused` with the HTTP
status and, where it is known, Twitch's own words. Words that nobody has recorded are ours, marked so below.

A subscription is known by type, version **and** condition: the same three times one session is 409; over several sessions of one user
three of them may exist (recorded: "maximum subscriptions with type and condition exceeded"). Limits, per client and user: 3 sessions with
enabled subscriptions, 300 of them in a session, a total cost of 10. What a user has consented to costs nothing, and neither does a
subscription about a user who has consented to anything (dev.twitch.tv/docs/eventsub/manage-subscriptions#subscription-limits).

A subscription on a conduit is the app's: it stands on what the people in its condition have granted the app, not on a token; its limits are the
app's own, three of the same and a total cost of 10,000 (documented as the default for app tokens).

Disabled subscriptions can be looked at for an hour, as on the real service, and no more than `DISABLED_MAX` of them; older ones go and are
counted. Left out: webhooks.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from simulator.twitch.consent import app_may_chat
from simulator.twitch.credentials import Token
from simulator.twitch.events import Channel, User
from simulator.twitch.eventsub_text import Json
from simulator.twitch.eventsub_types import (
    ACCOUNT_FIELDS,
    BROADCASTER,
    CLIENT,
    MODERATOR,
    USER,
    WITHDRAWN,
    EventType,
    declared,
    subscribable,
)
from simulator.twitch.session import counts_against_limit
from simulator.twitch.state import TwitchState

SESSIONS_MAX = 3
PER_SESSION_MAX = 300
MAX_TOTAL_COST = 10
APP_MAX_TOTAL_COST = 10_000
SAME_MAX = 3  # of one type, version and condition, over all sessions of a client and user, or over all conduits of a client
CHAT_CHANNELS_MAX = 100  # as on IRC; moderated channels and those that granted channel:bot do not count
DISABLED_S = 3_600.0
DISABLED_MAX = 1_000  # chosen: bounds memory where sessions come and go
DECLARED_MAX = (
    100  # chosen: far more types than Twitch adds in a year; who sends names without end has a mistake
)

ENABLED = "enabled"


class SubscriptionRefused(Exception):
    """Twitch's refusal: the HTTP `status`, its name (`error`) and the `message` of the JSON answer."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(f"{status} {error}: {message}")
        self.status = status
        self.error = error
        self.message = message


def refused(status: int, message: str) -> SubscriptionRefused:
    """Return a refusal under the status's usual name."""
    return SubscriptionRefused(status, http.HTTPStatus(status).phrase, message)


@dataclass(slots=True)
class Subscription:
    """One subscription; `session_id` names the WebSocket session that gets its events, or `conduit_id` the conduit (the other one is empty).

    `login` is whose token made it, empty for an app's.
    """

    id: str
    kind: EventType
    condition: Mapping[str, str]
    client_id: str
    login: str
    session_id: str
    cost: int
    created_at: str
    connected_at: str
    status: str = ENABLED
    disconnected_at: str = ""
    disabled_s: float = 0.0
    order: int = 0  # given by the book
    conduit_id: str = ""

    @property
    def transport_id(self) -> str:
        """The session or the conduit."""
        return self.session_id or self.conduit_id

    @property
    def subject(self) -> str:
        """The id of the channel that it is about; without one, of the app."""
        return next((subject for _, subject in _subjects(self)), self.client_id)

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What makes two subscriptions the same."""
        return self.kind.name, self.kind.version, tuple(sorted(self.condition.items()))

    def to_json(self) -> Json:
        """The subscription as Helix shows it."""
        shown = self.to_notification()
        if self.session_id:
            shown["transport"]["connected_at"] = self.connected_at
        if self.disconnected_at:
            shown["transport"]["disconnected_at"] = self.disconnected_at
        return shown

    def to_notification(self) -> Json:
        """The subscription as messages over the WebSocket show it."""
        return {
            "id": self.id,
            "status": self.status,
            "type": self.kind.name,
            "version": self.kind.version,
            "cost": self.cost,
            "condition": dict(self.condition),
            "transport": {"method": "websocket", "session_id": self.session_id}
            if self.session_id
            else {"method": "conduit", "conduit_id": self.conduit_id},
            "created_at": self.created_at,
        }


class SubscriptionBook:
    """Every subscription of one fake Twitch, in the order they were made."""

    def __init__(self, state: TwitchState, count: Callable[[str], None]) -> None:
        self._state = state
        self._count = count
        self._types = dict(subscribable())
        self._order = 0
        self._logins: dict[str, str] = {}  # by user id; accounts keep theirs
        self._enabled: dict[str, Subscription] = {}
        self._disabled: dict[str, Subscription] = {}
        self._by_transport: dict[str, dict[str, Subscription]] = {}
        self._about: dict[tuple[str, str, str], dict[str, Subscription]] = {}  # type, field, id -> by id

    # -- making one -------------------------------------------------------------------------------------------------------------

    def kind(self, name: str, version: str, transport: str = "") -> EventType:
        """Return the type; raises `SubscriptionRefused` for one that there is not, or not over the transport."""
        kind = self._types.get((name, version))
        if kind is not None:
            if transport and transport not in kind.transports:
                raise refused(400, f"{name} is not supported with the transport {transport}")  # our words
            return kind
        if (name, version) in WITHDRAWN:
            # The status is recorded (twitchdev/issues#1018), the words are ours.
            raise refused(410, f"version {version} of {name} is no longer supported")
        raise refused(400, "invalid subscription type and version")

    @property
    def type_names(self) -> tuple[str, ...]:
        """Every type that there is, each once."""
        return tuple(dict.fromkeys(name for name, _ in self._types))

    def versions(self, name: str) -> dict[str, EventType]:
        """Return a type's versions, none for a type that there is not."""
        return {version: kind for (known, version), kind in self._types.items() if known == name}

    def declare(self, name: str, version: str, fields: Iterable[str]) -> EventType:
        """Let a type be subscribed to that is in no list; raises `ValueError` for a withdrawn one, and when there are too many."""
        if (name, version) in WITHDRAWN:
            left = ", ".join(self.versions(name))
            raise ValueError(f"Twitch has withdrawn version {version!r} of {name}; there are: {left}")
        if len(self._types) >= len(subscribable()) + DECLARED_MAX:
            raise ValueError(f"{DECLARED_MAX} types that Twitch does not know were sent already: no more")
        kind = self._types[name, version] = declared(name, version, fields)
        self._count("types_declared")
        return kind

    def forget_declared(self) -> tuple[Subscription, ...]:
        """Know the listed types alone again; return the enabled subscriptions to others, for the caller to revoke."""
        self._types = dict(subscribable())
        return tuple(
            one for one in self._enabled.values() if (one.kind.name, one.kind.version) not in self._types
        )

    def condition(self, kind: EventType, given: Mapping[str, str]) -> dict[str, str]:
        """Return the condition with the type's fields alone; raises `SubscriptionRefused` where one is missing or names nobody."""
        condition = {name: str(given.get(name) or "") for name in kind.fields}
        missing = [name for name, value in condition.items() if not value]
        if len(missing) == len(kind.fields) or (missing and not kind.either):
            # Our words.
            raise refused(400, f"condition of {kind.name} is missing {' and '.join(missing)}")
        if kind.either and not missing:
            raise refused(400, f"condition of {kind.name} takes one of {', '.join(kind.fields)}")
        for name, value in condition.items():
            if value and name in ACCOUNT_FIELDS and self._login(value) is None:
                raise refused(400, f"condition: there is no user {value} ({name})")
        return condition | {name: given[name] for name in kind.optional if given.get(name)}

    def add(self, subscription: Subscription, token: Token) -> None:
        """Enable a subscription of a session or conduit that exists and is the token's user's or app's; raises `SubscriptionRefused`."""
        if not self._allowed(subscription, token):
            raise refused(403, "subscription missing proper authorization")
        self._refuse_the_same(subscription)
        self._limit(subscription)
        self.put_back(subscription)
        self._count("subscriptions_created")

    def put_back(self, subscription: Subscription) -> None:
        """Enable a subscription without asking whether it may be; one of its id that was disabled is forgotten."""
        self._disabled.pop(subscription.id, None)
        subscription.order, self._order = self._order, self._order + 1
        self._enabled[subscription.id] = subscription
        self._by_transport.setdefault(subscription.transport_id, {})[subscription.id] = subscription
        for pair in _subjects(subscription):
            self._about.setdefault((subscription.kind.name, *pair), {})[subscription.id] = subscription

    def cost(self, kind: EventType, condition: Mapping[str, str], client_id: str) -> int:
        """Return 0 where the user in the condition has consented to something, else 1."""
        if kind.consenting or kind.is_about_app:
            return 0
        logins = [self._login(value) for value in condition.values() if value]
        consented = (
            login is not None and self._state.credentials.granted(client_id, login) for login in logins
        )
        return 0 if any(consented) else 1

    def _login(self, user_id: str) -> str | None:
        if user_id not in self._logins:
            self._logins = {user.id: user.login for user in self._state.users.values()}
        return self._logins.get(user_id)

    def _user(self, user_id: str) -> User | None:
        return self._state.users.get(self._login(user_id) or "")

    def _channel(self, condition: Mapping[str, str]) -> Channel | None:
        return self._state.channels.get(self._login(condition.get(BROADCASTER, "")) or "")

    def _allowed(self, subscription: Subscription, token: Token) -> bool:
        kind, condition = subscription.kind, subscription.condition
        if kind.is_about_app:
            return condition[CLIENT] == token.client_id
        if not kind.consenting:
            return True
        user, channel = self._user(condition[kind.consenting]), self._channel(condition)
        if user is None:
            return False
        if token.kind == "app":
            consents = self.consented(subscription)
        else:
            scopes = kind.scope_groups
            consents = user.login == token.login and all(token.has_scope(*group) for group in scopes)
        return consents and (channel is None or self._admitted(kind, user, channel))

    def consented(self, subscription: Subscription) -> bool:
        """Say whether the people in the condition have granted the app what it takes to hear this without a token of theirs."""
        kind, condition, client_id = subscription.kind, subscription.condition, subscription.client_id
        if not kind.consenting:
            return True
        user, channel = self._user(condition[kind.consenting]), self._channel(condition)
        if user is None:
            return False
        if kind.is_chat:
            return channel is not None and any(
                app_may_chat(self._state, client_id, user, channel, scope) for scope in kind.scopes
            )
        granted = self._state.credentials.granted
        return all(granted(client_id, user.login, *group) for group in kind.scope_groups)

    def _admitted(self, kind: EventType, user: User, channel: Channel) -> bool:
        """Say whether the channel lets the account see this: as its moderator, or in its chat."""
        if kind.consenting == MODERATOR:
            return user.login == channel.login or user.login in channel.moderators
        if kind.is_chat:
            return channel.bans.get(user.login, 0.0) <= self._state.now_s() and self._may_join(user, channel)
        return True

    def _may_join(self, user: User, channel: Channel) -> bool:
        """Count the channels whose chat the account reads; Twitch answers with the same 403 as to a ban."""
        if not counts_against_limit(channel, user):
            return True
        read = {
            other.login: None
            for one in self._enabled.values()
            if one.kind.is_chat
            and one.condition[USER] == user.id
            and (other := self._channel(one.condition)) is not None
            and counts_against_limit(other, user)
        }
        return channel.login in read or len(read) < CHAT_CHANNELS_MAX

    def _refuse_the_same(self, subscription: Subscription) -> None:
        same = [
            one for one in self._of_the_same_account_and_subject(subscription) if one.key == subscription.key
        ]
        if any(one.transport_id == subscription.transport_id for one in same):
            raise refused(409, "subscription already exists")
        if len(same) >= SAME_MAX:
            raise refused(429, "maximum subscriptions with type and condition exceeded")

    def _limit(self, subscription: Subscription) -> None:
        mine = list(self._of(subscription.client_id, subscription.login))
        if subscription.session_id:
            self._limit_session(subscription.session_id, mine)
        largest = MAX_TOTAL_COST if subscription.session_id else APP_MAX_TOTAL_COST
        if sum(one.cost for one in mine) + subscription.cost > largest:
            raise refused(429, f"total cost of subscriptions would exceed {largest}")  # our words

    def _limit_session(self, session_id: str, mine: list[Subscription]) -> None:
        sessions = {one.session_id: None for one in mine}
        if session_id not in sessions and len(sessions) >= SESSIONS_MAX:
            raise refused(429, "number of websocket transports limit exceeded")
        if len(self._by_transport.get(session_id, {})) >= PER_SESSION_MAX:
            # Our words.
            raise refused(429, f"a websocket transport has at most {PER_SESSION_MAX} subscriptions")

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def _of(self, client_id: str, login: str) -> Iterator[Subscription]:
        return (one for one in self._enabled.values() if (one.client_id, one.login) == (client_id, login))

    def _of_the_same_account_and_subject(self, subscription: Subscription) -> Iterator[Subscription]:
        """Of its type, too, which are few, however many the account has; all of the account if it is about no channel or user."""
        account = (subscription.client_id, subscription.login)
        subjects = tuple(_subjects(subscription))
        if not subjects:
            return self._of(*account)
        alike = self.hearing(subscription.kind.name, subjects)
        return (one for one in alike if (one.client_id, one.login) == account)

    def listed(self, client_id: str, login: str | None = None) -> list[Subscription]:
        """Return the client's subscriptions (with `login` only that user's, "" those of its conduits), enabled and lately disabled, oldest first."""
        self._forget_old()
        everything = (*self._enabled.values(), *self._disabled.values())
        mine = [one for one in everything if one.client_id == client_id and login in (None, one.login)]
        return sorted(mine, key=lambda one: one.order)

    def total_cost(self, client_id: str, login: str | None = None) -> int:
        """Return what the enabled ones cost together."""
        return sum(
            one.cost
            for one in self._enabled.values()
            if one.client_id == client_id and login in (None, one.login)
        )

    def enabled(self, subscription_id: str) -> Subscription | None:
        """Return an enabled subscription, or None."""
        return self._enabled.get(subscription_id)

    def on_transport(self, transport_id: str) -> tuple[Subscription, ...]:
        """Return the enabled subscriptions of a session or of a conduit."""
        return tuple(self._by_transport.get(transport_id, {}).values())

    def everyone(self) -> tuple[Subscription, ...]:
        """Return every enabled subscription."""
        return tuple(self._enabled.values())

    def hearing(self, kind: str, about: tuple[tuple[str, str], ...]) -> tuple[Subscription, ...]:
        """Return who subscribed to a type about one of these pairs of field and id, each once."""
        found: dict[str, Subscription] = {}
        for field, subject in about:
            found |= self._about.get((kind, field, subject), {})
        return tuple(found.values())

    # -- ending one ------------------------------------------------------------------------------------------------------------------

    def delete(self, client_id: str, subscription_id: str) -> bool:
        """Remove a subscription of the client, enabled or not; say whether there was one."""
        found = self._enabled.get(subscription_id) or self._disabled.get(subscription_id)
        if found is None or found.client_id != client_id:
            return False
        self._remove(found)
        self._disabled.pop(subscription_id, None)
        return True

    def disable(self, subscription: Subscription, status: str, at: str) -> None:
        """Take a subscription out of force; it stays visible with this status."""
        self._remove(subscription)
        subscription.status = status
        subscription.disconnected_at = at if status.startswith("websocket_") else ""
        subscription.disabled_s = self._state.now_s()
        self._disabled[subscription.id] = subscription
        self._forget_old()
        self._count("subscriptions_disabled")

    def _remove(self, subscription: Subscription) -> None:
        if self._enabled.pop(subscription.id, None) is None:
            return
        together = self._by_transport[subscription.transport_id]
        del together[subscription.id]
        if not together:
            del self._by_transport[subscription.transport_id]
        for pair in _subjects(subscription):
            place = (subscription.kind.name, *pair)
            del self._about[place][subscription.id]
            if not self._about[place]:
                del self._about[place]

    def _forget_old(self) -> None:
        expired_s = self._state.now_s() - DISABLED_S
        for one in tuple(self._disabled.values()):
            if one.disabled_s > expired_s and len(self._disabled) <= DISABLED_MAX:
                return  # they stand in the order in which they were disabled
            del self._disabled[one.id]
            self._count("disabled_subscriptions_forgotten")


def _subjects(subscription: Subscription) -> Iterator[tuple[str, str]]:
    """The pairs of field and id under which events find a subscription: the channels, or the app, in its condition, or all of it."""
    for name in subscription.kind.subject_fields:
        if subject := subscription.condition.get(name):
            yield name, subject
