"""The layer: rows, transactions, loads and epochs, over the fake Supabase."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import pytest
from structlog.testing import capture_logs

from byte_bot.errors import DatabasePaused
from byte_bot.persistence.journal import MemoryJournalStore
from byte_bot.persistence.layer import UNREADABLE_RETRY_S
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.state import Add, ChannelState
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from simulator.faults import CommitThenDrop, Hang, Refused
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Rig, Tally, fake_supabase, process

TALLY = RowKey("component_state", "1", "rig-tally")


def row_in_database(total: object, channel_id: str = "1", **others: object) -> dict[str, object]:
    """A row of component_state that a human or an earlier process left."""
    return {"channel_id": channel_id, "key": "rig-tally", "version": 1, "data": {"total": total, **others}}


@in_virtual_time()
async def test_a_late_load_never_overwrites_newer_ram() -> None:
    """Changes made while the database hangs add up with what it says afterwards; a text set here stays."""
    fake = fake_supabase(Hang(duration_s=20))
    fake.human_insert("component_state", row_in_database(40, last="stored"))
    async with process(fake) as rig:
        rig.add(2, last="here")
        await asyncio.sleep(19)
        assert rig.total() == 2
        await asyncio.sleep(20)
        assert rig.total() == rig.stored_total() == 42
        assert rig.stored()["data"]["last"] == "here"
    fake.close()


@in_virtual_time()
async def test_an_overtaken_load_is_ignored() -> None:
    """A load that was read before a save and arrives after it does not take the row back."""
    fake = fake_supabase()

    class Late:
        """The second load is read at once and arrives late."""

        def __init__(self, inner: object) -> None:
            self.inner = inner
            self.loads = 0

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
            found: dict[RowKey, Base] = await self.inner.load_states(channel_ids)  # type: ignore[attr-defined]
            self.loads += 1
            if self.loads == 2:
                await asyncio.sleep(5)
            return found

    async with process(fake, wrap=Late) as rig:  # type: ignore[arg-type]
        rig.add()
        await asyncio.sleep(5)
        rig.add()
        rig.layer.request_load("1")
        await asyncio.sleep(10)
        assert rig.total() == rig.stored_total() == 2
        assert rig.layer.telemetry.counters["channels_loaded"] == 2
    fake.close()


@in_virtual_time()
async def test_channels_are_loaded_a_hundred_at_a_time() -> None:
    """250 channels are three rounds, whatever the order in which they were asked for."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.manager.preload(f"{number}" for number in range(250))
        await asyncio.sleep(5)
        asked = [entry.query.count("%2C") + 1 for entry in fake.requests if "channel_state" in entry.path]
        assert sorted(asked) in ([50, 100, 100], [1, 50, 100, 100])
        assert all(context.loaded.is_set() for context in map(rig.context, ("0", "249")))
    fake.close()


@in_virtual_time()
async def test_asking_twice_is_asking_once() -> None:
    """While a load waits, more requests for the channel add nothing."""
    fake = fake_supabase()
    async with process(fake) as rig:
        for _ in range(5):
            rig.layer.request_load("1")
        await asyncio.sleep(5)
        assert fake.requests_by_path["channel_state"] == 1
    fake.close()


@in_virtual_time()
async def test_the_epoch_is_taken_before_anything_is_read_or_written() -> None:
    """A load that counts comes after the epoch, and the first save after the load."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.add()
        await asyncio.sleep(5)
        paths = [entry.path.removeprefix("/rest/v1/") for entry in fake.requests]
        assert paths == [
            "rpc/byte_bot_take_epoch",
            "channel_state",
            "component_state",
            "rpc/byte_bot_save",
        ]
        assert [row["epoch"] for row in fake.rows("bot_writer")] == [1]
        assert fake.rows("bot_writer")[0]["holder"] == "test/test"
    fake.close()


@in_virtual_time()
async def test_the_epoch_is_higher_than_every_one_this_journal_knew() -> None:
    """A database restored from a backup cannot hand out an epoch that was used before."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        await rig.layer.ensure_epoch()
        await asyncio.sleep(1)
    fake.human_update("bot_writer", {"id": 1}, {"epoch": 0})
    async with process(fake, journal_store=journal_store) as rig:
        assert await rig.layer.ensure_epoch() == 2
    fake.close()


@in_virtual_time()
async def test_an_unloaded_row_is_never_sent() -> None:
    """While loads hang and saves would work, a row without its base stays here."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database(40))

    class Blind:
        """Everything works but loading."""

        def __init__(self, inner: object) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
            await asyncio.sleep(3600)
            return {}

    async with process(fake, wrap=Blind) as rig:  # type: ignore[arg-type]
        rig.add(2)
        await asyncio.sleep(60)
        assert [save for save in fake.saves if save.rows] == []
        assert rig.stored_total() == 40
        assert rig.layer.ledger.rows_waiting == 1
    fake.close()


@in_virtual_time()
async def test_a_state_first_used_long_after_the_channels_load_is_saved() -> None:
    """What did not come with the channel's load does not exist: its row needs no load of its own."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.context()
        await asyncio.sleep(60)
        rig.add(5)
        await asyncio.sleep(5)
        assert rig.stored_total() == 5
        assert fake.requests_by_path["component_state"] == 1
    fake.close()


