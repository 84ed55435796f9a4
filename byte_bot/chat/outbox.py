"""The way out: replies wait here for their turn, channel by channel, and leave through the transport.

How it works. ``put`` cuts a reply into messages and appends them to its channel's queue; the first entry of a
queue starts a task that ends when the queue is empty, so an idle channel costs nothing and the replies of one
channel leave strictly in order. The task waits for what concerns its channel alone (the channel's pace, the
connection) by itself; for the account's limit it takes a place in a line, first come first served: one line
for channels where the bot is privileged, one for the others, since the account may be full for the second and
not for the first. When nothing forbids it a reply leaves in the same instant in which it was put, without a task.

A reply older than ``reply_age_max_s`` is dropped and counted: late answers to chat are noise, and an outage
of the connection must not end in a burst of them. A message that *may* have been written is never sent twice.

Left out: confirmation by Twitch (a half-open connection swallows what was written until the session notices).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator

import msgspec

from byte_bot.chat.errors import NotConnected, SendUnconfirmed
from byte_bot.chat.limiter import MessageLimiter
from byte_bot.chat.message import ChatEvent, Connected, SendingHeld, Standing
from byte_bot.chat.transport import ChatTransport
from byte_bot.chat.utterance import CHARS_MAX, MARK_ROOM, clean, split
from byte_bot.errors import ByteBotError

log = logging.getLogger(__name__)

# Reasons given to ``on_drop``.
TOO_OLD = "too_old"
QUEUE_FULL = "queue_full"
EMPTY = "empty"
UNCONFIRMED = "unconfirmed"
REFUSED = "refused"
FAILED = "failed"

# How often a reply that waits for the connection looks by itself; ``observe(Connected())`` wakes it at once.
# Chosen: nobody notices a quarter of a second after an outage.
_RECONNECT_POLL_S = 0.25


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Something to say. ``received_at`` is the loop time (s) at which the message it answers arrived."""

    channel: str
    text: str
    reply_to: str = ""
    received_at: float = 0.0


def _ignore_drop(reason: str) -> None:
    """The default of ``on_drop``."""


def _ignore_sent(reply: Reply, at_s: float) -> None:
    """The default of ``on_sent``."""


