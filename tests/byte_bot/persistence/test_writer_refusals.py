"""The writer, where the server does not store something: dead letters, halved requests, edited rows, history refused by the line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from byte_bot.errors import RequestRefused
from byte_bot.persistence.journal import EpochTaken, MemoryJournalStore
from byte_bot.persistence.ledger import BATCH_ROWS_MAX
from byte_bot.persistence.operations import EPOCH_BELIEVED_MAX, RowKey
from byte_bot.persistence.store import EPOCH_BEYOND, SaveAnswer, SaveRequest
from simulator.faults import CommitThenDrop
from simulator.loop import in_virtual_time
from simulator.supabase.server import FakeSupabase
from tests.byte_bot.persistence.rig import (
    Misconfigured,
    Rig,
    Wrapped,
    fake_supabase,
    process,
    settled,
    wrapped,
)


@in_virtual_time()
async def test_one_bad_row_does_not_hold_the_others() -> None:
    """A row that the server cannot store is a dead letter; the rest is saved, and a newer revision tries again."""
    fake = fake_supabase()
    async with process(fake) as rig:
        for channel_id in "12":
            rig.context(channel_id)
        await asyncio.sleep(1)
        rig.add(channel_id="1")
        rig.poison("1")
        rig.add(last="good", channel_id="2")
        await asyncio.sleep(5)
        assert (rig.stored_total("1"), rig.stored_total("2")) == (None, 1)
        counters = rig.layer.telemetry.counters
        assert counters["dead_letters"] == 1
        assert rig.total("1") == 1
        image = rig.journal_store.read()
        assert image.rows[RowKey("component_state", "1", "rig-tally")].pending
        await asyncio.sleep(60)
        assert counters["dead_letters"] == 1
        rig.add(last="better", channel_id="1")
        await asyncio.sleep(5)
        assert rig.stored()["data"] == {"total": 2, "last": "better"}
        assert rig.layer.ledger.rows_waiting == 0
    fake.close()


async def a_full_batch(rig: Rig) -> list[str]:
    """The ids of as many channels as a batch has rows, in each of which something was changed just now."""
    channels = [f"{number}" for number in range(1, BATCH_ROWS_MAX + 1)]
    rig.manager.preload(channels)
    await asyncio.sleep(1)
    for channel_id in channels:
        rig.add(channel_id=channel_id)
    return channels


@in_virtual_time()
async def test_one_bad_row_among_500_costs_no_extra_request() -> None:
    """The server saves the others past it and names it in the answer to the one request that there would have been without it."""
    fake = fake_supabase()
    # The owner's own rule: the request as a whole can be read, and one row in it is not to be stored.
    fake.engine.connection.execute(
        "CREATE TRIGGER polite BEFORE INSERT ON component_state WHEN NEW.channel_id = '250' "
        "BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: polite'); END"
    )
    async with process(fake, wrap=Wrapped) as rig:
        channels = await a_full_batch(rig)
        await asyncio.sleep(30)
        saves, later = wrapped(rig).requests
        # That there is a dead letter is an event: it goes with whatever is saved next, here alone.
        assert (len(saves.rows), len(later.rows), len(later.events)) == (BATCH_ROWS_MAX, 0, 1)
        stored = {row["channel_id"] for row in fake.rows("component_state")}
        assert stored == {*channels} - {"250"}
        counters = rig.layer.telemetry.counters
        assert (counters["dead_letters"], counters["saves_bisected"]) == (1, 0)
        (letter,) = rig.journal_store.read().dead_letters.values()
        assert (letter.key.channel_id, letter.sqlstate) == ("250", "23514")
    fake.close()


@pytest.mark.parametrize("error", [(406, "PGRST106"), (400, "3F000")])
@in_virtual_time()
async def test_what_is_wrong_with_the_database_makes_no_dead_letters(error: tuple[int, str]) -> None:
    """A schema that the API does not show, or that is not there: everything waits, is asked for every 5 s, and is saved then."""
    fake = fake_supabase()
    way = Misconfigured(fake, error)
    async with process(fake, transport=way) as rig:
        await a_full_batch(rig)
        rig.layer.ledger.add_history(history("m1"))
        await asyncio.sleep(60)
        counters = rig.layer.telemetry.counters
        assert (counters["dead_letters"], counters["saves_bisected"], counters["appends_refused"]) == (
            0,
            0,
            0,
        )
        assert rig.layer.ledger.rows_waiting == BATCH_ROWS_MAX
        assert 2 <= way.saves_refused <= 15
        way.error = None
        await asyncio.sleep(10)
        assert len(fake.rows("component_state")) == BATCH_ROWS_MAX
        assert [row["id"] for row in fake.rows("channel_history")] == ["m1"]
        assert (rig.layer.ledger.rows_waiting, counters["dead_letters"]) == (0, 0)
    fake.close()


@in_virtual_time()
async def test_dead_letters_do_not_make_the_pending_operations_grow() -> None:
    """A row whose every revision is refused stays as small as the row, in RAM and in the journal."""
    fake = fake_supabase()
    async with process(fake) as rig:
        await settled(rig)
        for number in range(20):
            rig.add()
            rig.poison(last=f"\x00{number}")
            await asyncio.sleep(3)
        row = rig.layer.row(RowKey("component_state", "1", "rig-tally"))
        assert rig.layer.telemetry.counters["dead_letters"] == 20
        assert len(row.pending) == 2
        assert len(rig.journal_store.read().rows[row.key].pending) == 2
    fake.close()


@in_virtual_time()
async def test_a_request_refused_as_a_whole_is_halved_down_to_the_culprit() -> None:
    """Too large, or a value that spoils everything: halves are tried until the culprit stands alone."""
    fake = fake_supabase()

    class Choosy(Wrapped):
        """Refuses every request with channel 3 in it."""

        async def save(self, request: SaveRequest) -> SaveAnswer:
            self.requests.append(request)
            if any(row["channel_id"] == "3" for row in request.rows):
                raise RequestRefused("22P05", "unsupported Unicode escape sequence")
            return await self.inner.save(request)

    async with process(fake, wrap=Choosy) as rig:
        channels = [f"{number}" for number in range(8)]
        rig.manager.preload(channels)
        await asyncio.sleep(1)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        rig.layer.ledger.add_history(history("m1"))
        await asyncio.sleep(5)
        assert [rig.stored_total(channel_id) for channel_id in channels] == [1, 1, 1, None, 1, 1, 1, 1]
        assert [row["id"] for row in fake.rows("channel_history")] == ["m1"]
        assert rig.layer.telemetry.counters["dead_letters"] == 1
        assert rig.layer.ledger.rows_waiting == 1
    fake.close()


@in_virtual_time()
async def test_rows_that_cannot_be_sent_do_not_fill_a_batch() -> None:
    """With 500 dead letters waiting, 100 changes of another row within two seconds are still one save."""
    fake = fake_supabase()
    async with process(fake) as rig:
        channels = [f"{number}" for number in range(1, BATCH_ROWS_MAX + 1)]
        rig.manager.preload(["0", *channels])
        await asyncio.sleep(1)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
            rig.layer.row(RowKey("component_state", channel_id, "rig-tally")).refuse()
        await asyncio.sleep(3)
        assert rig.layer.ledger.rows_waiting == BATCH_ROWS_MAX
        before = fake.saves_total
        for _ in range(100):
            rig.add(channel_id="0")
            await asyncio.sleep(0.019)
        await asyncio.sleep(3)
        assert fake.saves_total - before == 1
    fake.close()


@in_virtual_time()
async def test_imported_rows_of_a_higher_epoch_are_overtaken() -> None:
    """Someone moved to a new project by CSV: its counter of epochs begins anew, and the rows' epochs are high."""
    fake = fake_supabase()
    row = {"channel_id": "1", "key": "rig-tally", "version": 1, "data": {"total": 7, "last": ""}}
    fake.human_insert("component_state", {**row, "tombstones": {}, "epoch": 99, "revision": 5})
    async with process(fake) as rig:
        await settled(rig)
        assert rig.total() == 7
        rig.add()
        await asyncio.sleep(10)
        assert (rig.stored_total(), rig.layer.ledger.rows_waiting) == (8, 0)
        assert rig.stored()["epoch"] > 99
        assert rig.layer.telemetry.counters["rows_refused_stale"] == 1
    fake.close()


