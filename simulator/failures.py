"""What failed in a world without anybody noticing: callbacks, and tasks whose result nobody asked for.

asyncio logs such failures and goes on, which in a test is the same as hiding them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from simulator.errors import UnhandledError
from simulator.process import Process
from simulator.tasks import VirtualTask


class Failures:
    """Collects what an event loop gives its exception handler."""

    def __init__(self) -> None:
        self._noted: list[tuple[float, dict[str, Any]]] = []

    def note(self, at_s: float, context: dict[str, Any]) -> None:
        """Note one call of the exception handler at virtual time `at_s` in seconds."""
        if isinstance(context.get("exception"), asyncio.CancelledError):
            return  # Python 3.11's start_server reports the cancellation of a handler as an error
        task = context.get("task") or context.get("future")
        if isinstance(task, VirtualTask) and task.process is not None and task.process.killed:
            return  # nobody is left who could have asked for its result
        self._noted.append((at_s, context))

    def note_death(self, at_s: float, process: Process | None) -> None:
        """Note the error that ended a process, if nobody has asked for it; `at_s` is now, the death may be long past."""
        if process is not None and (error := process.unnoticed_error()) is not None:
            died_s = at_s if process.ended_s is None else process.ended_s
            self._noted.append((died_s, {"message": f"{process} died of an error", "exception": error}))

    def raise_all(self) -> None:
        """Raise UnhandledError, caused by the first failure, if anything was noted; forgets it."""
        noted, self._noted = self._noted, []
        if not noted:
            return
        noted.sort(key=lambda one: one[0])  # a death is noted late, and dated back
        lines = [
            f"  t={at_s:.6f} s: {entry.get('message')}: {entry.get('exception')!r}" for at_s, entry in noted
        ]
        causes = [entry["exception"] for _, entry in noted if entry.get("exception") is not None]
        words = "\n".join(["failures that nobody handled:", *lines])
        raise UnhandledError(words, noted[0][0]) from (causes or [None])[0]
