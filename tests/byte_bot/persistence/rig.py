"""The persistence layer as shipped, over the fake Supabase, in virtual time: what the tests of its shells share."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx

from byte_bot.context.channel import ChannelContext
from byte_bot.context.manager import ContextManager
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.breaker import Breaker
from byte_bot.persistence.coalescing import coalesce
from byte_bot.persistence.journal import Journal, JournalStore, MemoryJournalStore
from byte_bot.persistence.layer import LayerParts, PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.link import Link
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from byte_bot.persistence.pace import PIECE_BYTES
from byte_bot.persistence.state import Add, ChannelState
from byte_bot.persistence.store import DatabaseStore, SaveAnswer, SaveRequest
from byte_bot.persistence.supabase_store import SupabaseStore
from byte_bot.telemetry import Telemetry
from simulator.faults import Fault
from simulator.supabase.faces import SupabaseTransport
from simulator.supabase.server import FakeSupabase
from tests.simulator.supabase.project import UNIX_START_S, project


class Tally(ChannelState, key="rig-tally"):
    """What the tests count."""

    total: Annotated[int, Add] = 0
    last: str = ""


class LoopClock:
    """Wall time made from the loop's."""

    def unix(self) -> float:
        """Seconds since 1970."""
        return UNIX_START_S + asyncio.get_running_loop().time()


def fake_supabase(*faults: Fault, **options: Any) -> FakeSupabase:
    """A project on the running loop's time, with the bot's schema."""
    return project(clock=asyncio.get_running_loop().time, faults=faults, **options)


@dataclass
class Rig:
    """One process: layer and contexts; its services run while the rig is open."""

    fake: FakeSupabase
    layer: PersistenceLayer
    manager: ContextManager
    journal_store: JournalStore
    store: DatabaseStore | None
    services: list[asyncio.Task[None]] = field(default_factory=list)

    def context(self, channel_id: str = "1", login: str = "anna") -> ChannelContext:
        """A channel's context."""
        return self.manager.obtain(channel_id, login)

    def add(self, amount: int = 1, channel_id: str = "1", *, last: str = "") -> int:
        """One transaction on the channel's tally; its sequence number in the journal."""
        context = self.context(channel_id)
        tally = context.state(Tally)
        tally.total += amount
        if last:
            tally.last = last
        context.stage(f"op-{self.layer.next_serial()}")
        return context.seal()

    def poison(self, channel_id: str = "1", *, last: str = "nul \x00") -> None:
        """A change of the tally that PostgreSQL cannot store, past the border where texts are cleaned."""
        row = self.layer.row(RowKey("component_state", channel_id, "rig-tally"))
        row.revision += 1
        operation = Operation(Kind.SET, "last", None, last, Stamp(self.layer.epoch, row.revision), "poison")
        coalesce(row.pending, operation, row.boundary)
        self.layer.record([(row, [operation])])

    def total(self, channel_id: str = "1") -> int:
        """The tally in RAM."""
        return self.context(channel_id).state(Tally).total

    def stored(self, channel_id: str = "1") -> dict[str, Any]:
        """The tally's row in the database; {} if there is none."""
        rows = [row for row in self.fake.rows("component_state") if row["channel_id"] == channel_id]
        return dict(rows[0]) if rows else {}

    def stored_total(self, channel_id: str = "1") -> int | None:
        """The tally in the database."""
        row = self.stored(channel_id)
        return int(row["data"]["total"]) if row else None


