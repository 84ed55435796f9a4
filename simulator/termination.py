"""SIGTERM as a cancellation: what a coroutine started (bots, fakes) ends with it, as after Ctrl-C, and is not left behind."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def cancelled_by_sigterm(main: Coroutine[Any, Any, _T]) -> _T:
    """Await `main` in this task, which SIGTERM cancels meanwhile; the handler of before is put back.

    For the main thread only, where Python runs signal handlers. Ctrl-C is asyncio's own business.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def terminate(*_: object) -> None:
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        return await main
    finally:
        signal.signal(signal.SIGTERM, before)
