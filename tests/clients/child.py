"""A child process that prints one JSON line after another, and may be told things on its standard input.

Drivers and ``byte-sim serve`` are both such. What it prints is kept; :meth:`Child.until` waits for a line that fits, whether it came
already or comes later, and gives up after its limit or when the process is gone. Lines that are no JSON objects (a library's own
log, a traceback) are kept apart, for whoever has to explain a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from simulator.bot_process import clean_environment

#: Seconds a process may take to end once its input is closed; then it is killed.
FAREWELL_S: Final = 3.0
#: Lines of other output that are kept; the oldest go.
OTHER_LINES_MAX: Final = 40
LINE_BYTES_MAX: Final = 1 << 20

Line = Mapping[str, Any]


class Child:
    """One running process; made by :func:`running`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._changed = asyncio.Event()
        self.lines: list[Line] = []
        self.other: deque[str] = deque(maxlen=OTHER_LINES_MAX)
        self.ended = False

    async def read(self) -> None:
        """Take what it prints until it ends."""
        assert self._process.stdout is not None
        try:
            async for raw in self._process.stdout:
                self._take(raw.decode("utf-8", "replace").rstrip())
        finally:
            self.ended = True
            self._changed.set()

    def _take(self, text: str) -> None:
        try:
            value = json.loads(text) if text.startswith("{") else None
        except ValueError:
            value = None
        if isinstance(value, dict):
            self.lines.append(value)
        else:
            self.other.append(text)
        self._changed.set()

    async def until(self, wanted: Callable[[Line], bool], within_s: float, *, after: int = 0) -> Line | None:
        """The first line that is ``wanted``, from number ``after`` on; None if none came within so many seconds."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        looked_at = after
        while True:
            for line in self.lines[looked_at:]:
                looked_at += 1
                if wanted(line):
                    return line
            if self.ended:
                return None
            self._changed.clear()
            try:
                async with asyncio.timeout_at(deadline_s):
                    await self._changed.wait()
            except TimeoutError:
                return None

    async def tell(self, order: Mapping[str, Any]) -> None:
        """Write one JSON line to its input; a process that is gone hears nothing."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()

    async def end(self) -> None:
        """Close its input, which ends a driver; end it by force if that does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.returncode is None:
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await self._process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()

    def interrupt(self) -> None:
        """SIGTERM, for a program that does not listen to its input."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str], variables: Mapping[str, str], directory: Path
) -> AsyncIterator[Child]:
    """Start a process that sees these variables and nothing of this machine's settings; it ends with the context."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=clean_environment(os.environ, variables),
        cwd=directory,
        limit=LINE_BYTES_MAX,
    )
    child = Child(process)
    reader = asyncio.create_task(child.read(), name=f"output of {command[0]}")
    try:
        yield child
    finally:
        await child.end()
        await reader
