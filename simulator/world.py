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

The bot is a *process* of the loop: ``World.crash_bot`` freezes it without running a ``finally``; its disk
(:mod:`simulator.disk`) outlives it, unless the scenario says otherwise (``scenario.disk``). Randomness comes from named
streams of one seed tree, those of the bot keyed by its incarnation, since a restarted process must not repeat its ids.

Only this module builds fake things for the bot; it may import ``byte_bot``, the fakes may not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import httpx

from byte_bot.app import Application
from byte_bot.chat.irc.connector import StreamConnector
from byte_bot.chat.transport import Connector
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.schema import SCHEMA_DIR
from byte_bot.settings import Settings
from simulator.account import Account
from simulator.audience import perform, speaker, utterances
from simulator.auditor import Auditor
from simulator.conversation import Conversation, StoryError
from simulator.fault_driver import FaultDriver, check_simulated
from simulator.faults import Fault, FaultBoard, TwitchReordering
from simulator.invariants import Invariant
from simulator.invariants.present import absent_from
from simulator.invariants.recovers import recovery
from simulator.invariants.standard import night_invariants, standard_invariants
from simulator.loop import START_UNIX_S, ReadyOrder, current_loop, run
from simulator.losses import leave_behind, reckon
from simulator.meter import Meter, MeteredTransport
from simulator.recording import RecordedTransport, record_answers, record_plan
from simulator.report import Line, Report, Violation
from simulator.rng import SeedTree
from simulator.sampler import Sampler
from simulator.scenario import Scenario
from simulator.simulated_bot import ApplicationFactory, SimulatedBot
from simulator.supabase.faces import SupabaseServer, SupabaseTransport
from simulator.supabase.server import FakeSupabase
from simulator.table_editor import TableEditor
from simulator.trace import Trace
from simulator.world_twitch import Network, Transport, WorldTwitch, implied_network, night_options

__all__ = ["Network", "Transport", "World", "implied_network", "play", "run_alone", "simulate"]

T = TypeVar("T")

BOT_LOGIN = "byte_bot"
BOT_TOKEN = "fake0token0of0the0simulator"
#: Any host will do: nothing is looked up in memory. https, since the bot refuses to send its key in clear.
MEMORY_SUPABASE_URL = "https://project.supabase.test"
#: An orderly stop takes less than this: containers kill at 10 s.
STOP_S = 10.0
#: After the heal the bot must be back in its channels within this: a dead socket is noticed within 40 s, pauses between
#: attempts are at most 30 s, a JOIN that was dropped is sent again after 10 s.
RETURN_S = 120.0


