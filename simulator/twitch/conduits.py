"""Conduits: an app's subscriptions in one place, their events spread over shards, each shard a WebSocket session.

Source: dev.twitch.tv/docs/eventsub/handling-conduit-events and …/docs/api/reference/conduits; words marked "recorded" are from
twitchdev/issues, the others the reference's reasons or ours. The rules:

- an app has at most five conduits, each with 1 to 20,000 shards, whose ids are "0", "1", …; a shard without a transport is not listed;
- a shard takes the transport that was assigned last; several may share a session; a session that a user subscribed on, or another app's, or
  one that is gone, is refused shard by shard, as is an id outside the range ("invalid_parameter" is the only code ever seen, issues#1198);
- an event goes to one shard, by a hash of the channel's id (here CRC-32, so that it is the same in every process); where that shard is disabled
  it gets one try on another one (here a second hash), and is dropped if that is disabled too;
- a shard whose session ends is disabled, with the session's status, and `conduit.shard.disabled` tells of it; the subscriptions stay;
- a conduit without an enabled shard for 72 hours is deleted; a deleted conduit's subscriptions are disabled ("conduit_deleted").

Whether 72 hours are over is looked at whenever a conduit is asked for: nothing has to wake up for it. Bounded by the limits above, for each
app. Left out: webhooks as shards, and the real hash, which Twitch does not publish.
"""

from __future__ import annotations

import math
import random
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from simulator.twitch.credentials import Token
from simulator.twitch.eventsub_subscriptions import (
    ENABLED,
    Subscription,
    SubscriptionBook,
    refused,
)
from simulator.twitch.eventsub_text import Json
from simulator.twitch.eventsub_types import EventType
from simulator.twitch.state import TwitchState

CONDUITS_MAX = 5  # documented, for each client id
SHARDS_MAX = 20_000  # documented, for each conduit
DOWN_MAX_S = 72 * 3_600.0  # documented
DELETED = "conduit_deleted"
INVALID = "invalid_parameter"
OUT_OF_RANGE = "The shard id is outside the conduit's range"  # in the reference's example
NO_SESSION = (
    "websocket transport session does not exist or has already disconnected"  # recorded for subscriptions
)


class ConduitRefused(Exception):
    """Twitch's refusal: the HTTP `status` and the `message` of the JSON answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


@dataclass(slots=True)
class Shard:
    """One shard that has had a transport."""

    index: int
    session_id: str
    connected_at: str
    status: str = ENABLED
    disconnected_at: str = ""

    def transport(self) -> Json:
        """Its transport, as Helix and the event show it."""
        shown = {"method": "websocket", "session_id": self.session_id, "connected_at": self.connected_at}
        return shown | ({"disconnected_at": self.disconnected_at} if self.disconnected_at else {})

    def to_json(self) -> Json:
        """The shard as Helix shows it."""
        return {"id": str(self.index), "status": self.status, "transport": self.transport()}


@dataclass(frozen=True, slots=True)
class ShardError:
    """Why a shard was not updated; `id` as it was given."""

    id: str
    message: str
    code: str = INVALID

    def to_json(self) -> Json:
        """The error as Helix shows it."""
        return {"id": self.id, "message": self.message, "code": self.code}


@dataclass(slots=True)
class Conduit:
    """One conduit; `down_since_s` is the loop's second since which no shard is enabled, infinity while one is."""

    id: str
    client_id: str
    shard_count: int
    shards: dict[int, Shard] = field(default_factory=dict)
    down_since_s: float = math.inf

    @property
    def enabled(self) -> bool:
        """Say whether at least one shard delivers."""
        return any(shard.status == ENABLED for shard in self.shards.values())

    def to_json(self) -> Json:
        """The conduit as Helix shows it."""
        return {"id": self.id, "shard_count": self.shard_count}

    def event_of(self, shard: Shard) -> Json:
        """The event conduit.shard.disabled about one of its shards (dev.twitch.tv/docs/eventsub/reference/conduit)."""
        return {
            "conduit_id": self.id,
            "shard_id": str(shard.index),
            "status": shard.status,
            "transport": shard.transport(),
        }