@in_virtual_time()
async def test_a_base_that_arrives_during_a_transaction_waits_for_its_end() -> None:
    """A handler never sees its state change under it, and what it did is put on the base afterwards."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database(40))
    async with process(fake) as rig:
        context = rig.context()
        context.begin()
        tally = context.state(Tally)
        tally.total += 1
        await asyncio.sleep(5)
        assert tally.total == 1
        assert rig.layer.base_waits("1")
        tally.total += 1
        context.stage("slow")
        context.seal()
        context.end()
        assert tally.total == 42
        assert not rig.layer.base_waits("1")
        await asyncio.sleep(5)
        assert rig.stored_total() == 42
    fake.close()


@in_virtual_time()
async def test_a_base_that_waited_while_the_epoch_was_given_up_does_not_count() -> None:
    """Read under an old epoch, it is thrown away, and the channel is read again under the new one."""
    fake = fake_supabase()
    async with process(fake) as rig:
        context = rig.context()
        context.begin()
        context.state(Tally).total += 1
        context.stage("slow")
        context.seal()
        await asyncio.sleep(3)
        fake.human_insert("component_state", row_in_database(40))
        rig.layer.renew_epoch(0)
        await rig.layer.ensure_epoch()
        context.end()
        assert not rig.layer.row(TALLY).loaded
        await asyncio.sleep(8)
        assert rig.total() == rig.stored_total() == 41
    fake.close()


@in_virtual_time()
async def test_a_single_base_that_waited_while_the_epoch_was_given_up_does_not_count() -> None:
    """A list's row or a refused save's, delivered at the end of a transaction, is no base of the next epoch."""
    fake = fake_supabase()
    async with process(fake) as rig:
        context = rig.context()
        await asyncio.sleep(5)
        context.begin()
        context.state(Tally)
        rig.layer.deliver(TALLY, Base(b'{"total":99}', {}, 1, 1, 50, 0), rig.layer.next_serial())
        rig.layer.renew_epoch(0)
        context.end()
        assert not rig.layer.row(TALLY).loaded
        assert rig.total() == 0
    fake.close()


@in_virtual_time()
async def test_an_unreadable_row_is_announced_once_kept_and_read_again() -> None:
    """A typo in the table editor: said once with what to do, never overwritten, and healed by the correction."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database("forty"))
    with capture_logs() as logs:
        async with process(fake) as rig:
            rig.add(2)
            await asyncio.sleep(3 * UNREADABLE_RETRY_S + 5)
            assert rig.stored()["data"] == {"total": "forty"}
            assert rig.total() == 2
            fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 40}})
            await asyncio.sleep(UNREADABLE_RETRY_S + 5)
            assert rig.total() == rig.stored_total() == 42
    said = [entry for entry in logs if entry["event"] == "row_unreadable"]
    assert len(said) == 1
    assert said[0]["row"] == "component_state/1/rig-tally"
    assert "total" in said[0]["why"]
    fake.close()


@in_virtual_time()
async def test_an_unreadable_row_that_is_first_used_after_its_load_is_announced_too() -> None:
    """The class is known only when a component asks: then the typo is said, and the correction is noticed."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database("forty"))
    with capture_logs() as logs:
        async with process(fake) as rig:
            rig.context()
            await asyncio.sleep(5)
            rig.add(2)
            assert [entry["row"] for entry in logs if entry["event"] == "row_unreadable"]
            fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 40}})
            await asyncio.sleep(UNREADABLE_RETRY_S + 5)
            assert rig.total() == rig.stored_total() == 42
    fake.close()


async def crashed_with(changes: int, journal_store: MemoryJournalStore, rig: Rig) -> None:
    """That many changes, each journaled, and then nothing more."""
    for _ in range(changes):
        rig.add()
    await rig.layer.journal.drain()


@in_virtual_time()
async def test_a_restarted_process_saves_what_nobody_asks_for_again() -> None:
    """Pending changes of a silent channel reach the database without a component touching them."""
    fake, journal_store = fake_supabase(Refused(duration_s=20)), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        rig.context()
        await crashed_with(3, journal_store, rig)
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        assert rig.layer.ledger.rows_waiting == 1
        rig.manager.preload(rig.journal_store.read().pending_channels)
        await asyncio.sleep(40)
        assert rig.stored_total() == 3
        assert rig.layer.ledger.rows_waiting == 0
    fake.close()


class Lives(ChannelState, key="rig-lives"):
    """A number that does not start at zero."""

    left: Annotated[int, Add] = 3


@in_virtual_time()
async def test_a_replayed_add_counts_from_the_default_of_its_class() -> None:
    """Without a stored row an add is put on the class's default, also if nobody has used the class yet."""
    fake, journal_store = fake_supabase(Refused(duration_s=20)), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        rig.context().state(Lives).left -= 1
        rig.context().stage("op")
        rig.context().seal()
        await rig.layer.journal.drain()
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        rig.manager.preload(["1"])
        await asyncio.sleep(40)
        assert rig.stored()["data"] == {"left": 2}
    fake.close()