def store_as(fake: FakeSupabase, channel_id: str, epoch: int) -> None:
    """A row as no editor leaves it: with any epoch, past the trigger (a script that uses the bot's own key, a restored dump)."""
    row = {"channel_id": channel_id, "key": "rig-tally", "version": 1, "data": {"total": 7, "last": ""}}
    fake.human_insert("component_state", {**row, "tombstones": {}, "revision": 5})
    fake.engine.connection.execute(
        "UPDATE component_state SET epoch = ? WHERE channel_id = ?", (epoch, channel_id)
    )


@in_virtual_time()
@pytest.mark.parametrize("epoch", [EPOCH_BELIEVED_MAX + 1, 2**63 - 1])
async def test_a_row_of_an_impossible_epoch_waits_alone(epoch: int) -> None:
    """To overtake it would use up the numbers there are: that row is a dead letter, told once; all others are saved."""
    fake = fake_supabase()
    store_as(fake, "1", epoch)
    async with process(fake) as rig:
        await settled(rig, "1")
        await settled(rig, "2")
        ours = rig.layer.epoch
        rig.add(channel_id="1")
        rig.add(channel_id="2")
        await asyncio.sleep(10)
        assert (rig.total("1"), rig.stored_total("1"), rig.stored_total("2")) == (8, 7, 1)
        assert (rig.layer.ledger.rows_waiting, rig.layer.epoch) == (1, ours)
        (letter,) = rig.journal_store.read().dead_letters.values()
        assert (letter.key.channel_id, letter.sqlstate) == ("1", EPOCH_BEYOND)
        assert str(epoch) in letter.words
        assert rig.layer.telemetry.counters["dead_letters"] == 1
        # What the words say to do: from then on the row is as any other.
        fake.human_delete("component_state", {"channel_id": "1"})
        row = {"channel_id": "1", "key": "rig-tally", "version": 1, "data": {"total": 7, "last": ""}}
        fake.human_insert("component_state", {**row, "tombstones": {}})
        rig.add(channel_id="1")
        await asyncio.sleep(10)
        assert (rig.stored_total("1"), rig.layer.ledger.rows_waiting) == (9, 0)
    # Nor is it lost to the bot that comes next.
    async with process(fake, holder="next") as rig:
        await settled(rig)
        assert rig.layer.epoch == ours + 1
    fake.close()


