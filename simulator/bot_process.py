"""A bot in a process of its own, as its users start it: a command line, environment variables, and a log.

`BotProcess` starts the command in an environment that holds nothing but what is given (and what a program needs to start at
all), in a directory of its own, so that no settings of this machine reach it. Its standard error is read line by line: a
line that is a JSON object goes to `on_event`; the newest lines are kept for error messages. Leaving the context asks the
process to end (SIGTERM), and kills it after `STOP_S`.

Knows nothing of `byte_bot`: any bot that logs JSON lines will do.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

STOP_S = 10.0  # as long as containers wait between SIGTERM and SIGKILL
LINE_BYTES_MAX = 1 << 20  # a longer log line ends the reading of the log, not the bot
LINES_KEPT = 40

# What a program needs to start at all, on Unix and on Windows; everything else of our environment stays here.
KEPT_VARIABLES = ("PATH", "PYTHONPATH", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "TMPDIR")


class BotProcess:
    """See the module's docstring; times in seconds.

    `variables` are the bot's settings as environment variables; `on_event` gets every JSON object that it logs;
    with `all_output` its standard output is read too, as part of the log.
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        directory: Path,
        on_event: Callable[[Mapping[str, Any]], object],
        *,
        all_output: bool = False,
    ) -> None:
        self._command = tuple(command)
        self._all_output = all_output
        self._environment = clean_environment(os.environ, variables)
        self._directory = directory
        self._on_event = on_event
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.exit_code: int | None = None

    async def __aenter__(self) -> BotProcess:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if self._all_output else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.STDOUT if self._all_output else asyncio.subprocess.PIPE,
            env=self._environment,
            cwd=self._directory,
            limit=LINE_BYTES_MAX,
        )
        self._reading = asyncio.create_task(self._read(self._process), name="bot-log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None, "enter the context first"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process is not None and self._process.returncode is None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The newest lines of its log, oldest first."""
        return tuple(self._lines)

    async def wait(self) -> int:
        """Wait until the process has ended and its log is read; the exit code (negative: the signal that killed it)."""
        assert self._process is not None and self._reading is not None, "enter the context first"
        self.exit_code = await self._process.wait()
        # Shielded: who waits may give up, the log is read all the same.
        await asyncio.shield(self._reading)
        return self.exit_code

    async def stop(self, within_s: float = STOP_S) -> int:
        """Ask the process to end, kill it if it has not `within_s`; the exit code. May be called again."""
        assert self._process is not None, "enter the context first"
        if self._process.returncode is None:
            self._signal(self._process.terminate)
            try:
                async with asyncio.timeout(within_s):
                    await self._process.wait()
            except TimeoutError:
                self._signal(self._process.kill)
        return await self.wait()

    async def kill(self) -> int:
        """End the process without a chance to clean up (SIGKILL); the exit code."""
        assert self._process is not None, "enter the context first"
        if self._process.returncode is None:
            self._signal(self._process.kill)
        return await self.wait()

    @staticmethod
    def _signal(send: Callable[[], None]) -> None:
        try:
            send()
        except ProcessLookupError:
            pass  # it ended in this very moment

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        log = process.stdout if self._all_output else process.stderr
        assert log is not None
        try:
            async for raw in log:
                line = raw.decode("utf-8", "replace").rstrip()
                self._lines.append(line)
                event = _object(line)
                if event is not None:
                    self._on_event(event)
        except ValueError:
            self._lines.append(
                f"(a line of its log is longer than {LINE_BYTES_MAX} bytes; the rest is not shown)"
            )
            # Read on and forget, or the bot would stop at a full pipe.
            while await log.read(LINE_BYTES_MAX):
                pass


def clean_environment(ours: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a bot that must see nothing of this machine's settings."""
    kept = {name: ours[name] for name in KEPT_VARIABLES if name in ours}
    return {**kept, "PYTHONUTF8": "1", **variables}


def _object(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
