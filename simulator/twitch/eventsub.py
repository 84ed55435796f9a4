"""The fake EventSub WebSocket server: one face of a `TwitchState`, like the chat server.

Give `handler` to a `WebListener` under the path `/ws`. A client connects, gets its welcome, and subscribes over HTTP within 10 s; the Helix face
calls `subscribe` and its siblings. From then on whatever happens in the state is written once (`eventsub_payloads`) and sent to those
who subscribed (`eventsub_subscriptions`), over sessions with their own timers (`eventsub_session`). What is said on IRC arrives here and the
other way round, since both are faces of one state; unlike on IRC, a bot's own messages come too.

Reconnecting (`session_reconnect`): the session keeps id and subscriptions. The address in the message is to be used as it is, with a
challenge that works once, within the grace, while the old socket is still open; anything else is closed with 4007 (recorded:
Teekeks/pyTwitchAPI#286). The old socket gets events until the new one's welcome, and 4004 when the grace is over and the client has not
closed it.

A consent that ends, a moderator who is one no more and a ban revoke the subscriptions that stood on them, each told once.

Subscriptions of apps stand on `conduits`, whose shards are sessions too: for each event the conduit says which session gets it.

Faults are attributes that may change at any time (`duplicate_probability`: the same message_id twice, `redelivery_delay_s` later;
`reorder_probability` and `reorder_delay_s`; `mute_keepalives`; `latency`, of which the way to the client counts; `accepting`) and verbs, with
`login` for one account alone. Draws come from streams of their own per purpose, only while a fault is on; ids of messages from one per session.

Left out: webhooks, batching, and the recovery of sessions that were lost.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from simulator.twitch.conduits import Conduit, Conduits, Shard
from simulator.twitch.connection import LinkLatency
from simulator.twitch.credentials import Token
from simulator.twitch.events import ChatCleared, Happening, ModeratorChanged
from simulator.twitch.eventsub_by_hand import addressees
from simulator.twitch.eventsub_payloads import Scribe
from simulator.twitch.eventsub_session import (
    CLOSE_REASONS,
    EventSubSession,
    EventSubSocket,
    EventSubTiming,
    encode,
)
from simulator.twitch.eventsub_subscriptions import (
    ENABLED,
    MAX_TOTAL_COST,
    Subscription,
    SubscriptionBook,
    refused,
)
from simulator.twitch.eventsub_text import Json, rfc3339
from simulator.twitch.eventsub_types import (
    BROADCASTER,
    CLIENT,
    CONDUIT,
    MODERATOR,
    SHARD_DISABLED,
    USER,
    WEBSOCKET,
)
from simulator.twitch.state import TwitchState
from simulator.twitch.websocket import WebSocketConnection

RECONNECT_GRACE_S = 30.0  # documented
# What Twitch says when it revokes; the last one when the account is banned from the chat it reads.
REVOCATIONS = (
    "authorization_revoked",
    "user_removed",
    "version_removed",
    "moderator_removed",
    "chat_user_banned",
)


class EventSubServer:
    """A fake eventsub.wss.twitch.tv; `stats` counts what it did and refused, by name."""

    max_total_cost = MAX_TOTAL_COST

    def __init__(
        self,
        state: TwitchState,
        rng: random.Random,
        *,
        unix_start: float,
        timing: EventSubTiming | None = None,
        ws_url: Callable[[], str],
    ) -> None:
        """Attach to the state; `unix_start` is the Unix time (s) of the loop's zero.

        `ws_url` gives the address that clients are to reconnect to (with or without the path); "" means the one they came by.
        """
        self._state = state
        self._unix_start = unix_start
        self._ws_url = ws_url
        self._id_rng = random.Random(rng.getrandbits(64))
        self._session_rng = random.Random(rng.getrandbits(64))
        self._duplicate_rng = random.Random(rng.getrandbits(64))
        self._reorder_rng = random.Random(rng.getrandbits(64))
        self._latency_rng = random.Random(rng.getrandbits(64))
        self._sessions: dict[str, EventSubSession] = {}
        self._scribe = Scribe(state.emotes, state.users)
        self._book = SubscriptionBook(state, self._count)
        self.conduits = Conduits(
            state,
            self._book,
            random.Random(rng.getrandbits(64)),
            now=self._now,
            claim=self._claim,
            shard_disabled=self._tell_of_shard,
            count=self._count,
        )
        self.timing = timing if timing is not None else EventSubTiming()
        self.stats: Counter[str] = Counter()
        self.accepting = True
        self.duplicate_probability = 0.0
        self.redelivery_delay_s = 0.0
        self.reorder_probability = 0.0
        self.reorder_delay_s = 0.25
        self.mute_keepalives = False
        self.latency = LinkLatency()
        state.attach(self._deliver)
        state.credentials.on_revoked(self._consent_ended)

    def _count(self, what: str) -> None:
        self.stats[what] += 1

    def _now(self) -> str:
        """Return the time as messages have it; through whole microseconds, so that no float's noise shows."""
        return rfc3339(round((self._unix_start + self._state.now_s()) * 1_000_000) * 1_000)

    # -- connections ------------------------------------------------------------------------------------------------------------

    async def handler(self, connection: WebSocketConnection) -> None:
        """Serve one WebSocket until it is gone."""
        if not self.accepting:
            self._count("connections_refused")
            connection.refuse(503, "the service is unavailable\n")
            return
        connection.accept()
        self._count("connections")
        session = self._session_for(connection)
        if session is None:
            self._count("closed_4007")
            connection.close(4007, CLOSE_REASONS[4007])
            return
        socket = EventSubSocket(
            connection,
            keepalive_s=session.keepalive_s,
            timing=self.timing,
            delay_s=self._delay_s,
            keepalive=lambda: self._keepalive(session),
            ended=lambda ended: self._ended(session, ended),
            count=self._count,
        )
        session.connected_at = self._now()
        session.sockets.append(socket)
        socket.post(session.message("session_welcome", session.connected_at, session.to_json("connected")))
        unused = asyncio.get_running_loop().call_later(self.timing.subscribe_s, self._unused, session, socket)
        try:
            await socket.run()
        finally:
            unused.cancel()
            if socket.grace is not None:
                socket.grace.cancel()

    def _session_for(self, connection: WebSocketConnection) -> EventSubSession | None:
        """Make a session, or find the one whose reconnect this is; None for a reconnect that is not valid."""
        query = dict(connection.query)
        if "challenge" in query or "id" in query:
            session = self._sessions.get(query.get("id", ""))
            wanted = {"challenge": session.challenge, "id": session.id} if session is not None else {}
            if session is None or not session.challenge or query != wanted:
                return None
            session.challenge = ""
            self._count("reconnects")
            return session
        keepalive_s = self.timing.keepalive(query.get("keepalive_timeout_seconds"))
        session = EventSubSession(random.Random(self._session_rng.getrandbits(64)), keepalive_s)
        self._sessions[session.id] = session
        return session

    def _delay_s(self) -> float:
        jitter_s = self.latency.jitter_s
        return self.latency.to_client_s + (self._latency_rng.random() * jitter_s if jitter_s > 0 else 0.0)

    def _keepalive(self, session: EventSubSession) -> str | None:
        if self.mute_keepalives:
            self._count("keepalives_muted")
            return None
        self._count("keepalives")
        return session.message("session_keepalive", self._now(), {})

    def _unused(self, session: EventSubSession, socket: EventSubSocket) -> None:
        if session.owner is None:  # nobody has ever subscribed
            socket.close(4003)

    def _ended(self, session: EventSubSession, socket: EventSubSocket) -> None:
        """Forget a socket; with the one that gets the events its session ends too."""
        newest = session.socket is socket
        session.sockets.remove(socket)
        if not newest:
            return
        self._sessions.pop(session.id, None)
        for subscription in self._book.on_transport(session.id):
            self._book.disable(subscription, socket.status, self._now())
        self.conduits.session_ended(session.id, socket.status)
        for old in tuple(session.sockets):
            old.close(4004)

    # -- conduits -------------------------------------------------------------------------------------------------------------------

    def has_session(self, session_id: str) -> bool:
        """Say whether the session is connected."""
        return session_id in self._sessions

    def _claim(self, session_id: str, client_id: str) -> str:
        """Take a session for an app's shard; since when it is connected, "" where it is gone or somebody else's."""
        session = self._sessions.get(session_id)
        if session is None or session.owner not in (None, (client_id, "")):
            return ""
        session.owner = (client_id, "")
        return session.connected_at

    def _tell_of_shard(self, conduit: Conduit, shard: Shard) -> None:
        for one in self._book.hearing(SHARD_DISABLED, ((CLIENT, conduit.client_id),)):
            if one.condition.get(CONDUIT, conduit.id) == conduit.id:
                self._notify(one, conduit.event_of(shard))

    # -- subscriptions ------------------------------------------------------------------------------------------------------------

    def subscribe(
        self, token: Token, type_: str, version: str, condition: Mapping[str, str], session_id: str
    ) -> Subscription:
        """Subscribe a session to a type with a user's token; raises `eventsub_subscriptions.SubscriptionRefused`, as Twitch answers."""
        if token.kind != "user":
            raise refused(400, "invalid transport and auth combination")
        kind = self._book.kind(type_, version, WEBSOCKET)
        wanted = self._book.condition(kind, condition)
        session = self._sessions.get(session_id)
        if session is None:
            words = "websocket transport session does not exist or has already disconnected"
            raise refused(400, words)
        owner = (token.client_id, token.login)
        if session.owner not in (None, owner):
            words = "websocket transport cannot have subscriptions created by different users"
            raise refused(400, words)
        subscription = Subscription(
            id=str(uuid.UUID(int=self._id_rng.getrandbits(128), version=4)),
            kind=kind,
            condition=wanted,
            client_id=token.client_id,
            login=token.login,
            session_id=session_id,
            cost=self._book.cost(kind, wanted, token.client_id),
            created_at=self._now(),
            connected_at=session.connected_at,
        )
        self._book.add(subscription, token)
        session.owner = owner
        return subscription

    def unsubscribe(self, client_id: str, subscription_id: str) -> bool:
        """Delete a subscription of the client; say whether there was one."""
        return self._book.delete(client_id, subscription_id)

    def subscriptions(self, client_id: str, login: str | None = None) -> list[Subscription]:
        """Return the client's subscriptions, or only that user's ("": its conduits'), oldest first, with those disabled in the last hour."""
        self.conduits.expire()
        return self._book.listed(client_id, login)

    def total_cost(self, client_id: str, login: str | None = None) -> int:
        """Return what the enabled subscriptions of the client, or only that user's, cost together."""
        return self._book.total_cost(client_id, login)

    @property
    def connected(self) -> tuple[str, ...]:
        """The login of every session, oldest first; "" before its first subscription, and of a conduit's shard."""
        return tuple(session.owner[1] if session.owner else "" for session in self._sessions.values())

    def sound_sessions(self, login: str) -> tuple[str, ...]:
        """Return the ids of the account's sessions whose socket is neither ending nor half-open, oldest first."""
        return tuple(one.id for one in self._chosen(login) if one.socket.connection.sound)

    # -- delivery -------------------------------------------------------------------------------------------------------------------

    def _deliver(self, happening: Happening) -> None:
        if not self._sessions and not self.conduits.everything():
            return  # before anything is written: most worlds have nobody here
        for occurrence in self._scribe.occurrences(happening):
            for subscription in self._book.hearing(occurrence.type, occurrence.about):
                self._notify(subscription, occurrence.payload)
        if (
            isinstance(happening, ChatCleared)
            and happening.target is not None
            and happening.duration_s is None
        ):
            self._revoke_where(USER, happening.target.id, happening.channel.id, "chat_user_banned")
        elif isinstance(happening, ModeratorChanged) and not happening.added:
            self._revoke_where(MODERATOR, happening.user.id, happening.channel.id, "moderator_removed")

    def send_event(
        self,
        type_: str,
        channel_login: str,
        event: Mapping[str, Any],
        *,
        version: str = "",
        condition: Mapping[str, str] | None = None,
    ) -> int:
        """Send any event to those whom `eventsub_by_hand.addressees` finds; return how many there were. Raises as that does."""
        chosen = addressees(
            self._book, self._state, type_, version=version, channel_login=channel_login, condition=condition
        )
        for subscription in chosen:
            self._notify(subscription, dict(event))
        return len(chosen)

    def _notify(self, subscription: Subscription, event: Json) -> None:
        if subscription.status != ENABLED:
            return  # the message before this one was one too many for its session
        self._count("notifications")
        copies = 1
        if self.duplicate_probability > 0 and self._duplicate_rng.random() < self.duplicate_probability:
            copies = 2
            self._count("notifications_duplicated")
        delay_s = 0.0
        if self.reorder_probability > 0 and self._reorder_rng.random() < self.reorder_probability:
            delay_s = self.reorder_delay_s
            self._count("notifications_reordered")
        session = self._session_of(subscription)
        if session is None:
            self._count("notifications_dropped")
            return
        text = self._about(session, "notification", subscription, {"event": event})
        for copy in range(copies):
            session.socket.post(text, extra_delay_s=delay_s + (self.redelivery_delay_s if copy else 0.0))

    def _session_of(self, subscription: Subscription) -> EventSubSession | None:
        if subscription.conduit_id:
            return self._sessions.get(self.conduits.route(subscription))
        return self._sessions[subscription.session_id]

    def _about(self, session: EventSubSession, kind: str, subscription: Subscription, payload: Json) -> str:
        """Write a message about a subscription."""
        metadata = {
            "message_id": session.new_id(),
            "message_type": kind,
            "message_timestamp": self._now(),
            "subscription_type": subscription.kind.name,
            "subscription_version": subscription.kind.version,
        }
        shown = {"subscription": subscription.to_notification(), **payload}
        return encode({"metadata": metadata, "payload": shown})

    # -- revocations ------------------------------------------------------------------------------------------------------------------

    def revoke(self, subscription_id: str, status: str) -> bool:
        """Revoke an enabled subscription and tell its client once; say whether there was one. Raises `ValueError` for the status."""
        if status not in REVOCATIONS:
            raise ValueError(f"status {status!r} is none of {', '.join(REVOCATIONS)}")
        subscription = self._book.enabled(subscription_id)
        if subscription is None:
            return False
        self._book.disable(subscription, status, self._now())
        session = self._session_of(subscription)
        if session is not None:
            session.socket.post(self._about(session, "revocation", subscription, {}))
        self._count("revocations")
        return True

    def forget_declared(self) -> None:
        """Know Twitch's own types alone again, and revoke what was subscribed to under others."""
        for subscription in self._book.forget_declared():
            self.revoke(subscription.id, "version_removed")

    def _consent_ended(self, client_id: str, login: str) -> None:
        for one in self._book.everyone():
            of_user = (one.client_id, one.login) == (client_id, login)
            of_app = (one.client_id, one.login) == (client_id, "") and not self._book.consented(one)
            if of_user or of_app:
                self.revoke(one.id, "authorization_revoked")

    def _revoke_where(self, field: str, user_id: str, channel_id: str, status: str) -> None:
        for one in self._book.everyone():
            about = (one.condition.get(field), one.condition.get(BROADCASTER))
            if one.kind.consenting == field and about == (user_id, channel_id):
                self.revoke(one.id, status)

    # -- faults ------------------------------------------------------------------------------------------------------------------------

    def session_reconnect(self, grace_s: float = RECONNECT_GRACE_S, *, login: str = "") -> int:
        """Ask all sessions (or only the account's) to reconnect within `grace_s`; return how many."""
        chosen = self._chosen(login)
        loop = asyncio.get_running_loop()
        for session in chosen:
            socket = session.socket
            if socket.grace is not None:
                socket.grace.cancel()
            session.challenge = session.new_id()
            shown = session.to_json("reconnecting", self._reconnect_url(session))
            socket.post(session.message("session_reconnect", self._now(), shown))
            socket.grace = loop.call_later(grace_s, self._grace_over, socket)
            self._count("reconnects_asked")
        return len(chosen)

    def _reconnect_url(self, session: EventSubSession) -> str:
        connection = session.socket.connection
        given = urlsplit(self._ws_url())
        scheme = given.scheme or ("wss" if connection.secure else "ws")
        host = given.netloc or connection.headers["host"]
        path = given.path if given.path not in ("", "/") else connection.path
        return f"{scheme}://{host}{path}?challenge={session.challenge}&id={session.id}"

    def _grace_over(self, socket: EventSubSocket) -> None:
        socket.close(4004)  # if nobody came, the session ends with it

    def close_all(self, code: int, *, login: str = "") -> int:
        """Close all sessions (or only the account's) with a code; return how many. Raises `ValueError` for a code not Twitch's."""
        if code not in CLOSE_REASONS:
            raise ValueError(f"close code {code} is none of {', '.join(map(str, CLOSE_REASONS))}")
        chosen = self._chosen(login)
        for session in chosen:
            session.socket.close(code)
        return len(chosen)

    def half_open_all(self, *, login: str = "") -> int:
        """Make all sessions (or only the account's) half-open: silent both ways, closed by nobody; return how many."""
        chosen = self._chosen(login)
        for session in chosen:
            for socket in session.sockets:
                socket.connection.go_half_open()
        return len(chosen)

    def disconnect_all(self, *, login: str = "") -> int:
        """Cut all sessions (or only the account's) off without a close frame; return how many."""
        chosen = self._chosen(login)
        for session in chosen:
            for socket in tuple(session.sockets):
                socket.abort()
        return len(chosen)

    def _chosen(self, login: str) -> list[EventSubSession]:
        sessions = list(self._sessions.values())
        return [
            one for one in sessions if not login or (one.owner is not None and one.owner[1] == login.lower())
        ]
