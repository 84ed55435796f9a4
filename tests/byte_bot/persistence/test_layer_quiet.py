"""Rows that nobody uses: the layer keeps bases of them, and nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from structlog.testing import capture_logs

from byte_bot.persistence.boot import CHANNELS_AT_ONCE, ChannelDirectory
from byte_bot.persistence.journal import (
    BOOKKEEPING_ROWS_MAX,
    BOOKKEEPING_WRITES_MAX,
    MemoryJournalStore,
    Rebased,
    Write,
)
from byte_bot.persistence.layer import UNREADABLE_RETRY_S
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from byte_bot.persistence.supabase_store import LOAD_IDS_MAX
from simulator.faults import Hang
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Rig, fake_supabase, process

TALLY = RowKey("component_state", "1", "rig-tally")


def row_in_database(total: int, channel_id: str = "1") -> dict[str, object]:
    """A row of component_state that an earlier process left."""
    return {"channel_id": channel_id, "key": "rig-tally", "version": 1, "data": {"total": total}}


@in_virtual_time()
async def test_a_loaded_row_is_no_row_until_it_is_used() -> None:
    """Of a quiet channel only bases are kept; the first use finds them as if they had been rows all along."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database(40))
    async with process(fake) as rig:
        rig.context()
        await asyncio.sleep(5)
        assert rig.layer.rows == {}
        assert list(rig.layer.known_keys()) == [TALLY]
        assert rig.total() == 40
        row = rig.layer.rows[TALLY]
        assert row.loaded
        assert list(rig.layer.known_keys()) == [TALLY]
        rig.add(2)
        await asyncio.sleep(5)
        assert rig.stored_total() == 42
    fake.close()


@in_virtual_time()
async def test_a_row_first_used_after_its_evicted_revision_is_numbered_above_it() -> None:
    """A change to a row that was quiet must not look as if the stored row contained it."""
    fake = fake_supabase()
    async with process(fake) as rig:
        for _ in range(5):
            rig.add()
        await asyncio.sleep(5)
        rig.manager.evict_idle(1e9)
        rig.context()
        await asyncio.sleep(5)
        assert rig.layer.rows == {}
        stored = rig.stored()["revision"]
        rig.add()
        assert rig.layer.rows[TALLY].pending[0].stamp.revision == stored + 1
        await asyncio.sleep(5)
        assert rig.stored_total() == 6
    fake.close()


@in_virtual_time()
async def test_quiet_rows_take_newer_bases_and_ignore_overtaken_ones() -> None:
    """As rows do: by the counter of the load, and by the stamps."""
    fake = fake_supabase()
    async with process(fake) as rig:
        layer = rig.layer
        rig.context()
        await asyncio.sleep(5)
        asked_early = layer.next_serial()
        layer.deliver(TALLY, Base(b'{"total":7}', {}, 1, 1, 7, 0), layer.next_serial())
        layer.deliver(TALLY, Base(b'{"total":9}', {}, 1, 1, 9, 0), asked_early)
        assert layer.loaded_base(TALLY) == Base(b'{"total":7}', {}, 1, 1, 7, 0)
        layer.deliver(TALLY, Base(b'{"total":6}', {}, 1, 1, 6, 0), layer.next_serial())
        assert layer.loaded_base(TALLY) == Base(b'{"total":7}', {}, 1, 1, 7, 0)
        layer.deliver(TALLY, Base(b'{"total":8}', {}, 1, 1, 8, 0), layer.next_serial())
        assert layer.loaded_base(TALLY) == Base(b'{"total":8}', {}, 1, 1, 8, 0)
        assert layer.rows == {}
        assert rig.total() == 8
    fake.close()


@in_virtual_time()
async def test_a_load_without_a_quiet_row_says_that_it_is_gone() -> None:
    """A human deleted it: its first use finds defaults, and no row in the database to count on."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database(40))
    async with process(fake) as rig:
        rig.context()
        await asyncio.sleep(5)
        fake.human_delete("component_state", {"channel_id": "1"})
        rig.layer.request_load("1")
        await asyncio.sleep(5)
        assert rig.layer.loaded_base(TALLY) == ABSENT
        assert rig.total() == 0
    fake.close()


@in_virtual_time()
async def test_quiet_rows_of_a_given_up_epoch_do_not_count_until_they_are_read_again() -> None:
    """Used meanwhile, such a row is shown and not sent: what it builds on may not be what the database has."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database(40))
    fake.human_insert("component_state", row_in_database(50, "2"))
    async with process(fake) as rig:
        rig.context("1", "anna")
        rig.context("2", "bert")
        await asyncio.sleep(5)
        assert rig.layer.loaded_base(TALLY) is not None
        rig.layer.renew_epoch(0)
        assert rig.layer.loaded_base(TALLY) is None
        assert rig.total() == 40
        assert not rig.layer.rows[TALLY].loaded
        fake.human_update("component_state", {"channel_id": "2"}, {"data": {"total": 51}})
        await rig.layer.ensure_epoch()
        await asyncio.sleep(5)
        assert rig.layer.rows[TALLY].loaded
        assert rig.layer.loaded_base(TALLY._replace(channel_id="2")) is not None
        assert list(rig.layer.rows) == [TALLY]
        assert rig.total("2") == 51
    fake.close()


