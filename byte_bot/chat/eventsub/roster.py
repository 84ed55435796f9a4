"""Which channels the bot hears over EventSub, is asking for, and failed to enter. Pure.

How it works. To be in a channel means to have its *subscriptions* (one for messages, one for notices, …) on one of at most
three *sessions* (WebSockets) with room for 300 each. Each wanted channel moves along this table; parting removes it::

    UNKNOWN ──its id is asked──▶ RESOLVING ──id──▶ QUEUED ──placed on a session──▶ ASKED ──all made──▶ JOINED
      ▲  ▲                           │               ▲ ▲                             │                  │
      │  └─────── Helix away ────────┘               │ └────── session lost ─────────┴──────────────────┤
      │                 no such channel, refused, no room │                                             │
      └──after join_retry_s──────────────────── FAILED ◀──┴──────────────── revoked by Twitch ──────────┘

A channel's subscriptions lie on one session, so that losing a session is the same for all that it carried. JoinFailed is
said once a failure; the channel is then tried again slowly for as long as it is wanted.

An *ask* has a number: what comes back for a channel that was parted, wanted again or moved meanwhile is known to be stale,
and what Twitch made for it is given back to be deleted.

A subscription may be revoked while the others of its channel are being made, even before the answer that tells its id. So a revoked id that
is nobody's is remembered, and what is made under it does not count: a channel that hears nothing would look joined for ever.

Left out: conduits, which know no such limits and want an app token.
"""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.irc.memberships import is_login, normalize_channel
from byte_bot.chat.message import ChannelJoined, ChannelParted, ChatEvent, JoinFailed, Standing


class Place(enum.Enum):
    """Where a wanted channel stands."""

    UNKNOWN = "unknown"
    RESOLVING = "resolving"
    QUEUED = "queued"
    ASKED = "asked"
    JOINED = "joined"
    FAILED = "failed"


class Ask(NamedTuple):
    """One attempt to subscribe to a channel, on session number ``session``."""

    number: int
    login: str
    channel_id: str
    session: int


class _Channel(msgspec.Struct):
    login: str
    place: Place = Place.UNKNOWN
    channel_id: str = ""
    session: int = 0
    ask: int = 0
    failures: int = 0
    failure_said: bool = False
    retry_at_s: float = 0.0
    privileged: bool | None = None
    subscriptions: list[str] = []


