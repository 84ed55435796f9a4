"""The EventSub transport: chat comes as events over WebSockets, and what the bot says goes through Helix.

How it works. ``run`` waits for the account's token, and is then *connected*: Twitch closes a WebSocket on which nobody
subscribes within 10 s, so sockets are opened when there is a channel for them. What is wanted stands in a
:class:`~byte_bot.chat.eventsub.roster.Roster`, :mod:`~byte_bot.chat.eventsub.joining` gets there,
:mod:`~byte_bot.chat.eventsub.sessions` has the sockets. A session that is lost gives its channels back to the roster, which
places them anew.

*Sending* is a request with an answer, never a write that is done at once: ``writable`` is never True, replies wait in the
outbox until Helix has answered, and those of one channel stay in order. An answer that did not come makes a message
unconfirmed, and it is not said again. The installed bot sends with its own token, the one in the cloud with the
application's (``send_as``), which needs the scopes user:bot and channel:bot; events come with the user's token either way, since
Twitch takes no other for WebSockets.

*Known limits of the way*: 900 subscriptions, five or six a channel. Twitch does not tell here whether the bot is moderator:
that is read from Helix where the scope user:read:moderated_channels was granted, and from the badges of the bot's own messages,
which come back as events and go no further.

A new login may bring other scopes: what they allow is taken up, and what they do not is dropped, without a restart.

Left out: conduits (for more channels, or several processes), and a channel that changes its name while the bot is in it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable

import msgspec

from byte_bot.auth.token_source import TokenSource
from byte_bot.auth.user_token import UserToken
from byte_bot.chat.errors import (
    HelixRefused,
    HelixThrottled,
    HelixUnavailable,
    NotConnected,
    SendUnconfirmed,
)
from byte_bot.chat.eventsub.helix import Helix
from byte_bot.chat.eventsub.joining import Joining, plan_for
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.roster import Roster
from byte_bot.chat.eventsub.seen import SeenWindow
from byte_bot.chat.eventsub.sessions import Sessions
from byte_bot.chat.eventsub.translation import CHAT_MESSAGE, FOLLOW, TRANSLATORS, author_id, privileged_author
from byte_bot.chat.eventsub.twitchio_parts import Json, Tokens
from byte_bot.chat.irc.memberships import normalize_channel
from byte_bot.chat.message import Connected, Disconnected, MessageRefused, SendingHeld
from byte_bot.chat.transport import EventHandler
from byte_bot.chat.utterance import clean
from byte_bot.clock import Clock

log = logging.getLogger(__name__)


class EventSubCounts(msgspec.Struct):
    """What the transport went through."""

    notifications: int = 0
    notifications_incomplete: int = 0
    messages_sent: int = 0


class EventSubTransport:
    """Chat over EventSub and Helix; implements :class:`~byte_bot.chat.transport.ChatTransport`.

    Args:
        eventsub_url: ``wss://eventsub.wss.twitch.tv/ws`` in production.
        helix_url: ``https://api.twitch.tv/helix`` in production.
        login: the bot's login.
        keeper: whose token it is, and what it may do.
        tokens: the tokens of Helix's requests.
        send_as: ``user``, or ``app`` for a bot in the cloud.
        handler: gets every event, in order, on the loop; must not block.
        rng: draws the pauses between attempts.
        clock: wall time, for Helix's buckets.
        limits: deadlines and bounds.
    """

    def __init__(
        self,
        *,
        eventsub_url: str,
        helix_url: str,
        login: str,
        keeper: TokenSource,
        tokens: Tokens,
        send_as: str,
        handler: EventHandler,
        rng: random.Random,
        clock: Clock,
        limits: EventSubLimits | None = None,
    ) -> None:
        self._eventsub_url = eventsub_url
        self._helix_url = helix_url
        self._login = login.lower()
        self._keeper = keeper
        self._tokens = tokens
        self._send_as = send_as
        self._handler = handler
        self._rng = rng
        self._clock = clock
        self._limits = limits if limits is not None else EventSubLimits()
        self._seen = SeenWindow(self._limits.seen_max)
        # A dict for its order: channels are joined in the order in which they were wanted.
        self._wanted: dict[str, None] = {}
        self._roster: Roster | None = None
        self._helix: Helix | None = None
        self._user_id = ""
        self._scopes: frozenset[str] = frozenset()
        self._sessions: Sessions | None = None
        self._joining: Joining | None = None
        self._connected = False
        self.counts = EventSubCounts()
        keeper.on_change(self._token_changed)

    def __repr__(self) -> str:
        return f"EventSubTransport({self._login!r} at {self._eventsub_url}, token=[redacted])"

    @property
    def connected(self) -> bool:
        """True from a token on, until the last session is lost or the consent withdrawn; then with the next session or the next token."""
        return self._connected

    @property
    def joined(self) -> tuple[str, ...]:
        """The channels whose subscriptions Twitch confirmed, in the order of their confirmation."""
        return self._roster.joined if self._roster is not None else ()

    @property
    def repeated(self) -> int:
        """Notifications that Twitch had delivered before."""
        return self._seen.repeated

    # ── channels ─────────────────────────────────────────────────────────────────────────────────────────────────

    def join(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels`` from now on, over reconnects too; may be called before ``run``."""
        names = [normalize_channel(name) for name in channels]
        self._wanted.update(dict.fromkeys(names))
        if self._roster is not None and self._joining is not None:
            self._roster.want(names)
            self._joining.wake()

    def part(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels`` no longer; their subscriptions are deleted."""
        names = [normalize_channel(name) for name in channels]
        for name in names:
            self._wanted.pop(name, None)
        if self._roster is not None and self._joining is not None:
            self._joining.delete_soon(self._roster.unwant(names))
            self._joining.wake()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def writable(self) -> bool:
        """Never: every message is a request whose answer is waited for."""
        return False

    def post(self, channel: str, text: str, reply_to: str = "") -> None:
        """Raise :class:`~byte_bot.chat.errors.NotConnected`: nothing can be said without waiting."""
        raise NotConnected(f"a message to #{channel} cannot leave without waiting: use send()")

    async def send(self, channel: str, text: str, reply_to: str = "") -> None:
        """Say ``text`` in ``channel``; returns when Twitch has posted or dropped it (MessageRefused says which).

        Raises:
            NotConnected: nothing was said, and may be said again.
            SendUnconfirmed: the answer is lost.
        """
        channel = normalize_channel(channel)
        channel_id = self._roster.channel_id(channel) if self._roster is not None else ""
        if self._helix is None or not self._connected:
            raise NotConnected(f"cannot say anything in #{channel}: not connected")
        if not channel_id:
            raise NotConnected(f"cannot say anything in #{channel}: its id is not known yet")
        try:
            verdict = await self._helix.say(channel_id, self._user_id, clean(text), reply_to)
        except HelixThrottled as error:
            raise NotConnected(f"#{channel}: {error}") from None
        except HelixUnavailable as error:
            if error.undelivered:
                raise NotConnected(f"#{channel}: {error}") from None
            raise SendUnconfirmed(f"a message to #{channel}: {error}") from None
        except HelixRefused as error:
            self._handler(MessageRefused(channel, f"helix_{error.status}", error.words))
            return
        if verdict.drop_code:
            self._handler(MessageRefused(channel, verdict.drop_code, verdict.drop_words))
        else:
            self.counts.messages_sent += 1

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Connect and stay connected until cancelled; a token that Twitch refuses is the keeper's business."""
        token = await self._validated()
        helix = Helix(
            self._helix_url,
            token.client_id,
            self._tokens,
            send_as=self._send_as,
            clock=self._clock,
            limits=self._limits,
            on_send_held=lambda until_s: self._handler(SendingHeld(until_s)),
        )
        async with helix, asyncio.TaskGroup() as tasks:
            self._user_id = token.user_id
            self._scopes = frozenset(token.scopes)
            self._roster = roster = Roster(self._limits, len(plan_for(token.scopes)))
            self._sessions = sessions = Sessions(
                self._eventsub_url, self._user_id, tasks, self._limits, self._rng, self
            )
            self._joining = joining = Joining(
                helix,
                roster,
                sessions,
                tasks,
                user_id=self._user_id,
                scopes=token.scopes,
                limits=self._limits,
                tell=self._tell,
            )
            self._helix, self._connected = helix, True
            self._handler(Connected())
            try:
                tasks.create_task(joining.keep_current(), name="moderated")
                roster.want(self._wanted)
                await joining.run()
            finally:
                # Inside the group: one that ends takes no more tasks.
                self._joining, self._helix, self._connected = None, None, False
                await sessions.close_all()

    async def _validated(self) -> UserToken:
        """The token once Twitch has said whose it is: every request names the account and the application by their ids."""
        while True:
            token = await self._keeper.token()
            if token.user_id:
                return token
            await asyncio.sleep(self._limits.validated_look_s)

    def _tell(self) -> None:
        """Hand on what the roster has to say."""
        if self._roster is not None:
            for event in self._roster.take_events():
                self._handler(event)

    # ── what sessions tell ───────────────────────────────────────────────────────────────────────────────────────

    def on_notification(self, message: Json) -> None:
        """An event came, perhaps not for the first time."""
        self.counts.notifications += 1
        try:
            envelope, event = message["metadata"], message["payload"]["event"]
            kind = envelope["subscription_type"]
            if not self._seen.is_new(envelope["message_id"]) or self._roster is None:
                return
            if not self._roster.wants_id(event["broadcaster_user_id"]):
                return
            if kind == CHAT_MESSAGE and author_id(event) == self._user_id:
                self._roster.on_standing(event["broadcaster_user_login"], privileged_author(event))
                self._tell()
                return
            chat_event = TRANSLATORS[kind](event, envelope)
        except (KeyError, TypeError, ValueError, AttributeError):
            # It lacks what every such notification has.
            self.counts.notifications_incomplete += 1
            return
        self._handler(chat_event)

    def on_revocation(self, subscription: Json) -> None:
        """Twitch took a subscription away."""
        if self._roster is None or self._joining is None:
            return
        kind, subscription_id = subscription.get("type", ""), subscription.get("id", "")
        if kind == FOLLOW:
            # The bot is no moderator there any more: chat goes on.
            self._joining.follows_revoked(subscription_id)
            return
        log.warning("Twitch revoked an EventSub subscription to %s: %s", kind, subscription.get("status"))
        now = asyncio.get_running_loop().time()
        self._joining.delete_soon(self._roster.on_revoked(subscription_id, now))
        self._joining.wake()

    def on_opened(self) -> int:
        """A session was welcomed."""
        assert self._roster is not None
        self._now_connected()
        return self._roster.open_session()

    def on_lost(self, number: int, words: str) -> None:
        """A session is over; its channels wait for another one."""
        assert self._roster is not None and self._sessions is not None
        self._roster.close_session(number)
        if not self._sessions.any:
            self._disconnected(words)
        self.on_attempt()

    def on_attempt(self) -> None:
        """An attempt to open a session is over."""
        if self._joining is not None:
            self._joining.wake()

    def _token_changed(self, token: UserToken | None) -> None:
        """The keeper has another token, or (None) the account has withdrawn its consent."""
        if self._joining is None or self._sessions is None or self._roster is None:
            return
        withdrawn_before = not self._joining.allowed
        self._joining.allowed = token is not None
        if token is None:
            # Twitch wants every session that uses such a token to end.
            self._sessions.lose_all("the account has withdrawn its consent")
            self._disconnected("the account has withdrawn its consent")
        elif withdrawn_before:
            # Not after a mere refresh: then the sessions go on, or are being replaced.
            self._now_connected()
            self._roster.want(self._wanted)
        if token is not None and token.user_id:
            self._take_scopes(token.scopes)
        self._joining.wake()

    def _take_scopes(self, scopes: tuple[str, ...]) -> None:
        """What the token allows is known; nothing happens if that is what the one before allowed."""
        assert self._joining is not None and self._roster is not None
        fresh = frozenset(scopes)
        more, fewer = sorted(fresh - self._scopes), sorted(self._scopes - fresh)
        self._scopes = fresh
        if more or fewer:
            log.info(
                "the bot's token has other scopes since a new login: more by %s, fewer by %s",
                " ".join(more) or "none",
                " ".join(fewer) or "none",
            )
            self._joining.on_scopes(scopes)
            # A channel that could not be read before is not kept waiting.
            self._roster.want(self._wanted)

    def _now_connected(self) -> None:
        if not self._connected:
            self._connected = True
            self._handler(Connected())

    def _disconnected(self, words: str) -> None:
        if self._connected:
            self._connected = False
            self._handler(Disconnected(words))
