"""The bot: inboxes, dispatch, transactions, replies. Knows no socket and no database.

Theory of operation
-------------------
:meth:`Bot.on_event` is called by the transport for everything that happens in chat. A chat line that was not handled
before goes into its channel's inbox; a worker task takes the inbox in order and ends when it is empty, so a quiet
channel costs no task. Channels do not wait for each other.

One message, under the channel's lock:

1. *observe*: the line joins the last 50; a transaction of the bot's own;
2. every listener, then the command if the line is one: each **a transaction**. It raises, or takes longer than the
   deadline: rolled back, nothing said. It returns: its changes become operations;
3. all operations of the message make one journal record, together with the message's id;
4. the replies leave through the *gate*: once the channel's changes so far are committed to the journal. The worker does
   not wait for that; the next message is handled meanwhile.

Nothing here awaits the database, with one exception: a channel never seen before (not in RAM, not in the snapshot) is
held once for at most ``load_hold_s``, and only while the database answers.

A paused channel is not observed and answers nothing but the commands that say so (``!resume``).

Slow work of handlers (:meth:`~byte_bot.components.api.Context.defer`) runs in tasks of its own, bounded in number and
time, and comes back through the inbox.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog

from byte_bot.chat.message import ChannelJoined, ChatEvent, ChatMessage, ChatNotice, MessageRefused, Role
from byte_bot.chat.outbox import Outbox, Reply
from byte_bot.clock import Clock, iso_utc
from byte_bot.components.api import Command, Component, Context, Deferred, Handler, UsageError
from byte_bot.components.router import Invocation, Router, cooldown_passed, parse_invocation
from byte_bot.context.manager import ChannelContext, ContextManager
from byte_bot.context.stream_context import CHAT_LINE_CHARS_MAX, ChatLine, LastEvent
from byte_bot.persistence.boot import ChannelDirectory
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.journal import SEEN_MESSAGES_MAX
from byte_bot.telemetry import Telemetry

#: Messages that may wait in one channel; chosen: 5 s of the busiest chats. Newer ones are dropped and counted.
INBOX_MAX = 500
#: Slow work under way at once, for all channels; more is refused and counted.
DEFERRED_MAX = 100
#: Seconds a piece of slow work may take.
DEFERRED_TIMEOUT_S = 30.0
#: Some clients append this invisible character to send the same line twice; it is no part of what was said.
_INVISIBLE_TAIL = " \U000e0000\u034f"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class BotOptions:
    """The settings the bot itself needs; times in seconds."""

    login: str
    owners: tuple[str, ...] = ()
    default_language: str = "en"
    default_prefix: str = "!"
    handler_timeout_s: float = 0.25
    load_hold_s: float = 0.25


class Returned(NamedTuple):
    """Slow work came back: the method that takes it, its result or error, and the message that had asked for it."""

    message: ChatMessage
    handler: Handler
    result: Any


class _Waiting(NamedTuple):
    """An inbox entry: what happened, and the loop time (s) at which it arrived."""

    event: ChatMessage | ChatNotice | Returned
    at_s: float


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
        self._options = options
        self._manager = manager
        self._layer = manager.layer
        self._outbox = outbox
        self._directory = directory
        self._clock = clock
        self._rng = rng
        self._telemetry = telemetry
        self._router = Router()
        self._inboxes: dict[str, deque[_Waiting]] = {}
        self._handled: OrderedDict[str, None] = OrderedDict()
        self._tasks: asyncio.TaskGroup | None = None
        self._deferred = 0
        self._accepting = True
        self._idle = asyncio.Event()
        self._idle.set()

    # ── components ───────────────────────────────────────────────────────────────────────────────────────────────

    async def add_component(self, component: Component) -> None:
        """Register a component and load it; raises :class:`~byte_bot.errors.ComponentError` if a name is taken."""
        self._router.add(component)
        try:
            await component.component_load()
        except BaseException:
            self._router.remove(component)
            raise

    async def remove_component(self, component: Component) -> None:
        """Take a component out and let it clean up."""
        self._router.remove(component)
        await component.component_teardown()

    @property
    def components(self) -> tuple[Component, ...]:
        """All components, in the order of their registration."""
        return self._router.components

    @property
    def commands(self) -> tuple[Command, ...]:
        """All commands, in the order of their registration."""
        return self._router.commands

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def remember_handled(self, message_ids: Iterable[str]) -> None:
        """The window of handled message ids of the process before this one."""
        for message_id in message_ids:
            self._is_new(message_id)

    async def run(self) -> None:
        """Own the channels' workers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for channel_id in self._inboxes:
                tasks.create_task(self._work(channel_id), name=f"inbox-{channel_id}")
            await asyncio.get_running_loop().create_future()

    async def drain(self, timeout_s: float) -> int:
        """Accept nothing more and wait until every inbox is empty, at most ``timeout_s``; how many messages are left."""
        self._accepting = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            pass
        return sum(len(inbox) for inbox in self._inboxes.values())

    def status(self) -> Mapping[str, Any]:
        """The bot's health.

        ``channels``, ``rows_waiting``, ``oldest_unsaved_s``, ``circuit`` (closed, open, half-open, paused, none),
        ``reply_ms`` (p50, p99, max), ``degraded``, ``uptime_s``, ``counters``.
        """
        now_s = asyncio.get_running_loop().time()
        layer = self._layer
        return {
            "channels": len(self._directory.wanted) if self._directory else 0,
            "rows_waiting": layer.ledger.rows_waiting,
            "oldest_unsaved_s": round(layer.ledger.oldest_unsaved_s(now_s), 3),
            "circuit": str(layer.link.circuit) if layer.has_database else "none",
            "reply_ms": dict(self._telemetry.reply_ms()),
            "degraded": layer.journal.degraded,
            "uptime_s": round(self._clock.unix() - self._telemetry.boot_unix_s, 1),
            "counters": dict(sorted(self._telemetry.counters.items())),
        }

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_event(self, event: ChatEvent) -> None:
        """Take one event from the transport; never blocks, never awaits."""
        self._outbox.observe(event)
        match event:
            case ChatMessage():
                self._on_message(event)
            case ChatNotice():
                self._enqueue(event.channel_id, event)
            case ChannelJoined(channel, channel_id):
                self._telemetry.count("channels_joined")
                if self._directory is not None:
                    self._directory.name_channel(channel, channel_id)
            case MessageRefused(channel, notice_id, text):
                self._telemetry.count("messages_refused")
                _log.warning("message_refused", channel=channel, why=notice_id, twitch_says=text)
            case _:
                _log.debug("chat_event", chat_event=type(event).__name__)

    def _on_message(self, message: ChatMessage) -> None:
        if message.author_login == self._options.login:
            return
        if message.source_channel_id and message.source_channel_id != message.channel_id:
            return  # written in another channel of a shared chat, where the bot of that channel answers
        self._telemetry.count("messages_seen")
        if not self._is_new(message.id):
            self._telemetry.count("messages_repeated")
            return
        self._enqueue(message.channel_id, message)

    def _is_new(self, message_id: str) -> bool:
        """False if the message was delivered before: both transports and a reconnect can repeat one."""
        if message_id in self._handled:
            return False
        self._handled[message_id] = None
        if len(self._handled) > SEEN_MESSAGES_MAX:
            self._handled.popitem(last=False)
        return True

    def _enqueue(self, channel_id: str, event: ChatMessage | ChatNotice | Returned) -> None:
        if not self._accepting:
            self._telemetry.count("dropped_shutting_down")
            return
        inbox = self._inboxes.get(channel_id)
        if inbox is None:
            inbox = self._inboxes[channel_id] = deque()
            self._idle.clear()
            if self._tasks is not None:
                self._tasks.create_task(self._work(channel_id), name=f"inbox-{channel_id}")
        elif len(inbox) >= INBOX_MAX:
            self._telemetry.count("dropped_inbox_full")
            return
        inbox.append(_Waiting(event, asyncio.get_running_loop().time()))

    async def _work(self, channel_id: str) -> None:
        """Handle one channel's inbox, in order, until it is empty."""
        inbox = self._inboxes[channel_id]
        while inbox:
            waiting = inbox[0]
            try:
                await self._handle(channel_id, waiting)
            except Exception:
                # Supervisor: a defect here costs one message, not the channel.
                _log.exception("message_failed", channel_id=channel_id)
                self._telemetry.count("messages_failed")
            inbox.popleft()
        del self._inboxes[channel_id]
        if not self._inboxes:
            self._idle.set()

    async def _handle(self, channel_id: str, waiting: _Waiting) -> None:
        event = waiting.event
        login = event.message.channel if isinstance(event, Returned) else event.channel
        context = await self._manager.get(channel_id, login)
        if context.hold_first and self._layer.link.circuit is Circuit.CLOSED:
            await context.first_load(self._options.load_hold_s)
        async with context.lock:
            context.begin()
            try:
                await _Turn(self, context, waiting).take()
            finally:
                context.end()

    # ── what a turn needs ────────────────────────────────────────────────────────────────────────────────────────

    def role_of(self, message: ChatMessage) -> Role:
        """The author's role; owners come from the settings."""
        return Role.OWNER if message.author_login in self._options.owners else message.role

    def start_deferred(self, message: ChatMessage, deferred: Deferred) -> None:
        """Start slow work that a handler asked for; refused and counted beyond :data:`DEFERRED_MAX`."""
        if self._tasks is None or self._deferred >= DEFERRED_MAX:
            deferred.coroutine.close()
            self._telemetry.count("deferred_refused")
            return
        self._deferred += 1
        self._tasks.create_task(self._run_deferred(message, deferred), name="deferred")

    async def _run_deferred(self, message: ChatMessage, deferred: Deferred) -> None:
        handler: Handler | None = deferred.then
        try:
            async with asyncio.timeout(DEFERRED_TIMEOUT_S):
                result = await deferred.coroutine
        except Exception as error:
            # Supervisor: a component's slow work may fail in any way.
            self._telemetry.count("deferred_failed")
            _log.warning("deferred_failed", work=repr(deferred.coroutine), why=repr(error))
            handler, result = deferred.on_error, error
        finally:
            self._deferred -= 1
        if handler is not None:
            self._enqueue(message.channel_id, Returned(message, handler, result))

    @property
    def options(self) -> BotOptions:
        """The settings."""
        return self._options

    @property
    def router(self) -> Router:
        """Commands and listeners."""
        return self._router

    @property
    def telemetry(self) -> Telemetry:
        """Where everything is counted."""
        return self._telemetry

    @property
    def clock(self) -> Clock:
        """Wall time."""
        return self._clock

    @property
    def rng(self) -> random.Random:
        """The source of ``ctx.random``."""
        return self._rng

    def leave(self, context: ChannelContext, gate: int, replies: list[Reply]) -> None:
        """Let replies go once everything up to ``gate`` is journaled."""
        self._layer.journal.after(gate, lambda: self._put(replies))

    def _put(self, replies: list[Reply]) -> None:
        for reply in replies:
            self._outbox.put(reply)

    def remember_history(self, message: ChatMessage, now: float, replies: list[Reply]) -> None:
        """Queue the message and what was answered for ``channel_history``."""
        self._layer.ledger.add_history(
            {
                "id": message.id,
                "channel_id": message.channel_id,
                "at": iso_utc(message.sent_at or now),
                "author": message.author_login,
                "text": message.text,
                "reply": "\n".join(reply.text for reply in replies) or None,
            }
        )


