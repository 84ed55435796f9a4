"""The bot as a process of a world: started, stopped in order, killed, started again; and a second one beside it.

A process that is killed leaves nothing but its *disk* (:mod:`simulator.disk`), which the next one gets, unless the scenario
says that the disk is lost too. What else a death may have taken with it is told to whoever listens (:class:`Death`). Every
incarnation draws from its own branch of the seed tree: a restarted process must not repeat its ids.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from byte_bot.app import Application, Surroundings
from byte_bot.auth.oauth import TIMEOUT_S
from byte_bot.chat.transport import Connector
from byte_bot.errors import ExitCode
from byte_bot.settings import Settings
from simulator.conversation import StoryError
from simulator.disk import Disk, Durability
from simulator.faults import FaultBoard
from simulator.loop import Process, VirtualLoop
from simulator.meter import Meter
from simulator.rng import SeedTree
from simulator.scenario import Scenario
from simulator.trace import Trace

ApplicationFactory = Callable[[Settings, Surroundings], Application]
_NAME = "bot"


class LoopClock:
    """The bot's wall clock: the loop's."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def unix(self) -> float:
        """Seconds since 1970 in the world."""
        return self._loop.unix_time()


@dataclass(frozen=True)
class Death:
    """What is known of a process that was killed; ``disk`` is as it was left."""

    disk: Disk
    #: Its epoch, 0 if it had none.
    epoch: int
    #: True if it had announced that replies leave before they are durable, and its journal had not caught up yet.
    behind: bool
    #: The messages whose commits it was told of, and which the disk has lost all the same.
    lost: tuple[str, ...]


class SimulatedBot:
    """See the module's docstring.

    Args:
        loop, trace, seeds, meter: the world's.
        application: puts the bot together.
        settings, http_transport, oauth_transport, connector: made anew for every incarnation.
        scenario: says whether the disk outlives the process, and how long its commits take.
        faults: what is wrong with the disk.
        on_death: told of every process that was killed.
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
        connector: Callable[[], Connector],
        scenario: Scenario,
        faults: FaultBoard,
        on_death: Callable[[Death], None],
    ) -> None:
        self._loop = loop
        self._trace = trace
        self._seeds = seeds
        self._meter = meter
        self._application = application
        self._settings = settings
        self._http_transport = http_transport
        self._oauth_transport = oauth_transport
        self._connector = connector
        self._faults = faults
        self._on_death = on_death
        self._disk_latency = scenario.disk_latency
        self._durability: Durability = scenario.settings.get("durability", "process")
        self._disk_kept = scenario.disk == "kept" and self._durability != "off"
        #: All disks that there ever were, and the bot's.
        self.disks: list[Disk] = []
        self.disk = self._new_disk("memory")
        self._ungated_before = 0
        self._process: Process | None = None
        self.exit_codes: list[ExitCode] = []
        self.incarnation = 0
        #: True from the request to stop until the next process has begun.
        self.restarting = False
        #: True from the request to stop until the process has ended: it accepts nothing more.
        self.stopping = False
        #: The running bot's parts, to look at; None while no bot runs.
        self.app: Application | None = None
        #: The parts of the bot started last by :meth:`run_second`.
        self.second: Application | None = None

    @property
    def running(self) -> bool:
        """True between a start and its end."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start a process; returns at once."""
        self.incarnation += 1
        if not self._disk_kept:
            self.disk = self._new_disk(f"disk-{self.incarnation}")
        self._trace.record("bot_started", incarnation=self.incarnation)
        self._process = self._loop.spawn(_NAME, self._main(self.incarnation, self.disk))

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
        self._loop.kill_process(_NAME)
        self._meter.process_died()
        app, self.app = self.app, None
        if app is None:
            self._on_death(Death(self.disk, 0, False, lost))
            return
        journal = app.layer.journal
        self._ungated_before += journal.ungated_replies
        announced = journal.degraded or app.telemetry.counters["event_journal_degraded"] > 0
        behind = announced and not journal.committed(journal.appended)
        self._on_death(Death(self.disk, app.layer.epoch, behind, lost))

    @property
    def ungated_replies(self) -> int:
        """How many replies have left before they were durable, as the bots count them."""
        live = (app.layer.journal.ungated_replies for app in (self.app, self.second) if app is not None)
        return self._ungated_before + sum(live)

    async def stop(self) -> ExitCode:
        """SIGTERM: ask it to stop, wait until it has; its exit code."""
        if self.app is None or self._process is None:
            raise StoryError("there is no bot to stop")
        self.stopping = True
        self.app.stop()
        await self._process.wait()
        self.stopping = False
        return self.exit_codes[-1]

    async def restart(self) -> None:
        """Stop in order and start again; a process that has only just begun, or is ending by itself, is left alone."""
        if self.app is None:
            return
        self.restarting = True
        await self.stop()
        self.start()
        self.restarting = False

    async def run_second(self) -> ExitCode:
        """Run another bot with a disk of its own until it ends; its exit code."""
        return await self._run(self._seeds.child("second"), self._new_disk("second"), shown=False)

    def tasks(self) -> list[Any]:
        """Its live tasks."""
        return self._loop.tasks_of(_NAME)

    def expect_alive(self) -> None:
        """Raise :class:`StoryError` if the process died of an error: nobody needs to wait for it any more."""
        root = self._process.root if self._process is not None else None
        if root is not None and root.done() and not root.cancelled() and root.exception() is not None:
            raise StoryError(f"the bot died: {root.exception()!r}") from root.exception()

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

    async def _main(self, incarnation: int, disk: Disk) -> None:
        seeds = self._seeds.child(f"bot-{incarnation}")
        self.exit_codes.append(await self._run(seeds, disk, shown=True))
        if self.app is not None:
            self._ungated_before += self.app.layer.journal.ungated_replies
        self.app = None

    async def _run(self, seeds: SeedTree, disk: Disk, *, shown: bool) -> ExitCode:
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
                clock=LoopClock(self._loop),
                rng=seeds.stream("application"),
                journal_store=disk.open(),
                twitch_http=twitch_http,
            )
            application = self._application(settings, surroundings)
            if shown:
                self.app = application
            else:
                self.second = application
            code = await application.run()
            disk.sync()  # an orderly end closes the file
            return code
