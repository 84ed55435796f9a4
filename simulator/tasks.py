"""The task class of the virtual loop, the order of its steps, and how a suspended task is shown to a human."""

from __future__ import annotations

import asyncio
import hashlib
from asyncio import events
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, TypeVarTuple

from simulator.process import Process
from simulator.rng import SeedTree

_REPR_CHARS_MAX = 300
_KEY_BYTES = 8

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class TaskCount:
    """Counts tasks: all of them, and those of one coroutine function."""

    def __init__(self) -> None:
        self.made = 0
        self._made_of: dict[str, int] = {}

    def take(self, coroutine: Coroutine[Any, Any, Any]) -> tuple[int, str]:
        """A new task's number, and what it is known by: its function, and how many tasks that has had."""
        self.made += 1
        name = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
        nth = self._made_of[name] = self._made_of.get(name, 0) + 1
        return self.made, f"{name}#{nth}"


class VirtualTask(asyncio.Task[Any]):
    """A task that hashes by its number, so that sets of tasks iterate alike in every run, and knows its process."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        *,
        number: int,
        known_as: str,
        process: Process | None,
        **options: Any,
    ) -> None:
        # Before super(): asyncio puts the task into a set while it is being made.
        self.number = number
        self.known_as = known_as
        self.process = process
        self.abandoned = False
        if options.get("name") is None:
            options["name"] = (
                f"Task-{number}"  # asyncio's own counter is shared by all worlds of one interpreter
            )
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self.number


def task_of(handle: asyncio.Handle) -> VirtualTask | None:
    """Return the task whose step or wake-up `handle` is, or None for any other callback."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return owner if isinstance(owner, VirtualTask) else None


def permute_steps(batch: list[asyncio.Handle], arrange: Callable[[list[asyncio.Handle]], None]) -> None:
    """Rearrange the steps of tasks among their places; other callbacks stay, so that each transport's order holds.

    A step that waits for a future stays behind the future's other callbacks, too: asyncio takes a socket out of the
    selector in one, and a task that goes on before it would have the socket reported as writable for ever.
    """
    tidied: list[object] = []
    places = []
    for place, handle in enumerate(batch):
        awaited = _awaited(handle)
        if task_of(handle) is None:
            tidied.append(awaited)
        elif awaited is None or not any(awaited is other for other in tidied):
            places.append(place)
    if len(places) < 2:
        return
    steps = [batch[place] for place in places]
    arrange(steps)
    for place, step in zip(places, steps, strict=True):
        batch[place] = step


class StepOrder:
    """Puts the steps of tasks into an order that follows from a seed, and for two tasks from nothing but themselves.

    The key of a step is a hash of the seed, the instant, the task's function and number among its kind, and how many of
    its steps came before at this instant. Not draws from one generator: there a task more, of the database say, would
    move the draws of all that follow, and two worlds that differ in it alone would differ in everything.
    """

    def __init__(self, seeds: SeedTree, now_us: Callable[[], int]) -> None:
        self._secret = seeds.integer("loop.ready_order").to_bytes(16, "big")
        self._now_us = now_us
        self._instant_us = -1
        self._taken: dict[str, int] = {}

    def permute(self, batch: list[asyncio.Handle]) -> None:
        """Rearrange the steps of tasks in a batch, see :func:`permute_steps`."""
        permute_steps(batch, self._arrange)

    def _arrange(self, steps: list[asyncio.Handle]) -> None:
        now_us = self._now_us()
        if now_us != self._instant_us:
            self._instant_us = now_us
            self._taken.clear()
        keys = {id(step): self._key(step) for step in steps}
        steps.sort(key=lambda step: keys[id(step)])

    def _key(self, step: asyncio.Handle) -> bytes:
        task = task_of(step)
        known_as = task.known_as if task is not None else ""
        nth = self._taken[known_as] = self._taken.get(known_as, 0) + 1
        text = f"{self._instant_us} {nth} {known_as}"
        return hashlib.blake2b(text.encode(), key=self._secret, digest_size=_KEY_BYTES).digest()


def _awaited(handle: asyncio.Handle) -> asyncio.Future[Any] | None:
    """The future of which the handle is a callback, if it is one."""
    arguments = handle._args
    return arguments[0] if arguments and asyncio.isfuture(arguments[0]) else None


async def inline_job(loop: asyncio.AbstractEventLoop, func: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
    """Run a blocking function as an executor's thread would see the world: without a running loop."""
    events._set_running_loop(None)
    try:
        return func(*args)
    finally:
        events._set_running_loop(loop)


def cancel_and_wait(loop: asyncio.AbstractEventLoop, tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks of a stopped loop and run it until they have ended; failures go to its exception handler."""
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            message = "a task failed while the world was cleaned up"
            loop.call_exception_handler({"message": message, "exception": task.exception(), "task": task})


def describe(task: asyncio.Task[Any]) -> str:
    """Say where a task is suspended: its chain of awaits, outermost first, and what it waits for."""
    lines = [f"  {task.get_name()}:"]
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            lines.append(f"    {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}")
        elif not hasattr(awaited, "cr_await") and not hasattr(awaited, "gi_yieldfrom"):
            lines.append(f"    awaits {awaited!r}"[:_REPR_CHARS_MAX])
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return "\n".join(lines)
