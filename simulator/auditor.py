"""Raises when code in a world reaches for what no seed governs: a wall clock, unseeded randomness, a thread.

How it works. Every world runs within an `Auditor` (`World.standing`). While it is entered, guards (`guards.py`) stand in front
of the sources; who calls one gets `NotReplayableError`, with the stack, unless `ALLOWED` names the module that called, with
the reason why nothing that is compared can depend on it. A supervisor of the bot that catches the error and goes on hides nothing:
the auditor keeps the first one and the world fails with it in the end.

Modules that pass a request on (``uuid4`` asks ``os.urandom``, ``random.Random()`` itself) are looked through: what counts is who
asked them. Threads that ran before the world (a test runner's watchdog) are no part of it and may do what they like.

What it leaves out: what `guards.py` cannot see; the order of sets, ``hash`` and ``id``, the collector, the file system's order and what SQL
asks SQLite for (``random()``, ``'now'``), which the syntax-tree rules look for in our own code and the trace shows in a component's; real sockets and files, which a
component may open (the loop refuses sockets in memory worlds).
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Final

from simulator.errors import NotReplayableError
from simulator.guards import Guards, Kind, Source, process_guards

#: Frames of the stack that the error shows, the innermost: a handler's way through the bot takes about ten.
STACK_FRAMES_MAX: Final = 20


@dataclass(frozen=True)
class Allowance:
    """Whoever may read a source: the modules on the stack from the call outwards (with their submodules), and why."""

    callers: tuple[str, ...]
    reason: str


ALLOWED: Final = (
    Allowance(("httpx",), "Response.elapsed, which nobody reads"),
    Allowance(("httpcore",), "the age of idle connections; in a world (tcp) they have no age limit to compare with"),
    Allowance(("http.cookiejar",), "the age of cookies; the fakes set none"),
    Allowance(("supabase_auth",), "a listener's key in a dictionary of one; never shown, compared or iterated"),
    Allowance(
        ("twitchio.backoff",), "a generator for pauses that TwitchIO never takes: connecting again is the bot's own"
    ),
    Allowance(
        ("twitchio.eventsub",), "when the last message came: the bot looks only whether that has changed"
    ),
    Allowance(
        ("aiohttp.connector",),
        "the age of idle connections, at most 15 s of the machine's: the fakes close them after 5 s of the world's",
    ),
    Allowance(("aiohttp.client",), "the key of a WebSocket's handshake, which its server only hashes"),
    Allowance(("aiohttp._websocket",), "the masks of what a client sends, which its server takes off again"),
    Allowance(("websockets.protocol",), "a connection's id for its log; the same as below"),
    Allowance(("logging",), "the time in a log record; the log is no part of a run's trace"),
    Allowance(("structlog",), "the time stamps of structlog's default set-up; the same"),
    Allowance(("byte_bot.clock", "byte_bot.logs"), "the time stamps of the log where no clock was given; the same"),
    Allowance(("_pytest",), "a failing assertion of a story, on its way to the reader"),
    Allowance(("hypothesis",), "measures collections and examples, for its own statistics"),
)  # fmt: skip

#: They pass a request on: the caller that counts is theirs.
TRANSPARENT: Final = (
    "simulator.guards",
    "random",
    "secrets",
    "uuid",
    "threading",
    "concurrent.futures",
    "asyncio",
)

ADVICE: Final[Mapping[Kind, str]] = {
    "clock": "the machine's clock is not the world's: use ctx.now, the injected clock or loop.time() "
    "(to wait: asyncio.sleep)",
    "chance": "no seed governs it: use ctx.random or the injected random.Random",
    "thread": "a thread takes its steps when the machine likes: await instead, or hide it behind what a world can fake",
}


class Auditor:
    """A context manager, plain or asynchronous, within which no source may be read; see the module's docstring."""

    def __init__(self, allowed: Sequence[Allowance] = ALLOWED, *, guards: Guards | None = None) -> None:
        """`guards` are this process's unless a test gives its own."""
        self._allowed = allowed
        self._guards = guards
        self._strangers: frozenset[int] = frozenset()
        #: The first offence, whoever caught it.
        self.offence: NotReplayableError | None = None
        #: How often each allowance let something pass.
        self.passed: Counter[Allowance] = Counter()

    def __enter__(self) -> Auditor:
        own = threading.get_ident()
        threads = (thread.ident for thread in threading.enumerate())
        self._strangers = frozenset(ident for ident in threads if ident is not None and ident != own)
        self._guards = self._guards or process_guards()
        self._guards.install(self._read)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._guards is not None, "entered before"
        self._guards.remove()
        offence = self.offence
        if offence is None or offence is error or (error is not None and not isinstance(error, Exception)):
            return
        if error is not None:
            offence.add_note(f"What came of it: {error!r}")
        raise offence from None

    async def __aenter__(self) -> Auditor:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _read(self, source: Source, frame: FrameType) -> None:
        if threading.get_ident() in self._strangers:
            return
        callers = _callers(frame)
        for allowance in self._allowed:
            wanted = allowance.callers
            if len(callers) >= len(wanted) and all(map(_belongs, callers, wanted)):
                self.passed[allowance] += 1
                return
        offence = NotReplayableError(_words(source, frame))
        self.offence = self.offence or offence
        raise offence


def _belongs(module: str, to: str) -> bool:
    return module == to or module.startswith(f"{to}.")


def _callers(frame: FrameType | None) -> list[str]:
    """The modules on the stack from `frame` outwards, without those that only pass on, as far as allowances look."""
    modules: list[str] = []
    while frame is not None and len(modules) < 2:
        name = str(frame.f_globals.get("__name__", ""))
        if not any(_belongs(name, through) for through in TRANSPARENT):
            modules.append(name)
        frame = frame.f_back
    return modules


def _words(source: Source, frame: FrameType) -> str:
    loop = asyncio._get_running_loop()
    at = f" at t={loop.time():.6f} s" if loop is not None else ""
    shown = [entry for entry in traceback.extract_stack(frame) if not entry.filename.endswith("guards.py")]
    stack = "".join(traceback.format_list(shown[-STACK_FRAMES_MAX:])).rstrip()
    return f"{source.name} was called in a simulated world{at}; {ADVICE[source.kind]}. Called from:\n{stack}"
