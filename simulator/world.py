"""A world: the real bot on the fakes, one seed, faults on a timeline, invariants that watch.

How it works
------------
:func:`simulate` runs a :class:`~simulator.scenario.Scenario` in a virtual loop and returns a
:class:`~simulator.report.Report`. :func:`play` runs a story, a coroutine function that gets the :class:`World` and does what
it likes with it; both build the same world. Two networks, one behaviour:

* ``memory``: chat through :class:`~simulator.network.MemoryNetwork`, the database through an httpx transport. Pure
  virtual time; for seed sweeps.
* ``tcp``: real loopback sockets, the fake Twitch behind ``asyncio.start_server``, the fake Supabase behind uvicorn, in a
  hybrid loop.

The bot is a *process* of the loop: :meth:`World.crash_bot` freezes it without running a ``finally``; the journal's store
outlives it like a disk (``scenario.disk``). Randomness comes from named streams of one seed tree, those of the bot keyed
by its incarnation, since a restarted process must not repeat its ids.

Only this module builds fake things for the bot; it may import ``byte_bot``, the fakes may not.

Left out: a second machine, clock jumps, disk faults (later releases).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

import httpx

from byte_bot.app import Application, Surroundings
from byte_bot.chat.irc.connector import StreamConnector
from byte_bot.chat.transport import Connector
from byte_bot.errors import ExitCode
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.journal import JournalStore, MemoryJournalStore
from byte_bot.persistence.schema import SCHEMA_DIR
from byte_bot.settings import Settings
from simulator.account import Account
from simulator.audience import perform, speaker, utterances
from simulator.errors import SimulatorError
from simulator.faults import (
    Crash,
    Fault,
    FaultBoard,
    Restart,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchPackets,
    TwitchReconnect,
)
from simulator.invariants import Invariant
from simulator.invariants.agreement import Agreement
from simulator.invariants.answered_once import AnsweredOnce
from simulator.invariants.bounded import Bounded
from simulator.invariants.newest_wins import NewestWins
from simulator.invariants.single_save import SingleSave
from simulator.loop import START_UNIX_S, ReadyOrder, VirtualLoop, current_loop, run
from simulator.meter import Meter, MeteredTransport
from simulator.network import Chunking, MemoryNetwork
from simulator.report import Line, Report, Violation
from simulator.rng import SeedTree
from simulator.scenario import Scenario
from simulator.supabase.faces import SupabaseServer, SupabaseTransport
from simulator.supabase.server import FakeSupabase
from simulator.trace import Trace
from simulator.twitch.events import SentMessage
from simulator.twitch.irc import IrcServer
from simulator.twitch.limits import TwitchLimits
from simulator.twitch.state import TwitchState

T = TypeVar("T")
Network = Literal["memory", "tcp"]
ApplicationFactory = Callable[[Settings, Surroundings], Application]

BOT_LOGIN = "byte_bot"
BOT_TOKEN = "fake0token0of0the0simulator"
#: Any host will do: nothing is looked up in memory. https, since the bot refuses to send its key in clear.
MEMORY_SUPABASE_URL = "https://project.supabase.test"
IRC_HOST, IRC_PORT = "irc.twitch.test", 6667
#: P6: drained within 10 s + backlog / 500 rows a second after the heal.
RECOVERY_S = 10.0
RECOVERY_ROWS_PER_S = 500.0
#: How closely stories wait for something, virtual seconds.
POLL_S = 0.01


class StoryError(SimulatorError):
    """What a story waited for did not happen."""


class _WorldClock:
    """The bot's wall clock: the loop's."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def unix(self) -> float:
        """Seconds since 1970 in the world."""
        return self._loop.unix_time()