class World:
    """See the module's docstring; made by :func:`simulate` and :func:`play`."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        *,
        network: Network = "memory",
        transport: Transport = "irc",
        application: ApplicationFactory = Application,
        keep_trace: bool = False,
        invariants: tuple[Invariant, ...] | None = None,
    ) -> None:
        check_simulated(scenario.faults, network, transport)
        self.scenario, self.seed = scenario, seed
        self.loop = current_loop()
        self.seeds = SeedTree(seed)
        self.network_kind, self.transport = network, transport
        self.bot_login = BOT_LOGIN
        self.channels: dict[str, str] = {}
        self.trace = Trace(self.loop.time, keep=keep_trace)
        self.account = Account()
        self.account.state.overtaking = any(isinstance(one, TwitchReordering) for one in scenario.faults)
        self.meter = Meter()
        self.violations: list[Violation] = []
        self.faults = FaultBoard(self.loop.time, self.seeds.stream("faults"), scenario.faults)
        self.faces = WorldTwitch(
            self.loop,
            self.seeds,
            self.trace,
            network=network,
            transport=transport,
            latency_s=scenario.latency_ms / 1000,
            bot_login=BOT_LOGIN,
            bot_token=BOT_TOKEN,
            renewable_token=scenario.renewable_token,
        )
        self.twitch, self.irc, self.life = self.faces.state, self.faces.irc, self.faces.life
        self.supabase = FakeSupabase(
            SCHEMA_DIR,
            time_source=self.loop.time,
            unix_start=START_UNIX_S,
            rng=self.seeds.stream("supabase"),
            faults=self.faults,
        )
        self.invariants = standard_invariants() if invariants is None else invariants
        self._supabase_url = MEMORY_SUPABASE_URL
        self._recovered_after_s: float | None = None
        self.bot = SimulatedBot(
            loop=self.loop,
            trace=self.trace,
            seeds=self.seeds,
            meter=self.meter,
            application=application,
            settings=self._settings,
            http_transport=self._http_transport,
            oauth_transport=self.faces.oauth_transport,
            token_store=self.faces.token_store,
            connector=self._connector,
            scenario=scenario,
            faults=self.faults,
            on_death=lambda death: reckon(self.account, death, self.channels),
            on_rivalry_over=lambda rivalry: leave_behind(self.account, rivalry, self.channels),
        )
        self.chat = Conversation(
            self.twitch,
            self.trace,
            self.account,
            bot_login=BOT_LOGIN,
            default_channel=scenario.channels[0],
            attendance=self.attendance,
            ungated_replies=lambda: self.bot.ungated_replies,
            processes=lambda: self.bot.incarnations_running,
        )
        self.twitch.on_message(self.bot.overhear)
        self.editor = TableEditor(self.supabase, self.channels, self.account)
        # What stories use most, within reach.
        self.say, self.ask = self.chat.say, self.chat.ask
        self.stored, self.counter, self.config = self.editor.stored, self.editor.counter, self.editor.config
        self.store_counters, self.start_second_bot = self.editor.store_counters, self.bot.run_second
        self.start_bot, self.stop_bot, self.restart_bot = self.bot.start, self.bot.stop, self.bot.restart
        self.crash_bot, self.cut_power = self.bot.crash, self.bot.cut_power
        self.start_rival = self.bot.start_rival
        self.break_disk = partial(self.break_database, name="disk")
        self.bot_tasks, self.exit_codes = self.bot.tasks, self.bot.exit_codes

    # ── building ─────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[World]:
        """The fakes stand and people are in their channels; the bot is not started yet."""
        self._populate()
        record_plan(self.trace, self.scenario.faults)
        record_answers(self.trace, self.supabase)
        for invariant in self.invariants:
            invariant.started(self)
        async with Auditor(), asyncio.TaskGroup() as tasks, self._listening():
            services = [
                tasks.create_task(self._fault_driver().run(), name="faults"),
                tasks.create_task(Sampler(self).run(), name="sampler"),
            ]
            try:
                yield self
            finally:
                for service in services:
                    service.cancel()
                while self.bot_runs:  # of two the other one is the bot when one is dead
                    self.crash_bot()
        self.trace.seal()

    def _populate(self) -> None:
        scenario = self.scenario
        self.channels.update(self.faces.populate(scenario))
        for login in scenario.channels if scenario.listed is None else scenario.listed:
            self.supabase.human_insert(
                "channels_config", {"login": login, "channel_id": self.channels.get(login)}
            )

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.faces.listening())
            if self.network_kind != "memory":
                database = await stack.enter_async_context(SupabaseServer(self.supabase))
                self._supabase_url = database.url
            yield

    # ── the bot's life ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def app(self) -> Application | None:
        """The running bot's parts, to look at; None while no bot runs."""
        return self.bot.app

    @property
    def second(self) -> Application | None:
        """The parts of the bot started last by :meth:`start_second_bot`."""
        return self.bot.second

    @property
    def bot_runs(self) -> bool:
        """True between a start of the bot and its end."""
        return self.bot.running

    def _http_transport(self) -> httpx.AsyncBaseTransport:
        inner: httpx.AsyncBaseTransport = SupabaseTransport(self.supabase)
        if self.network_kind != "memory":
            # Plain http: no certificates to read (30 ms). Idle connections would age by the machine's clock.
            inner = httpx.AsyncHTTPTransport(verify=False, limits=httpx.Limits(keepalive_expiry=None))
        return MeteredTransport(RecordedTransport(inner, self.trace), self.meter)

    def _connector(self) -> Connector:
        return self.faces.memory if self.network_kind == "memory" else StreamConnector()

    def _settings(self) -> Settings:
        values: dict[str, Any] = {
            **self.faces.settings(),
            "twitch_channel_logins": self.scenario.fixed,
            "twitch_rate_tier": "verified" if self.scenario.verified else "normal",
            "supabase_url": self._supabase_url,
            "supabase_key": self.supabase.secret_key,
            "status_interval_s": 0.0,
            **self.scenario.settings,
        }
        return Settings(**values)

    # ── chat ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def joined(self, *channels: str, within_s: float = 30.0) -> None:
        """Wait until the bot is in these channels (default: all)."""
        wanted = channels or self.scenario.channels
        await self.until(
            lambda: self.app is not None and set(self.app.transport.joined).issuperset(wanted),
            within_s,
            f"the bot in {', '.join(wanted)}",
        )

    def attendance(self, channel: str) -> frozenset[int]:
        """By which of Twitch's connections the bot hears this channel now; none while no process runs, or one is stopping."""
        awake = self.bot_runs and not self.bot.stopping
        return frozenset(self.faces.attending(channel) if awake else ())

    async def until(self, condition: Callable[[], bool], within_s: float = 30.0, what: str = "") -> None:
        """Wait until ``condition()``; raises :class:`StoryError` after ``within_s`` virtual seconds."""
        holds = partial(self.bot.reached, condition)
        if not (holds() or await self.loop.watches.until(holds, within_s)):
            raise StoryError(f"did not happen within {within_s:g} s: {what or condition}")

    # ── faults and phases ────────────────────────────────────────────────────────────────────────────────────────

    def break_database(self, fault: Fault, name: str = "story") -> None:
        """Let a fault act from now until :meth:`heal`."""
        check_simulated([fault], self.network_kind, self.transport)
        self.trace.record("fault", name=name, fault=fault.kind)
        self.faults.set(name, fault)

    def heal(self) -> None:
        """End every fault."""
        self.trace.record("heal")
        self.faults.clear_all()
        self.faces.heal()
        self.bot.clock.set_right()

    async def converge(self) -> None:
        """Wait until the backlog is drained and the circuit closed, within P6's time; a violation if it is not."""
        self._recovered_after_s = await recovery(self)

    async def returned(self) -> None:
        """Wait until the bot is back in its channels, or should be, and what it learned there is saved; the rest is for invariants."""
        with suppress(StoryError):
            await self.until(lambda: not absent_from(self), RETURN_S)
        if not self.drained():  # a process that had only just begun at the heal had nothing to save yet
            await recovery(self)

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

    @property
    def transcript(self) -> tuple[Line, ...]:
        """What the bot said, in order."""
        return self.chat.transcript

    def _fault_driver(self) -> FaultDriver:
        faces, clock = self.faces, self.bot.clock
        return FaultDriver(
            self.faults, self.irc, self, faces.chunk(), eventsub=faces.eventsub, web=faces.web, clock=clock
        )

    # ── a whole night ────────────────────────────────────────────────────────────────────────────────────────────

    async def night(self) -> Report:
        """Safety phase, heal, liveness phase, judgement."""
        self.start_bot()
        async with asyncio.TaskGroup() as tasks:
            crowd = utterances(self.scenario.crowds, self.seeds.child("audience"), self.scenario.duration_s)
            tasks.create_task(perform(crowd, speaker(self.twitch)))
            if self.scenario.script is not None:
                tasks.create_task(self.scenario.script(self))
            tasks.create_task(asyncio.sleep(self.scenario.duration_s))
        self.heal()
        await self.until(lambda: not self.bot.restarting, STOP_S, "the end of a restart")
        await self.bot.end_rivalry()
        if not self.bot_runs:
            self.start_bot()
        await self.converge()
        await self.returned()
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
            latencies_ms=tuple(self.chat.latencies_ms),
            unanswered=self.chat.unanswered,
            unanswered_away=self.chat.unanswered_away,
            recovered_after_s=self._recovered_after_s,
            virtual_s=self.loop.time(),
            counts={
                "http_requests": self.meter.requests_total,
                "saves": self.supabase.saves_total,
                "confirmed_counter_changes": self.account.confirmed,
                "incarnations": self.bot.incarnation,
                **self.faces.counts(),
            },
            options=night_options(self.network_kind, self.transport, self.loop.ready_order),
        )


