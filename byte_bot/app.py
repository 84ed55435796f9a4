"""The composition root: what a running bot is made of, and in which order it starts and stops.

:class:`Application` puts the parts together. Everything that touches the outside is given to it as
:class:`Surroundings`, so a simulation runs the same application on fakes; :mod:`byte_bot.launch` alone builds the real ones.

Start: journal (locked, opened, replayed) → components → Twitch login → persistence (journal, writer, loader; the epoch is taken) → the first
list of channels (Supabase within 3 s, else the last known list joined with ``TWITCH_CHANNEL_LOGINS``) → JOIN. The login
comes first since taking an epoch fences the bot that runs already: a mistyped token must not do that.

A token that Twitch does not take is waited for where it can be renewed (:mod:`byte_bot.auth.keeper`); a bare one ends the bot.

Stop (SIGTERM, Ctrl-C, Twitch refuses the login): inboxes, gate and outbox ≤ 2 s → flush ≤ 4 s → journal ≤ 1 s, all under
8 s, since containers kill at 10; a boot under way is given up. A save in flight at the end of its time is cancelled; what
it carried is still journaled. A process that is fenced by a newer one stops at once and keeps its journal. The journal's
file is closed, and its lock given up, when everything else has ended.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import httpx
import structlog

from byte_bot.auth.choice import keeper_for
from byte_bot.auth.token_file import TokenStore
from byte_bot.bot import TEARDOWN_TIMEOUT_S, Bot
from byte_bot.chat.errors import LoginRejected
from byte_bot.chat.limiter import MessageLimiter, rates_for
from byte_bot.chat.message import ChatEvent, Connected
from byte_bot.chat.outbox import Outbox, Reply
from byte_bot.chat.transport import Connector
from byte_bot.clock import Clock
from byte_bot.components.loader import load_components
from byte_bot.context.bridge import ContextBridge
from byte_bot.context.manager import ContextManager
from byte_bot.errors import ExitCode, Fenced
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.boot import ChannelDirectory, shown
from byte_bot.persistence.breaker import Breaker
from byte_bot.persistence.journal import Journal, JournalStore, KnownChannel
from byte_bot.persistence.layer import LayerParts, PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.link import Link
from byte_bot.persistence.supabase_store import SupabaseStore
from byte_bot.settings import Settings
from byte_bot.telemetry import Telemetry
from byte_bot.transports import transport_for
from byte_bot.turn import BotOptions

#: Seconds each stage of an orderly stop may take; together under 8, since containers kill at 10 (DESIGN section 3).
DRAIN_S = 2.0
FLUSH_S = 4.0
JOURNAL_S = 1.0
#: Seconds the start waits for Twitch's welcome before it goes on without; chosen: connecting takes well under one.
LOGIN_S = 10.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """Everything outside the program: network, clocks, chance, disk, and what else is installed.

    ``http`` is None without Supabase settings. ``offered_components`` are the entry points of installed packages; in
    ``components_folder`` modules of ``COMPONENTS`` are looked for too.
    """

    connector: Connector
    http: httpx.AsyncClient | None
    clock: Clock
    rng: random.Random
    journal_store: JournalStore
    offered_components: Callable[[], Iterable[EntryPoint]] = tuple
    components_folder: Path | None = None
    #: To Twitch's authorization server; None with a bare token, which nobody is asked about.
    twitch_http: httpx.AsyncClient | None = None
    token_store: TokenStore | None = None


class Application:
    """A bot, put together; belongs to the running event loop."""

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        loop = asyncio.get_running_loop()
        self._settings = settings
        self._surroundings = surroundings
        self._stop = asyncio.Event()
        self._logged_in = asyncio.Event()
        self._login_refused = False
        boot_id = f"{surroundings.rng.getrandbits(64):016x}"
        # One generator each: how often the database fails must not change what `!quote random` says.
        database_rng, connection_rng, handlers_rng = (
            random.Random(surroundings.rng.getrandbits(64)) for _ in range(3)
        )
        self.telemetry = Telemetry(surroundings.clock, boot_id)
        ledger = Ledger(history_max=settings.history_rows_max)
        self.telemetry.bind_events(ledger.add_event)
        link = Link(
            Breaker(Backoff(database_rng)), self.telemetry, lambda: ledger.rows_waiting, kept=self._is_kept
        )
        journal = Journal(surroundings.journal_store, on_degraded=self._journal_degraded)
        store = None
        if settings.has_database and surroundings.http is not None:
            store = SupabaseStore(
                settings.supabase_url,
                settings.supabase_key.get_secret_value(),
                surroundings.http,
                timeout_s=settings.database_timeout_s,
            )
        self.layer = PersistenceLayer(
            LayerParts(
                store=store,
                link=link,
                ledger=ledger,
                journal=journal,
                journal_store=surroundings.journal_store,
                clock=surroundings.clock,
                telemetry=self.telemetry,
                flush_interval_s=settings.flush_interval_s,
            )
        )
        self.manager = ContextManager(self.layer, context_idle_s=settings.context_idle_s)
        self.bridge = ContextBridge(self.manager)
        self.keeper = keeper_for(
            settings,
            http=surroundings.twitch_http,
            store=surroundings.token_store,
            clock=surroundings.clock,
            new_rng=lambda: random.Random(surroundings.rng.getrandbits(64)),
        )
        self.transport = transport_for(
            settings,
            connector=surroundings.connector,
            twitch_http=surroundings.twitch_http,
            keeper=self.keeper,
            clock=surroundings.clock,
            rng=connection_rng,
            handler=self._on_chat_event,
        )
        self.outbox = Outbox(
            self.transport,
            MessageLimiter(
                rates=rates_for(
                    settings.twitch_rate_tier,
                    messages=settings.twitch_messages_per_30s,
                    channel_messages=settings.twitch_channel_messages_per_30s,
                )
            ),
            loop.time,
            on_drop=lambda reason: self.telemetry.count(f"replies_dropped_{reason}"),
            on_sent=self._reply_sent,
        )
        self.directory = ChannelDirectory(
            self.layer,
            store,
            self.transport,
            fixed_logins=settings.twitch_channel_logins,
            preload=self.manager.preload_named,
            learn=self.manager.learn_channel_id,
            refresh_s=settings.config_refresh_s,
        )
        self.bot = Bot(
            BotOptions(
                login=settings.twitch_login,
                owners=settings.bot_owners,
                default_language=settings.default_language,
                default_prefix=settings.default_prefix,
                handler_timeout_s=settings.handler_timeout_s,
                load_hold_s=settings.load_hold_s,
            ),
            manager=self.manager,
            outbox=self.outbox,
            directory=self.directory,
            clock=surroundings.clock,
            rng=handlers_rng,
            telemetry=self.telemetry,
        )

    def stop(self) -> None:
        """Ask for an orderly stop; may be called more than once."""
        self._stop.set()

    async def run(self) -> ExitCode:
        """Run until :meth:`stop`, until fenced, or until Twitch refuses the login; what to return to the shell."""
        code = ExitCode.OK
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._start(tasks)
        except* Fenced as group:
            _log.error("fenced", why=str(first_error(group)))
            self._warn_of_unsaved_rows(
                "another bot took over the database, so this one may not save any more; stop the old bot before you start "
                "a new one"
            )
            code = ExitCode.FENCED
        if code is ExitCode.OK and self._login_refused:
            code = ExitCode.LOGIN_REFUSED
        return code

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        image = self.layer.restore()
        self.manager.preload(image.pending_channels)
        self.bot.remember_handled(image.handled)
        self.bot.voice.remember(image.spoken)
        self.manager.bind_loop(asyncio.get_running_loop())
        # What is not saved yet of channels that were listed: the login too, by which their configuration is found.
        pending = frozenset(image.pending_channels)
        self.manager.preload_named(
            {known.login: known.channel_id for known in image.channels if known.channel_id in pending}
        )
        await self._unless_stopped(tasks, self._load_components())
        if self._stop.is_set():
            await self._remove_components()
            return
        services = [
            tasks.create_task(self.outbox.run(), name="outbox"),
            tasks.create_task(self.bot.run(), name="bot"),
            tasks.create_task(self._run_transport(), name="transport"),
        ]
        if self.keeper.renewable:
            services.append(tasks.create_task(self.keeper.run(), name="token"))
        await self._unless_stopped(tasks, self._login())
        persistent = not self._stop.is_set()
        if persistent:
            services += [
                tasks.create_task(self.layer.run(), name="persistence"),
                tasks.create_task(self.manager.run_eviction(), name="eviction"),
                tasks.create_task(self._report_status(), name="status"),
            ]
            await self._unless_stopped(tasks, self._boot(image.channels))
        if not self._stop.is_set():
            services.append(tasks.create_task(self.directory.run(), name="directory"))
            if not self.directory.wanted:
                _log.warning(
                    "no_channels",
                    what_to_do="the bot is in no channel: add a row with the login to the table channels_config, or "
                    "set TWITCH_CHANNEL_LOGINS and start again",
                )
            _log.info("started", channels=shown(self.directory.wanted), components=len(self.bot.components))
            self.telemetry.event("start")
            await self._stop.wait()
        if persistent:
            await self._shut_down()
        else:
            await self._remove_components()
        for service in services:
            service.cancel()

    async def _unless_stopped(self, tasks: asyncio.TaskGroup, step: Coroutine[Any, Any, None]) -> None:
        """Carry out one step of the start; it is given up if the stop comes first, which has no time for it."""
        started = tasks.create_task(step, name="start")
        stop = tasks.create_task(self._stop.wait(), name="stop")
        await asyncio.wait((started, stop), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        stop.cancel()
        # It cleans up before anything else is taken apart; a component's setup may refuse to be given up.
        await asyncio.wait((started, stop), timeout=TEARDOWN_TIMEOUT_S)

    async def _load_components(self) -> None:
        await load_components(
            self.bot,
            self._settings.components,
            offered=self._surroundings.offered_components,
            beside=self._surroundings.components_folder,
        )

    async def _remove_components(self) -> None:
        for component in reversed(self.bot.components):
            await self.bot.remove_component(component)

    async def _boot(self, known: list[KnownChannel]) -> None:
        """Join the first channels."""
        if not self.layer.has_database:
            _log.warning(
                "no_database",
                what_it_means=(
                    "what chat changes is kept in the journal on this machine only"
                    if self._surroundings.journal_store.durable
                    else "nothing is kept over a restart"
                ),
                what_to_do="set SUPABASE_URL and SUPABASE_KEY to change that",
            )
        await self.directory.boot(known)

    async def _run_transport(self) -> None:
        try:
            await self.transport.run()
        except LoginRejected as error:
            # A token can end in mid-stream: what viewers were told is saved before the program ends.
            _log.error("login_refused", why=str(error))
            self._login_refused = True
            self.stop()

    async def _login(self) -> None:
        """Wait for Twitch's welcome; if Twitch is away, not longer than :data:`LOGIN_S`, since state can be saved.

        Without a token that may be used it is waited for: like a mistyped one it must not fence the bot that runs already.
        """
        try:
            async with asyncio.timeout(LOGIN_S):
                await self._logged_in.wait()
        except TimeoutError:
            if self.keeper.waiting:
                await self._logged_in.wait()
                return
            _log.warning(
                "twitch_away", waited_s=LOGIN_S, what_it_means="going on; the bot connects when it can"
            )

    def _on_chat_event(self, event: ChatEvent) -> None:
        if isinstance(event, Connected):
            self._logged_in.set()
        self.bot.on_event(event)

    async def _shut_down(self) -> None:
        _log.info("stopping", rows_waiting=self.layer.ledger.rows_waiting)
        self.telemetry.event("stop")
        left = await self.bot.drain(DRAIN_S / 2)
        # The last replies are still at the journal's gate: without them the outbox looks empty.
        await _at_most(DRAIN_S / 4, self.layer.journal.drain)
        left += await self.outbox.drain(DRAIN_S / 4)
        await self._remove_components()
        if self.layer.has_database:
            await _at_most(FLUSH_S, self.layer.writer.flush)
        await _at_most(JOURNAL_S, self.layer.journal.drain)
        self._warn_of_unsaved_rows("the database could not be reached")
        _log.info("stopped", messages_left=left, rows_waiting=self.layer.ledger.rows_waiting)

    def _warn_of_unsaved_rows(self, why: str) -> None:
        """Say of how many rows something may be lost with the process, if of any."""
        waiting = self.layer.ledger.rows_waiting
        if not waiting or self._is_kept():
            return
        durable = self._surroundings.journal_store.durable
        lacking = "the journal's disk does not work" if durable else "there is no journal on disk"
        _log.warning("stopped_with_unsaved_rows", rows_lost=waiting, why=f"{why}, and {lacking}")

    def _is_kept(self) -> bool:
        """True if what is not saved yet would survive the end of the process."""
        return self._surroundings.journal_store.durable and not self.layer.journal.degraded

    async def _report_status(self) -> None:
        interval_s = self._settings.status_interval_s
        if interval_s <= 0:
            return
        while True:
            await asyncio.sleep(interval_s)
            _log.info("status", **self.bot.status())

    def _reply_sent(self, reply: Reply, at_s: float) -> None:
        self.telemetry.reply_left(at_s - reply.received_at)

    def _journal_degraded(self, degraded: bool) -> None:
        self.telemetry.event("journal_degraded" if degraded else "journal_works_again")
        if not degraded:
            self.layer.writer.work_arrived()  # rows were held back meanwhile


async def _at_most(limit_s: float, work: Callable[[], object]) -> None:
    """Await ``work()`` for at most ``limit_s`` seconds; what is unfinished then stays journaled."""
    try:
        async with asyncio.timeout(limit_s):
            await work()  # type: ignore[misc]  # both callers pass coroutine functions
    except TimeoutError:
        _log.warning("stage_cut_short", stage=getattr(work, "__qualname__", "?"), limit_s=limit_s)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the errors that ended a group of tasks."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
