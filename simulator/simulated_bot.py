"""The bot as a process of a world: started, stopped in order, killed, started again; and a second one beside it.

A process that is killed leaves nothing but its *disk* (:mod:`simulator.disk`), which the next one gets, unless the scenario
says that the disk is lost too. What else a death may have taken with it is told to whoever listens (:class:`Death`). Every
incarnation draws from its own branch of the seed tree: a restarted process must not repeat its ids.

A *rival* is another process of the same bot on another machine, with a disk of its own, which somebody starts by mistake
(:meth:`SimulatedBot.start_rival`). Both run until one of them ends, whichever and however; from then on the other is the bot, and what the
one that ended has left is told (:class:`Rivalry`). The bot's token and the clock are the same on both machines.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from byte_bot.app import Application, Surroundings
from byte_bot.auth.oauth import TIMEOUT_S
from byte_bot.auth.token_file import TokenStore
from byte_bot.chat.transport import Connector
from byte_bot.errors import ExitCode
from byte_bot.settings import Settings
from simulator.conversation import StoryError
from simulator.disk import Disk, Durability
from simulator.faults import FaultBoard
from simulator.loop import Process, VirtualLoop
from simulator.machine_clock import MachineClock
from simulator.meter import Meter
from simulator.rng import SeedTree
from simulator.scenario import Scenario
from simulator.trace import Trace
from simulator.twitch.events import SentMessage

ApplicationFactory = Callable[[Settings, Surroundings], Application]
_NAME = "bot"


@dataclass(frozen=True)
class Death:
    """What is known of a process that has ended, killed or in order; ``disk`` is as it was left."""

    disk: Disk
    #: Its epoch, 0 if it had none.
    epoch: int
    #: True if it had announced that replies leave before they are durable, and its journal had not caught up yet.
    behind: bool
    #: The messages whose commits it was told of, and which the disk has lost all the same.
    lost: tuple[str, ...]


@dataclass(frozen=True)
class Rivalry:
    """Two processes ran at the same time, and one of them has ended."""

    #: The disks of the one that ended, and of the one that is the bot now.
    left: Disk
    kept: Disk
    #: The messages said while one of the two had no epoch yet, so that nothing told the two apart.
    unfenced: tuple[str, ...]


@dataclass(eq=False)
class Instance:
    """One process of the bot, on its machine."""

    name: str
    incarnation: int
    disk: Disk
    process: Process | None = None
    #: Its parts, to look at; None before they are put together, and after its end.
    app: Application | None = None
    #: The epoch that it had when it ended, 0 if it had none.
    epoch: int = 0
    #: True once the world has asked it to stop.
    asked: bool = False
    #: What it returned to the shell, None as long as it has not.
    code: ExitCode | None = None

    @property
    def ended_by_itself(self) -> bool:
        """True if it has ended, and nobody had killed it or asked it to."""
        return (
            self.process is not None
            and not self.process.running
            and not self.process.killed
            and not self.asked
        )

    @property
    def running(self) -> bool:
        """True between its start and its end."""
        return self.process is not None and self.process.running


class SimulatedBot:
    """See the module's docstring.

    Args:
        loop, trace, seeds, meter: the world's.
        application: puts the bot together.
        settings, http_transport, oauth_transport, token_store, connector: asked for by every incarnation.
        scenario: says whether the disk outlives the process, and how long its commits take.
        faults: what is wrong with the disk.
        on_death: told of every process that has ended.
        on_rivalry_over: told when one of two processes has ended, after ``on_death``.
    """

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        trace: Trace,
        seeds: SeedTree,
        meter: Meter,
        application: ApplicationFactory,
        settings: Callable[[], Settings],
        http_transport: Callable[[], httpx.AsyncBaseTransport],
        oauth_transport: Callable[[], httpx.AsyncBaseTransport | None],
        token_store: Callable[[], TokenStore | None],
        connector: Callable[[], Connector],
        scenario: Scenario,
        faults: FaultBoard,
        on_death: Callable[[Death], None],
        on_rivalry_over: Callable[[Rivalry], None],
    ) -> None:
        self._loop = loop
        self._trace = trace
        self._seeds = seeds
        self._meter = meter
        self._application = application
        self._settings = settings
        self._http_transport = http_transport
        self._oauth_transport = oauth_transport
        self._token_store = token_store
        self._connector = connector
        self._faults = faults
        self._on_death = on_death
        self._on_rivalry_over = on_rivalry_over
        self.clock = MachineClock(loop, trace)
        self._disk_latency = scenario.disk_latency
        self._durability: Durability = scenario.settings.get("durability", "process")
        self._disk_kept = scenario.disk == "kept" and self._durability != "off"
        #: All disks that there ever were, and that of the bot's machine.
        self.disks: list[Disk] = []
        self.disk = self._new_disk("memory")
        self._ungated_before = 0
        #: What those that have ended had counted.
        self._counted_before: Counter[str] = Counter()
        self._dropped_before: Counter[tuple[str, str]] = Counter()
        #: When a process of the bot ended last, whichever and however.
        self.last_end_s = -math.inf
        #: Until then the bot spoke without any journal of the process that runs now knowing of it.
        self.unknown_until_s = -math.inf
        self._bot: Instance | None = None
        self._second: Instance | None = None
        self.exit_codes: list[ExitCode] = []
        self.incarnation = 0
        #: True from the request to stop until the next process has begun, or the one that stops was killed.
        self.restarting = False
        #: Another process on another machine, while there are two.
        self.rival: Instance | None = None
        #: The messages said while there were two.
        self.heard_by_two: dict[str, None] = {}
        self._unfenced: dict[str, None] = {}
        #: True if the bot is what was left of two, and the other one held the newer epoch: it will be turned away.
        self._superseded = False

    @property
    def running(self) -> bool:
        """True between a start and its end."""
        return self._bot is not None and self._bot.running

    @property
    def stopping(self) -> bool:
        """True from the request to stop until its process has ended: it accepts nothing more."""
        return self._bot is not None and self._bot.asked and self._bot.running

    @property
    def incarnations_running(self) -> frozenset[int]:
        """The number of each of its processes that runs: one, two, or none."""
        return frozenset(
            [one.incarnation for one in (self._bot, self.rival) if one is not None and one.running]
        )

    @property
    def app(self) -> Application | None:
        """The running bot's parts, to look at; None while no bot runs."""
        return self._bot.app if self._bot is not None else None

    @property
    def last(self) -> Instance | None:
        """The bot that runs, or that has ended last of those that were started one after the other; None before a start."""
        return self._bot

    @property
    def second(self) -> Application | None:
        """The parts of the bot started last by :meth:`run_second`."""
        return self._second.app if self._second is not None else None

    @property
    def in_company(self) -> bool:
        """True while two of its processes run, on two machines."""
        return self.rival is not None or (self._second is not None and self._second.code is None)

    def start(self) -> None:
        """Start a process; returns at once."""
        self.incarnation += 1
        if not self._disk_kept:
            self.unknown_until_s = self.last_end_s
            self.disk = self._new_disk(f"disk-{self.incarnation}")
        self._superseded = False
        self._trace.record("bot_started", incarnation=self.incarnation)
        self._bot = self._launched(_NAME, self.disk)

    def start_rival(self) -> None:
        """Start another process on another machine; nothing happens while no bot runs, or two do."""
        if not self.running or self.rival is not None:
            return
        self.incarnation += 1
        self._trace.record("rival_started", incarnation=self.incarnation)
        self.rival = self._launched(
            f"{_NAME}-{self.incarnation}", self._new_disk(f"machine-{self.incarnation}")
        )

    def _launched(self, name: str, disk: Disk) -> Instance:
        one = Instance(name, self.incarnation, disk)
        one.process = self._loop.spawn(name, self._main(one))
        return one

    def overhear(self, message: SentMessage) -> None:
        """Somebody said something: note it if two processes run."""
        if self.rival is None:
            return
        self.heard_by_two[message.id] = None
        if not all(app is not None and app.layer.epoch for app in (self.app, self.rival.app)):
            self._unfenced[message.id] = None

    async def end_rivalry(self) -> None:
        """Stop the older of two processes in order, if it has not found out by itself: whoever started the other one would.

        A process that the one before it has superseded is started anew: it answers from what was stored before that.
        """
        if self.rival is not None and self.app is not None:
            await self.stop()
        if self._superseded:
            await self.restart()

    def _ended(self, one: Instance) -> None:
        """A process has ended: if it was one of two, the other is the bot."""
        if self.rival is None:
            return
        # Neither knows what the other one has said.
        self.unknown_until_s = self._loop.time()
        if one is not self.rival:
            self._bot, self.disk = self.rival, self.rival.disk
        self.rival = None
        self._superseded = self.app is not None and 0 < self.app.layer.epoch < one.epoch
        self._trace.record("rivalry_over", ended=one.incarnation)
        self._on_rivalry_over(Rivalry(one.disk, self.disk, tuple(self._unfenced)))
        self._unfenced.clear()

    def crash(self) -> None:
        """``kill -9``: nothing of it runs again, not even ``finally``."""
        self._trace.record("bot_crashed", incarnation=self.incarnation)
        self._die(())

    def cut_power(self) -> None:
        """The machine dies, and the process with it."""
        self._trace.record("power_cut", incarnation=self.incarnation)
        lost = tuple(self.disk.cut_power())
        if lost:
            self._trace.record("commits_lost", messages=len(lost))
        self._die(lost)

    def _die(self, lost: tuple[str, ...]) -> None:
        one = self._bot
        self._loop.kill_process(one.name if one is not None else _NAME)
        assert one is not None, "or there was no process to kill"
        self._meter.process_died()
        self._reckon(one, lost)
        self._ended(one)

    def _reckon(self, one: Instance, lost: tuple[str, ...]) -> None:
        """Tell what the end of this process may have cost."""
        app, one.app = one.app, None
        behind = False
        self.last_end_s = self._loop.time()
        if app is not None:
            self._counted_before.update(app.telemetry.counters)
            self._dropped_before.update(app.outbox.drops)
            journal, one.epoch = app.layer.journal, app.layer.epoch
            self._ungated_before += journal.ungated_replies
            announced = journal.degraded or app.telemetry.counters["event_journal_degraded"] > 0
            behind = announced and not journal.committed(journal.appended)
        if behind or lost:
            self.unknown_until_s = self.last_end_s
        self._on_death(Death(one.disk, one.epoch, behind, lost))

    @property
    def ungated_replies(self) -> int:
        """How many replies have left before they were durable, as the bots count them."""
        live = [
            one.app.layer.journal.ungated_replies
            for one in (self._bot, self.rival, self._second)
            if one is not None and one.app is not None
        ]
        return self._ungated_before + sum(live)

    def counted(self, names: Collection[str]) -> int:
        """The sum of these counters over all its processes so far, those that have ended and each of two: it never falls."""
        live = [
            one.app.telemetry.counters
            for one in (self._bot, self.rival)
            if one is not None and one.app is not None
        ]
        return sum([counters.get(name, 0) for counters in (self._counted_before, *live) for name in names])

    def dropped(self, channel: str, reasons: Iterable[str]) -> int:
        """How many messages to this channel all of them have dropped for these reasons; it never falls either."""
        live = [
            one.app.outbox.drops for one in (self._bot, self.rival) if one is not None and one.app is not None
        ]
        return sum(drops[channel, reason] for reason in reasons for drops in (self._dropped_before, *live))

    async def stop(self) -> ExitCode | None:
        """SIGTERM: ask it to stop, wait until it has ended; its exit code, None if it was killed before it had one."""
        one = self._bot
        if one is None or one.app is None or one.process is None:
            raise StoryError("there is no bot to stop")
        one.asked = True
        one.app.stop()
        await one.process.wait()
        return one.code

    async def restart(self) -> None:
        """Stop in order and start again; left alone is a process that has only just begun, is ending by itself, or is being restarted.

        Of one that is killed while it stops nothing more is done: whoever kills a process says when another one starts.
        """
        if self.app is None or self.restarting:
            return
        self.restarting = True
        try:
            if await self.stop() is None:
                return
            # The other one of two, which the one that has just ended had superseded.
            if self._superseded and self.app is not None and await self.stop() is None:
                return
            if not self.running:  # of two the other one goes on
                self.start()
        finally:
            self.restarting = False

    async def run_second(self) -> ExitCode:
        """Run another bot with a disk of its own until it ends, beside everything else; its exit code."""
        self._second = Instance("second", 0, self._new_disk("second"))
        self._second.code = await self._run(self._seeds.child("second"), self._second)
        return self._second.code

    def tasks(self) -> list[Any]:
        """Its live tasks."""
        return self._loop.tasks_of(self._bot.name if self._bot is not None else _NAME)

    def reached(self, condition: Callable[[], bool]) -> bool:
        """Whether it holds; raises :class:`StoryError` if not and a process died of an error: nobody needs to wait for it any more."""
        if condition():
            return True
        for one in (self._bot, self.rival):
            root = one.process.root if one is not None and one.process is not None else None
            if root is not None and root.done() and not root.cancelled() and root.exception() is not None:
                raise StoryError(f"the bot died: {root.exception()!r}") from root.exception()
        return False

    def _new_disk(self, identity: str) -> Disk:
        disk = Disk(
            identity,
            self._seeds.child(f"disk/{identity}"),
            self._faults,
            latency=self._disk_latency,
            durability=self._durability,
        )
        self.disks.append(disk)
        return disk

    async def _main(self, one: Instance) -> None:
        one.code = await self._run(self._seeds.child(f"bot-{one.incarnation}"), one)
        self.exit_codes.append(one.code)
        # Also an orderly end cannot keep what a failing disk does not take and the database did not get.
        self._reckon(one, ())
        self._ended(one)

    async def _run(self, seeds: SeedTree, one: Instance) -> ExitCode:
        settings = self._settings()
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(
                httpx.AsyncClient(transport=self._http_transport(), timeout=settings.database_timeout_s)
            )
            to_oauth, twitch_http = self._oauth_transport(), None
            if to_oauth is not None:
                twitch_http = await stack.enter_async_context(
                    httpx.AsyncClient(transport=to_oauth, timeout=TIMEOUT_S)
                )
            surroundings = Surroundings(
                connector=self._connector(),
                http=http,
                clock=self.clock,
                rng=seeds.stream("application"),
                journal_store=one.disk.open(),
                twitch_http=twitch_http,
                token_store=self._token_store(),
            )
            one.app = application = self._application(settings, surroundings)
            code = await application.run()
            one.disk.sync()  # an orderly end closes the file
            return code