class _Turn:
    """One entry of an inbox, from observation to replies; lives under the channel's lock."""

    def __init__(self, bot: Bot, context: ChannelContext, waiting: _Waiting) -> None:
        self._bot = bot
        self._context = context
        self._event = waiting.event
        self._at_s = waiting.at_s
        self._now = bot.clock.unix()
        self._replies: list[Reply] = []
        self._deferred: list[Deferred] = []
        self._steps = 0
        self._message = _as_message(waiting.event)

    async def take(self) -> None:
        """Run every handler, then record and answer."""
        config = self._context.config
        prefix = config.prefix or self._bot.options.default_prefix
        invocation = None
        if isinstance(self._event, ChatMessage):
            invocation = parse_invocation(self._message.text, prefix)
        if config.paused:
            await self._when_paused(prefix, invocation)
        else:
            await self._dispatch(prefix, invocation)
        self._finish(record_history=isinstance(self._event, ChatMessage) and not config.paused)

    async def _when_paused(self, prefix: str, invocation: Invocation | None) -> None:
        command = self._bot.router.find(invocation.name) if invocation else None
        if command is not None and command.even_paused and invocation is not None:
            await self._run_command(command, prefix, invocation)

    async def _dispatch(self, prefix: str, invocation: Invocation | None) -> None:
        event = self._event
        if isinstance(event, Returned):
            await self._transaction(event.handler, self._new_context(prefix), event.result)
            return
        self._observe(event)
        kind = "message" if isinstance(event, ChatMessage) else "notice"
        for listener in self._bot.router.listeners(kind):
            await self._transaction(listener.handler, self._new_context(prefix))
        if invocation is None:
            return
        command = self._bot.router.find(invocation.name)
        if command is not None:
            await self._run_command(command, prefix, invocation)
            return
        for listener in self._bot.router.listeners("unknown_command"):
            await self._transaction(listener.handler, self._new_context(prefix, invocation))

    def _observe(self, event: ChatMessage | ChatNotice) -> None:
        stream = self._context.stream
        if isinstance(event, ChatMessage):
            text = self._message.text[:CHAT_LINE_CHARS_MAX]
            stream.chat_lines.append(ChatLine(event.author_login, text, round(self._now, 3)))
        else:
            text = (event.system_text or event.text)[:CHAT_LINE_CHARS_MAX]
            stream.last_event = LastEvent(event.kind, text, round(self._now, 3))
        self._stage()

    async def _run_command(self, command: Command, prefix: str, invocation: Invocation) -> None:
        bot, context = self._bot, self._new_context(prefix, invocation)
        context.command = command
        if context.role < command.role:
            bot.telemetry.count("commands_not_allowed")
            return
        if command.guards and not await self._allowed(command, self._new_context(prefix, invocation)):
            bot.telemetry.count("commands_guarded")
            return
        if not cooldown_passed(self._context.cooldowns, command, self._at_s):
            bot.telemetry.count("commands_cooling")
            return
        try:
            positional, keywords = command.parse(invocation.arguments)
        except UsageError:
            bot.telemetry.count("commands_misused")
            await context.reply(context.usage)
            self._keep(context)
            return
        bot.telemetry.count("commands_run")
        await self._transaction(command.handler, context, *positional, **keywords)

    async def _allowed(self, command: Command, context: Context) -> bool:
        """What the guards say; they run as a transaction of their own, and one that fails forbids."""
        verdicts: list[bool] = []

        async def ask(ctx: Context) -> None:
            for allowed in command.guards:
                verdict = allowed(ctx)
                verdicts.append(verdict if isinstance(verdict, bool) else await verdict)
                if not verdicts[-1]:
                    return

        await self._transaction(ask, context)
        return len(verdicts) == len(command.guards) and all(verdicts)

    async def _transaction(
        self, handler: Handler, context: Context, *arguments: Any, **keywords: Any
    ) -> None:
        """Run one handler; keep what it did only if it returned in time."""
        bot = self._bot
        try:
            async with asyncio.timeout(bot.options.handler_timeout_s):
                await handler(context, *arguments, **keywords)
            self._stage()
        except TimeoutError:
            self._undo(context)
            bot.telemetry.count("handlers_timed_out")
            _log.warning("handler_timed_out", handler=_name(handler), limit_s=bot.options.handler_timeout_s)
        except UsageError as error:
            self._undo(context)
            bot.telemetry.count("commands_misused")
            await context.reply(str(error) or context.usage)
            self._keep(context)
        except asyncio.CancelledError:
            self._undo(context)
            raise
        except Exception:
            # Supervisor: a component may fail in any way; its changes are rolled back and nothing is said.
            self._undo(context)
            bot.telemetry.count("handlers_failed")
            _log.exception("handler_failed", handler=_name(handler), channel=context.channel)
        else:
            self._keep(context)

    def _stage(self) -> None:
        self._steps += 1
        self._context.stage(f"{self._message.id}:{self._steps}")

    def _undo(self, context: Context) -> None:
        self._context.rollback()
        context.replies.clear()
        for deferred in context.deferred:
            deferred.coroutine.close()
        context.deferred.clear()

    def _keep(self, context: Context) -> None:
        for text, as_reply in context.replies:
            reply_to = self._message.id if as_reply and not isinstance(self._event, ChatNotice) else ""
            self._replies.append(Reply(self._message.channel, text, reply_to, self._at_s))
        self._deferred.extend(context.deferred)

    def _finish(self, *, record_history: bool) -> None:
        if self._replies:
            self._context.stream.last_reply = self._replies[-1].text[:CHAT_LINE_CHARS_MAX]
            self._stage()
        handled = self._event.id if isinstance(self._event, ChatMessage) else ""
        gate = self._context.seal(handled)
        if record_history:
            self._bot.remember_history(self._message, self._now, self._replies)
        if self._replies:
            self._bot.leave(self._context, gate, self._replies)
        for deferred in self._deferred:
            self._bot.start_deferred(self._message, deferred)

    def _new_context(self, prefix: str, invocation: Invocation | None = None) -> Context:
        bot = self._bot
        return Context(
            bot=bot,
            channel=self._context,
            message=self._message,
            event=self._message if isinstance(self._event, Returned) else self._event,
            role=bot.role_of(self._message),
            language=self._context.config.language or bot.options.default_language,
            prefix=prefix,
            now=self._now,
            rng=bot.rng,
            invoked_with=invocation.name if invocation else "",
            arguments=invocation.arguments if invocation else "",
        )


def _as_message(event: ChatMessage | ChatNotice | Returned) -> ChatMessage:
    """The message a context shows: cleaned of what PostgreSQL cannot store and of invisible tails."""
    if isinstance(event, Returned):
        return event.message
    if isinstance(event, ChatNotice):
        return ChatMessage(
            id="",
            channel_id=event.channel_id,
            channel=event.channel,
            author_id="",
            author_login=event.login,
            author_name=event.login,
            role=Role.EVERYONE,
            text=event.text,
        )
    text = event.text.replace("\x00", "").rstrip(_INVISIBLE_TAIL)
    if text == event.text:
        return event
    return ChatMessage(**{**{name: getattr(event, name) for name in event.__struct_fields__}, "text": text})


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", repr(handler))
