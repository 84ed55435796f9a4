"""The channels' inboxes, and the workers that empty them.

How it works. What arrives for a channel waits in its inbox; a channel whose inbox is not empty stands in the line of
*ready* channels. A worker takes the channel at the head, handles **one** entry, and puts the channel back at the end if
more waits: entries of one channel are handled in order and one at a time, and no channel keeps the others waiting.

Nearly every entry is handled without waiting for anything, so one worker runs through a whole burst in one go, without
a task or a turn of the loop for each. When a handler does wait (it awaits something, its channel is locked, a first load
is under way), whoever makes it wait says so with :meth:`Inboxes.hand_over`, and another worker goes on with the others.
There are as many workers as entries that wait, and a few that rest until they are called.

After :data:`BURST_MAX` entries a worker lets the loop do something else: answers leave, and what Twitch sent is read.

Bounds: :data:`INBOX_MAX` entries a channel, newer ones are dropped and counted; workers are no more than channels with
entries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from byte_bot.chat.message import ChatMessage, ChatNotice
from byte_bot.components.api import Handler

#: Messages that may wait in one channel; chosen: 5 s of the busiest chats. Newer ones are dropped and counted.
INBOX_MAX = 500
#: Entries handled before the loop gets its turn; chosen: about 2 ms.
BURST_MAX = 32
#: Workers that rest for the next burst; chosen: waking one is cheaper than making one, more are hardly ever needed.
RESTING_MAX = 4

_log = structlog.get_logger(__name__)


class Returned(msgspec.Struct, frozen=True):
    """Slow work came back: the method that takes it, its result or error, and the message that had asked for it."""

    message: ChatMessage
    handler: Handler
    result: Any


class Waiting(msgspec.Struct, frozen=True):
    """An inbox entry: what happened, and the loop time (s) at which it arrived."""

    event: ChatMessage | ChatNotice | Returned
    at_s: float


class Inboxes:
    """See the module's docstring.

    Args:
        handle: what is done with one entry; an exception costs that entry only.
        count: told the name of a counter when an entry is dropped or fails.
    """

    def __init__(
        self, handle: Callable[[str, Waiting], Awaitable[None]], count: Callable[[str], None]
    ) -> None:
        self._handle = handle
        self._count = count
        #: A channel is in here exactly as long as entries of it wait or are being handled.
        self._inboxes: dict[str, deque[Waiting]] = {}
        self._ready: deque[str] = deque()
        self._resting: list[asyncio.Future[None]] = []
        #: True from the call of a worker until it has arrived.
        self._called = False
        self._tasks: asyncio.TaskGroup | None = None
        self._accepting = True
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, channel_id: str, event: ChatMessage | ChatNotice | Returned) -> None:
        """Have an event handled after those of its channel that came before; never waits."""
        if not self._accepting:
            self._count("dropped_shutting_down")
            return
        inbox = self._inboxes.get(channel_id)
        if inbox is None:
            inbox = self._inboxes[channel_id] = deque()
            self._ready.append(channel_id)
            self._empty.clear()
            self._call_worker()
        elif len(inbox) >= INBOX_MAX:
            self._count("dropped_inbox_full")
            return
        inbox.append(Waiting(event, asyncio.get_running_loop().time()))

    def hand_over(self) -> None:
        """What is being handled is about to wait: let another worker go on with the other channels."""
        if self._ready:
            self._call_worker()

    async def run(self) -> None:
        """Own the workers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                self.hand_over()
                await asyncio.get_running_loop().create_future()
            finally:
                # Inside the group: one that ends takes no more tasks.
                self._tasks = None

    async def drain(self, timeout_s: float) -> int:
        """Accept nothing more and wait until every inbox is empty, at most ``timeout_s``; how many entries are left."""
        self._accepting = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            pass
        return sum(len(inbox) for inbox in self._inboxes.values())

    def _call_worker(self) -> None:
        """See to it that a worker comes by; once for everybody who asks before it has come."""
        if self._called or self._tasks is None:
            return
        self._called = True
        if self._resting:
            self._resting.pop().set_result(None)
        else:
            self._tasks.create_task(self._work(), name="inbox-worker")

    async def _work(self) -> None:
        """Handle what is ready, then rest; the workers beyond :data:`RESTING_MAX` go."""
        try:
            while True:
                await self._handle_ready()
                if len(self._resting) >= RESTING_MAX:
                    return
                called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._resting.append(called)
                try:
                    await called
                except asyncio.CancelledError:
                    if called in self._resting:
                        self._resting.remove(called)
                    raise
        finally:
            # A handler may have cancelled its own worker: the other channels must not pay for it.
            self._called = False
            self.hand_over()

    async def _handle_ready(self) -> None:
        self._called = False
        handled = 0
        while self._ready:
            channel_id = self._ready.popleft()
            inbox = self._inboxes[channel_id]
            try:
                await self._handle(channel_id, inbox[0])
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and being_cancelled():
                    raise
                # Supervisor: a defect here costs one message, not the channel.
                _log.exception("message_failed", channel_id=channel_id)
                self._count("messages_failed")
            finally:
                # Whatever happened: a channel that is neither ready nor gone would be deaf.
                self._go_on(channel_id, inbox)
            handled += 1
            if handled % BURST_MAX == 0:
                # Nobody else needs to be called: this worker is back at once.
                self._called = True
                await asyncio.sleep(0)
                self._called = False

    def _go_on(self, channel_id: str, inbox: deque[Waiting]) -> None:
        """One channel's oldest entry has been handled."""
        inbox.popleft()
        if inbox:
            self._ready.append(channel_id)
        else:
            del self._inboxes[channel_id]
            if not self._inboxes:
                self._empty.set()


def being_cancelled() -> bool:
    """True if somebody cancels the running task; False if a CancelledError only came out of what it awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
