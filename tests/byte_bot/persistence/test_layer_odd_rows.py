"""One odd row in the database is that row's business: a number of 5,001 digits, brackets without end, a revision at bigint's end.

The table editor takes all of them. Whatever it is, the other channels load and save, the odd row is said once with what to do, and it is
neither overwritten nor lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from byte_bot.persistence.journal import (
    DeadLettered,
    EpochTaken,
    MemoryJournalStore,
    Recorded,
    Sending,
    Settled,
)
from byte_bot.persistence.layer import UNREADABLE_RETRY_S
from byte_bot.persistence.operations import (
    REVISION_BELIEVED_MAX,
    REVISION_COUNTED_MAX,
    Base,
    Kind,
    Operation,
    RowKey,
    Stamp,
)
from simulator.loop import in_virtual_time
from simulator.supabase.faces import SupabaseTransport
from simulator.supabase.jsonb import Digits
from simulator.supabase.server import FakeSupabase
from tests.byte_bot.persistence.nesting import BOTTOMLESS
from tests.byte_bot.persistence.rig import Wrapped, fake_supabase, process, settled, wrapped

LONG = Digits("1e5000")
BIGINT_MAX = 2**63 - 1
TALLY = RowKey("component_state", "1", "rig-tally")
MARK = "in place of brackets"


class Deep(httpx.AsyncBaseTransport):
    """The way to a database in which brackets stand where the fake, whose JSON is Python's, has a text."""

    def __init__(self, fake: FakeSupabase) -> None:
        self._inner = SupabaseTransport(fake)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer with brackets."""
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        brackets = b"[" * BOTTOMLESS + b"]" * BOTTOMLESS
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        content = body.replace(f'"{MARK}"'.encode(), brackets)
        return httpx.Response(response.status_code, headers=headers, content=content)


ODD: Mapping[str, Any] = {
    "a number too long": {"total": LONG},
    "in a field that nobody knows": {"total": 1, "of a human's": [{"deep": LONG}]},
    "brackets": {"total": 1, "of a human's": MARK},
}


def tally(channel_id: str, data: Any) -> dict[str, Any]:
    """A row of the tally's."""
    return {"channel_id": channel_id, "key": "rig-tally", "version": 1, "data": data}


def said(logs: list[Any]) -> list[str]:
    """The rows that were said to be unreadable."""
    return [entry["row"] for entry in logs if entry["event"] == "row_unreadable"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("used", [True, False], ids=["used", "never used"])
@in_virtual_time()
async def test_an_odd_row_keeps_no_other_channel_from_loading(odd: str, used: bool) -> None:
    """It is said once and not written; as soon as it is corrected, what was done meanwhile goes on top of it."""
    fake = fake_supabase()
    fake.human_insert("component_state", tally("1", ODD[odd]))
    fake.human_insert("component_state", tally("2", {"total": 40}))
    with capture_logs() as logs:
        async with process(fake, transport=Deep(fake)) as rig:
            rig.manager.preload(["1", "2", "3"])
            if used:
                rig.add(2)
            rig.add(2, "2")
            await asyncio.sleep(3 * UNREADABLE_RETRY_S + 20)
            assert rig.stored_total("2") == rig.total("2") == 42
            assert not rig.layer.is_loading("3")
            assert rig.stored()["data"] == ODD[odd]
            assert said(logs) == ["component_state/1/rig-tally"]
            assert rig.layer.telemetry.counters["database_failures"] == 0
            if not used:
                rig.add(2)
                await asyncio.sleep(10)
            assert rig.total() == 2
            # It exists, whatever it is: to send it as a new one would be to rely on the server's refusal.
            assert rig.layer.telemetry.counters["rows_refused_edited"] == 0
            fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 40}})
            await asyncio.sleep(UNREADABLE_RETRY_S + 5)
            assert rig.stored_total() == rig.total() == 42
    fake.close()


