"""The bot as a process of a world: started, stopped in order, killed, started again; and a second one beside it.

A process that is killed leaves nothing but its *disk*, the journal's store, which the next one gets (unless the scenario
says that the disk is lost too). Every incarnation draws from its own branch of the seed tree: a restarted process must not
repeat its ids.

A disk may take its time (:class:`SlowStore`): as long as the slowest record of a commit, drawn for each record by itself.
Left out: what bookkeeping costs on it (saves on their way, rows acknowledged): a real disk does that between two commits of
records, or beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from byte_bot.app import Application, Surroundings
from byte_bot.chat.transport import Connector
from byte_bot.errors import ExitCode
from byte_bot.persistence.journal import Handled, JournalStore, MemoryJournalStore, Recorded, Write
from byte_bot.settings import Settings
from simulator.conversation import StoryError
from simulator.loop import Process, VirtualLoop
from simulator.meter import Meter
from simulator.rng import SeedTree
from simulator.scenario import DiskLatency, Scenario
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


class SlowStore(MemoryJournalStore):
    """A journal's store whose commits take time; what a crash interrupts was never written.

    A record's latency is drawn from a stream of its own, named after what it records: it does not depend on which records
    are committed together, nor in which order, nor on what the database does meanwhile.
    """

    def __init__(self, identity: str, latency: DiskLatency, seeds: SeedTree) -> None:
        super().__init__(identity)
        self._latency = latency
        self._seeds = seeds

    async def commit(self, writes: Sequence[Write]) -> None:
        """Fold the writes into the image, once the slowest record is on the disk."""
        await asyncio.sleep(max((self._latency_s(write) for write in writes), default=0.0))
        await super().commit(writes)

    def _latency_s(self, write: Write) -> float:
        match write:
            case Handled(message_id):
                name = message_id
            case Recorded(_, operations) if operations:
                name = operations[0].op_id
            case _:
                return 0.0
        return self._latency.draw_s(self._seeds.stream(name))


class SimulatedBot:
    """See the module's docstring.

    Args:
        loop, trace, seeds, meter: the world's.
        application: puts the bot together.
        settings, http_transport, connector: made anew for every incarnation.
        scenario: says whether the journal's store outlives the process, and how long its commits take.
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
        connector: Callable[[], Connector],
        scenario: Scenario,
    ) -> None:
        self._loop = loop
        self._trace = trace
        self._seeds = seeds
        self._meter = meter
        self._application = application
        self._settings = settings
        self._http_transport = http_transport
        self._connector = connector
        self._disk_kept = scenario.disk == "kept"
        self._disk_latency = scenario.disk_latency
        self._disk = self._new_disk("memory")
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
            self._disk = self._new_disk(f"disk-{self.incarnation}")
        self._trace.record("bot_started", incarnation=self.incarnation)
        self._process = self._loop.spawn(_NAME, self._main(self.incarnation, self._disk))

    def crash(self) -> None:
        """``kill -9``: nothing of it runs again, not even ``finally``."""
        self._trace.record("bot_crashed", incarnation=self.incarnation)
        self._loop.kill_process(_NAME)
        self._meter.process_died()
        self.app = None

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

    def _new_disk(self, identity: str) -> JournalStore:
        if self._disk_latency is None:
            return MemoryJournalStore(identity)
        return SlowStore(identity, self._disk_latency, self._seeds.child(f"disk/{identity}"))

    async def _main(self, incarnation: int, disk: JournalStore) -> None:
        seeds = self._seeds.child(f"bot-{incarnation}")
        self.exit_codes.append(await self._run(seeds, disk, shown=True))
        self.app = None

    async def _run(self, seeds: SeedTree, disk: JournalStore, *, shown: bool) -> ExitCode:
        settings = self._settings()
        async with httpx.AsyncClient(
            transport=self._http_transport(), timeout=settings.database_timeout_s
        ) as http:
            surroundings = Surroundings(
                connector=self._connector(),
                http=http,
                clock=LoopClock(self._loop),
                rng=seeds.stream("application"),
                journal_store=disk,
            )
            application = self._application(settings, surroundings)
            if shown:
                self.app = application
            else:
                self.second = application
            return await application.run()
