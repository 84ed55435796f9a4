"""Contexts over a real persistence layer, on whatever loop runs: no chat, no socket, and a database only if one is given.

async with contexts(disk=disk) as place:
    context = await place.manager.get("1001", "lobby")
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from byte_bot.context.bridge import ContextBridge
from byte_bot.context.channel import ChannelContext
from byte_bot.context.manager import ContextManager
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.breaker import Breaker
from byte_bot.persistence.journal import Journal, JournalStore, MemoryJournalStore
from byte_bot.persistence.layer import LayerParts, PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.link import Link
from byte_bot.persistence.operations import Base, Operation, RowKey
from byte_bot.persistence.state import Add, ChannelState
from byte_bot.persistence.store import DatabaseStore
from byte_bot.telemetry import Telemetry
from tests.byte_bot.rig import Database


class Tally(ChannelState, key="tests_context_tally"):
    """A number whose changes add up, and the newest name."""

    total: Annotated[int, Add] = 0
    last: str = ""


TALLY = RowKey("component_state", "1001", Tally.__state_key__)


def stored(total: int, *, revision: int = 5) -> Base:
    """A tally as the database shows it."""
    return Base(b'{"total":%d,"last":"ana"}' % total, {}, 1, 1, revision, 0)


class StandingClock:
    """Wall time that does not move: these tests run on real loops too."""

    def unix(self) -> float:
        """Unix seconds."""
        return 1_767_225_600.0


class Shelf(Database):
    """A database that writes down which channels each load asked for."""

    def __init__(self, rows: dict[RowKey, Base] | None = None, *, load_s: float = 0.0) -> None:
        super().__init__(rows, load_s=load_s)
        self.asked: list[list[str]] = []

    async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
        """The channels' rows."""
        self.asked.append(list(channel_ids))
        return await super().load_states(channel_ids)


class Place:
    """The contexts and what is beneath them."""

    def __init__(self, manager: ContextManager, disk: JournalStore) -> None:
        self.manager = manager
        self.layer = manager.layer
        self.bridge = ContextBridge(manager)
        self._disk = disk

    def context(self, channel_id: str = "1001", login: str = "lobby") -> ChannelContext:
        """A channel's context."""
        return self.manager.obtain(channel_id, login)

    def on_disk(self, key: RowKey = TALLY) -> list[Operation]:
        """The operations on a row that the journal holds by now."""
        stored = self._disk.read().rows.get(key)
        return [] if stored is None else stored.pending


def make_place(
    *,
    database: DatabaseStore | None = None,
    disk: JournalStore | None = None,
    context_idle_s: float = 7200.0,
) -> Place:
    """The contexts, with nothing running yet and no loop bound."""
    telemetry, ledger = Telemetry(StandingClock(), "boot"), Ledger()
    store = disk if disk is not None else MemoryJournalStore()
    layer = PersistenceLayer(
        LayerParts(
            store=database,
            link=Link(
                Breaker(Backoff(random.Random(1))), telemetry, lambda: ledger.rows_waiting, kept=lambda: True
            ),
            ledger=ledger,
            journal=Journal(store, stall_s=1e6),
            journal_store=store,
            clock=StandingClock(),
            telemetry=telemetry,
        )
    )
    return Place(ContextManager(layer, context_idle_s=context_idle_s), store)


@asynccontextmanager
async def running(place: Place) -> AsyncIterator[Place]:
    """Run the layer's tasks inside the block."""
    task = asyncio.create_task(place.layer.run())
    await asyncio.sleep(0)
    try:
        yield place
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), f"the layer ended with {ended!r}"


@asynccontextmanager
async def contexts(
    *,
    database: DatabaseStore | None = None,
    disk: JournalStore | None = None,
    context_idle_s: float = 7200.0,
) -> AsyncIterator[Place]:
    """The contexts on the running loop, with the layer's tasks at work."""
    place = make_place(database=database, disk=disk, context_idle_s=context_idle_s)
    place.manager.bind_loop(asyncio.get_running_loop())
    async with running(place):
        yield place