@in_virtual_time()
async def test_the_highest_epoch_that_is_believed_is_overtaken() -> None:
    """The limit itself may still be passed, and the bots after this one count on from there."""
    fake = fake_supabase()
    store_as(fake, "1", EPOCH_BELIEVED_MAX)
    for number in (1, 2):
        async with process(fake, holder=f"bot-{number}") as rig:
            await settled(rig)
            rig.add()
            await asyncio.sleep(10)
            assert (rig.stored_total(), rig.layer.ledger.rows_waiting) == (7 + number, 0)
            assert rig.layer.epoch == EPOCH_BELIEVED_MAX + number
    fake.close()


@in_virtual_time()
async def test_what_bots_have_counted_on_from_the_highest_epoch_that_can_be_typed_is_overtaken() -> None:
    """Rows that the bot saved itself are no dead letters to one that starts without a journal, on a table of epochs that was emptied."""
    fake = fake_supabase()
    row = {"channel_id": "1", "key": "rig-tally", "version": 1, "data": {"total": 7, "last": ""}}
    fake.human_insert("component_state", {**row, "tombstones": {}, "epoch": 2**53, "revision": 5})
    for number in (1, 2):
        async with process(fake, holder=f"bot-{number}") as rig:
            await settled(rig)
            rig.add()
            await asyncio.sleep(10)
            assert (rig.stored_total(), rig.layer.ledger.rows_waiting) == (7 + number, 0)
            assert rig.stored()["epoch"] == rig.layer.epoch == 2**53 + number
        fake.engine.connection.execute("DELETE FROM bot_writer")
    fake.close()


