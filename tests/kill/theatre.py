"""Where a bot is killed: the fakes in this process, `byte-bot run` in others, a folder of their own.

`Theatre` is a `Stage` (Twitch chat and Supabase project on loopback ports, in the running loop, so that faults and tables are at
hand and no command needs a round trip) with a `Book` of what was said and answered. `start` starts the bot as it is shipped, with
settings from the environment only. Everything is found out from outside: what Twitch received, what the database holds, the log.

Real time: whatever is waited for is a condition with a deadline, and missing it raises `NotSeen` with the end of the bot's log.
Leaving the theatre kills every process that it started, and removes the folder.

The account is verified and moderator everywhere, and told so: at 200 commands a second Twitch's limits of a channel are not what
is being tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from byte_bot.persistence import schema
from simulator.bot_process import BotProcess
from simulator.demo import BOT_COMMAND
from simulator.faults import Fault
from simulator.serve import BOT_LOGIN, Stage
from simulator.twitch.events import SentMessage
from tests.kill.changes import Change, Place, State, look_at
from tests.kill.told import Book, Exchange, Verdict, judge

SCHEMA_DIR = Path(schema.__file__).parent

MODERATOR = "mod_1"
FAULT_NAME = "kill"
#: Seconds; generous, for a machine that is busy.
JOIN_S = 30.0
ANSWER_S = 10.0
#: P6: when the fault is over, everything is saved within this and a second for every 500 rows.
RECOVERY_S = 10.0
ROWS_PER_S = 500
STATUS_INTERVAL_S = 0.2
#: Containers kill 10 s after SIGTERM; the bot promises to be gone in 8.
STOP_S = 8.0
POLL_S = 0.005
LOG_LINES = 15


class NotSeen(AssertionError):
    """What had to happen did not; the message says what, and shows the end of the bot's log."""


