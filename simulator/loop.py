"""How a program runs in virtual time: `run(main())` instead of `asyncio.run(main())`.

    async def story() -> None:
        loop = current_loop()
        bot = loop.spawn("bot", start_the_bot())     # a process: everything it starts belongs to it
        await asyncio.sleep(3_600)                   # an hour, at once
        loop.kill_process("bot")                     # crash: no `finally` runs
        assert await bot.wait() == "killed"

    def test_story() -> None:
        run(story(), seed=7)

The loop itself is in `virtual_loop.py`, processes and crashes in `process.py`. In a test suite either write plain
tests that call `run`, or decorate coroutines with `in_virtual_time()`; whatever takes a loop factory
(`asyncio.Runner(loop_factory=new_loop)`) takes `new_loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from simulator.errors import SimulatorError
from simulator.garbage import garbage_held
from simulator.process import Process, current_process, outside
from simulator.timers import Limits
from simulator.virtual_loop import ReadyOrder, VirtualLoop

__all__ = [
    "START_UNIX_S",
    "Limits",
    "Process",
    "ReadyOrder",
    "VirtualLoop",
    "current_loop",
    "current_process",
    "in_virtual_time",
    "new_loop",
    "outside",
    "run",
]

START_UNIX_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z: any fixed instant would do

_T = TypeVar("_T")
_P = ParamSpec("_P")


def new_loop(
    *,
    seed: int = 0,
    hybrid: bool = False,
    ready_order: ReadyOrder = "fifo",
    start_unix_s: float = START_UNIX_S,
    limits: Limits | None = None,
) -> VirtualLoop:
    """Make a virtual loop at t = 0 s; the arguments are those of `run`."""
    if ready_order not in ("fifo", "random"):
        raise ValueError(f"ready_order is {ready_order!r}; it must be 'fifo' or 'random'")
    return VirtualLoop(
        seed=seed, hybrid=hybrid, ready_order=ready_order, start_unix_s=start_unix_s, limits=limits
    )


def current_loop() -> VirtualLoop:
    """Return the running virtual loop; raises SimulatorError if another kind of loop is running."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise SimulatorError(
            f"this needs virtual time, but {loop!r} is running; start it with simulator.loop.run"
        )
    return loop


def run(
    main: Coroutine[Any, Any, _T],
    *,
    seed: int = 0,
    hybrid: bool = False,
    ready_order: ReadyOrder = "fifo",
    start_unix_s: float = START_UNIX_S,
    limits: Limits | None = None,
    strict: bool = True,
) -> _T:
    """Run `main` in a new virtual loop and return its result, as `asyncio.run` does.

    `seed` is the root of `loop.seeds`; `hybrid` allows real loopback sockets; `ready_order="random"` permutes, by the
    seed, the steps of tasks that are ready in the same iteration; `start_unix_s` is the wall time at t = 0 in seconds
    since 1970. Afterwards all tasks are cancelled, asynchronous generators closed and garbage collected. With `strict`,
    failures that nobody handled raise UnhandledError (or are added as a note to what `main` raised). Raises
    WorldStuckError when `main` cannot end.
    """
    if events._get_running_loop() is not None:
        main.close()
        raise SimulatorError("run() was called while an event loop is running in this thread")
    with garbage_held():
        loop = new_loop(
            seed=seed, hybrid=hybrid, ready_order=ready_order, start_unix_s=start_unix_s, limits=limits
        )
        try:
            return _run(loop, main, strict)
        finally:
            del loop, main
            # The world itself, while the collector looks at nothing else: afterwards that would take ten times as long.
            gc.collect()


def _run(loop: VirtualLoop, main: Coroutine[Any, Any, _T], strict: bool) -> _T:
    with contextlib.closing(loop):
        try:
            result = loop.run_until_complete(loop.create_task(main, name="main"))
        except BaseException as error:
            _end_after_error(loop, error)
            raise
        loop.clean_up()
        gc.collect()  # while the loop lives: a task that failed unnoticed says so when it is collected
        if strict:
            loop.failures.raise_all()
    return result


def _end_after_error(loop: VirtualLoop, error: BaseException) -> None:
    """Clean up after a failed run without hiding why it failed."""
    try:
        loop.clean_up()
        gc.collect()
        loop.failures.raise_all()
    except SimulatorError as other:
        error.add_note(f"and while the world was cleaned up: {other}")


def in_virtual_time(
    **options: Any,
) -> Callable[[Callable[_P, Coroutine[Any, Any, None]]], Callable[_P, None]]:
    """Turn an `async def` test into a plain one that runs in virtual time; takes the options of `run`."""

    def decorate(body: Callable[_P, Coroutine[Any, Any, None]]) -> Callable[_P, None]:
        @functools.wraps(body)
        def test(*args: _P.args, **kwargs: _P.kwargs) -> None:
            run(body(*args, **kwargs), **options)

        return test

    return decorate
