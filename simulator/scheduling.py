"""What a loop of virtual time is asked to call: at once, or at an instant of its own clock.

How it works. A simulated world makes a dozen handles for each line of chat. asyncio's make a timer twice over, as a handle and then as
a timer, and ask their loop for its debug mode each time; the ones here fill in the same fields at once, and run and show themselves as
asyncio's do. A loop in debug mode, which wants to know where a handle was made, uses asyncio's. Timers wait in `timers.py`.

What it leaves out: when the clock moves, and what runs in which iteration; that is `virtual_loop.py`.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import selectors
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

from simulator.timers import Timers

_Ts = TypeVarTuple("_Ts")
_HandleT = TypeVar("_HandleT", bound=asyncio.Handle)


class SoonHandle(asyncio.Handle):
    """What `call_soon` returns."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._cancelled = False
        self._repr: str | None = None
        self._source_traceback = None


class LaterHandle(asyncio.TimerHandle):
    """What `call_at` and `call_later` return."""

    __slots__ = ()

    def __init__(
        self,
        when_s: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: SchedulingLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._cancelled = False
        self._repr: str | None = None
        self._source_traceback = None
        self._when = when_s
        self._scheduled = False

    def cancel(self) -> None:
        """Let go of the callback; it is never called."""
        if not self._cancelled:
            self._cancelled = True
            self._loop._timer_handle_cancelled(self)
            self._callback = None
            self._args = ()


class SchedulingLoop(asyncio.SelectorEventLoop):
    """The part of a virtual loop that takes in callbacks; see the module's docstring."""

    _closed: bool
    _debug: bool
    _ready: collections.deque[asyncio.Handle]

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._timers = Timers()
        super().__init__(selector)

    def time(self) -> float:
        """Return the virtual time in seconds: the whole microsecond, or the deadline just reached if noise put it later."""
        return self._timers.now_s

    def time_us(self) -> int:
        """Return the virtual time in microseconds, exactly."""
        return self._timers.now_us

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Schedule a callback for the next iteration, in the order of the calls."""
        if self._debug or self._closed:
            return _made_by_caller(super().call_soon(callback, *args, context=context))
        handle = SoonHandle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Schedule a callback at virtual time `when` in seconds; ties fire in the order in which they were made."""
        self._check_closed()  # type: ignore[attr-defined]
        timer: asyncio.TimerHandle
        if self._debug:
            timer = _made_by_caller(asyncio.TimerHandle(when, callback, args, self, context))
        else:
            timer = LaterHandle(when, callback, args, self, context)
        self._timers.add(timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]
            self._timers.note_cancelled()


def _made_by_caller(handle: _HandleT) -> _HandleT:
    """Take the frame of our method off what a handle in debug mode says about its origin."""
    del handle._source_traceback[-1]  # type: ignore[attr-defined]
    return handle