class Conduits:
    """Every conduit of one fake Twitch, in the order in which they were made."""

    def __init__(
        self,
        state: TwitchState,
        book: SubscriptionBook,
        rng: random.Random,
        *,
        now: Callable[[], str],
        claim: Callable[[str, str], str],
        shard_disabled: Callable[[Conduit, Shard], None],
        count: Callable[[str], None],
    ) -> None:
        """`claim` takes a session (by its id) for an app and returns since when it is connected, "" where it may not be taken.

        `shard_disabled` hears of each shard after it was disabled, `now` writes the time, `count` counts.
        """
        self._state = state
        self._book = book
        self._rng = rng
        self._now = now
        self._claim = claim
        self._shard_disabled = shard_disabled
        self._count = count
        self._conduits: dict[str, Conduit] = {}

    # -- conduits -------------------------------------------------------------------------------------------------------------------

    def create(self, client_id: str, shard_count: int) -> Conduit:
        """Make a conduit; raises `ConduitRefused` for a count out of range (400) or a sixth one (429)."""
        _check(shard_count)
        if len(self.of(client_id)) >= CONDUITS_MAX:
            raise ConduitRefused(429, "Conduit limit reached.")
        conduit = Conduit(self.new_id(), client_id, shard_count)
        self._conduits[conduit.id] = conduit
        self._look(conduit)
        self._count("conduits_created")
        return conduit

    def of(self, client_id: str) -> list[Conduit]:
        """Return the app's conduits, oldest first."""
        self.expire()
        return [conduit for conduit in self._conduits.values() if conduit.client_id == client_id]

    def find(self, client_id: str, conduit_id: str) -> Conduit:
        """Return the app's conduit; raises `ConduitRefused` (404) where it has none of this id."""
        self.expire()
        conduit = self._conduits.get(conduit_id)
        if conduit is None or conduit.client_id != client_id:
            raise ConduitRefused(404, "not found")  # recorded: twitchdev/issues#940
        return conduit

    def resize(self, client_id: str, conduit_id: str, shard_count: int) -> Conduit:
        """Change the number of shards; those above go. Raises `ConduitRefused`."""
        conduit = self.find(client_id, conduit_id)
        _check(shard_count)
        conduit.shard_count = shard_count
        conduit.shards = {index: shard for index, shard in conduit.shards.items() if index < shard_count}
        self._look(conduit)
        return conduit

    def delete(self, client_id: str, conduit_id: str) -> None:
        """Delete a conduit of the app, and disable its subscriptions. Raises `ConduitRefused`."""
        self.remove(self.find(client_id, conduit_id))

    def remove(self, conduit: Conduit) -> None:
        """Delete a conduit, whosever it is."""
        del self._conduits[conduit.id]
        for subscription in self._book.on_transport(conduit.id):
            self._book.disable(subscription, DELETED, self._now())
        self._count("conduits_deleted")

    def expire(self) -> None:
        """Delete what has been without an enabled shard for 72 hours."""
        limit_s = self._state.now_s() - DOWN_MAX_S
        for conduit in [one for one in self._conduits.values() if one.down_since_s <= limit_s]:
            self.remove(conduit)

    def everything(self) -> tuple[Conduit, ...]:
        """Return the conduits of every app."""
        self.expire()
        return tuple(self._conduits.values())

    def put_back(self, conduit: Conduit, sound: Callable[[str], bool]) -> None:
        """Add a conduit that was there before; sessions that are not `sound` any more leave their shards disabled."""
        for shard in conduit.shards.values():
            if shard.status == ENABLED and not sound(shard.session_id):
                shard.status, shard.disconnected_at = "websocket_disconnected", self._now()
        self._conduits[conduit.id] = conduit
        self._look(conduit)

    def _look(self, conduit: Conduit) -> None:
        """Note since when no shard delivers."""
        if conduit.enabled:
            conduit.down_since_s = math.inf
        elif conduit.down_since_s == math.inf:
            conduit.down_since_s = self._state.now_s()

    def new_id(self) -> str:
        """Draw the id of a conduit or of a subscription of one."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    # -- shards ---------------------------------------------------------------------------------------------------------------------

    def assign(
        self, client_id: str, conduit_id: str, wanted: Iterable[tuple[str, str]]
    ) -> tuple[list[Shard], list[ShardError]]:
        """Give shards (by id) their sessions; return the shards that were updated, and why others were not. Raises `ConduitRefused`."""
        conduit = self.find(client_id, conduit_id)
        updated: list[Shard] = []
        errors: list[ShardError] = []
        for shard_id, session_id in wanted:
            index = int(shard_id) if shard_id.isascii() and shard_id.isdecimal() else -1
            if not 0 <= index < conduit.shard_count:
                errors.append(ShardError(shard_id, OUT_OF_RANGE))
            elif not (connected_at := self._claim(session_id, client_id)):
                errors.append(ShardError(shard_id, NO_SESSION))
            else:
                conduit.shards[index] = Shard(index, session_id, connected_at)
                updated.append(conduit.shards[index])
        self._look(conduit)
        return updated, errors

    def shards(self, client_id: str, conduit_id: str) -> list[Shard]:
        """Return the shards that have had a transport, by id. Raises `ConduitRefused`."""
        shards = self.find(client_id, conduit_id).shards
        return [shards[index] for index in sorted(shards)]

    def session_ended(self, session_id: str, status: str) -> None:
        """Disable the shards of a session, with the status it ended with, and then tell of each."""
        ended: list[tuple[Conduit, Shard]] = []
        for conduit in self._conduits.values():
            for shard in conduit.shards.values():
                if shard.session_id == session_id and shard.status == ENABLED:
                    shard.status, shard.disconnected_at = status, self._now()
                    ended.append((conduit, shard))
            self._look(conduit)
        for conduit, shard in ended:
            self._count("shards_disabled")
            self._shard_disabled(conduit, shard)

    def route(self, subscription: Subscription) -> str:
        """Return the id of the session that gets the next event of a subscription on a conduit, "" where it is dropped."""
        self.expire()
        conduit = self._conduits.get(subscription.conduit_id)
        if conduit is None:
            return ""
        for index in choices(subscription.subject, conduit.shard_count):
            shard = conduit.shards.get(index)
            if shard is not None and shard.status == ENABLED:
                return shard.session_id
            self._count("shards_passed_over")
        return ""

    # -- subscriptions --------------------------------------------------------------------------------------------------------------

    def subscribe(
        self, token: Token, type_: str, version: str, condition: Mapping[str, str], conduit_id: str
    ) -> Subscription:
        """Subscribe a conduit to a type with its app's token; raises `SubscriptionRefused`, as Twitch answers."""
        if token.kind != "app":
            raise refused(400, "invalid transport and auth combination")
        kind = self._book.kind(type_, version, "conduit")
        wanted = self._book.condition(kind, condition)
        try:
            self.find(token.client_id, conduit_id)
        except ConduitRefused:
            raise refused(400, "conduit does not exist") from None  # our words
        subscription = self._subscription(kind, wanted, token.client_id, conduit_id)
        self._book.add(subscription, token)
        return subscription

    def subscriptions(self, conduit: Conduit) -> tuple[Subscription, ...]:
        """Return the enabled subscriptions of a conduit."""
        return self._book.on_transport(conduit.id)

    def put_back_subscription(
        self,
        conduit: Conduit,
        type_and_version: tuple[str, str],
        condition: Mapping[str, str],
        *,
        id_: str = "",
        created_at: str = "",
    ) -> None:
        """Add a subscription that was there before, without asking who may; an empty id is drawn, an empty time is now."""
        kind = self._book.kind(*type_and_version)
        self._book.put_back(
            self._subscription(kind, condition, conduit.client_id, conduit.id, id_=id_, created_at=created_at)
        )

    def _subscription(
        self,
        kind: EventType,
        condition: Mapping[str, str],
        client_id: str,
        conduit_id: str,
        *,
        id_: str = "",
        created_at: str = "",
    ) -> Subscription:
        return Subscription(
            id=id_ or self.new_id(),
            kind=kind,
            condition=dict(condition),
            client_id=client_id,
            login="",
            session_id="",
            conduit_id=conduit_id,
            cost=self._book.cost(kind, condition, client_id),
            created_at=created_at or self._now(),
            connected_at="",
        )


def choices(subject: str, shard_count: int) -> tuple[int, ...]:
    """Return the shard that events about a channel go to, and (where there are several) the one that gets the second try."""
    first = zlib.crc32(subject.encode()) % shard_count
    if shard_count == 1:
        return (first,)
    step = 1 + zlib.crc32(f"second {subject}".encode()) % (shard_count - 1)
    return first, (first + step) % shard_count


def _check(shard_count: int) -> None:
    if not 1 <= shard_count <= SHARDS_MAX:
        raise ConduitRefused(400, f"Invalid shard count: it must be between 1 and {SHARDS_MAX}.")