@in_virtual_time()
async def test_a_journal_that_has_seen_an_impossible_epoch_stops_nobody() -> None:
    """A release that believed such a row wrote its number down: the database passes it over, and the bot takes what it gets."""
    fake = fake_supabase()
    store = MemoryJournalStore("test")
    await store.commit([EpochTaken(2**63 - 1)])
    async with process(fake, journal_store=store) as rig:
        await settled(rig)
        rig.add()
        await asyncio.sleep(10)
        assert (rig.stored_total(), rig.layer.epoch) == (1, 1)
    fake.close()


def history(message_id: str) -> dict[str, Any]:
    """A row of channel_history."""
    return {
        "id": message_id,
        "channel_id": "1",
        "at": "2026-01-01T00:00:00Z",
        "author": "anna",
        "text": "hi",
        "reply": None,
    }


@in_virtual_time()
async def test_history_rides_along_once_however_often_it_is_sent() -> None:
    """Ids are made from the message: a retry after a lost answer inserts nothing twice."""
    fake = fake_supabase(CommitThenDrop(duration_s=20, start_s=2))
    async with process(fake) as rig:
        await asyncio.sleep(1)
        for number in range(5):
            rig.layer.ledger.add_history(history(f"m{number}"))
        rig.layer.ledger.add_history(history("bad") | {"at": "yesterday, more or less"})
        rig.add()
        await asyncio.sleep(40)
        assert [row["id"] for row in fake.rows("channel_history")] == [f"m{number}" for number in range(5)]
        assert rig.layer.telemetry.counters["appends_refused"] == 1
        assert rig.layer.ledger.appends_waiting <= 3  # events about the circuit wait for the next save
    fake.close()


@in_virtual_time()
async def test_a_row_settled_while_its_half_waited_is_not_sent_again() -> None:
    """A load can show a row's save while the other half of its batch is tried: then nothing of it is left to send."""
    fake = fake_supabase()

    class SettledBetween(Wrapped):
        """Stores the batch, says that it is too large, and takes its time over the first half."""

        async def save(self, request: SaveRequest) -> SaveAnswer:
            self.requests.append(request)
            if len(request.rows) == 2:
                await self.inner.save(request)
                raise RequestRefused("413", "too large")
            await asyncio.sleep(3)
            return await self.inner.save(request)

    async with process(fake, wrap=SettledBetween) as rig:
        rig.manager.preload("12")
        await asyncio.sleep(1)
        rig.add(channel_id="1")
        rig.add(channel_id="2")
        await asyncio.sleep(3)
        rig.layer.request_load("2")
        await asyncio.sleep(10)
        assert not rig.services[0].done()
        assert (rig.stored_total("1"), rig.stored_total("2")) == (1, 1)
        assert rig.layer.ledger.rows_waiting == 0
        sent = [[row["channel_id"] for row in request.rows] for request in wrapped(rig).requests]
        assert sent[-2:] == [["1", "2"], ["1"]] or ["2"] not in sent
    fake.close()


@in_virtual_time()
async def test_an_edited_row_goes_with_the_next_batch_and_once_in_a_flush() -> None:
    """It has waited long enough; but a row that is edited without a pause must not keep the writer writing."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped, flush_interval_s=10.0) as rig:
        rig.add(3)
        await asyncio.sleep(30)
        store = wrapped(rig)
        store.after_s = 0.1
        edited = {"total": 100, "last": "human"}
        fake.human_update("component_state", {"channel_id": "1"}, {"data": edited})
        rig.add(4)
        await asyncio.sleep(11)
        assert rig.stored_total() == 104
        assert rig.layer.ledger.rows_waiting == 0

        before = len(store.requests)
        store.before_save = lambda: fake.human_update(
            "component_state", {"channel_id": "1"}, {"data": edited}
        )
        rig.add(5)
        await asyncio.sleep(35)
        assert len(store.requests) - before == 6  # two in each of three flushes
        store.before_save = None
        await asyncio.sleep(11)
        assert rig.stored_total() == 105
    fake.close()