class Outbox:
    """Sends replies within Twitch's limits.

    Args:
        transport: where they leave.
        limiter: Twitch's rules for the account; told about standings by ``observe``.
        now: the loop's clock, in seconds (``loop.time``).
        reply_age_max_s: a reply this old is dropped, counted from ``received_at``. Chosen: a viewer has moved
            on by then.
        queue_max: messages waiting in one channel; a reply that does not fit whole is dropped. Chosen: more
            than 15 s of the fastest channel (100 messages in 30 s) can use.
        on_drop: called with the reason for every message (or whole reply, for ``queue_full`` and ``empty``)
            dropped.
        on_sent: called with the reply and the loop time for every message written.
    """

    def __init__(
        self,
        transport: ChatTransport,
        limiter: MessageLimiter,
        now: Callable[[], float],
        *,
        reply_age_max_s: float = 15.0,
        queue_max: int = 60,
        on_drop: Callable[[str], None] = _ignore_drop,
        on_sent: Callable[[Reply, float], None] = _ignore_sent,
    ) -> None:
        self._transport = transport
        self.limiter = limiter
        self._now = now
        self.reply_age_max_s = reply_age_max_s
        self._queue_max = queue_max
        self._on_drop = on_drop
        self._on_sent = on_sent
        #: How many messages (or whole replies) were dropped, by channel and reason: at most six numbers for a channel.
        self.drops: Counter[tuple[str, str]] = Counter()
        # While running, a channel is in here exactly as long as its task lives.
        self._queues: dict[str, deque[tuple[Reply, str]]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._paused: dict[str, asyncio.Future[None]] = {}
        self._account = _AccountLine(limiter, now)
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Messages not sent yet."""
        return sum(len(queue) for queue in self._queues.values())

    @property
    def queued(self) -> Iterator[tuple[str, int]]:
        """The channels with messages that are not sent yet, and of each how many."""
        return ((channel, len(queue)) for channel, queue in self._queues.items())

    def put(self, reply: Reply) -> bool:
        """Take a reply to be said; False (and counted) if its queue is full or there is nothing to say."""
        pieces = pieces_of(reply.text)
        if not pieces:
            self._drop(reply.channel, EMPTY)
            return False
        queue = self._queues.get(reply.channel)
        if len(pieces) + (len(queue) if queue else 0) > self._queue_max:
            self._drop(reply.channel, QUEUE_FULL)
            return False
        if queue is None:
            if len(pieces) == 1 and self._post(reply, pieces[0]):
                return True
            queue = self._queues[reply.channel] = deque()
            self._idle.clear()
            if self._group is not None:
                self._group.create_task(self._work(reply.channel, queue))
        queue.extend((reply, piece) for piece in pieces)
        return True

    def _drop(self, channel: str, reason: str) -> None:
        self.drops[channel, reason] += 1
        self._on_drop(reason)

    def _post(self, reply: Reply, text: str) -> bool:
        """Send a message at once if nothing at all stands in its way; False: it has to wait for its turn."""
        transport, limiter, channel = self._transport, self.limiter, reply.channel
        if self._group is None or not transport.writable:
            return False
        now = self._now()
        if now >= reply.received_at + self.reply_age_max_s or self._account.has_line(
            limiter.privileged(channel)
        ):
            return False
        form = limiter.take(channel, text, now)
        if form is None:
            return False
        try:
            transport.post(channel, form, reply.reply_to)
        except ByteBotError as error:
            log.warning("a reply to #%s was refused: %s", channel, error)
            self._drop(channel, REFUSED)
            return True
        except Exception:
            # Supervisor, as in _work: whoever puts (the journal, opening its gate) must not end by a transport's bug.
            log.exception("a reply to #%s failed", channel)
            self._drop(channel, FAILED)
            return True
        try:
            self._on_sent(reply, now)
        except Exception:
            # Supervisor: it has left, and who counts it must not end the journal either.
            log.exception("a reply to #%s left uncounted", channel)
        return True

    def observe(self, event: ChatEvent) -> None:
        """Learn from what the transport reports; to be called with every chat event (others are ignored)."""
        if isinstance(event, Standing):
            self.limiter.set_privileged(event.channel, event.privileged)
            _settle(self._paused.get(event.channel))
        elif isinstance(event, SendingHeld):
            self.limiter.hold(event.until_s)
        elif isinstance(event, Connected):
            for future in list(self._paused.values()):
                _settle(future)

    async def run(self) -> None:
        """Send what is put, until cancelled; what is still queued then stays queued."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for channel, queue in self._queues.items():
                    group.create_task(self._work(channel, queue))
                await asyncio.get_running_loop().create_future()
            finally:
                # Inside the group: a task started while it shuts down would not be cancelled.
                self._group = None
                self._account.stop()

    async def drain(self, timeout_s: float) -> int:
        """Wait until all is sent or dropped, at most ``timeout_s`` seconds; how many messages are left."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            pass
        return self.waiting

    async def _work(self, channel: str, queue: deque[tuple[Reply, str]]) -> None:
        """Send one channel's queue, in order, until it is empty."""
        while queue:
            reply, piece = queue[0]
            try:
                dropped = await self._deliver(channel, reply, piece)
            except Exception:
                # Supervisor: a bug in a transport or a callback costs this message, not the channel's voice.
                log.exception("a reply to #%s failed", channel)
                dropped = FAILED
            queue.popleft()
            if dropped is not None:
                self._drop(channel, dropped)
        del self._queues[channel]
        if not self._queues:
            self._idle.set()

    async def _deliver(self, channel: str, reply: Reply, text: str) -> str | None:
        """Send one message when it may be sent; None, or why it was dropped."""
        expires = reply.received_at + self.reply_age_max_s
        limiter = self.limiter
        while (now := self._now()) < expires:
            if not self._transport.connected:
                await self._pause(channel, min(expires, now + _RECONNECT_POLL_S))
                continue
            ready = limiter.channel_ready_at(channel, text, now)
            if ready > now:
                await self._pause(channel, min(expires, ready))
                continue
            privileged = limiter.privileged(channel)
            if not self._account.take(privileged):
                if not await self._account.wait(privileged, expires):
                    continue
                now = self._now()
                if not self._transport.connected:
                    continue
            form = limiter.form(channel, text, now)
            try:
                await self._transport.send(channel, form, reply.reply_to)
            except NotConnected:
                # ``connected`` may lag behind: without a pause this would spin.
                now = self._now()
                await self._pause(channel, min(expires, now + _RECONNECT_POLL_S))
                continue
            except SendUnconfirmed:
                limiter.take_channel(channel, form, now)
                return UNCONFIRMED
            except ByteBotError as error:
                log.warning("a reply to #%s was refused: %s", channel, error)
                limiter.take_channel(channel, form, now)
                return REFUSED
            limiter.take_channel(channel, form, now)
            self._on_sent(reply, now)
            return None
        return TOO_OLD

    async def _pause(self, channel: str, until: float) -> None:
        """Sleep until loop time ``until``, or until ``observe`` has news for ``channel``."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(until, _settle, future)
        self._paused[channel] = future
        try:
            await future
        finally:
            timer.cancel()
            del self._paused[channel]


class _AccountLine:
    """First come, first served, for places in the account's window: one line for each standing.

    The place is counted when it is granted, not when its owner wakes up: in between somebody else could take
    it.
    """

    def __init__(self, limiter: MessageLimiter, now: Callable[[], float]) -> None:
        self.limiter = limiter
        self._now = now
        self._lines: dict[bool, deque[asyncio.Future[bool]]] = {True: deque(), False: deque()}
        self._timer: asyncio.TimerHandle | None = None

    def has_line(self, privileged: bool) -> bool:
        """Whether somebody waits for a place."""
        return self._first(privileged) is not None

    def take(self, privileged: bool) -> bool:
        """Take a place at once, if there is one and nobody is waiting for it."""
        now = self._now()
        if self.has_line(privileged) or self.limiter.account_ready_at(privileged, now) > now:
            return False
        self.limiter.take_account(now)
        return True

    async def wait(self, privileged: bool, expires: float) -> bool:
        """Wait for a place until loop time ``expires``; whether it was granted."""
        loop = asyncio.get_running_loop()
        ticket: asyncio.Future[bool] = loop.create_future()
        self._lines[privileged].append(ticket)
        expiry = loop.call_at(expires, _refuse, ticket)
        self._serve()
        try:
            return await ticket
        finally:
            # A ticket that is done, for whatever reason, is skipped when it reaches the head of its line.
            ticket.cancel()
            expiry.cancel()

    def stop(self) -> None:
        """Forget the timer; the waiting were cancelled with their tasks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _first(self, privileged: bool) -> asyncio.Future[bool] | None:
        line = self._lines[privileged]
        while line and line[0].done():
            line.popleft()
        return line[0] if line else None

    def _serve(self) -> None:
        """Grant what may be granted now and set the timer for the next grant."""
        now = self._now()
        next_at: float | None = None
        for privileged in (True, False):
            while (ticket := self._first(privileged)) is not None:
                ready = self.limiter.account_ready_at(privileged, now)
                if ready > now:
                    next_at = ready if next_at is None else min(next_at, ready)
                    break
                self.limiter.take_account(now)
                ticket.set_result(True)
        self.stop()
        if next_at is not None:
            self._timer = asyncio.get_running_loop().call_at(next_at, self._serve)


def pieces_of(text: str) -> list[str]:
    """The messages in which ``text`` is said; none if there is nothing to say."""
    text = clean(text)
    pieces = split(text)
    return pieces if len(pieces) <= 1 else split(text, chars_max=CHARS_MAX - MARK_ROOM)


def _settle(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _refuse(ticket: asyncio.Future[bool]) -> None:
    if not ticket.done():
        ticket.set_result(False)