class RunningBot:
    """One process of the bot; `events` are its log lines, `status` the newest of its status lines (with `at_s`)."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self.process = BotProcess(command, variables, folder, self._heard, all_output=True)
        self.events: list[Mapping[str, Any]] = []
        self.status: Mapping[str, Any] = {}
        self.status_at_s = float("-inf")
        #: When it was in all its channels.
        self.ready_at_s = float("-inf")

    def _heard(self, event: Mapping[str, Any]) -> None:
        if event.get("event") == "status":
            self.status, self.status_at_s = event, self._loop.time()
        else:
            self.events.append(event)

    @property
    def last_words(self) -> Sequence[str]:
        """The end of its log, without the status lines that came by the clock."""
        lines = [line for line in self.process.last_lines if '"event": "status"' not in line]
        return lines[-LOG_LINES:]

    def event(self, name: str) -> Mapping[str, Any] | None:
        """The first log line about this event, None if there is none yet."""
        return next((event for event in self.events if event.get("event") == name), None)

    def count(self, name: str) -> int:
        """How many log lines there are about this event."""
        return sum(event.get("event") == name for event in self.events)


class Theatre:
    """See the module's docstring; enter it in the running loop."""

    def __init__(self, channels: int, seed: int = 1, **variables: str) -> None:
        logins = tuple(f"room_{number}" for number in range(1, channels + 1))
        self.stage = Stage(SCHEMA_DIR, unix_start_s=time.time(), seed=seed, channels=logins)
        self.book = Book()
        self.bots: list[RunningBot] = []
        #: When the database was well again, in the loop's seconds.
        self.healed_at_s = float("-inf")
        self._loop = asyncio.get_running_loop()
        self._variables = variables
        self._resources = contextlib.AsyncExitStack()
        self.stage.twitch.on_message(self._heard)

    async def __aenter__(self) -> Theatre:
        folder = tempfile.TemporaryDirectory(prefix="byte-kill-", ignore_cleanup_errors=True)
        self.folder = Path(self._resources.enter_context(folder))
        try:
            await self._resources.enter_async_context(self.stage)
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bot in self.bots:
            await bot.process.kill()
        await self._resources.aclose()

    # -- the database ---------------------------------------------------------------------------------------------------

    def break_database(self, fault: Fault | None) -> None:
        """Set the fault; None breaks nothing."""
        if fault is not None:
            self.stage.faults.set(FAULT_NAME, fault)

    def heal(self) -> None:
        """End the fault."""
        self.stage.faults.clear_all()
        self.healed_at_s = self._loop.time()

    def rows(self, table: str) -> Sequence[Mapping[str, Any]]:
        """All rows of a table."""
        return self.stage.supabase.rows(table)

    def stored(self) -> dict[Place, State]:
        """What the database holds, as places and their states; what is at its default is left out."""
        logins = {channel.id: channel.login for channel in self.stage.twitch.channels.values()}
        known = {place.name: place for place in self.book.places if place.kind == "tally"}
        found: dict[Place, State] = {}

        def count(place: Place) -> None:
            number = found.get(place)
            found[place] = (number if isinstance(number, int) else 0) + 1

        for row in self.rows("channel_state"):
            login, data = logins[str(row["channel_id"])], row["data"]
            for kind, field in (("game", "current_game"), ("vibe", "vibe")):
                if data.get(field):
                    found[Place(login, kind)] = data[field]  # type: ignore[arg-type]
            for note in data.get("notes", {}).values():
                count(Place(login, "note", note["text"]))
        for row in self.rows("component_state"):
            login, data = logins[str(row["channel_id"])], row["data"]
            if row["key"] == "counters":
                for name, value in data.get("values", {}).items():
                    found[Place(login, "tally" if name in known else "counter", name)] = value
            elif row["key"] == "custom_commands":
                for name, command in data.get("commands", {}).items():
                    found[Place(login, "command", name)] = command["text"]
            elif row["key"] == "quotes":
                for quote in data.get("quotes", {}).values():
                    count(Place(login, "quote", quote["text"]))
        return found

    def verdict(self) -> Verdict:
        """Whether viewers were told the truth, and the database holds it."""
        return judge(self.book.exchanges, self.stored())

    # -- the bots -------------------------------------------------------------------------------------------------------

    async def start(
        self,
        journal: str = "journal.sqlite",
        *options: str,
        command: Sequence[str] = BOT_COMMAND,
        **variables: str,
    ) -> RunningBot:
        """Start a bot on this journal (a file in the theatre's folder)."""
        host, port = self.stage.irc_address
        settings = {
            "TWITCH_LOGIN": self.stage.bot_login,
            "TWITCH_TOKEN": f"oauth:{self.stage.bot_token}",
            "TWITCH_CHANNEL_LOGINS": ",".join(self.stage.channels),
            "TWITCH_IRC_HOST": host,
            "TWITCH_IRC_PORT": str(port),
            "TWITCH_IRC_TLS": "false",
            "TWITCH_RATE_TIER": "verified",
            "TWITCH_CHANNEL_MESSAGES_PER_30S": "100000",
            "SUPABASE_URL": self.stage.supabase_url,
            "SUPABASE_KEY": self.stage.supabase.secret_key,
            "JOURNAL_PATH": str(self.folder / journal),
            # A request that hangs is given up soon: what is tried is the kill, not patience.
            "DATABASE_TIMEOUT_S": "1",
            "FLUSH_INTERVAL_S": "0.3",
            "LOG_FORMAT": "json",
            "STATUS_INTERVAL_S": str(STATUS_INTERVAL_S),
            **self._variables,
            **variables,
        }
        bot = RunningBot((*command, *options), settings, self.folder)
        await bot.process.__aenter__()
        self.bots.append(bot)
        return bot

    def joined(self) -> bool:
        """Whether a bot is in every channel."""
        return all(self.stage.irc.attending(BOT_LOGIN, channel) for channel in self.stage.channels)

    async def in_channels(self, bot: RunningBot) -> None:
        """Wait until the bot is in every channel and has finished its start."""
        await self.until(
            lambda: self.joined() and bot.event("started") is not None,
            "the bot in its channels",
            JOIN_S,
            bot,
        )
        bot.ready_at_s = self._loop.time()

    async def kill(self, bot: RunningBot, mercy_s: float | None = None) -> None:
        """SIGKILL, `mercy_s` after a SIGTERM if given; afterwards Twitch has received everything that the process had sent."""
        connections = len(self.stage.irc.connected)
        was_connected = any(self.stage.irc.attending(BOT_LOGIN, name) for name in self.stage.channels)
        await (bot.process.kill() if mercy_s is None else bot.process.stop(mercy_s))
        if was_connected:
            await self.until(
                lambda: len(self.stage.irc.connected) < connections, "its connection closed", ANSWER_S
            )
        self.book.give_up()

    async def drained(self, bot: RunningBot) -> float:
        """Wait until the bot says that nothing waits to be saved, no longer than P6 allows.

        Returns the seconds since the fault was over or the bot was in its channels again, whichever came last.
        """
        asked_at_s = self._loop.time()
        since_s = max(self.healed_at_s, bot.ready_at_s)
        rows = int(bot.status.get("rows_waiting", 0))

        def nothing_waits() -> bool:
            status = bot.status
            newer = bot.status_at_s > asked_at_s
            return newer and status["rows_waiting"] == 0 and status["circuit"] == "closed"

        limit_s = RECOVERY_S + rows / ROWS_PER_S
        await self.until(nothing_waits, "nothing waits to be saved", limit_s - (asked_at_s - since_s), bot)
        return bot.status_at_s - since_s

    async def stop(self, bot: RunningBot) -> int:
        """SIGTERM; the exit code."""
        code = await bot.process.stop(STOP_S)
        self.book.give_up()
        return code

    async def exit_code(self, bot: RunningBot, within_s: float = ANSWER_S) -> int:
        """Wait until it has ended by itself."""
        await self.until(lambda: not bot.process.running, "the bot ended by itself", within_s)
        return await bot.process.wait()

    def degraded(self) -> bool:
        """Whether any bot ever said that its journal is degraded: in its log, its status, or the database."""
        return any(
            bot.event("journal_degraded") is not None or bot.status.get("degraded") for bot in self.bots
        ) or any(row["kind"] == "journal_degraded" for row in self.rows("bot_events"))

    # -- chat -----------------------------------------------------------------------------------------------------------

    def _heard(self, message: SentMessage) -> None:
        if message.from_client and message.reply_to:
            self.book.heard(message.reply_to, message.text)

    def say(self, change: Change) -> Exchange:
        """A moderator asks for it."""
        # The message is on its way, and could be answered, before its id is known here: nothing awaits in between.
        message_id = self.stage.say(change.place.channel, MODERATOR, change.text, "moderator")
        return self.book.said(message_id, change)

    async def ask(self, change: Change, bot: RunningBot | None = None) -> str:
        """Say it and wait for the reply."""
        exchange = self.say(change)
        await self.until(lambda: bool(exchange.reply), f"a reply to {change.text!r}", ANSWER_S, bot)
        return exchange.reply

    async def answered(self, bot: RunningBot) -> None:
        """Wait until everything is answered."""
        await self.until(lambda: not self.book.outstanding, "every command answered", ANSWER_S, bot)

    async def look_at_everything(self, bot: RunningBot) -> None:
        """Ask for every place whose state the bot can name, which settles what was in doubt."""
        for place in self.book.places:
            if (look := look_at(place)) is not None:
                self.say(look)
        await self.answered(bot)

    async def until(
        self, condition: Callable[[], bool], what: str, within_s: float, bot: RunningBot | None = None
    ) -> None:
        """Wait for a condition; raises `NotSeen` after `within_s` seconds, or when `bot` ends before."""
        give_up_at_s = self._loop.time() + within_s
        while not condition():
            ended = bot is not None and not bot.process.running
            if ended or self._loop.time() > give_up_at_s:
                bot = bot if bot is not None else self.bots[-1]
                log = "\n  ".join(bot.last_words) or "(nothing)"
                why = f"the bot ended ({bot.process.exit_code})" if ended else f"not within {within_s:.1f} s"
                raise NotSeen(f"{what}: {why}. The end of its log:\n  {log}")
            await asyncio.sleep(POLL_S)


def has_signals() -> bool:
    """Whether processes can be told to stop in order; Windows ends them without telling."""
    return sys.platform != "win32"
