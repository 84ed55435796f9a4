"""The writer's pace: a flush comes to an end, and no batch keeps the loop from chat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise

from byte_bot.persistence.journal import MemoryJournalStore
from byte_bot.persistence.layer import CHANNELS_AT_ONCE, PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.pace import ACKNOWLEDGED_BYTES, PAUSE_S, PIECE_BYTES, ROW_BYTES
from byte_bot.persistence.row import Row
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from simulator.faults import Latency
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Wrapped, fake_supabase, process, settled

#: As many empty rows as are a piece of what is frozen, and of what is acknowledged.
ROWS_AT_ONCE = PIECE_BYTES // ROW_BYTES
ACKNOWLEDGED_AT_ONCE = PIECE_BYTES // ACKNOWLEDGED_BYTES
ROWS = 3 * ACKNOWLEDGED_AT_ONCE


async def steps(count: Callable[[], int], changes: int, every_s: float = PAUSE_S / 2) -> list[int]:
    """By how much ``count()`` changes from one look to the next (0 s: each turn), until it has changed by ``changes``."""
    seen, first = [count()], count()
    while abs(seen[-1] - first) < changes:
        assert len(seen) < 10_000, f"it stays at {seen[-1]}"
        await asyncio.sleep(every_s)
        seen.append(count())
    return [abs(after - before) for before, after in pairwise(seen)]


def rows(layer: PersistenceLayer) -> Iterator[Row]:
    """The tallies in RAM."""
    return (row for key, row in layer.rows.items() if key.key)


@in_virtual_time()
async def test_a_batch_is_frozen_and_acknowledged_in_pieces() -> None:
    """However many rows a batch has, between two turns of the loop only a piece of it is worked on."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        channels = [str(number) for number in range(ROWS)]
        rig.manager.preload(channels)
        await asyncio.sleep(1)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        layer = rig.layer
        flush = asyncio.get_running_loop().create_task(layer.writer.flush())
        frozen = await steps(lambda: sum(row.sent is not None for row in rows(layer)), ROWS)
        assert max(frozen) <= ROWS_AT_ONCE
        saved = await steps(lambda: sum(not row.dirty for row in rows(layer)), ROWS)
        assert max(saved) <= ACKNOWLEDGED_AT_ONCE
        await flush
        assert layer.ledger.rows_waiting == 0
    fake.close()


@in_virtual_time()
async def test_what_changes_during_a_flush_waits_for_the_next_one() -> None:
    """A busy chat does not keep the writer writing without a pause: its changes go together, and in time."""
    fake = fake_supabase(Latency(200))
    async with process(fake) as rig:
        await settled(rig)
        before = fake.saves_total
        for _ in range(400):
            rig.add()
            await asyncio.sleep(0.05)
        # 20 s, a save of 0.2 s, and 2 s from the first change to the next one.
        assert 8 <= fake.saves_total - before <= 10
        await asyncio.sleep(3)
        assert rig.stored_total() == 400
    fake.close()


@in_virtual_time()
async def test_an_answer_cut_short_leaves_the_rest_in_doubt() -> None:
    """Cancelled between two pieces, the rows that were not acknowledged may be in the database: they say so."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        channels = [str(number) for number in range(ROWS)]
        rig.manager.preload(channels)
        await asyncio.sleep(1)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        flush = asyncio.get_running_loop().create_task(rig.layer.writer.flush())
        await steps(lambda: sum(not row.dirty for row in rows(rig.layer)), 1)
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
        dirty = [row for row in rows(rig.layer) if row.dirty]
        assert dirty and len(dirty) < ROWS
        assert all(row.in_doubt for row in dirty)
        assert rig.layer.ledger.rows_waiting == len(dirty)
    fake.close()


def test_a_horizon_leaves_what_came_later() -> None:
    """Rows, history and events that were queued after the horizon stay for the next flush, also after a failure."""
    ledger = Ledger()
    early, late = RowKey("component_state", "1", "a"), RowKey("component_state", "2", "a")
    ledger.mark(early, 1.0)
    ledger.add_history({"id": 1})
    ledger.add_event({"id": 1})
    until = ledger.horizon(1.0)
    ledger.mark(late, 2.0)
    ledger.add_history({"id": 2})
    ledger.add_event({"id": 2})
    for _ in range(2):
        batch = ledger.take(lambda key: True, until)
        assert (batch.rows, batch.history, batch.events) == ((early,), ({"id": 1},), ({"id": 1},))
        ledger.give_back(batch)
        ledger.release()
    batch = ledger.take(lambda key: True, until)
    ledger.settle((), batch.rows, 3.0)
    ledger.release()
    assert not ledger.take(lambda key: True, until)
    assert ledger.take(lambda key: True).rows == (late,)


@in_virtual_time()
async def test_replayed_rows_are_given_their_classes_in_pieces() -> None:
    """After a restart with many unsaved rows: each becomes a typed value before it is saved, some at a time."""
    fake, journal_store = fake_supabase(), MemoryJournalStore("test")
    channels = [str(number) for number in range(ROWS)]
    async with process(fake, journal_store=journal_store, database=False) as rig:
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        await rig.layer.journal.drain()
    async with process(fake, journal_store=journal_store) as rig:
        rig.manager.preload(channels)
        adopted = await steps(lambda: sum(row.unused for row in rows(rig.layer)), ROWS)
        assert max(adopted) <= ROWS_AT_ONCE
        await asyncio.sleep(10)
        assert [rig.stored_total(channel_id) for channel_id in channels] == [1] * ROWS
    fake.close()


@in_virtual_time()
async def test_a_load_is_delivered_in_pieces() -> None:
    """A hundred channels come with one answer, and chat has its turn between them."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.manager.preload(str(number) for number in range(4 * CHANNELS_AT_ONCE))
        contexts = [rig.context(str(number)) for number in range(4 * CHANNELS_AT_ONCE)]
        loaded = await steps(lambda: sum(context.is_loaded for context in contexts), len(contexts), 0)
        assert max(loaded) <= CHANNELS_AT_ONCE
    fake.close()


@in_virtual_time()
async def test_a_change_between_two_pieces_is_journaled_apart_from_what_the_save_carries() -> None:
    """A crash after the save has arrived must not count what it carried once more: the journal keeps both apart."""
    fake = fake_supabase()
    channels = [f"{number}" for number in range(ROWS_AT_ONCE + 5)]
    key = RowKey("component_state", "0", "rig-tally")
    carried: list[tuple[int, int]] = []

    class Watching(Wrapped):
        async def save(self, request: SaveRequest) -> SaveAnswer:
            if len(request.rows) == len(channels):
                pending = rig.journal_store.read().rows[key].pending
                revisions = {row["channel_id"]: row["revision"] for row in request.rows}
                carried.extend((op.stamp.revision - revisions["0"], op.value) for op in pending)
            return await self.inner.save(request)

    async with process(fake, wrap=Watching) as rig:
        rig.manager.preload(channels)
        await asyncio.sleep(5)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        flush = asyncio.get_running_loop().create_task(rig.layer.writer.flush())
        await steps(lambda: rig.layer.row(key).sent is not None, 1)
        rig.add(channel_id="0")
        await flush
        assert carried == [(0, 1), (1, 1)]
    fake.close()