class World:
    """See the module's docstring; made by :func:`simulate` and :func:`play`."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        *,
        network: Network = "memory",
        application: ApplicationFactory = Application,
        keep_trace: bool = False,
        invariants: tuple[Invariant, ...] | None = None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.loop = current_loop()
        self.seeds = SeedTree(seed)
        self.network_kind = network
        self.bot_login = BOT_LOGIN
        self.channels: dict[str, str] = {}
        self.trace = Trace(self.loop.time, keep=keep_trace)
        self.account = Account()
        self.meter = Meter()
        self.violations: list[Violation] = []
        self.exit_codes: list[ExitCode] = []
        #: The running bot's parts, to look at; None while no bot runs.
        self.app: Application | None = None
        self.incarnation = 0
        self.faults = FaultBoard(self.loop.time, self.seeds.stream("faults"), scenario.faults)
        self.twitch = TwitchState(self.loop.time, self.seeds.stream("twitch"), START_UNIX_S)
        self.irc = IrcServer(self.twitch, TwitchLimits(), self.seeds.stream("irc"))
        self.supabase = FakeSupabase(
            SCHEMA_DIR,
            time_source=self.loop.time,
            unix_start=START_UNIX_S,
            rng=self.seeds.stream("supabase"),
            faults=self.faults,
        )
        self.invariants: tuple[Invariant, ...] = (
            invariants
            if invariants is not None
            else (NewestWins(), SingleSave(), Bounded(), AnsweredOnce(), Agreement())
        )
        self._application = application
        self._disk: JournalStore = MemoryJournalStore()
        self._memory = MemoryNetwork(self.seeds.stream("network"), latency_s=scenario.latency_ms / 1000)
        self._irc_port = IRC_PORT
        self._supabase_url = MEMORY_SUPABASE_URL
        self._asked_at_s: dict[str, float] = {}
        self._answers: dict[str, list[SentMessage]] = {}
        self._said_plainly: dict[str, list[SentMessage]] = {}
        self._latencies_ms: list[float] = []
        self._recovered_after_s: float | None = None
        self._faults_changed = asyncio.Event()

    # ── building ─────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[World]:
        """The fakes stand and people are in their channels; the bot is not started yet."""
        self._populate()
        self.twitch.on_message(self._heard)
        self.supabase.observe(
            lambda record: self.trace.record(
                "http", method=record.method, path=record.path, status=record.status
            )
        )
        for invariant in self.invariants:
            invariant.started(self)
        async with asyncio.TaskGroup() as tasks, self._listening():
            services = [
                tasks.create_task(self._carry_out_faults(), name="faults"),
                tasks.create_task(self._sample(), name="sampler"),
            ]
            try:
                yield self
            finally:
                for service in services:
                    service.cancel()
                if self.bot_runs:
                    self.crash_bot()
        self.trace.seal()

    def _populate(self) -> None:
        scenario, twitch = self.scenario, self.twitch
        twitch.add_user(BOT_LOGIN, display_name="ByteBot", verified=scenario.verified)
        twitch.grant_token(BOT_TOKEN, BOT_LOGIN)
        twitch.add_user("mod", display_name="Mod")
        listed = scenario.channels if scenario.listed is None else scenario.listed
        for login in scenario.channels:
            moderators = ("mod", BOT_LOGIN) if scenario.moderated else ("mod",)
            self.channels[login] = twitch.add_channel(login, moderators=moderators).id
        for login in listed:
            self.supabase.human_insert(
                "channels_config", {"login": login, "channel_id": self.channels.get(login)}
            )

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        if self.network_kind == "memory":
            self._memory.listen(IRC_HOST, IRC_PORT, self.irc.handle)
            yield
            return
        server = await asyncio.start_server(self.irc.handle, "127.0.0.1", 0)
        self._irc_port = server.sockets[0].getsockname()[1]
        try:
            async with SupabaseServer(self.supabase) as database:
                self._supabase_url = database.url
                yield
        finally:
            server.close()
            self.irc.disconnect_all(abort=True)
            await server.wait_closed()

    # ── the bot's life ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def bot_runs(self) -> bool:
        """True between a start of the bot and its end."""
        return self._process is not None and self._process.running

    _process: Any = None

    def start_bot(self) -> None:
        """Start a bot process; returns at once."""
        self.incarnation += 1
        if self.scenario.disk == "lost":
            self._disk = MemoryJournalStore()
        self.trace.record("bot_started", incarnation=self.incarnation)
        self._process = self.loop.spawn("bot", self._bot_main(self.incarnation, self._disk))

    async def start_second_bot(self) -> ExitCode:
        """Run another bot process with a disk of its own until it ends; its exit code."""
        return await self._run_application(
            self.seeds.child("second"), MemoryJournalStore(), "second", shown=False
        )

    async def _bot_main(self, incarnation: int, disk: JournalStore) -> None:
        seeds = self.seeds.child(f"bot-{incarnation}")
        self.exit_codes.append(await self._run_application(seeds, disk, f"bot-{incarnation}", shown=True))
        self.app = None

    async def _run_application(
        self, seeds: SeedTree, disk: JournalStore, holder: str, *, shown: bool
    ) -> ExitCode:
        async with httpx.AsyncClient(
            transport=self._http_transport(), timeout=self._settings().database_timeout_s
        ) as http:
            surroundings = Surroundings(
                connector=self._connector(),
                http=http,
                clock=_WorldClock(self.loop),
                rng=seeds.stream("application"),
                journal_store=disk,
                holder=holder,
            )
            application = self._application(self._settings(), surroundings)
            if shown:
                self.app = application
            return await application.run()

    def _http_transport(self) -> httpx.AsyncBaseTransport:
        if self.network_kind == "memory":
            return MeteredTransport(SupabaseTransport(self.supabase), self.meter)
        return MeteredTransport(httpx.AsyncHTTPTransport(), self.meter)

    def _connector(self) -> Connector:
        return self._memory if self.network_kind == "memory" else StreamConnector()

    def _settings(self) -> Settings:
        in_memory = self.network_kind == "memory"
        values: dict[str, Any] = {
            "twitch_login": BOT_LOGIN,
            "twitch_token": BOT_TOKEN,
            "twitch_channel_logins": self.scenario.fixed,
            "twitch_rate_tier": "verified" if self.scenario.verified else "normal",
            "twitch_irc_host": IRC_HOST if in_memory else "127.0.0.1",
            "twitch_irc_port": self._irc_port,
            "twitch_irc_tls": False,
            "supabase_url": self._supabase_url,
            "supabase_key": self.supabase.secret_key,
            "status_interval_s": 0.0,
            **self.scenario.settings,
        }
        return Settings(**values)

    def crash_bot(self) -> None:
        """``kill -9``: nothing of the bot runs again, not even ``finally``."""
        self.trace.record("bot_crashed", incarnation=self.incarnation)
        self.loop.kill_process("bot")
        self.meter.process_died()
        self.app = None

    async def stop_bot(self) -> ExitCode:
        """SIGTERM: ask the bot to stop, wait until it has; its exit code."""
        if self.app is None or self._process is None:
            raise StoryError("there is no bot to stop")
        self.app.stop()
        await self._process.wait()
        return self.exit_codes[-1]

    async def restart_bot(self) -> None:
        """Stop in order and start again."""
        await self.stop_bot()
        self.start_bot()

    def bot_tasks(self) -> list[Any]:
        """The bot's live tasks."""
        return self.loop.tasks_of("bot")

    # ── chat ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, login: str, text: str, *, channel: str = "", message_id: str | None = None) -> str:
        """Somebody says something; the message's id. Unknown people come into being; ``mod`` is a moderator."""
        channel = channel or self.scenario.channels[0]
        if login not in self.twitch.users:
            self.twitch.add_user(login)
        return self.twitch.say(channel, login, text, message_id=message_id)

    async def ask(self, login: str, text: str, *, channel: str = "", within_s: float = 5.0) -> str:
        """Say something and wait for the bot's reply to it, or for the next thing it says in the channel; its text.

        Raises:
            StoryError: no reply within ``within_s`` virtual seconds.
        """
        channel = channel or self.scenario.channels[0]
        said_before = len(self._said_plainly.get(channel, ()))
        message_id = self.say(login, text, channel=channel)

        def answers() -> list[SentMessage]:
            return self._answers.get(message_id) or self._said_plainly.get(channel, [])[said_before:]

        await self.until(lambda: bool(answers()), within_s, f"an answer to {text!r}")
        return spoken(answers()[0].text)

    async def joined(self, *channels: str, within_s: float = 30.0) -> None:
        """Wait until the bot is in these channels (default: all)."""
        wanted = channels or self.scenario.channels
        await self.until(
            lambda: self.app is not None and all(channel in self.app.transport.joined for channel in wanted),
            within_s,
            f"the bot in {', '.join(wanted)}",
        )

    async def until(self, condition: Callable[[], bool], within_s: float = 30.0, what: str = "") -> None:
        """Wait until ``condition()``; raises :class:`StoryError` after ``within_s`` virtual seconds."""
        deadline_s = self.loop.time() + within_s
        while not condition():
            self._expect_bot_alive()
            if self.loop.time() >= deadline_s:
                raise StoryError(f"did not happen within {within_s:g} s: {what or condition}")
            await asyncio.sleep(POLL_S)

    def _expect_bot_alive(self) -> None:
        """Nobody waits for a bot that died of an error; its error comes out instead."""
        root = self._process.root if self._process is not None else None
        if root is not None and root.done() and not root.cancelled() and root.exception() is not None:
            raise StoryError(f"the bot died: {root.exception()!r}") from root.exception()

    def _heard(self, message: SentMessage) -> None:
        self.trace.record(
            "chat", channel=message.channel, login=message.login, text=message.text, id=message.id
        )
        if message.login != BOT_LOGIN:
            if message.text.startswith("!"):
                self._asked_at_s[message.id] = message.at_s
            self.account.said(message)
            return
        if message.reply_to:
            self._answers.setdefault(message.reply_to, []).append(message)
        else:
            self._said_plainly.setdefault(message.channel, []).append(message)
        asked_at_s = self._asked_at_s.pop(message.reply_to, None)
        if asked_at_s is not None:
            self._latencies_ms.append((message.at_s - asked_at_s) * 1000)
        self.account.replied(message)

    @property
    def transcript(self) -> tuple[Line, ...]:
        """What the bot said, in order."""
        return tuple(
            Line(round(sent.at_s * 1_000_000), sent.channel, spoken(sent.text))
            for sent in self.twitch.transcript
            if sent.login == BOT_LOGIN
        )

    # ── the database, as a human sees it ─────────────────────────────────────────────────────────────────────────

    def stored(self, table: str, channel_id: str, key: str = "") -> Any:
        """The ``data`` of a stored row, None if there is no such row."""
        for row in self.supabase.rows(table):
            if row.get("channel_id") == channel_id and str(row.get("key", "")) == key:
                return row["data"]
        return None

    def counter(self, channel: str, name: str) -> int:
        """A counter's value in the database."""
        data = self.stored("component_state", self.channels[channel], "counters") or {}
        return int(data.get("values", {}).get(name, 0))

    def store_counters(self, channel: str, **counters: int) -> None:
        """Have the database hold these counters already, as an earlier process would have left them."""
        data = json.loads(json.dumps({"values": counters}))
        self.supabase.human_insert(
            "component_state",
            {
                "channel_id": self.channels[channel],
                "key": "counters",
                "version": 1,
                "data": data,
                "tombstones": {},
            },
        )
        for name, value in counters.items():
            self.account.open_with(channel, name, value)

    def config(self, login: str) -> dict[str, Any]:
        """A channel's row of ``channels_config``."""
        for row in self.supabase.rows("channels_config"):
            if row["login"] == login:
                return dict(row)
        raise StoryError(f"channels_config has no row for {login!r}")

    # ── faults and phases ────────────────────────────────────────────────────────────────────────────────────────

    def break_database(self, fault: Fault, name: str = "story") -> None:
        """Let a fault act from now until :meth:`heal`."""
        self.trace.record("fault", name=name, fault=fault.kind)
        self.faults.set(name, fault)
        self._faults_changed.set()

    def heal(self) -> None:
        """End every fault."""
        self.trace.record("heal")
        self.faults.clear_all()
        self.irc.duplicate_probability = 0.0
        self._memory.chunk(IRC_HOST, IRC_PORT, None)

    async def converge(self) -> None:
        """Wait until the backlog is drained and the circuit closed, within P6's time; a violation if it is not."""
        backlog = self.app.layer.ledger.rows_waiting if self.app else 0
        limit_s = RECOVERY_S + backlog / RECOVERY_ROWS_PER_S
        started_s = self.loop.time()
        try:
            await self.until(self.drained, limit_s, "backlog drained and circuit closed")
        except StoryError:
            layer = self.app.layer if self.app else None
            waiting = layer.ledger.rows_waiting if layer else 0
            circuit = layer.link.circuit if layer else "no bot"
            self.violated(
                "recovers", f"{limit_s:.1f} s after the heal: {waiting} rows wait, circuit {circuit}"
            )
            return
        self._recovered_after_s = self.loop.time() - started_s

    def drained(self) -> bool:
        """True if a bot runs, nothing waits to be saved and the circuit is closed."""
        if self.app is None or not self.bot_runs:
            return False
        layer = self.app.layer
        return (
            layer.ledger.rows_waiting == 0
            and not layer.ledger.in_flight
            and layer.link.circuit is Circuit.CLOSED
        )

    def judge(self) -> None:
        """Let every invariant look at the end."""
        for invariant in self.invariants:
            invariant.converged(self)

    def violated(self, invariant: str, words: str) -> None:
        """A promise was broken."""
        self.trace.record("violation", invariant=invariant, words=words)
        self.violations.append(Violation(invariant, self.loop.time(), words))

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for invariant in self.invariants:
                invariant.sampled(self)

    async def _carry_out_faults(self) -> None:
        """Do what faults of Twitch and of the process ask for, at their instants."""
        self.faults.subscribe(self._faults_changed.set)
        while True:
            self._faults_changed.clear()
            await self._apply_due()
            change_s = self.faults.next_change_s()
            try:
                async with asyncio.timeout_at(change_s):
                    await self._faults_changed.wait()
            except TimeoutError:
                continue

    async def _apply_due(self) -> None:
        acting = self.faults.twitch_now()
        duplicates = [fault.probability for fault in acting if isinstance(fault, TwitchDuplicates)]
        self.irc.duplicate_probability = max(duplicates, default=0.0)
        packets = [fault for fault in acting if isinstance(fault, TwitchPackets)]
        if self.network_kind == "memory":
            chunking = (
                Chunking(packets[0].split_probability, packets[0].merge_probability) if packets else None
            )
            self._memory.chunk(IRC_HOST, IRC_PORT, chunking)
        if self.faults.take_due(TwitchDisconnect):
            self.irc.disconnect_all()
        if self.faults.take_due(TwitchHalfOpen):
            self.irc.half_open_all()
        for reconnect in self.faults.take_due(TwitchReconnect):
            self.irc.send_reconnect(reconnect.grace_s)
        for crash in self.faults.take_due(Crash):
            if self.bot_runs:
                self.crash_bot()
                await asyncio.sleep(crash.down_s)
                self.start_bot()
        if self.faults.take_due(Restart) and self.app is not None:
            await self.restart_bot()

    # ── a whole night ────────────────────────────────────────────────────────────────────────────────────────────

    async def night(self) -> Report:
        """Safety phase, heal, liveness phase, judgement."""
        scenario = self.scenario
        self.start_bot()
        async with asyncio.TaskGroup() as tasks:
            crowd = utterances(scenario.crowds, self.seeds.child("audience"), scenario.duration_s)
            tasks.create_task(perform(crowd, speaker(self.twitch)))
            if scenario.script is not None:
                tasks.create_task(_play_script(scenario.script, self))
            tasks.create_task(asyncio.sleep(scenario.duration_s))
        self.heal()
        if not self.bot_runs:
            self.start_bot()
        await self.converge()
        self.judge()
        await self.stop_bot()
        return self.report()

    def report(self) -> Report:
        """What has come out so far."""
        return Report(
            scenario=self.scenario.name,
            seed=self.seed,
            violations=tuple(self.violations),
            transcript=self.transcript,
            trace_hash=self.trace.digest,
            latencies_ms=tuple(self._latencies_ms),
            unanswered=len(self._asked_at_s),
            recovered_after_s=self._recovered_after_s,
            virtual_s=self.loop.time(),
            counts={
                "http_requests": self.meter.requests_total,
                "saves": self.supabase.saves_total,
                "confirmed_counter_changes": self.account.confirmed,
                "incarnations": self.incarnation,
                **{f"irc_{name}": count for name, count in sorted(self.irc.stats.items())},
            },
        )