@pytest.mark.parametrize("loaded", [True, False], ids=["known before", "odd from the start"])
@in_virtual_time()
async def test_an_odd_row_that_is_deleted_is_no_row(loaded: bool) -> None:
    """What was done to it meanwhile is saved, over nothing."""
    fake = fake_supabase()
    async with process(fake) as rig:
        if loaded:
            rig.add()
            await settled(rig)
            fake.human_update("component_state", {"channel_id": "1"}, {"data": ODD["a number too long"]})
        else:
            fake.human_insert("component_state", tally("1", ODD["a number too long"]))
        rig.manager.preload(["1"])
        await asyncio.sleep(5)
        rig.add(2)
        await asyncio.sleep(5)
        assert rig.layer.ledger.rows_waiting == 1
        fake.human_delete("component_state", {"channel_id": "1"})
        await asyncio.sleep(UNREADABLE_RETRY_S + 5)
        assert rig.stored_total() == rig.total() == 2
    fake.close()


@in_virtual_time()
async def test_a_quiet_row_that_was_made_odd_is_not_sent_when_it_is_used_at_last() -> None:
    """Its class becomes known only then; that the value known before fits it says nothing of the one that is stored now."""
    fake = fake_supabase()
    fake.human_insert("component_state", tally("1", {"total": 1}))
    async with process(fake) as rig:
        rig.manager.preload(["1"])
        await asyncio.sleep(5)
        fake.human_update("component_state", {"channel_id": "1"}, {"data": ODD["a number too long"]})
        rig.layer.request_load("1")
        await asyncio.sleep(5)
        rig.add(2)
        await asyncio.sleep(10)
        assert rig.total() == 3
        assert rig.layer.telemetry.counters["rows_refused_edited"] == 0
        fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 40}})
        await asyncio.sleep(UNREADABLE_RETRY_S + 5)
        assert rig.stored_total() == rig.total() == 42
    fake.close()


@in_virtual_time()
async def test_a_row_that_is_put_back_as_it_was_is_readable_again() -> None:
    """By an import, which counts as no edit: the very row that is known already."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.add()
        await settled(rig)
        import_as = "UPDATE component_state SET data = '{}' WHERE channel_id = '1'"
        for data in ('{"total":"one"}', '{"total":1,"last":""}'):
            fake.engine.connection.execute(import_as.format(data))
            rig.layer.request_load("1")
            await asyncio.sleep(5)
        rig.add()
        await settled(rig)
        assert rig.stored_total() == 2
    fake.close()


@pytest.mark.parametrize("odd", ODD)
@in_virtual_time()
async def test_a_row_that_was_made_odd_between_load_and_save_holds_no_other(odd: str) -> None:
    """It comes back with the refusal; the others of its batch are saved, now and later."""
    fake = fake_supabase()
    async with process(fake, transport=Deep(fake)) as rig:
        for channel_id in "12":
            rig.add(channel_id=channel_id)
            await settled(rig, channel_id)
        fake.human_update("component_state", {"channel_id": "1"}, {"data": ODD[odd]})
        with capture_logs() as logs:
            for _ in range(2):
                for channel_id in "12":
                    rig.add(channel_id=channel_id)
                await asyncio.sleep(10)
        assert rig.stored_total("2") == 3
        assert (rig.stored()["data"], rig.total()) == (ODD[odd], 3)
        assert said(logs) == ["component_state/1/rig-tally"]
        fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 1}})
        await asyncio.sleep(UNREADABLE_RETRY_S + 5)
        assert rig.stored_total() == rig.total() == 3
    fake.close()


@in_virtual_time()
async def test_a_number_that_python_can_hold_is_saved_as_it_stands() -> None:
    """What is far too long for 64 bits and not for Python goes back to the last digit when another field changes."""
    fake, number = fake_supabase(), int("7" * 4_000)
    fake.human_insert("component_state", tally("1", {"total": 1, "of a human's": number}))
    async with process(fake) as rig:
        rig.add(1, last="word")
        await settled(rig)
        assert rig.stored()["data"] == {"last": "word", "total": 2, "of a human's": number}
    fake.close()


def typed(channel_id: str, epoch: int, revision: int, total: int = 40) -> dict[str, Any]:
    """A row that somebody entered, or imported, with a stamp of his own."""
    return {**tally(channel_id, {"total": total}), "epoch": epoch, "revision": revision}


@pytest.mark.parametrize("epoch", [0, 1, 7])
@pytest.mark.parametrize("revision", [BIGINT_MAX, REVISION_BELIEVED_MAX + 1])
@in_virtual_time()
async def test_a_revision_that_nobody_can_have_come_to_is_overtaken(epoch: int, revision: int) -> None:
    """Also where the row's epoch is the bot's own, or a later one: then a new epoch is taken, once, and the row is saved."""
    fake = fake_supabase()
    fake.human_insert("component_state", typed("1", epoch, revision))
    journal_store = MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        for channel_id in "12":
            rig.add(2, channel_id=channel_id)
            await settled(rig, channel_id)
        assert (rig.stored_total("1"), rig.stored_total("2")) == (rig.total("1"), rig.total("2")) == (42, 2)
        assert rig.stored()["revision"] < 10
        taken = rig.layer.epoch
        assert taken == {0: 1, 1: 2, 7: 8}[epoch]
        rig.add(2)
        await settled(rig)
        assert (rig.stored_total(), rig.layer.epoch) == (44, taken)
        assert rig.layer.telemetry.counters["dead_letters"] == 0
        for row in journal_store.read().rows.values():
            assert row.base is not None
            assert max(row.base.revision, row.boundary.revision) < 10
    fake.close()


@in_virtual_time()
async def test_what_an_earlier_release_has_counted_on_from_such_a_revision_is_saved_after_all() -> None:
    """Its journal holds the change under a revision that no table takes, and the dead letter that came of it."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    entered = fake.human_insert("component_state", typed("1", 0, BIGINT_MAX))
    base = Base(b'{"total":40}', {}, 1, 0, BIGINT_MAX, entered["edit_no"])
    beyond = Stamp(1, BIGINT_MAX + 1)
    operation = Operation(Kind.ADD, "total", None, 2, beyond)
    letter = DeadLettered(TALLY, beyond.revision, "22003", "out of range", b"{}", 0.0)
    await journal_store.commit([EpochTaken(1), Settled(TALLY, base), Recorded(TALLY, [operation])])
    await journal_store.commit([Sending(TALLY, beyond), letter])
    async with process(fake, journal_store=journal_store) as rig:
        rig.manager.preload(["1"])
        await settled(rig)
        rig.add(2)
        await settled(rig)
        assert rig.stored_total() == rig.total() == 44
        assert not len(rig.layer.dead_letters)
        assert not journal_store.read().dead_letters
    fake.close()


