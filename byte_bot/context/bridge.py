"""The one way from another thread to a channel's state.

A synchronous dashboard handler, say, runs on a thread of its own. It must not read a state while a handler changes
it, must not hold chat while it thinks, and cannot await. So it hands over a *function*, which runs on the main loop,
under the channel's lock, as a transaction of its own::

    def add_death(context: ChannelContext) -> int:
        deaths = context.state(Deaths)
        deaths.total += 1
        return deaths.total

    total = bridge.change("141981764", add_death)

The function must be synchronous and short: it runs between two messages of the channel. What it returns must be plain
data or a copy; the states themselves belong to the loop. ``change`` returns when the journal has committed the change,
not when the database has it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable
from typing import TypeVar

from byte_bot.context.channel import ChannelContext
from byte_bot.context.manager import ContextManager
from byte_bot.errors import BridgeError

T = TypeVar("T")


class ContextBridge:
    """See the module's docstring.

    Args:
        manager: the contexts; its loop must be bound.
        timeout_s: how long a call may take unless it says otherwise, seconds.
    """

    def __init__(self, manager: ContextManager, *, timeout_s: float = 5.0) -> None:
        self._manager = manager
        self._timeout_s = timeout_s
        self._changes = 0

    def change(
        self, channel_id: str, function: Callable[[ChannelContext], T], *, timeout_s: float | None = None
    ) -> T:
        """Run ``function`` on the channel's context as a transaction, from another thread; its result.

        Raises:
            BridgeError: called on a loop's own thread, no loop bound, loop closed, or no result within the timeout;
                the message says whether the change was made: if it was, only the journal's word is missing.
        """
        return self._call(channel_id, function, timeout_s, commit=True)

    def read(
        self, channel_id: str, function: Callable[[ChannelContext], T], *, timeout_s: float | None = None
    ) -> T:
        """Run ``function`` to look at the context; what it changes is rolled back."""
        return self._call(channel_id, function, timeout_s, commit=False)

    def _call(
        self,
        channel_id: str,
        function: Callable[[ChannelContext], T],
        timeout_s: float | None,
        *,
        commit: bool,
    ) -> T:
        if inspect.iscoroutinefunction(function):
            raise BridgeError(
                "the bridge takes a synchronous function: it runs on the chat's loop under a lock"
            )
        loop = self._manager.loop
        if loop is None:
            raise BridgeError("the main loop is not bound yet: the bot has not started")
        if loop.is_closed():
            raise BridgeError("the main loop is closed: the bot has stopped")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise BridgeError("the bridge is for other threads; on a loop use `async with context.lock`")
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        # Whoever takes it first decides: the loop begins with the change, or the caller gives up.
        turn = threading.Lock()
        future = asyncio.run_coroutine_threadsafe(self._on_loop(channel_id, function, commit, turn), loop)
        try:
            return future.result(limit_s)
        except concurrent.futures.TimeoutError:
            outcome = "not made" if turn.acquire(blocking=False) else "made, and is not in the journal yet"
            future.cancel()
            raise BridgeError(
                f"channel {channel_id}: no result within {limit_s:g} s; the change was {outcome}"
            ) from None

    async def _on_loop(
        self, channel_id: str, function: Callable[[ChannelContext], T], commit: bool, turn: threading.Lock
    ) -> T:
        context = await self._manager.get(channel_id)
        async with context.lock:
            if not turn.acquire(blocking=False):
                raise asyncio.CancelledError  # the caller has given up, and was told that nothing was changed
            context.begin()
            try:
                result = function(context)
                if not commit:
                    context.rollback()
                    return result
                self._changes += 1
                context.stage(f"bridge-{self._manager.layer.epoch}-{self._changes}")
                sequence = context.seal()
            except BaseException:
                context.rollback()
                raise
            finally:
                context.end()
        await self._manager.layer.journal.wait(sequence)
        return result
