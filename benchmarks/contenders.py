"""The bots that benchmarks/throughput.py compares, and how each is started against the driver's chat.

A :class:`Contender` is a name, a command line, environment variables, and what is said to it. Byte Bot is started as its users
start it, ``byte-bot run`` with settings from the environment (those of ``strategies.py``): with a fake Supabase, or keeping nothing
(``floor``). Its limits are those Twitch would have granted a very large bot, so that the program is measured and not its
manners: account and channel windows beyond reach, everything else (the bounds of its inboxes and of its outbox among it) as shipped.

Left out: how the peers' environments come to be (``peers/environments.py``), and how processes are started and pinned
(``load.py`` and ``simulator/bench/``).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.strategies import byte_bot_variables, floor_variables
from simulator.bench.stage import Addresses

PEERS: Final = Path(__file__).resolve().parent / "peers"
FLOOR, BYTE_BOT = "floor", "byte_bot"
#: Those that are Byte Bot, with a database or without.
OURS: Final = (FLOOR, BYTE_BOT)

READ: Final = "!echo {n}"
MUTATION: Final = "!count deaths +1"


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


def variables_for(bot: str, addresses: Addresses) -> dict[str, str]:
    """The environment that points a bot at the driver's chat (and, for Byte Bot, at the fake Supabase, if any)."""
    if bot not in OURS:
        return {
            "CHAT_HOST": addresses.irc_host,
            "CHAT_PORT": str(addresses.irc_port),
            "CHAT_CHANNELS": ",".join(addresses.channels),
        }
    settings = floor_variables(addresses) if bot == FLOOR else byte_bot_variables(addresses)
    return {**settings, "COMPONENTS": "echo", "LOG_FORMAT": "json", "STATUS_INTERVAL_S": "0"}


def furnish(bot: str, directory: Path) -> None:
    """Put into the bot's working directory what it looks for there."""
    if bot in OURS:
        shutil.copy(PEERS / "echo.py", directory)
