"""The bot: inboxes, dispatch, transactions, replies. Knows no socket and no database.

Theory of operation
-------------------
:meth:`Bot.on_event` is called by the transport for everything that happens in chat. A chat line that was not handled
before goes into its channel's inbox (:mod:`byte_bot.inbox`): messages of one channel are handled in order, channels do
not wait for each other.

One message, under the channel's lock:

1. *observe*: the line joins the last 50; a transaction of the bot's own;
2. every listener, then the command if the line is one: each **a transaction**. It raises, or takes longer than the
   deadline: rolled back, nothing said. It returns: its changes become operations;
3. all operations of the message make one journal record, together with the message's id;
4. the replies leave through the *gate*: once the channel's changes so far are committed to the journal. Nobody waits for
   that; the next message is handled meanwhile.

Nothing here awaits the database, with one exception: a channel never seen before (not in RAM, not in the snapshot) is
held once for at most ``load_hold_s``, and only while the database answers.

A paused channel is not observed and answers nothing but the commands that say so (``!resume``).

Slow work of handlers (:meth:`~byte_bot.components.api.Context.defer`) runs in tasks of its own, bounded in number and
time, and comes back through the inbox.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from byte_bot.chat.message import (
    ChannelJoined,
    ChannelParted,
    ChatEvent,
    ChatMessage,
    ChatNotice,
    JoinFailed,
    MessageRefused,
    Role,
)
from byte_bot.chat.outbox import Outbox, Reply
from byte_bot.clock import Clock, iso_utc
from byte_bot.components.api import Command, Component, Deferred, Handler
from byte_bot.components.router import Router
from byte_bot.context.channel import ChannelContext
from byte_bot.context.manager import ContextManager
from byte_bot.inbox import Inboxes, Returned, Waiting, being_cancelled
from byte_bot.persistence.boot import ChannelDirectory
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.journal import SEEN_MESSAGES_MAX
from byte_bot.persistence.storable import storable_struct
from byte_bot.telemetry import Telemetry
from byte_bot.turn import BotOptions, Turn
from byte_bot.voice import Voice

#: Slow work under way at once, for all channels; more is refused and counted.
DEFERRED_MAX = 100
#: Seconds a piece of slow work may take.
DEFERRED_TIMEOUT_S = 30.0
#: Seconds a component has to clean up; chosen: the whole shutdown has 8.
TEARDOWN_TIMEOUT_S = 0.5

_log = structlog.get_logger(__name__)


class Bot:
    """See the module's docstring.

    Args:
        options: settings.
        manager: the channels' contexts.
        outbox: where replies leave.
        directory: told about channel ids; None in tests without one.
        clock: wall time.
        rng: the source of every handler's ``ctx.random``.
        telemetry: counts.
    """

    def __init__(
        self,
        options: BotOptions,
        *,
        manager: ContextManager,
        outbox: Outbox,
        directory: ChannelDirectory | None,
        clock: Clock,
        rng: random.Random,
        telemetry: Telemetry,
    ) -> None:
        #: The settings.
        self.options = options
        self._manager = manager
        self._layer = manager.layer
        self._outbox = outbox
        #: The way from a turn to the outbox.
        self.voice = Voice(outbox, clock)
        self._directory = directory
        #: Wall time.
        self.clock = clock
        #: The loop's clock, in seconds.
        self.now = asyncio.get_running_loop().time
        #: On the loop's clock: the wall clock may be set meanwhile.
        self._began_s = self.now()
        #: The source of ``ctx.random``.
        self.rng = rng
        #: Where everything is counted.
        self.telemetry = telemetry
        #: Commands and listeners.
        self.router = Router()
        self._inboxes = Inboxes(self._handle, telemetry.count)
        self._handled: OrderedDict[str, None] = OrderedDict()
        self._tasks: asyncio.TaskGroup | None = None
        self._deferred = 0
        self._turns = 0

    # ── components ───────────────────────────────────────────────────────────────────────────────────────────────

    async def add_component(self, component: Component) -> None:
        """Register a component and load it; raises :class:`~byte_bot.errors.ComponentError` if a name is taken."""
        self.router.add(component)
        try:
            await component.component_load()
        except BaseException:
            self.router.remove(component)
            raise

    async def remove_component(self, component: Component) -> None:
        """Take a component out and let it clean up; one that cannot is logged and counted, the stop goes on."""
        self.router.remove(component)
        try:
            async with asyncio.timeout(TEARDOWN_TIMEOUT_S):
                await component.component_teardown()
        except Exception:
            # Supervisor: a component may fail in any way, and what is not saved yet must be saved all the same.
            self.telemetry.count("teardowns_failed")
            _log.exception("teardown_failed", component=type(component).__qualname__)

    @property
    def components(self) -> tuple[Component, ...]:
        """All components, in the order of their registration."""
        return self.router.components

    @property
    def commands(self) -> tuple[Command, ...]:
        """All commands, in the order of their registration."""
        return self.router.commands

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def remember_handled(self, message_ids: Iterable[str]) -> None:
        """The window of handled message ids of the process before this one."""
        for message_id in message_ids:
            self._is_new(message_id)

    async def run(self) -> None:
        """Own the inboxes' workers and the slow work, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await self._inboxes.run()
            finally:
                # Inside the group: one that ends takes no more tasks.
                self._tasks = None

    async def drain(self, timeout_s: float) -> int:
        """Accept nothing more and wait until every inbox is empty, at most ``timeout_s``; how many messages are left."""
        return await self._inboxes.drain(timeout_s)

    def status(self) -> Mapping[str, Any]:
        """The bot's health.

        ``channels``, ``contexts`` (in RAM), ``rows_waiting``, ``appends_waiting`` and ``appends_dropped`` (history and events),
        ``oldest_unsaved_s``, ``dead_letters`` (rows that the database refused), ``circuit`` (closed, open, half-open,
        paused, none),
        ``reply_ms`` (p50, p99, max), ``degraded``, ``journal`` (what it has counted: ``replies_ungated``, ``overflows``,
        ``writes_dropped``, ``folds_put_off``), ``uptime_s``, ``counters``.
        """
        now_s = self.now()
        layer = self._layer
        return {
            "channels": len(self._directory.wanted) if self._directory else 0,
            "contexts": len(self._manager.get_active_channels()),
            "rows_waiting": layer.ledger.rows_waiting,
            "appends_waiting": layer.ledger.appends_waiting,
            "appends_dropped": layer.ledger.history_dropped + layer.ledger.events_dropped,
            "oldest_unsaved_s": round(layer.ledger.oldest_unsaved_s(now_s), 3),
            "dead_letters": len(layer.dead_letters),
            "circuit": str(layer.link.circuit) if layer.has_database else "none",
            "reply_ms": dict(self.telemetry.reply_ms()),
            "degraded": layer.journal.degraded,
            "journal": dict(layer.journal.counts),
            "uptime_s": round(now_s - self._began_s, 1),
            "counters": dict(sorted(self.telemetry.counters.items())),
        }

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_event(self, event: ChatEvent) -> None:
        """Take one event from the transport; never blocks, never awaits."""
        # Whatever a transport made of bytes or JSON: ids go into the journal, names and texts into the database.
        event = storable_struct(event)
        if isinstance(event, ChatMessage):
            self._on_message(event)
            return
        self._outbox.observe(event)
        match event:
            case ChatNotice():
                if not _from_elsewhere(event) and self._is_first(event.id):
                    self._inboxes.put(event.channel_id, event)
            case ChannelJoined(channel, channel_id):
                self.telemetry.count("channels_joined")
                # With its login, by which its configuration is found: a dashboard may ask before anybody speaks.
                self._manager.obtain(channel_id, channel)
                if self._directory is not None:
                    self._directory.name_channel(channel, channel_id)
            case JoinFailed(channel, reason):
                self.telemetry.count("joins_failed")
                _log.warning(
                    "join_failed",
                    channel=channel,
                    why=reason,
                    what_to_do="check the spelling of the login; the bot goes on trying, slowly",
                )
            case ChannelParted(channel, by_twitch=True):
                self.telemetry.count("channels_put_out")
                _log.warning(
                    "put_out_of_channel",
                    channel=channel,
                    what_to_do="look whether the bot was banned there or the channel was closed or renamed; "
                    "the bot goes on trying, slowly",
                )
            case MessageRefused(channel, notice_id, text):
                self.telemetry.count("messages_refused")
                _log.warning("message_refused", channel=channel, why=notice_id, twitch_says=text)
            case _:
                _log.debug("chat_event", chat_event=type(event).__name__)

    def _on_message(self, message: ChatMessage) -> None:
        if message.author_login == self.options.login or _from_elsewhere(message):
            return
        self.telemetry.count("messages_seen")
        if self._is_first(message.id):
            self._inboxes.put(message.channel_id, message)

    def _is_first(self, message_id: str) -> bool:
        """False, and counted, for a repetition; what has no id cannot be told apart and is always the first."""
        if not message_id or self._is_new(message_id):
            return True
        self.telemetry.count("messages_repeated")
        return False

    def _is_new(self, message_id: str) -> bool:
        """False if the message was delivered before: both transports and a reconnect can repeat one."""
        if message_id in self._handled:
            return False
        self._handled[message_id] = None
        if len(self._handled) > SEEN_MESSAGES_MAX:
            self._handled.popitem(last=False)
        return True

    async def _handle(self, channel_id: str, waiting: Waiting) -> None:
        event = waiting.event
        login = event.message.channel if isinstance(event, Returned) else event.channel
        context = self._manager.obtain(channel_id, login)
        if context.hold_first and self._layer.link.circuit is Circuit.CLOSED:
            self.hand_over()
            await context.first_load(self.options.load_hold_s)
        lock = context.lock
        if lock.locked():
            self.hand_over()
        # Not ``async with``, which makes two coroutines more of it.
        await lock.acquire()
        try:
            context.begin()
            try:
                await Turn(self, context, waiting).take()
            finally:
                context.end()
        finally:
            lock.release()

    # ── what a turn needs ────────────────────────────────────────────────────────────────────────────────────────

    def role_of(self, message: ChatMessage) -> Role:
        """The author's role; owners come from the settings."""
        return Role.OWNER if message.author_login in self.options.owners else message.role

    def hand_over(self) -> None:
        """The turn that is under way is about to wait; other channels must not."""
        self._inboxes.hand_over()

    def next_turn(self) -> str:
        """A name of its own for a turn whose message's id does not tell it apart from others."""
        self._turns += 1
        return f"{self._layer.epoch}-{self._turns}"

    def start_deferred(self, message: ChatMessage, deferred: Deferred) -> None:
        """Start slow work that a handler asked for; refused and counted beyond :data:`DEFERRED_MAX`."""
        if self._tasks is None or self._deferred >= DEFERRED_MAX:
            deferred.coroutine.close()
            self.telemetry.count("deferred_refused")
            return
        self._deferred += 1
        task = self._tasks.create_task(self._run_deferred(message, deferred), name="deferred")
        # Cancelled before its first step, the task would leave the coroutine behind unawaited.
        task.add_done_callback(lambda _: deferred.coroutine.close())

    async def _run_deferred(self, message: ChatMessage, deferred: Deferred) -> None:
        handler: Handler | None = deferred.then
        try:
            async with asyncio.timeout(DEFERRED_TIMEOUT_S):
                result = await deferred.coroutine
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and being_cancelled():
                raise
            # Supervisor: a component's slow work may fail in any way.
            self.telemetry.count("deferred_failed")
            _log.warning("deferred_failed", work=repr(deferred.coroutine), why=repr(error))
            handler, result = deferred.on_error, error
        finally:
            self._deferred -= 1
        if handler is not None:
            self._inboxes.put(message.channel_id, Returned(message, handler, result))

    def leave(self, context: ChannelContext, gate: int, replies: list[Reply]) -> None:
        """Let replies go once everything up to ``gate`` is journaled."""
        self._layer.journal.after(gate, lambda: self.voice.put(replies))

    def remember_history(self, message: ChatMessage, now: float, replies: list[Reply]) -> None:
        """Queue the message and what was answered for ``channel_history``."""
        if not self._layer.has_database:
            return  # nobody will ever be sent it
        self._layer.ledger.add_history(
            {
                "id": message.id,
                "channel_id": message.channel_id,
                "at": iso_utc(message.sent_at or now),
                "author": message.author_login,
                "text": message.text,
                "reply": ("\n".join([reply.text for reply in replies]) or None) if replies else None,
            }
        )


def _from_elsewhere(event: ChatMessage | ChatNotice) -> bool:
    """True for what comes from another channel of a shared chat, where the bot of that channel answers."""
    return bool(event.source_channel_id) and event.source_channel_id != event.channel_id
