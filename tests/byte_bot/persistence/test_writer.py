"""The writer: one save in flight, and what its answers and their absence mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from byte_bot.errors import DatabaseUnavailable, Fenced
from byte_bot.persistence.journal import Handled, JournalImage, MemoryJournalStore, Sending, Write
from byte_bot.persistence.ledger import BATCH_ROWS_MAX
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from simulator.faults import CommitThenDrop, Hang, Latency, Refused, Status503
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Tally, Wrapped, fake_supabase, process, settled, wrapped


@in_virtual_time()
async def test_a_change_is_saved_after_the_flush_interval() -> None:
    """Healthy: within 3 s a change is in the database, and many changes are one request."""
    fake = fake_supabase()
    async with process(fake) as rig:
        await settled(rig)
        before = fake.saves_total
        for _ in range(100):
            rig.add()
        await asyncio.sleep(1.9)
        assert fake.saves_total == before
        await asyncio.sleep(1.1)
        assert (fake.saves_total, rig.stored_total()) == (before + 1, 100)
        assert rig.layer.ledger.rows_waiting == 0
        assert not rig.layer.row(RowKey("component_state", "1", "rig-tally")).dirty
    fake.close()


@in_virtual_time()
async def test_a_full_batch_does_not_wait_for_the_interval() -> None:
    """As soon as 500 rows wait they go, in one request of at most 500."""
    fake = fake_supabase()
    async with process(fake) as rig:
        channels = [f"{number}" for number in range(BATCH_ROWS_MAX + 1)]
        rig.manager.preload(channels)
        await asyncio.sleep(1)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        await asyncio.sleep(1)
        assert [save.rows for save in fake.saves] == [BATCH_ROWS_MAX, 1]
    fake.close()


@in_virtual_time()
async def test_one_save_at_a_time_is_in_flight() -> None:
    """However slow the database and whoever asks for a flush, a second save waits for the first."""
    fake = fake_supabase(Latency(2000))
    async with process(fake, wrap=Wrapped) as rig:
        rig.context()
        await asyncio.sleep(30)
        for _ in range(20):
            rig.add()
            flush = asyncio.get_running_loop().create_task(rig.layer.writer.flush())
            await asyncio.sleep(0.7)
        await flush
        await asyncio.sleep(10)
        assert wrapped(rig).most_under_way == 1
        assert rig.stored_total() == 20
    fake.close()


@in_virtual_time()
async def test_nothing_is_lost_or_doubled_while_answers_are_dropped() -> None:
    """Committed and the answer dropped, again and again: every change counts once."""
    fake = fake_supabase(CommitThenDrop(start_s=5, duration_s=60, probability=0.7))
    async with process(fake) as rig:
        await asyncio.sleep(1)
        for _ in range(100):
            rig.add()
            await asyncio.sleep(0.7)
        await asyncio.sleep(15)
        assert rig.stored_total() == rig.total() == 100
    fake.close()


@in_virtual_time()
async def test_the_same_content_is_sent_until_its_outcome_is_known() -> None:
    """After a lost answer the same revision goes again, newer changes in the save after it."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        await settled(rig)
        store = wrapped(rig)
        store.errors = [DatabaseUnavailable("no answer")]
        rig.add()
        await asyncio.sleep(2.01)
        rig.add()
        await asyncio.sleep(10)
        totals = [row["data"]["total"] for request in store.requests for row in request.rows if row["key"]]
        assert totals == [1, 1, 2]
        assert rig.stored_total() == 2
    fake.close()


@in_virtual_time()
async def test_a_refused_connection_lets_the_next_save_carry_the_newest_state() -> None:
    """What surely never arrived needs no repetition: the first request after the outage carries everything."""
    fake = fake_supabase(Refused(start_s=11, duration_s=60))
    async with process(fake, wrap=Wrapped) as rig:
        await settled(rig)
        await asyncio.sleep(2)
        for _ in range(50):
            rig.add()
            await asyncio.sleep(1)
        row = rig.layer.row(RowKey("component_state", "1", "rig-tally"))
        image = rig.journal_store.read()
        assert len(row.pending) <= 2  # what the try under way carries, and what came since
        assert len(image.rows[row.key].pending) <= 2
        await asyncio.sleep(30)
        assert rig.stored_total() == 50
        assert fake.saves[-1].status == "ok"
    fake.close()


@in_virtual_time()
async def test_a_load_that_shows_the_save_before_its_answer_does_no_harm() -> None:
    """The answer is slow, a load is not: the acknowledgement finds nothing left to say, and the writer lives on."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        await settled(rig)
        wrapped(rig).after_s = 4.0
        rig.add()
        await asyncio.sleep(3)
        rig.layer.request_load("1")
        await asyncio.sleep(0.5)
        assert not rig.layer.row(RowKey("component_state", "1", "rig-tally")).dirty
        rig.add()
        await asyncio.sleep(20)
        assert not rig.services[0].done()
        assert rig.stored_total() == 2
        assert rig.layer.ledger.rows_waiting == 0
    fake.close()


@in_virtual_time()
async def test_a_humans_edit_of_the_row_is_kept() -> None:
    """A save refused as edited comes back with the row as it stands: the human's field stays, the adds add up."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.add(3)
        await settled(rig)
        fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 100, "last": "human"}})
        rig.add(4)
        await asyncio.sleep(5)
        assert rig.stored()["data"] == {"total": 104, "last": "human"}
        assert rig.total() == 104
        assert rig.layer.telemetry.counters["rows_refused_edited"] == 1
    fake.close()