@in_virtual_time()
async def test_the_snapshot_of_a_quiet_channel_makes_no_rows_either() -> None:
    """Known from an earlier process: shown at once, not loaded, and quiet until somebody uses it."""
    fake, journal_store = fake_supabase(Hang(start_s=5, duration_s=20)), MemoryJournalStore()
    fake.human_insert("component_state", row_in_database(40))
    async with process(fake, journal_store=journal_store) as rig:
        rig.context()
        await asyncio.sleep(5)
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        rig.context()
        assert rig.layer.rows == {}
        assert rig.layer.loaded_base(TALLY) is None
        assert rig.total() == 40
        assert not rig.layer.rows[TALLY].loaded
    fake.close()


@in_virtual_time()
async def test_a_row_that_holds_no_object_is_told_of_though_nobody_uses_it() -> None:
    """It cannot be kept quietly: somebody must say so, and read it again."""
    fake = fake_supabase()
    with capture_logs() as logs:
        async with process(fake) as rig:
            rig.context()
            await asyncio.sleep(5)
            rig.layer.deliver(TALLY, Base(b"[1,2]", {}, 1, 1, 7, 0), rig.layer.next_serial())
            assert [entry["row"] for entry in logs if entry["event"] == "row_unreadable"]
            fake.human_insert("component_state", row_in_database(40))
            await asyncio.sleep(UNREADABLE_RETRY_S + 5)
            assert rig.total() == 40
    fake.close()


class SlowDisk(MemoryJournalStore):
    """Takes 10 ms for a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.bases = 0

    async def commit(self, writes: Sequence[Write]) -> None:
        """Commit, and count the bases."""
        await asyncio.sleep(0.01)
        self.bases += sum(isinstance(write, Rebased) for write in writes)
        await super().commit(writes)


class Many:
    """A database with any number of listed channels, each with one row, that answers at once."""

    def __init__(self, channels: int) -> None:
        self.channels = channels

    async def take_epoch(self, holder: str, seen: int) -> int:
        """The next epoch."""
        return seen + 1

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Everything is saved."""
        return SaveAnswer("ok", request.epoch, [])

    async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
        """A row for every id."""
        return {RowKey("channel_state", channel_id): Base(b"{}", edit_no=1) for channel_id in channel_ids}

    async def list_channels(self) -> dict[str, Base]:
        """Logins without ids, so that nothing but the list is read."""
        return {f"login{number}": Base(b"{}", edit_no=1) for number in range(self.channels)}


async def most_bases_waiting(rig: Rig, disk: SlowDisk, wanted: int) -> int:
    """How many bases in RAM were not in the journal yet, at most, until ``wanted`` are there."""
    most = 0
    while disk.bases < wanted:
        await asyncio.sleep(0.005)
        most = max(most, sum(1 for _ in rig.layer.known_keys()) - disk.bases)
    return most


@in_virtual_time()
async def test_thousands_of_loads_do_not_wait_in_memory_for_the_disk() -> None:
    """Another page is asked for when the journal has room: what waits is bounded, whatever the number of channels."""
    fake, disk = fake_supabase(), SlowDisk()
    async with process(fake, store=Many(0), journal_store=disk) as rig:
        for number in range(3_000):
            rig.manager.obtain(str(number))
        most = await most_bases_waiting(rig, disk, 3_000)
        assert BOOKKEEPING_ROWS_MAX < most <= BOOKKEEPING_ROWS_MAX + LOAD_IDS_MAX + BOOKKEEPING_WRITES_MAX
    fake.close()


@in_virtual_time()
async def test_a_long_list_of_channels_does_not_wait_in_memory_for_the_disk() -> None:
    """Its rows are taken over as the journal has room for them."""
    fake, disk, many = fake_supabase(), SlowDisk(), Many(3_000)
    async with process(fake, store=many, journal_store=disk) as rig:
        directory = ChannelDirectory(
            rig.layer, many, Nobody(), fixed_logins=(), preload=rig.manager.preload_named
        )
        boot = asyncio.create_task(directory.boot([]))
        most = await most_bases_waiting(rig, disk, 3_000)
        assert BOOKKEEPING_ROWS_MAX < most <= BOOKKEEPING_ROWS_MAX + CHANNELS_AT_ONCE + BOOKKEEPING_WRITES_MAX
        await boot
        assert len(directory.wanted) == 3_000
    fake.close()


class Nobody:
    """Joins and parts nobody."""

    def join(self, channels: Iterable[str]) -> None:
        """Nothing happens."""

    def part(self, channels: Iterable[str]) -> None:
        """Nothing happens."""
