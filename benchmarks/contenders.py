"""The bots that benchmarks/throughput.py compares, and how each is started against the driver's chat.

A :class:`Contender` is a name, a command line, environment variables, and what is said to it. Byte Bot is started as its users
start it, ``byte-bot run`` with settings from the environment: with the fake Supabase of ``byte-sim serve`` in a process of
its own, or without a database (``floor``). Its limits are those Twitch would have granted a very large bot, so that the
program is measured and not its manners: account and channel windows beyond reach, everything else (the bounds of its inboxes and
of its outbox among it) as shipped.

Left out: how the peers' environments come to be (``peers/environments.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.driver import HOST
from simulator.serve import BOT_LOGIN, BOT_TOKEN

PEERS: Final = Path(__file__).resolve().parent / "peers"
ROOT: Final = PEERS.parent.parent

#: Beyond what any step can say in 30 s.
UNLIMITED: Final = "100000000"
READ: Final = "!echo {n}"
MUTATION: Final = "!count deaths +1"
#: Seconds the fakes have to come up; they take about one.
SERVE_S: Final = 30.0


class Case(msgspec.Struct, frozen=True):
    """One line of the table.

    ``says`` is what viewers type, ``matched_by`` as in :class:`~benchmarks.step.StepPlan`, ``start`` the first rate tried
    (messages a second), ``note`` what a reader must know about it.
    """

    name: str
    bot: str
    says: str = READ
    matched_by: str = "number"
    start: float = 1_000.0
    note: str = ""


CASES: Final = (
    Case("bare_loop", "bare_loop", start=12_000, note="asyncio streams, no router, no tags: the reference"),
    Case("floor", "floor", start=1_000, note="byte-bot run, no database: a read"),
    Case("floor +1", "floor", MUTATION, "reply", start=1_000, note="byte-bot run, no database: a change"),
    Case("byte_bot", "byte_bot", start=1_000, note="byte-bot run, persistence on and healthy: a read"),
    Case(
        "byte_bot +1",
        "byte_bot",
        MUTATION,
        "reply",
        start=1_000,
        note="byte-bot run, persistence on and healthy: a change",
    ),
    Case("tmi.js", "tmi.js", start=6_000, note="1.8.5, over WebSocket; no database"),
    Case(
        "twitchio",
        "twitchio",
        start=300,
        note="2.10.0, over WebSocket; its rate limiter and its check of the token bypassed; no database",
    ),
)


def command_of(bot: str) -> tuple[str, ...]:
    """How one of our own bots is started."""
    if bot == "bare_loop":
        return (sys.executable, str(PEERS / "bare_loop.py"))
    return (sys.executable, "-m", "byte_bot", "run")


def variables_for(
    bot: str, port: int, channels: Sequence[str], supabase: Mapping[str, str]
) -> dict[str, str]:
    """The environment that points a bot at the driver's chat (and, for Byte Bot, at the fake Supabase, if any)."""
    if bot not in ("floor", "byte_bot"):
        return {"CHAT_HOST": HOST, "CHAT_PORT": str(port), "CHAT_CHANNELS": ",".join(channels)}
    return {
        "TWITCH_LOGIN": BOT_LOGIN,
        "TWITCH_TOKEN": f"oauth:{BOT_TOKEN}",
        "TWITCH_CHANNEL_LOGINS": ",".join(channels),
        "TWITCH_IRC_HOST": HOST,
        "TWITCH_IRC_PORT": str(port),
        "TWITCH_IRC_TLS": "false",
        "TWITCH_RATE_TIER": "verified",
        "TWITCH_MESSAGES_PER_30S": UNLIMITED,
        "TWITCH_CHANNEL_MESSAGES_PER_30S": UNLIMITED,
        "COMPONENTS": "echo",
        "LOG_FORMAT": "json",
        "STATUS_INTERVAL_S": "0",
        # In the empty folder that it is started in. The floor is a bot without any persistence.
        **({"DURABILITY": "off"} if bot == "floor" else {"JOURNAL_PATH": "bench.journal"}),
        **supabase,
    }


def furnish(bot: str, directory: Path) -> None:
    """Put into the bot's working directory what it looks for there."""
    if bot in ("floor", "byte_bot"):
        shutil.copy(PEERS / "echo.py", directory)


@contextlib.asynccontextmanager
async def fake_supabase(core: int | None) -> AsyncIterator[dict[str, str]]:
    """The fake Supabase in a process of its own while the context lasts; the variables that point Byte Bot at it."""
    with on_core(core):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulator", "serve", stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SERVE_S):
            line = await process.stdout.readline()
        address: dict[str, Any] = json.loads(line)["supabase"]
        yield {"SUPABASE_URL": address["url"], "SUPABASE_KEY": address["secret_key"]}
    finally:
        await ended(process)


async def ended(process: asyncio.subprocess.Process) -> None:
    """End one of our processes and wait for it."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def cores() -> tuple[int, int, int] | None:
    """A core for the bot, one for the driver, one for the database (the driver's, if there are only two); None: no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return None  # not Linux
    ours = sorted(os.sched_getaffinity(0))
    return None if len(ours) < 2 else (ours[0], ours[1], ours[2] if len(ours) > 2 else ours[1])


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes started in here, with all their threads, stay on one core; None: on any."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float | None:
    """The processor time a process has used, all its threads together; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    except (OSError, ValueError):
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
