"""`byte-sim demo`: the shipped bot, in real time, while its database goes down and comes back.

How it works. The fakes (`serve.Stage`) listen on loopback ports in this process; `byte-bot run` runs in another, with a
clean environment, as it would in production. After a warm-up in every channel an audience chats and gives commands in
three channels. By the plan, or at a key, the database hangs and heals. The bot's own log lines say how it sees that. At
the end the demo waits until the bot reports that nothing waits any more, and judges (`demo_verdict.py`).

Latencies are read in this process, whose loop also draws the screen and plays the database. So the screen is drawn in
moments in which no command waits for its answer; what is said while it is drawn is said, and timed, after it. Whatever
else holds this process up within a measurement is measured too, and subtracted (`stalls.py`).

An outage shorter than 15 s would end before the bot, as shipped, gives its first save up. So a short demo sets it to give up
and to save sooner (`Plan.pace`), and says so.

The bot is given the rate tier of a verified account, which the fake grants it: a reply that waits for Twitch's limits
would blur the comparison. The audience stays below the limits of a channel, which hold for verified bots too.

Left out: TLS, a bot that is killed (that is what the kill tests are for), more than one bot.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from simulator.audience import Chatter, CommandStorm, Crowd, Raid, perform, utterances
from simulator.bot_process import BotProcess
from simulator.demo_record import PHASES, Phase, Recorder
from simulator.demo_screen import NOW_S, BotStatus, Picture, Plan
from simulator.demo_verdict import Verdict, judge
from simulator.errors import SimulatorError
from simulator.faults import Hang
from simulator.rng import SeedTree
from simulator.serve import Stage
from simulator.stalls import StallMeter
from simulator.twitch.events import SentMessage

READY_S = 20.0  # the bot must be in every channel; a cold start on a slow machine takes a few
WARM_UP_S = 10.0  # it must answer there
DRAIN_S = 15.0  # it must have saved everything after the end
POLL_S = 0.05
QUIET_S = 0.25  # the screen waits this long for a moment in which nobody waits for an answer
COUNT_EVERY_S = 1.0  # looking into the database takes some milliseconds
TREND_S = 40
CAUGHT_UP_S = 3.0  # healthy, a change is in the database within 3 s
STATUS_INTERVAL_S = 0.5
FAULT_NAME = "demo"
SECONDS_MIN = 3.0

BOT_COMMAND = (sys.executable, "-m", "byte_bot", "run")
TABLES = ("channel_state", "component_state")

MODERATORS_SAY = (
    *("!count deaths +1",) * 4,
    *("!count wins +1",) * 3,
    "!note add idea {n}",
    "!game Puzzle Quest {n}",
    "!cmd add hello{n} Hello {user}, welcome!",
    "!quote add one more try, take {n}",
)
VIEWERS_SAY = ("!ping", "!count deaths", "!count wins", "!game", "!quote", "!note list")


class DemoError(SimulatorError):
    """The demo could not be played; the message says why."""


class View(Protocol):
    """Where pictures of the demo go, every `interval_s` seconds."""

    @property
    def interval_s(self) -> float: ...

    def show(self, picture: Picture) -> None: ...


@dataclass(frozen=True)
class DemoOptions:
    """What to play: the tables' directory, the wall time at the start (seconds since 1970), the plan, the seed."""

    schema_dir: Path
    unix_start_s: float
    plan: Plan
    seed: int = 1
    bot_command: Sequence[str] = BOT_COMMAND


def crowds(channels: Sequence[str], plan: Plan) -> list[Crowd]:
    """The audience: small talk, moderators and viewers with commands everywhere, and a raid in the outage's midst.

    At most 2.9 replies a second in a channel: Twitch allows 100 in 30 s.
    """
    found: list[Crowd] = []
    for channel in channels:
        found += [
            Chatter(channel, 0.7),
            CommandStorm(channel, 2.1, MODERATORS_SAY),
            CommandStorm(channel, 0.8, VIEWERS_SAY, ("viewer", "subscriber", "vip"), people=20),
        ]
    middle_s = (plan.break_s + plan.heal_s) / 2
    return [*found, Raid(channels[-1], at_s=middle_s, viewers=30, duration_s=plan.seconds / 9)]


