"""One turn: what happens to one entry of a channel's inbox, from observation to replies.

A turn lives under its channel's lock. Every handler in it is a transaction: staged if it returns in time, rolled back if it
raises or takes too long. At the end everything staged becomes one journal record, and the replies wait at the gate. Which
handlers there are, and what comes before and after a turn, is the business of :mod:`byte_bot.bot`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from types import CoroutineType, coroutine
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from byte_bot.chat.message import ChatMessage, ChatNotice, Role
from byte_bot.chat.outbox import Reply
from byte_bot.components.api import Command, Context, Deferred, Handler, UsageError
from byte_bot.components.router import (
    Invocation,
    cooldown_passed,
    heard_as,
    parse_invocation,
    without_mention,
)
from byte_bot.context.channel import ChannelContext
from byte_bot.context.stream_context import (
    CHAT_LINE_CHARS_MAX,
    ChannelConfig,
    ChatLine,
    LastEvent,
    StreamContext,
)
from byte_bot.inbox import Returned, Waiting, being_cancelled

if TYPE_CHECKING:
    from byte_bot.bot import Bot

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


class Turn:
    """One entry of an inbox, from observation to replies; lives under the channel's lock."""

    __slots__ = (
        "_at_s",
        "_bot",
        "_context",
        "_deferred",
        "_event",
        "_language",
        "_message",
        "_now",
        "_observed",
        "_op_id",
        "_prefix",
        "_replies",
        "_role",
        "_said",
        "_steps",
    )

    def __init__(self, bot: Bot, context: ChannelContext, waiting: Waiting) -> None:
        self._bot = bot
        self._context = context
        self._event = waiting.event
        self._at_s = waiting.at_s
        self._now = bot.clock.unix()
        self._replies: list[Reply] = []
        self._deferred: list[Deferred] = []
        self._steps = 0
        #: What was observed and is not staged yet: it must survive the rollback of a handler.
        self._observed: ChatMessage | ChatNotice | None = None
        self._message = message = _as_message(waiting.event)
        self._role = bot.role_of(message)
        #: Whether it is a line of chat.
        self._said = isinstance(waiting.event, ChatMessage)
        # Slow work comes back under the id of the message that asked for it, perhaps more than once.
        self._op_id = message.id if self._said else f"{message.id}+{bot.next_turn()}"

    async def take(self) -> None:
        """Run every handler, then record and answer."""
        options, config, message = self._bot.options, self._context.peek(ChannelConfig), self._message
        self._language = config.language or options.default_language
        self._prefix = config.prefix or options.default_prefix
        invocation = None
        if self._said:
            text = without_mention(message.text) if message.reply_parent_id else message.text
            invocation = parse_invocation(text, self._prefix)
        if config.paused:
            await self._when_paused(invocation)
        else:
            await self._dispatch(invocation)
        self._finish(record_history=self._said and not config.paused)

    async def _when_paused(self, invocation: Invocation | None) -> None:
        command = self._bot.router.find(invocation.name) if invocation else None
        if command is not None and command.even_paused and invocation is not None:
            await self._run_command(command, invocation)

    async def _dispatch(self, invocation: Invocation | None) -> None:
        event, router = self._event, self._bot.router
        if isinstance(event, Returned):
            await self._transaction(event.handler, self._new_context(), event.result)
            return
        self._observe(event)
        for kind in heard_as(event):
            for listener in router.listeners(kind):
                await self._transaction(listener.handler, self._new_context())
        if invocation is None:
            return
        command = router.find(invocation.name)
        if command is not None:
            await self._run_command(command, invocation)
            return
        for listener in router.listeners("unknown_command"):
            await self._transaction(listener.handler, self._new_context(invocation))

    def _observe(self, event: ChatMessage | ChatNotice) -> None:
        self._observed = event
        stream = self._context.state(StreamContext)
        if isinstance(event, ChatMessage):
            text = self._message.text[:CHAT_LINE_CHARS_MAX]
            stream.heard(ChatLine(event.author_login, text, round(self._now, 3)))
        else:
            text = (event.system_text or event.text)[:CHAT_LINE_CHARS_MAX]
            stream.last_event = LastEvent(event.kind, text, round(self._now, 3))

    async def _run_command(self, command: Command, invocation: Invocation) -> None:
        bot, context = self._bot, self._new_context(invocation)
        context.command = command
        if context.role < command.role:
            bot.telemetry.count("commands_not_allowed")
            return
        if command.guards and not await self._allowed(command, self._new_context(invocation)):
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
            self._remember_reply(context)
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
            limit_at_s = bot.now() + bot.options.handler_timeout_s
            # Nearly every handler ends without having waited for anything: no timer for it, and no other worker.
            rest = _begun(handler(context, *arguments, **keywords))
            if rest is not None:
                await self._in_time(rest, limit_at_s)
            if bot.now() > limit_at_s:
                # It blocked the loop, timers included.
                raise TimeoutError
            self._remember_reply(context)
            self._stage()
        except TimeoutError:
            self._undo(context)
            bot.telemetry.count("handlers_timed_out")
            _log.warning("handler_timed_out", handler=_name(handler), limit_s=bot.options.handler_timeout_s)
        except UsageError as error:
            self._undo(context)
            bot.telemetry.count("commands_misused")
            await context.reply(str(error) or context.usage)
            self._remember_reply(context)
            self._stage()
            self._keep(context)
        except asyncio.CancelledError:
            self._undo(context)
            if being_cancelled():
                raise
            # Nobody cancelled us: something the handler awaited was cancelled, and the channel's worker lives on.
            self._failed(handler, context)
        except Exception:
            # Supervisor: a component may fail in any way; its changes are rolled back and nothing is said.
            self._undo(context)
            self._failed(handler, context)
        else:
            self._keep(context)

    def _failed(self, handler: Handler, context: Context) -> None:
        self._bot.telemetry.count("handlers_failed")
        _log.exception("handler_failed", handler=_name(handler), channel=context.channel)

    async def _in_time(self, rest: Awaitable[None], limit_at_s: float) -> None:
        """Let a handler that waits for something come to its end, while the other channels go on; raises TimeoutError."""
        self._bot.hand_over()
        async with asyncio.timeout_at(limit_at_s) as deadline:
            await rest
        if deadline.expired():
            # It swallowed its cancellation and returned all the same.
            raise TimeoutError

    def _stage(self) -> None:
        self._steps += 1
        self._context.stage(f"{self._op_id}:{self._steps}")
        self._observed = None

    def _remember_reply(self, context: Context) -> None:
        if context.replies:
            self._context.state(StreamContext).last_reply = context.replies[-1][0][:CHAT_LINE_CHARS_MAX]

    def _undo(self, context: Context) -> None:
        self._context.rollback()
        if self._observed is not None:
            self._observe(self._observed)
        context.replies.clear()
        for deferred in context.deferred:
            deferred.coroutine.close()
        context.deferred.clear()

    def _keep(self, context: Context) -> None:
        for text, as_reply in context.replies:
            reply_to = self._message.id if as_reply and not isinstance(self._event, ChatNotice) else ""
            self._replies.append(Reply(self._message.channel, text, reply_to, self._at_s))
        if context.deferred:
            self._deferred.extend(context.deferred)

    def _finish(self, *, record_history: bool) -> None:
        if self._context.in_use:
            # Observed, and no handler since; or a command was misused.
            self._stage()
        message_id = "" if isinstance(self._event, Returned) else self._event.id
        gate = self._context.seal(self._bot.voice.announce(message_id, self._replies))
        if record_history:
            self._bot.remember_history(self._message, self._now, self._replies)
        if self._replies:
            self._bot.leave(self._context, gate, self._replies)
        for deferred in self._deferred:
            self._bot.start_deferred(self._message, deferred)

    def _new_context(self, invocation: Invocation | None = None) -> Context:
        bot = self._bot
        return Context(
            bot=bot,
            channel=self._context,
            message=self._message,
            event=self._message if isinstance(self._event, Returned) else self._event,
            role=self._role,
            language=self._language,
            prefix=self._prefix,
            now=self._now,
            rng=bot.rng,
            invoked_with=invocation.name if invocation else "",
            arguments=invocation.arguments if invocation else "",
        )