@in_virtual_time()
async def test_a_row_that_a_human_deleted_starts_again() -> None:
    """Deleted in the table editor, the row is made anew with what was done since."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.add(3)
        await settled(rig)
        fake.human_delete("component_state", {"channel_id": "1"})
        rig.add(4)
        await asyncio.sleep(5)
        assert rig.stored_total() == rig.total() == 4
    fake.close()


@in_virtual_time()
async def test_a_successor_fences_the_writer() -> None:
    """Another process takes the epoch: this one writes nothing more and ends."""
    fake = fake_supabase()
    async with process(fake, holder="one") as one:
        one.add()
        await settled(one)
        async with process(fake, holder="two") as two:
            two.add(10)
            await asyncio.sleep(5)
            assert two.stored_total() == 11
            one.add()
            await asyncio.sleep(5)
            with pytest.raises(BaseExceptionGroup) as caught:
                one.services[0].result()
            assert caught.group_contains(Fenced)
            assert two.stored_total() == 11
            assert not two.services[0].done()
    fake.close()


@in_virtual_time()
async def test_an_own_call_that_arrives_late_does_not_fence_the_bot() -> None:
    """An epoch that this journal's bot asked for and gave up on is taken over by the next one, and nothing is lost."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        rig.add(3)
        await settled(rig)
        await wrapped(rig).inner.take_epoch(rig.layer.claimant.name, 0)
        rig.add(4)
        await asyncio.sleep(8)
        assert not rig.services[0].done()
        assert rig.layer.epoch == 3
        assert rig.stored_total() == rig.total() == 7
    fake.close()


@in_virtual_time()
async def test_a_restored_backup_makes_the_bot_take_a_new_epoch() -> None:
    """A database that went back in time is read again before anything is written, under a higher epoch."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.add(3)
        await settled(rig)
        old = rig.layer.epoch
        fake.human_update("bot_writer", {"id": 1}, {"epoch": old - 1})
        fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 2}})
        rig.add(4)
        await asyncio.sleep(8)
        assert rig.layer.epoch > old
        assert rig.stored_total() == rig.total() == 6
    fake.close()


@in_virtual_time()
async def test_an_outage_keeps_everything_and_is_drained_at_its_end() -> None:
    """Backlog of a hang, then of errors: in the database within 10 s of the end."""
    fake = fake_supabase(Hang(start_s=5, duration_s=60), Status503(start_s=65, duration_s=60))
    async with process(fake) as rig:
        channels = [f"{number}" for number in range(20)]
        rig.manager.preload(channels)
        await asyncio.sleep(6)
        while asyncio.get_running_loop().time() < 120:
            for channel_id in channels:
                rig.add(channel_id=channel_id)
            await asyncio.sleep(1)
        assert rig.stored_total("0") is None
        await asyncio.sleep(16)
        assert [rig.stored_total(channel_id) for channel_id in channels] == [114] * 20
        assert rig.layer.ledger.rows_waiting == 0
    fake.close()


class SlowDisk(MemoryJournalStore):
    """Commits take a while; what a save carried must be there before it leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: list[Write] = []

    async def commit(self, writes: Sequence[Write]) -> None:
        """Half a second a group."""
        await asyncio.sleep(0.5)
        self.committed.extend(writes)
        await super().commit(writes)


@in_virtual_time()
async def test_a_save_leaves_only_after_the_journal_knows_of_it() -> None:
    """Re-stamped operations and the save's boundary are on disk first: else a restart counts them twice."""
    fake, disk = fake_supabase(), SlowDisk()
    seen: list[bool] = []

    class Watching(Wrapped):
        async def save(self, request: SaveRequest) -> SaveAnswer:
            boundaries = [write for write in disk.committed if isinstance(write, Sending)]
            for row in request.rows:
                key = RowKey(row["table"], row["channel_id"], row["key"])
                stamp = (request.epoch, row["revision"])
                seen.append(any(write.key == key and tuple(write.stamp) == stamp for write in boundaries))
                pending = disk.read().rows[key].pending
                assert [tuple(operation.stamp) for operation in pending] == [stamp]
            return await self.inner.save(request)

    async with process(fake, wrap=Watching, journal_store=disk) as rig:
        rig.add()
        await asyncio.sleep(10)
        assert seen == [True]
        assert rig.stored_total() == 1
    fake.close()