def bot_variables(stage: Stage, plan: Plan) -> dict[str, str]:
    """The settings with which the bot finds the stage, and those that let it notice a short outage."""
    host, port = stage.irc_address
    found = {
        "TWITCH_LOGIN": stage.bot_login,
        "TWITCH_TOKEN": stage.bot_token,
        "TWITCH_CHANNEL_LOGINS": ",".join(stage.channels),
        "TWITCH_IRC_HOST": host,
        "TWITCH_IRC_PORT": str(port),
        "TWITCH_IRC_TLS": "false",
        "TWITCH_RATE_TIER": "verified",
        "SUPABASE_URL": stage.supabase_url,
        "SUPABASE_KEY": stage.supabase.secret_key,
        # In the demo's own folder: this database is made for the demo, and an older journal would not be about it.
        "JOURNAL_PATH": "demo.journal",
        "LOG_FORMAT": "json",
        "STATUS_INTERVAL_S": str(STATUS_INTERVAL_S),
    }
    if pace := plan.pace:
        found["DATABASE_TIMEOUT_S"] = str(pace.database_timeout_s)
        found["FLUSH_INTERVAL_S"] = str(pace.flush_interval_s)
    return found


class Demo:
    """One demo; make it in the running loop and await `run` once."""

    def __init__(self, options: DemoOptions, view: View) -> None:
        self._options = options
        self._plan = options.plan
        self._view = view
        #: Whether somebody can press keys, for the picture.
        self.has_keys = False
        self._loop = asyncio.get_running_loop()
        self._stage = Stage(options.schema_dir, unix_start_s=options.unix_start_s, seed=options.seed)
        self._stalls = StallMeter(self._loop, lambda: self._recorder.outstanding > 0)
        self._recorder = Recorder(lambda: self._phase, self._stalls.stalled_s)
        self._stage.twitch.on_message(self._heard)
        self._quiet = asyncio.Event()
        self._quit = asyncio.Event()
        self._words = "the bot starts"
        self._phase: Phase = "warm-up"
        self._started_s: float | None = None
        self._ended_s: float | None = None
        self._down_since_s: float | None = None
        self._outage_s = 0.0
        self._healed_s: float | None = None
        self._recovered_after_s: float | None = None
        self._status = BotStatus()
        self._status_at_s = float("-inf")
        self._circuits: dict[
            str, None
        ] = {}  # every state that the bot reported, in the order of the first time
        self._rows_waiting_max = 0
        self._oldest_unsaved_max_s = 0.0
        self._changes_waiting = 0
        self._counted_at_s = float("-inf")

    # -- what keys do ---------------------------------------------------------------------------------------------------

    def pressed(self, key: str) -> None:
        """Carry out a key: b breaks the database, h heals it, q ends the demo (again: ends the waiting at its end)."""
        if key == "q":
            self._quit.set()
        elif self._started_s is not None and self._ended_s is None:
            if key == "b":
                self._break()
            elif key == "h":
                self._heal()

    def _break(self) -> None:
        if self._down_since_s is None:
            self._stage.faults.set(FAULT_NAME, Hang())
            self._down_since_s = self._now_s()
            self._healed_s = None
            self._phase, self._words = "during", "the database hangs"

    def _heal(self) -> None:
        if self._down_since_s is not None:
            self._stage.faults.clear(FAULT_NAME)
            self._outage_s += self._now_s() - self._down_since_s
            self._down_since_s, self._healed_s = None, self._now_s()
            self._recovered_after_s = None
            self._phase, self._words = "after", "the database is back"

    # -- the play -------------------------------------------------------------------------------------------------------

    async def run(self) -> Verdict:
        """Play it all; the bot has ended when this returns or raises. Raises `DemoError` when it cannot be played."""
        with tempfile.TemporaryDirectory(prefix="byte-sim-demo-") as folder:
            directory = Path(folder)
            env_file = directory / "empty.env"
            env_file.touch()
            command = (*self._options.bot_command, "--env-file", str(env_file))
            async with self._stage as stage:
                variables = bot_variables(stage, self._plan)
                bot_process = BotProcess(command, variables, directory, self._heard_of_bot)
                try:
                    async with bot_process as bot:
                        drained = await self._guarded(bot)
                        exchanges, rows = tuple(self._recorder.exchanges), self._rows()
                finally:
                    gc.unfreeze()  # what the warm-up took out of the collector's sight
                return judge(exchanges, rows, drained=drained, exit_code=_exit_code(bot), extra=self._extra())

    async def _guarded(self, bot: BotProcess) -> bool:
        """Play the acts beside the tasks that watch and draw; whether the bot saved everything."""
        failed: BaseException | None = None
        drained = False
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(self._watch(bot)), tasks.create_task(self._draw())]
                drained = await self._acts()
                for task in beside:
                    task.cancel()
        except* DemoError as group:
            failed = group.exceptions[0]
        if failed is not None:
            raise failed
        return drained

    async def _acts(self) -> bool:
        await self._warm_up()
        await self._play()
        return await self._drain()

    async def _watch(self, bot: BotProcess) -> None:
        code = await bot.wait()
        log = "\n".join(f"  {line}" for line in bot.last_lines[-12:])
        raise DemoError(f"the bot ended by itself, with exit code {code}. The end of its log:\n{log}")

    async def _warm_up(self) -> None:
        stage = self._stage
        await self._until(
            lambda: set(stage.channels) <= set(stage.irc.joined(stage.bot_login)),
            READY_S,
            f"the bot did not come into {', '.join('#' + name for name in stage.channels)}",
        )
        for channel in stage.channels:
            stage.say(channel, "mod_1", "!ping", "moderator")
        await self._until(lambda: not self._recorder.outstanding, WARM_UP_S, "the bot did not answer !ping")
        # The start's garbage goes now: collecting it later would stop the loop for longer than a reply takes.
        gc.collect()
        gc.freeze()

    async def _until(self, condition: Callable[[], bool], within_s: float, otherwise: str) -> None:
        deadline_s = self._loop.time() + within_s
        while not condition():
            if self._loop.time() > deadline_s:
                raise DemoError(f"{otherwise} within {within_s:g} s")
            await asyncio.sleep(POLL_S)

    async def _play(self) -> None:
        plan, stage = self._plan, self._stage
        seeds = SeedTree(self._options.seed).child("audience")
        lines = utterances(crowds(stage.channels, plan), seeds, plan.seconds)
        self._started_s = self._now_s()
        self._phase, self._words = "before", "everything works"
        async with asyncio.TaskGroup() as tasks:
            acting = [
                tasks.create_task(
                    perform(lines, lambda line: stage.say(line.channel, line.login, line.text, line.role))
                ),
                tasks.create_task(self._keep_to_plan()),
            ]
            try:
                async with asyncio.timeout(plan.seconds):
                    await self._quit.wait()
            except TimeoutError:
                pass
            for task in acting:
                task.cancel()
        self._heal()
        self._ended_s = self._now_s()
        self._words = "the bot saves the rest"

    async def _keep_to_plan(self) -> None:
        await asyncio.sleep(self._plan.break_s)
        self._break()
        await asyncio.sleep(self._plan.heal_s - self._plan.break_s)
        self._heal()

    async def _drain(self) -> bool:
        self._quit.clear()
        deadline_s = self._loop.time() + DRAIN_S
        while self._loop.time() < deadline_s and not self._quit.is_set():
            if self._settled():
                return True
            await asyncio.sleep(POLL_S)
        return False

    def _settled(self) -> bool:
        """Everybody is answered, and a status that is newer than the end says that nothing waits."""
        assert self._ended_s is not None
        status = self._status
        quiet = not self._recorder.outstanding and self._status_at_s > self._ended_s + STATUS_INTERVAL_S
        return quiet and not status.rows_waiting and status.circuit == "closed" and not self._count_waiting()

    # -- what is known --------------------------------------------------------------------------------------------------

    def _now_s(self) -> float:
        return self._stage.time_s()

    def _heard(self, message: SentMessage) -> None:
        self._recorder.heard(message)
        if self._recorder.outstanding:
            self._stalls.start()
            self._quiet.clear()
        else:
            self._quiet.set()

    def _heard_of_bot(self, event: Mapping[str, Any]) -> None:
        if event.get("event") != "status":
            return
        status = BotStatus(
            circuit=str(event.get("circuit", "-")),
            rows_waiting=int(event.get("rows_waiting", 0)),
            oldest_unsaved_s=float(event.get("oldest_unsaved_s", 0.0)),
            saves_failed=int(event.get("counters", {}).get("saves_failed", 0)),
        )
        self._circuits[status.circuit] = None
        self._status, self._status_at_s = status, self._now_s()
        self._rows_waiting_max = max(self._rows_waiting_max, status.rows_waiting)
        self._oldest_unsaved_max_s = max(self._oldest_unsaved_max_s, status.oldest_unsaved_s)
        caught_up = status.circuit == "closed" and status.oldest_unsaved_s < CAUGHT_UP_S
        if caught_up and self._healed_s is not None and self._recovered_after_s is None:
            self._recovered_after_s = self._now_s() - self._healed_s

    def _rows(self) -> dict[str, list[Mapping[str, Any]]]:
        """What the database holds, by the channel's login."""
        found: dict[str, list[Mapping[str, Any]]] = {login: [] for login in self._stage.channels}
        logins = {channel.id: channel.login for channel in self._stage.twitch.channels.values()}
        for table in TABLES:
            for row in self._stage.supabase.rows(table):
                login = logins.get(str(row["channel_id"]))
                if login is not None:
                    found[login].append(row["data"])
        return found

    def _count_waiting(self) -> int:
        """Changes that viewers were told of and that are not in the database yet."""
        self._counted_at_s = self._now_s()
        self._changes_waiting = judge(self._recorder.exchanges, self._rows(), drained=True).lost
        return self._changes_waiting

    def _extra(self) -> dict[str, Any]:
        recovered_s = self._recovered_after_s
        return {
            "seconds": self._plan.seconds,
            "seed": self._options.seed,
            "outage_s": round(self._outage_s, 3),
            "recovered_after_s": None if recovered_s is None else round(recovered_s, 3),
            "rows_waiting_max": self._rows_waiting_max,
            "oldest_unsaved_max_s": self._oldest_unsaved_max_s,
            "saves": self._stage.supabase.saves_total,
            "saves_failed": self._status.saves_failed,
            "circuits": list(self._circuits),
            "stalled_ms": round(self._stalls.stalled_s() * 1_000, 1),
        }

    # -- drawing --------------------------------------------------------------------------------------------------------

    async def _draw(self) -> None:
        while True:
            await self._quiet_moment()
            self.show()
            await asyncio.sleep(self._view.interval_s)

    def show(self) -> None:
        """Show the view this moment."""
        self._view.show(self._picture())

    async def _quiet_moment(self) -> None:
        try:
            async with asyncio.timeout(QUIET_S):
                await self._quiet.wait()
        except TimeoutError:
            pass  # the bot is stuck: all the more reason to show it

    def _picture(self) -> Picture:
        now_s, recorder = self._now_s(), self._recorder
        if now_s - self._counted_at_s >= COUNT_EVERY_S and not recorder.outstanding:
            self._count_waiting()
        trend_ms = [0.0] * TREND_S
        for exchange in reversed(recorder.exchanges):
            age = int(now_s - exchange.asked_s)
            if age >= TREND_S:
                break
            if exchange.latency_ms is not None:
                trend_ms[-1 - age] = max(trend_ms[-1 - age], exchange.latency_ms)
        return Picture(
            plan=self._plan,
            elapsed_s=0.0 if self._started_s is None else (self._ended_s or now_s) - self._started_s,
            down=self._down_since_s is not None,
            stage=self._words,
            chats={channel: tuple(recorder.lines.get(channel, ())) for channel in self._stage.channels},
            recent_ms=recorder.latencies_ms(since_s=now_s - NOW_S),
            trend_ms=trend_ms,
            phase_ms={phase: recorder.latencies_ms(phase) for phase in PHASES},
            status=self._status,
            changes_waiting=self._changes_waiting,
            unanswered=recorder.outstanding,
            has_keys=self.has_keys,
        )


def _exit_code(bot: BotProcess) -> int | None:
    """How the bot ended after it was asked to; None on Windows, where asking is killing."""
    return None if sys.platform == "win32" else bot.exit_code