def _begun(handler: Awaitable[None]) -> Awaitable[None] | None:
    """Run a handler until it waits for something; what is left to await, None if it has ended."""
    if not isinstance(handler, CoroutineType):
        return handler
    try:
        return _started(handler, handler.send(None))
    except StopIteration:
        return None


@coroutine
def _started(handler: CoroutineType[Any, Any, None], waits_for: object) -> Generator[object, Any, None]:
    """Go on with a handler that was started by hand and waits for ``waits_for``; ``await`` would refuse it."""
    while True:
        thrown: BaseException | None = None
        try:
            yield waits_for
        except BaseException as error:
            # Whatever reaches this task (its cancellation, say) is for the handler.
            thrown = error
        try:
            waits_for = handler.send(None) if thrown is None else handler.throw(thrown)
        except StopIteration:
            return


def _as_message(event: ChatMessage | ChatNotice | Returned) -> ChatMessage:
    """The message a context shows: without invisible tails."""
    if isinstance(event, ChatMessage):
        text = event.text.rstrip(_INVISIBLE_TAIL)
        return event if text == event.text else msgspec.structs.replace(event, text=text)
    if isinstance(event, Returned):
        return event.message
    return ChatMessage(
        id=event.id,
        channel_id=event.channel_id,
        channel=event.channel,
        author_id=event.user_id,
        author_login=event.login,
        author_name=event.name or event.login,
        role=Role.EVERYONE,
        text=event.text,
    )


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", repr(handler))