@in_virtual_time()
async def test_a_row_that_is_entered_anew_with_such_a_revision_is_seen() -> None:
    """It is no older sight of the one that was deleted, whatever stamp that had."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.add(5)
        await settled(rig)
        fake.human_delete("component_state", {"channel_id": "1"})
        fake.human_insert("component_state", typed("1", rig.layer.epoch, BIGINT_MAX))
        rig.layer.request_load("1")
        await asyncio.sleep(5)
        assert rig.total() == 40
        rig.add(2)
        await settled(rig)
        assert rig.stored_total() == rig.total() == 42
    fake.close()


@pytest.mark.parametrize(
    ("epoch", "revision", "first"),
    [
        (0, 5, 6),
        (0, REVISION_COUNTED_MAX, REVISION_COUNTED_MAX + 1),
        (0, REVISION_COUNTED_MAX + 1, 2),  # begun anew: 1 it had when it was done, before the row was read
        (0, REVISION_BELIEVED_MAX, 2),
        (1, 2**53 - 1, 2**53),  # the bot's own epoch
    ],
)
@in_virtual_time()
async def test_a_high_revision_that_was_typed_lets_every_change_count_once(
    epoch: int, revision: int, first: int
) -> None:
    """Also one whose save was answered by nobody before the bot was killed: whatever the bot writes is believed when it is read."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    fake.human_insert("component_state", typed("1", epoch, revision))
    async with process(fake, journal_store=journal_store, wrap=Wrapped) as rig:
        rig.add(2)
        await settled(rig)
        assert (rig.stored()["revision"], rig.layer.epoch) == (first, 1)
        rig.add(2)
        wrapped(rig).after_s = 60.0  # saved, and the answer is lost with the process
        await asyncio.sleep(10)
        assert (rig.stored_total(), rig.stored()["revision"], rig.layer.ledger.rows_waiting) == (
            44,
            first + 1,
            1,
        )
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        await settled(rig)
        rig.add(2)
        await settled(rig)
        assert (rig.total(), rig.stored_total(), rig.layer.epoch) == (46, 46, 2)
    fake.close()