@contextlib.asynccontextmanager
async def process(
    fake: FakeSupabase,
    *,
    journal_store: JournalStore | None = None,
    store: DatabaseStore | None = None,
    wrap: Callable[[DatabaseStore], DatabaseStore] = lambda store: store,
    database: bool = True,
    holder: str = "test",
    timeout_s: float = 5.0,
    ledger: Ledger | None = None,
    restored: bool = True,
    transport: httpx.AsyncBaseTransport | None = None,
    journal: Callable[[JournalStore], Journal] = Journal,
    flush_interval_s: float = 2.0,
    piece_bytes: int = PIECE_BYTES,
) -> AsyncIterator[Rig]:
    """A process on the database; leaving it is a crash as far as the database is concerned: nothing is flushed.

    ``store`` replaces the one on ``fake``, ``wrap`` puts something round it, ``database=False`` is a bot without
    Supabase settings, ``restored=False`` leaves it to the test to take over what the journal holds. ``transport`` is another way
    to the fake. ``journal`` makes the journal over its store, ``flush_interval_s`` and ``piece_bytes`` are the writer's.
    """
    clock = LoopClock()
    ledger = ledger or Ledger()
    telemetry = Telemetry(clock, holder)
    telemetry.bind_events(ledger.add_event)
    link = Link(Breaker(Backoff(random.Random(1))), telemetry, lambda: ledger.rows_waiting, kept=lambda: True)
    journal_store = journal_store or MemoryJournalStore(holder)
    async with httpx.AsyncClient(transport=transport or SupabaseTransport(fake), timeout=timeout_s) as http:
        if store is None and database:
            store = wrap(SupabaseStore(fake.url, fake.secret_key, http, timeout_s=timeout_s))
        layer = PersistenceLayer(
            LayerParts(
                store=store,
                link=link,
                ledger=ledger,
                journal=journal(journal_store),
                journal_store=journal_store,
                clock=clock,
                telemetry=telemetry,
                flush_interval_s=flush_interval_s,
                piece_bytes=piece_bytes,
            )
        )
        manager = ContextManager(layer)
        rig = Rig(fake, layer, manager, journal_store, store)
        if restored:
            layer.restore()
        manager.bind_loop(asyncio.get_running_loop())
        service = asyncio.get_running_loop().create_task(layer.run(), name=f"layer-{holder}")
        rig.services.append(service)
        try:
            yield rig
        finally:
            service.cancel()
            await asyncio.gather(service, return_exceptions=True)


class Wrapped:
    """A store between the layer and the real one, whose saves a test can hold, refuse or watch."""

    def __init__(self, inner: DatabaseStore) -> None:
        self.inner = inner
        self.requests: list[SaveRequest] = []
        self.under_way = self.most_under_way = 0
        self.errors: list[Exception] = []
        self.after_s = 0.0
        #: What happens in the database just before each save arrives there.
        self.before_save: Callable[[], object] | None = None

    async def take_epoch(self, holder: str, seen: int) -> int:
        """Passed on."""
        return await self.inner.take_epoch(holder, seen)

    async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
        """Passed on."""
        return await self.inner.load_states(channel_ids)

    async def list_channels(self) -> dict[str, Base]:
        """Passed on."""
        return await self.inner.list_channels()

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Fails first with the errors that wait; the answer arrives ``after_s`` later than it was given."""
        self.requests.append(request)
        if self.errors:
            raise self.errors.pop(0)
        if self.before_save is not None:
            self.before_save()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            answer = await self.inner.save(request)
            await asyncio.sleep(self.after_s)
            return answer
        finally:
            self.under_way -= 1


class Misconfigured(httpx.AsyncBaseTransport):
    """The way to the fake, whose answer to a save is an error of PostgREST's as long as ``error`` (status, code) is set."""

    def __init__(self, fake: FakeSupabase, error: tuple[int, str] | None) -> None:
        self.inner = SupabaseTransport(fake)
        self.error = error
        self.saves_refused = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Refused, or passed on."""
        if self.error is None or not request.url.path.endswith("/rpc/byte_bot_save"):
            return await self.inner.handle_async_request(request)
        self.saves_refused += 1
        status, code = self.error
        return httpx.Response(status, json={"code": code, "message": "no", "details": None, "hint": None})


def wrapped(rig: Rig) -> Wrapped:
    """The store of a rig that was opened with ``wrap=Wrapped``."""
    assert isinstance(rig.store, Wrapped)
    return rig.store


async def settled(rig: Rig, channel_id: str = "1") -> None:
    """The channel is loaded and everything of it saved."""
    rig.context(channel_id)
    await asyncio.sleep(10)
    assert rig.layer.ledger.rows_waiting == 0