class Roster:
    """The channels of one account.

    Args:
        limits: deadlines and bounds.
        per_channel: subscriptions a channel takes, at least 1.
    """

    def __init__(self, limits: EventSubLimits, per_channel: int) -> None:
        assert per_channel >= 1
        self._limits = limits
        self._per_channel = per_channel
        #: Those that Twitch confirmed stand in the order of their confirmation.
        self._channels: dict[str, _Channel] = {}
        self._unknown: deque[str] = deque()
        self._queue: deque[str] = deque()
        #: (when, how many before it, login); one that moved on is stale here.
        self._retries: list[tuple[float, int, str]] = []
        self._retry_count = 0
        #: Session -> subscriptions reserved or made on it, in the order in which they were opened.
        self._used: dict[int, int] = {}
        #: Subscription -> login, and channel id -> login.
        self._owners: dict[str, str] = {}
        self._logins: dict[str, str] = {}
        #: Of the subscriptions those that a channel can do without.
        self._extras: dict[str, None] = {}
        #: Subscriptions that were revoked while they were nobody's, the oldest first.
        self._revoked: dict[str, None] = {}
        self._moderated: Collection[str] | None = None
        self._asks = 0
        self._sessions = 0
        self._events: list[ChatEvent] = []

    # ── what is asked of it ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def joined(self) -> tuple[str, ...]:
        """The channels Twitch confirmed, in the order of their confirmation."""
        return tuple(login for login, known in self._channels.items() if known.place is Place.JOINED)

    @property
    def channels_max(self) -> int:
        """In how many channels one account can be."""
        return self._limits.sockets_max * (self._limits.subscriptions_per_socket_max // self._per_channel)

    def channel_id(self, login: str) -> str:
        """The id of a wanted channel, "" while it is not known."""
        known = self._channels.get(login)
        return known.channel_id if known is not None else ""

    def is_privileged(self, login: str) -> bool:
        """Whether the bot is known to be moderator, VIP or broadcaster of a wanted channel."""
        known = self._channels.get(login)
        return known is not None and known.privileged is True

    def unmoderated_besides(self, login: str) -> int:
        """Of how many other channels the bot reads the chat, or asks for it, and is not known to be moderator, VIP or broadcaster."""
        return sum(
            known.login != login
            and known.place in (Place.ASKED, Place.JOINED)
            and known.privileged is not True
            for known in self._channels.values()
        )

    def wants_id(self, channel_id: str) -> bool:
        """Whether what happens in this channel is anybody's business; a subscription may outlive a part for a moment."""
        return channel_id in self._logins

    def take_events(self) -> list[ChatEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def next_deadline(self) -> float | None:
        """When a failed channel is to be tried again, or None."""
        return self._retries[0][0] if self._retries else None

    # ── wanting ──────────────────────────────────────────────────────────────────────────────────────────────────

    def want(self, channels: Iterable[str]) -> None:
        """Want ``channels``; a known one is left alone, a failed one is tried again at once."""
        for name in channels:
            login = normalize_channel(name)
            known = self._channels.get(login)
            if known is not None and known.place is not Place.FAILED:
                continue
            if not is_login(login):
                self._events.append(JoinFailed(login[:50], "not a Twitch login"))
                continue
            if known is not None:
                self._forget_id(known)
            self._channels[login] = _Channel(login)
            self._unknown.append(login)

    def unwant(self, channels: Iterable[str]) -> list[str]:
        """Forget ``channels``; the ids of the subscriptions to be deleted."""
        ids: list[str] = []
        for name in channels:
            known = self._channels.pop(normalize_channel(name), None)
            if known is None:
                continue
            if known.place in (Place.ASKED, Place.JOINED):
                self._release(known)
                self._events.append(ChannelParted(known.login))
            self._forget_id(known)
            ids += self._forget_subscriptions(known)
        return ids

    # ── ids ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def take_unknown(self, now: float) -> list[str]:
        """Logins whose ids are to be asked for now, at most as many as one request takes."""
        self._revive(now)
        logins: list[str] = []
        while self._unknown and len(logins) < self._limits.resolve_max:
            known = self._channels.get(self._unknown.popleft())
            if known is not None and known.place is Place.UNKNOWN:
                known.place = Place.RESOLVING
                logins.append(known.login)
        return logins

    def on_ids(self, asked: Iterable[str], ids: Mapping[str, str], now: float) -> None:
        """Helix answered: login -> id of those that exist."""
        for login in asked:
            known = self._channels.get(login)
            if known is None or known.place is not Place.RESOLVING:
                continue
            self._forget_id(known)  # a login may belong to another id by now
            if login in ids:
                known.channel_id = ids[login]
                self._logins[known.channel_id] = login
                self._enqueue(known)
            else:
                self._fail(known, "Twitch knows no such channel", now)

    def on_no_ids(self, asked: Iterable[str], reason: str, now: float) -> None:
        """Helix did not answer."""
        for login in asked:
            known = self._channels.get(login)
            if known is not None and known.place is Place.RESOLVING:
                self._try_again(known, reason, now)

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def wants_session(self) -> bool:
        """True if a channel waits for room that one more session would give."""
        return bool(self._queue) and len(self._used) < self._limits.sockets_max and self._roomy() is None

    def open_session(self) -> int:
        """A session was welcomed; its number."""
        self._sessions += 1
        self._used[self._sessions] = 0
        return self._sessions

    def resize(self, per_channel: int) -> None:
        """Every channel takes another number of subscriptions from now on (at least 1); a session may be too full for a while."""
        assert per_channel >= 1
        for session, used in self._used.items():
            self._used[session] = used // self._per_channel * per_channel
        self._per_channel = per_channel

    def close_session(self, session: int) -> None:
        """A session is over, and the subscriptions on it with it: its channels wait for another one."""
        if self._used.pop(session, None) is None:
            return
        for known in self._channels.values():
            if known.session == session and known.place in (Place.ASKED, Place.JOINED):
                self._forget_subscriptions(known)
                self._enqueue(known)

    def take_ask(self, now: float) -> Ask | None:
        """The next channel to subscribe to, if there is one and a session with room for it."""
        self._revive(now)
        while self._queue:
            known = self._channels.get(self._queue[0])
            if known is None or known.place is not Place.QUEUED:
                self._queue.popleft()  # parted, or parted and wanted again, since
                continue
            session = self._roomy()
            if session is None:
                if len(self._used) < self._limits.sockets_max:
                    return None
                self._queue.popleft()
                self._fail(known, self._no_room(), now)
                continue
            self._queue.popleft()
            self._asks += 1
            known.place, known.ask, known.session = Place.ASKED, self._asks, session
            self._used[session] += self._per_channel
            return Ask(self._asks, known.login, known.channel_id, session)
        return None

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def is_current(self, ask: Ask) -> bool:
        """False for an ask whose channel was parted, or whose session was lost."""
        known = self._channels.get(ask.login)
        return known is not None and known.ask == ask.number and known.place is Place.ASKED

    def on_made(self, ask: Ask, subscription_ids: Iterable[str], now: float) -> list[str]:
        """All subscriptions of an ask were made; those to be deleted, since nobody wants them any more."""
        ids = list(subscription_ids)
        if not self.is_current(ask):
            return ids
        alive = [one for one in ids if one not in self._revoked]
        if len(alive) < len(ids):
            self.on_refused(ask, "Twitch revoked a subscription while the others were being made", now)
            return alive
        known = self._channels.pop(ask.login)
        self._channels[ask.login] = known
        known.place, known.failures, known.failure_said = Place.JOINED, 0, False
        known.subscriptions = ids
        self._owners.update(dict.fromkeys(ids, known.login))
        if known.privileged is None and self._moderated is not None:
            self.on_standing(known.login, known.channel_id in self._moderated)
        self._events.append(ChannelJoined(known.login, known.channel_id))
        return []

    def ask_of(self, login: str) -> Ask | None:
        """How a joined channel was asked for, None if it is not joined (any more)."""
        known = self._channels.get(login)
        if known is None or known.place is not Place.JOINED:
            return None
        return Ask(known.ask, known.login, known.channel_id, known.session)

    def on_extra(self, ask: Ask, subscription_id: str) -> bool:
        """One more subscription of a joined channel was made, or found; False if nobody wants it any more, or it is revoked already."""
        if self.ask_of(ask.login) != ask or subscription_id in self._revoked:
            return False
        if subscription_id in self._extras:
            return True  # known: asked for once more, and Twitch has said that it exists
        self._channels[ask.login].subscriptions.append(subscription_id)
        self._owners[subscription_id] = ask.login
        self._extras[subscription_id] = None
        return True

    def take_extras(self) -> list[str]:
        """Forget the subscriptions that channels can do without; those to be deleted."""
        ids = list(self._extras)
        for subscription_id in ids:
            self.forget_subscription(subscription_id)
        return ids

    def forget_subscription(self, subscription_id: str) -> str:
        """Twitch took a subscription away that a channel can do without; the channel's login, "" if it was nobody's."""
        login = self._owners.pop(subscription_id, "")
        self._extras.pop(subscription_id, None)
        if not login:
            self._remember_revoked(subscription_id)
        known = self._channels.get(login)
        if known is not None and subscription_id in known.subscriptions:
            known.subscriptions.remove(subscription_id)
        return login

    def on_refused(self, ask: Ask, reason: str, now: float) -> None:
        """Twitch refused an ask."""
        if self.is_current(ask):
            known = self._channels[ask.login]
            self._release(known)
            self._fail(known, reason, now)

    def on_unanswered(self, ask: Ask, reason: str, now: float) -> None:
        """Helix was away in the middle of an ask."""
        if self.is_current(ask):
            known = self._channels[ask.login]
            self._release(known)
            self._try_again(known, reason, now)

    def on_revoked(self, subscription_id: str, now: float) -> list[str]:
        """Twitch took a subscription away, and with it the channel; those to be deleted, which are of no use alone."""
        known = self._channels.get(self._owners.get(subscription_id, ""))
        if known is None or known.place is not Place.JOINED:
            self._remember_revoked(subscription_id)
            return []
        ids = [one for one in self._forget_subscriptions(known) if one != subscription_id]
        self._release(known)
        self._retry_at(known, now + self._limits.join_retry_s)
        known.failure_said = True
        self._events.append(ChannelParted(known.login, by_twitch=True))
        return ids

    def on_standing(self, login: str, privileged: bool) -> None:
        """Learn whether the bot is moderator, VIP or broadcaster of a channel."""
        known = self._channels.get(login)
        if known is not None and known.privileged is not privileged:
            known.privileged = privileged
            self._events.append(Standing(login, privileged))

    def on_moderated(self, channel_ids: Collection[str] | None) -> None:
        """Learn in which channels the bot is moderator or broadcaster; None: that it cannot be known any more.

        A channel that is in neither the old list nor the new one keeps what is known of it: the bot may be VIP there,
        which only its own messages show.
        """
        before, self._moderated = self._moderated, channel_ids
        if channel_ids is None:
            return
        for known in list(self._channels.values()):
            if known.place is not Place.JOINED:
                continue
            now_in = known.channel_id in channel_ids
            was_in = before is not None and known.channel_id in before
            if before is None or now_in != was_in:
                self.on_standing(known.login, now_in)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _no_room(self) -> str:
        limits = self._limits
        return (
            f"no room: Twitch allows {limits.sockets_max} x {limits.subscriptions_per_socket_max} EventSub subscriptions, "
            f"which is {self.channels_max} channels; over TWITCH_CHAT_MODE=irc the bot can be in more"
        )

    def _roomy(self) -> int | None:
        """The first session with room for a channel."""
        room = self._limits.subscriptions_per_socket_max - self._per_channel
        return next((session for session, used in self._used.items() if used <= room), None)

    def _enqueue(self, known: _Channel) -> None:
        known.place = Place.QUEUED
        self._queue.append(known.login)

    def _forget_id(self, known: _Channel) -> None:
        if self._logins.get(known.channel_id) == known.login:  # another channel may have the id by now
            del self._logins[known.channel_id]
        known.channel_id = ""

    def _release(self, known: _Channel) -> None:
        """Give back the room of a channel that is asked for or joined."""
        if known.session in self._used:
            self._used[known.session] -= self._per_channel

    def _remember_revoked(self, subscription_id: str) -> None:
        self._revoked[subscription_id] = None
        if len(self._revoked) > self._limits.revoked_max:
            del self._revoked[next(iter(self._revoked))]

    def _forget_subscriptions(self, known: _Channel) -> list[str]:
        ids, known.subscriptions = known.subscriptions, []
        for subscription_id in ids:
            self._owners.pop(subscription_id, None)
            self._extras.pop(subscription_id, None)
        return ids

    def _try_again(self, known: _Channel, reason: str, now: float) -> None:
        """After a failure that may pass: soon, and only the last attempt in a row is a failure to join."""
        known.failures += 1
        if known.failures >= self._limits.join_attempts_max:
            self._fail(known, reason, now)
        else:
            self._retry_at(known, now + self._limits.join_again_s)

    def _fail(self, known: _Channel, reason: str, now: float) -> None:
        self._retry_at(known, now + self._limits.join_retry_s)
        if not known.failure_said:
            known.failure_said = True
            self._events.append(JoinFailed(known.login, reason))

    def _retry_at(self, known: _Channel, when: float) -> None:
        known.place, known.retry_at_s = Place.FAILED, when
        self._retry_count += 1
        heapq.heappush(self._retries, (when, self._retry_count, known.login))

    def _revive(self, now: float) -> None:
        """Channels whose pause is over: from the beginning, since a login may belong to another id by now."""
        while self._retries and self._retries[0][0] <= now:
            when, _, login = heapq.heappop(self._retries)
            known = self._channels.get(login)
            if known is not None and known.place is Place.FAILED and known.retry_at_s == when:
                known.place = Place.UNKNOWN
                self._unknown.append(known.login)