@in_virtual_time()
async def test_a_save_whose_answer_was_lost_before_a_crash_counts_once() -> None:
    """The row is in the database and still in the journal: the next process sees that it is contained."""
    fake, journal_store = fake_supabase(CommitThenDrop(start_s=6, duration_s=20)), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        rig.context()
        await asyncio.sleep(5)
        await crashed_with(3, journal_store, rig)
        await asyncio.sleep(3)
        assert rig.stored_total() == 3
    fake.faults.clear_all()
    fake.faults.set("down", Refused())
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        rig.add()
        await asyncio.sleep(10)
        assert rig.total() == 4
        fake.faults.clear("down")
        await asyncio.sleep(20)
        assert rig.total() == rig.stored_total() == 4
    fake.close()


@in_virtual_time()
async def test_a_cold_start_during_an_outage_shows_the_snapshot() -> None:
    """What the database last said is in the journal: it is shown at once, and not sent over the database's own."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        rig.add(7)
        await asyncio.sleep(5)
    fake.faults.set("down", Refused())
    fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 100, "last": ""}})
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        assert rig.total() == 7
        rig.add()
        await asyncio.sleep(10)
        fake.faults.clear("down")
        await asyncio.sleep(20)
        assert rig.total() == rig.stored_total() == 101
    fake.close()


@in_virtual_time()
async def test_without_a_database_everything_works_and_nothing_is_asked() -> None:
    """No settings are an outage without end: RAM and journal work, and the epoch says what to set."""
    fake = fake_supabase()
    async with process(fake, database=False) as rig:
        assert not rig.layer.has_database
        sequence = rig.add(3)
        await rig.layer.journal.wait(sequence)
        assert rig.total() == 3
        with pytest.raises(DatabasePaused, match="SUPABASE_URL"):
            await rig.layer.ensure_epoch()
        assert fake.attempts_total == 0
    fake.close()


@in_virtual_time()
async def test_a_wrong_address_does_not_make_the_tasks_spin() -> None:
    """A server that refuses everything for good is probed, not hammered, by writer, loader and epoch alike."""
    fake = fake_supabase()
    calls: list[float] = []

    class Elsewhere:
        """Some other server."""

        async def take_epoch(self, holder: str, seen: int) -> int:
            calls.append(asyncio.get_running_loop().time())
            raise DatabasePaused("404", "Not Found", "check SUPABASE_URL")

        async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
            raise AssertionError("no load counts before the epoch")

        async def save(self, request: SaveRequest) -> SaveAnswer:
            raise AssertionError("no save counts before the epoch")

        async def list_channels(self) -> dict[str, Base]:
            raise AssertionError("no list counts before the epoch")

    async with process(fake, store=Elsewhere()) as rig:
        rig.add()
        await asyncio.sleep(60)
        assert 5 < len(calls) < 20
    fake.close()


@in_virtual_time()
async def test_a_load_is_only_a_snapshot_once_it_is_in_the_journal() -> None:
    """Every base that RAM takes goes to the journal too: it is what the next cold start shows."""
    fake = fake_supabase()
    fake.human_insert("component_state", row_in_database(40))
    async with process(fake) as rig:
        rig.context()
        await asyncio.sleep(5)
        snapshot = rig.journal_store.snapshot("1")
        assert snapshot[TALLY].data == b'{"total":40}'
        assert rig.layer.loaded_base(TALLY) == snapshot[TALLY]
    fake.close()


@in_virtual_time()
async def test_a_row_with_unsaved_changes_cannot_be_forgotten() -> None:
    """Eviction of a dirty row would lose it: it trips the assertion."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.add()
        with pytest.raises(AssertionError, match="must stay in RAM"):
            rig.layer.forget("1")
        await asyncio.sleep(5)
        rig.layer.forget("1")
        assert TALLY not in rig.layer.known_keys()
        rig.layer.deliver(TALLY, ABSENT, rig.layer.next_serial())
        assert TALLY in rig.layer.known_keys()
    fake.close()


@in_virtual_time()
async def test_what_has_waited_for_its_load_is_saved_as_it_comes() -> None:
    """Not a flush later: the end of the outage, a deadline and a backoff have been waited for already."""
    fake = fake_supabase(Refused(duration_s=20))
    async with process(fake) as rig:
        rig.add()
        while rig.layer.is_loading("1"):  # noqa: ASYNC110 - the moment itself is what is looked for
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert rig.stored_total() == 1
    fake.close()
