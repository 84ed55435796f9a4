"""Simulated processes: whose task is this, and how does it die without running a single `finally`.

How it works. A context variable names the process that a piece of code belongs to. Tasks and callbacks inherit their
creator's context, so everything that a bot's root task starts, directly or not, carries the bot's `Process`. The loop
looks at it before it runs a callback: once a process is killed, nothing of it runs again, whoever wakes it.

A crash runs no `finally`, but Python's garbage collection does: a suspended coroutine that loses its last reference
is closed, and closing runs its `finally` blocks. So the `Graveyard` holds strong references to whatever belonged to a
killed process until the world has ended, and only then closes it, in silence.

What it leaves out. Memory is shared: objects of a killed process can still be *called* by others, and a lock or
queue shared by two processes may hand its item to a dead waiter. Processes of one world should meet on the network
only; a fake that is called directly does its side's work with `outside()`. A process that kills itself runs on until
its next suspension.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import sys
import warnings
import weakref
from asyncio import events
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Literal, TypeVar

_T = TypeVar("_T")

# How often a coroutine that awaits inside `finally` is closed again before it is left to itself.
_CLOSE_ATTEMPTS_MAX = 50


class Process:
    """One incarnation of a simulated process; made by `VirtualLoop.spawn`."""

    __slots__ = ("__weakref__", "_awaited", "_exit", "ended_s", "incarnation", "killed", "name", "root")

    def __init__(self, name: str, incarnation: int, exit_future: asyncio.Future[None]) -> None:
        self.name = name
        self.incarnation = incarnation
        self.killed = False
        #: When it ended, however; None before.
        self.ended_s: float | None = None
        self.root: asyncio.Task[Any] | None = None
        self._exit = exit_future
        self._awaited = False

    @property
    def running(self) -> bool:
        """Whether the root task is neither done nor killed."""
        return not self.killed and not self._exit.done()

    async def wait(self) -> Literal["finished", "killed"]:
        """Wait until the process has ended; raises what its root task raised, if it ended by itself."""
        await asyncio.shield(self._exit)
        if self.killed:
            return "killed"
        assert self.root is not None
        assert self.root.done()
        self._awaited = True
        self.root.result()
        return "finished"

    def unnoticed_error(self) -> BaseException | None:
        """Return what ended this process, if it was an error of its own and nobody has called `wait`."""
        root = self.root
        if self._awaited or self.killed or root is None or not root.done() or root.cancelled():
            return None
        return root.exception()

    def mark_exited(self) -> None:
        """Release whoever waits for the end of this process; called by the loop."""
        if not self._exit.done():
            self.ended_s = self._exit.get_loop().time()
            self._exit.set_result(None)

    def __repr__(self) -> str:
        state = "killed" if self.killed else "running" if self.running else "finished"
        return f"<Process {self.name}#{self.incarnation} {state}>"


_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("simulated_process", default=None)


def current_process() -> Process | None:
    """Return the process that the running code belongs to, or None for the world itself."""
    return _PROCESS.get()


def process_in(context: contextvars.Context) -> Process | None:
    """Return the process whose code runs in `context`."""
    return context.get(_PROCESS)


def process_of(handle: asyncio.Handle) -> Process | None:
    """Return the process that a scheduled callback belongs to."""
    return process_in(handle._context)  # type: ignore[attr-defined]


def context_for(process: Process | None) -> contextvars.Context:
    """Return a copy of the current context that belongs to `process` (None: to the world)."""
    context = contextvars.copy_context()
    context.run(_PROCESS.set, process)
    return context


def outside(coroutine: Coroutine[Any, Any, _T], *, name: str | None = None) -> asyncio.Task[_T]:
    """Run a coroutine as a task of the world, so that it survives a crash of the process that asked for it.

    A fake server that is called inside its client's task (an httpx transport) does its work this way: a request that
    was sent is carried out, whether or not its sender lives to read the answer. Works on every asyncio loop. The
    caller keeps the task and awaits it.
    """
    return asyncio.get_running_loop().create_task(coroutine, name=name, context=context_for(None))


async def run_root(
    coroutine: Coroutine[Any, Any, _T], live_tasks: Callable[[], Sequence[asyncio.Task[Any]]]
) -> _T:
    """Run the root of a process, and cancel the tasks it leaves behind, as `asyncio.run` does."""
    try:
        return await coroutine
    finally:
        if leftovers := [task for task in live_tasks() if task is not asyncio.current_task()]:
            for task in leftovers:
                task.cancel()
            await asyncio.gather(*leftovers, return_exceptions=True)


class Graveyard:
    """Keeps what belonged to killed processes, so that none of it is finalised while the world lasts."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._closed: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._things: list[object] = []
        self.closing = False

    def __contains__(self, task: object) -> bool:
        return task in self._tasks or task in self._closed

    def bury(self, task: asyncio.Task[Any]) -> None:
        """Hold a task that must never run again."""
        # Without this, asyncio reports "Task was destroyed but it is pending" when the world lets go of it.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks[task] = None

    def keep(self, things: Iterable[object]) -> None:
        """Hold other things whose finalisers must not run: dropped callbacks, asynchronous generators, transports."""
        self._things.extend(things)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let everything go, once the world has ended; what late finalisers report is of no interest to anybody."""
        if not self._tasks and not self._things:
            return
        hook = sys.unraisablehook
        self.closing = True
        sys.unraisablehook = _ignore_unraisable
        # A `finally` that asks for the loop gets this one: without it, asyncio would make a real one and leave it open.
        events._set_running_loop(loop)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                while self._tasks:
                    task, _ = self._tasks.popitem()  # newest first: children before the groups that own them
                    self._closed.add(task)
                    _close_quietly(task.get_coro(), loop)
                self._things.clear()
                gc.collect()
        finally:
            events._set_running_loop(None)
            sys.unraisablehook = hook
            self.closing = False


def _close_quietly(coroutine: object, loop: asyncio.AbstractEventLoop) -> None:
    """Close a suspended coroutine although its `finally` blocks may await ("ignored GeneratorExit") or fail."""
    if not inspect.iscoroutine(coroutine):
        return
    for _ in range(_CLOSE_ATTEMPTS_MAX):
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED:
            return
        # As a callback: whatever it raises goes to the loop's exception handler, which is told to ignore it.
        events.Handle(coroutine.close, (), loop)._run()


def _ignore_unraisable(_unraisable: object) -> None:
    """Stands in for sys.unraisablehook while the dead are finalised."""