@in_virtual_time()
async def test_a_degraded_journal_does_not_hold_saves() -> None:
    """A full disk must not keep from the database what would be safe there."""

    class FullDisk(MemoryJournalStore):
        async def commit(self, writes: Sequence[Write]) -> None:
            from byte_bot.errors import JournalError

            raise JournalError("disk full")

    fake = fake_supabase()
    async with process(fake, journal_store=FullDisk()) as rig:
        rig.add()
        await asyncio.sleep(10)
        assert rig.layer.journal.degraded
        assert rig.stored_total() == 1
    fake.close()


class StuckDisk(MemoryJournalStore):
    """Commits wait while it is stuck."""

    def __init__(self) -> None:
        super().__init__("stuck")
        self.works = asyncio.Event()
        self.works.set()

    async def commit(self, writes: Sequence[Write]) -> None:
        """When it works."""
        await self.works.wait()
        await super().commit(writes)


@in_virtual_time()
async def test_a_row_of_an_earlier_process_is_taken_out_of_its_save_when_the_disk_gets_stuck() -> None:
    """It was frozen already: it waits, others go, and later it goes with its newest changes."""
    fake, disk = fake_supabase(), StuckDisk()
    async with process(fake, journal_store=disk, database=False) as rig:
        rig.add(3)
        await asyncio.sleep(1)
    async with process(fake, journal_store=disk, wrap=Wrapped) as rig:
        disk.works.clear()
        rig.layer.request_load("1")
        rig.layer.request_load("2")
        await asyncio.sleep(0.1)
        await rig.layer.writer.flush()
        assert rig.layer.journal.degraded
        assert [request.rows for request in wrapped(rig).requests] == [[]]  # an event rode alone
        assert rig.layer.ledger.rows_waiting == 1
        rig.add(1)
        rig.add(7, channel_id="2")
        await asyncio.sleep(30)
        assert (rig.stored_total("1"), rig.stored_total("2")) == (None, 7)
        disk.works.set()
        await rig.layer.journal.drain()
        await rig.layer.writer.flush()
        assert rig.stored_total("1") == 4
        assert rig.layer.ledger.rows_waiting == 0
    fake.close()


@in_virtual_time()
async def test_a_save_that_overtakes_its_record_leaves_no_row_waiting() -> None:
    """A handler's staged change can be saved before the handler returns: its record then marks nothing dirty."""
    fake = fake_supabase()
    async with process(fake) as rig:
        await settled(rig)
        rig.add()
        context = rig.context()
        await asyncio.sleep(1.9)
        context.begin()
        context.state(Tally).total += 1
        context.stage("first stage of a slow handler")
        await asyncio.sleep(0.5)
        assert rig.stored_total() == 2
        context.seal(Handled("message"))
        context.end()
        await asyncio.sleep(5)
        assert rig.layer.ledger.rows_waiting == 0
        image: JournalImage = rig.journal_store.read()
        assert image.rows[RowKey("component_state", "1", "rig-tally")].pending == []
    fake.close()


@in_virtual_time()
async def test_a_cancelled_flush_keeps_what_it_carried() -> None:
    """The end of its time cancels a save in flight; its rows stay dirty and journaled for the next process."""
    fake, journal_store = fake_supabase(Hang(start_s=11, duration_s=30)), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        await settled(rig)
        await asyncio.sleep(1.5)
        rig.add(5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4):
                await rig.layer.writer.flush()
        assert rig.layer.ledger.rows_waiting == 1
        assert not rig.layer.ledger.in_flight
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        rig.context()
        assert rig.total() == 5
        await asyncio.sleep(60)
        assert rig.stored_total() == rig.total() == 5
    fake.close()


@in_virtual_time()
async def test_what_is_sent_is_what_the_schema_asks_for() -> None:
    """The request's shape: rows with their base's edit count, null where no row is believed to exist."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        await settled(rig)
        rig.add(2, last="x")
        await asyncio.sleep(3)
        request = wrapped(rig).requests[-1]
        assert request.epoch == rig.layer.epoch == 1
        assert json.loads(json.dumps(request.rows)) == [
            {
                "table": "component_state",
                "channel_id": "1",
                "key": "rig-tally",
                "version": 1,
                "data": {"total": 2, "last": "x"},
                "tombstones": {},
                "revision": 1,
                "edit_no": None,
            }
        ]
    fake.close()


class SlowForMany(Wrapped):
    """A database that needs longer than the deadline for a save of more than five rows."""

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Time out before anything is executed, as a gateway does."""
        if len(request.rows) > 5:
            await asyncio.sleep(5)
            raise DatabaseUnavailable("no answer within 5 s")
        return await super().save(request)


@in_virtual_time()
async def test_a_batch_too_large_for_the_deadline_is_made_smaller() -> None:
    """The same batch again would time out again: the next one is half as large, until it gets through."""
    fake = fake_supabase()
    async with process(fake, wrap=SlowForMany) as rig:
        channels = [str(number) for number in range(60)]
        rig.manager.preload(channels)
        await asyncio.sleep(1)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        await asyncio.sleep(120)
        assert rig.layer.ledger.rows_waiting == 0
        assert all(rig.stored_total(channel_id) == 1 for channel_id in channels)
    fake.close()