def simulate(
    scenario: Scenario,
    seed: int,
    *,
    network: Network | None = None,
    transport: Transport = "irc",
    ready_order: ReadyOrder = "fifo",
    application: ApplicationFactory = Application,
    invariants: Callable[[], tuple[Invariant, ...]] = night_invariants,
) -> Report:
    """Run one night of ``scenario`` in a loop of its own and report.

    Args:
        seed: everything random in the night follows from it.
        network, transport: ``memory`` or ``tcp`` (None: what the transport needs); ``irc`` or ``eventsub``.
        ready_order: of tasks ready at the same instant: ``fifo``, or ``random`` (drawn from the seed).
        application: builds the bot; a test that switches a safeguard off passes its own.
        invariants: makes those that judge.
    """
    over, judges = network or implied_network(transport), invariants()

    async def body() -> Report:
        world = World(
            scenario, seed, network=over, transport=transport, application=application, invariants=judges
        )
        async with world.standing():
            return await world.night()

    return run_alone(body(), seed, over, ready_order)


def play(
    story: Callable[[World], Awaitable[T]],
    scenario: Scenario | None = None,
    *,
    seed: int = 0,
    network: Network | None = None,
    transport: Transport = "irc",
    ready_order: ReadyOrder = "fifo",
    application: ApplicationFactory = Application,
    strict: bool = True,
    judge: bool = True,
) -> T:
    """Run a story in a world; what it returns. The arguments are those of :func:`simulate`.

    If a bot runs at the end and has saved everything, every invariant judges that end; ``judge=False`` is for a story
    that ends in a state which cannot be judged.

    Raises:
        AssertionError: an invariant was broken and ``strict``; or the story's own assertion.
        StoryError: something the story waited for did not happen.
    """
    chosen = scenario or Scenario("story", "a story told by a test")
    over = network or implied_network(transport)

    async def body() -> T:
        world = World(chosen, seed, network=over, transport=transport, application=application)
        async with world.standing():
            result = await story(world)
            if judge and world.drained():
                world.judge()
        if strict and world.violations:
            raise AssertionError("\n".join(str(violation) for violation in world.violations))
        return result

    return run_alone(body(), seed, over, ready_order)


def run_alone(body: Coroutine[Any, Any, T], seed: int, network: Network, ready_order: ReadyOrder) -> T:
    """Run a world in its own loop; an error that is alone in its task group comes out alone."""
    try:
        return run(body, seed=seed, hybrid=network == "tcp", ready_order=ready_order)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None