def spoken(text: str) -> str:
    """A reply as a viewer reads it: without the invisible mark that tells equal messages apart for Twitch."""
    return text.rstrip(" \u034f")


async def _play_script(script: Callable[[World], Awaitable[None]], world: World) -> None:
    await script(world)


def simulate(
    scenario: Scenario,
    seed: int,
    *,
    network: Network = "memory",
    ready_order: ReadyOrder = "fifo",
    application: ApplicationFactory = Application,
) -> Report:
    """Run one night of ``scenario`` in a loop of its own and report.

    Args:
        seed: everything random in the night follows from it.
        network: ``memory``, or ``tcp`` for real loopback sockets.
        ready_order: of tasks ready at the same instant: ``fifo``, or ``random`` (drawn from the seed).
        application: builds the bot; a test that switches a safeguard off passes its own.
    """

    async def body() -> Report:
        async with World(scenario, seed, network=network, application=application).standing() as world:
            return await world.night()

    return _run_alone(body(), seed, network, ready_order)


def play(
    story: Callable[[World], Awaitable[T]],
    scenario: Scenario | None = None,
    *,
    seed: int = 0,
    network: Network = "memory",
    ready_order: ReadyOrder = "fifo",
    application: ApplicationFactory = Application,
    strict: bool = True,
) -> T:
    """Run a story in a world; what it returns.

    Raises:
        AssertionError: an invariant was broken and ``strict``; or the story's own assertion.
        StoryError: something the story waited for did not happen.
    """
    chosen = scenario or Scenario("story", "a story told by a test")

    async def body() -> T:
        async with World(chosen, seed, network=network, application=application).standing() as world:
            result = await story(world)
        if strict and world.violations:
            raise AssertionError("\n".join(str(violation) for violation in world.violations))
        return result

    return _run_alone(body(), seed, network, ready_order)


def _run_alone(body: Coroutine[Any, Any, T], seed: int, network: Network, ready_order: ReadyOrder) -> T:
    """Run a world in its own loop; an error that is alone in its task group comes out alone."""
    try:
        return run(body, seed=seed, hybrid=network == "tcp", ready_order=ready_order)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None
