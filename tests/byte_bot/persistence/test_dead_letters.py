"""Dead letters: a row that the server refuses is kept, told about, and not sent again as it is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from byte_bot.errors import StateError
from byte_bot.persistence.dead_letters import PAYLOAD_BYTES_MAX, WORDS_MAX, DeadLetters
from byte_bot.persistence.journal import DeadLettered, Journal, MemoryJournalStore
from byte_bot.persistence.operations import ABSENT, Kind, Operation, RowKey, Stamp
from byte_bot.persistence.row import Row, Sent
from byte_bot.persistence.state import ChannelState
from byte_bot.persistence.storable import SPARE_LEVELS
from byte_bot.telemetry import Telemetry
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.nesting import BOTTOMLESS, deepest, nested
from tests.byte_bot.persistence.rig import LoopClock, Rig, Wrapped, fake_supabase, process, settled, wrapped
from tests.safeguards.variants import become

KEY = RowKey("component_state", "1", "rig-tally")


class FromTheFuture(ChannelState, key="rig-future", version=2**31):
    """Its version does not fit the column."""

    total: int = 0


def letter_of(rig: Rig, key: RowKey = KEY) -> DeadLettered | None:
    """The row's dead letter in the journal."""
    return rig.journal_store.read().dead_letters.get(key)


def sent_rows(rig: Rig) -> list[dict[str, Any]]:
    """Every row that this process has sent, in order."""
    return [row for request in wrapped(rig).requests for row in request.rows]


@in_virtual_time()
async def test_a_refused_row_is_journaled_counted_and_told_about() -> None:
    """SQLSTATE, the server's words, what was sent and when; an event; and a warning that names the commands."""
    fake = fake_supabase()
    async with process(fake) as rig:
        await settled(rig)
        with capture_logs() as logs:
            rig.poison()
            await asyncio.sleep(5)
        letter = letter_of(rig)
        assert letter is not None
        assert (letter.sqlstate, letter.words) == ("22P05", "unsupported Unicode escape sequence")
        assert json.loads(letter.payload)["data"]["last"] == "nul \x00"
        assert letter.at_s == pytest.approx(LoopClock().unix(), abs=5)
        assert len(rig.layer.dead_letters) == 1
        (said,) = [entry for entry in logs if entry["event"] == "row_refused"]
        assert said["log_level"] == "warning"
        assert "byte-bot journal show component_state/1/rig-tally" in said["what_to_do"]
        assert "byte-bot journal requeue component_state/1/rig-tally" in said["what_to_do"]
        rig.add(channel_id="2")  # events ride along with the next save
        await asyncio.sleep(5)
        (event,) = [row for row in fake.rows("bot_events") if row["kind"] == "dead_letter"]
        assert event["data"]["sqlstate"] == "22P05"
        assert event["data"]["row"] == "component_state/1/rig-tally"
    fake.close()


@in_virtual_time()
async def test_a_newer_revision_retires_it() -> None:
    """In RAM and in the journal; what was refused and what came after are saved together."""
    fake = fake_supabase()
    async with process(fake) as rig:
        await settled(rig)
        rig.add()
        rig.poison()
        await asyncio.sleep(5)
        assert len(rig.layer.dead_letters) == 1
        rig.add(last="well")
        assert len(rig.layer.dead_letters) == 0
        await asyncio.sleep(5)
        assert letter_of(rig) is None
        assert rig.stored()["data"] == {"total": 2, "last": "well"}
        assert rig.layer.ledger.rows_waiting == 0
    fake.close()


@in_virtual_time()
async def test_what_changed_while_it_was_refused_is_sent_at_once() -> None:
    """The answer is about an older revision: no letter stands, and the newer one goes out."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        await settled(rig)
        rig.poison()
        wrapped(rig).after_s = 1.0
        await asyncio.sleep(2.5)
        assert wrapped(rig).under_way
        rig.add(last="well")
        await asyncio.sleep(10)
        assert letter_of(rig) is None
        assert len(rig.layer.dead_letters) == 0
        assert rig.stored()["data"] == {"total": 1, "last": "well"}
    fake.close()


@in_virtual_time()
async def test_it_survives_restarts_and_is_not_sent_again() -> None:
    """Each process takes a new epoch and stamps the operations anew; the letter goes along, its operations stay."""
    fake = fake_supabase()
    disk = MemoryJournalStore("one")
    async with process(fake, journal_store=disk, holder="one") as rig:
        await settled(rig)
        rig.poison()
        await asyncio.sleep(5)
    for _ in range(3):
        async with process(fake, journal_store=disk, holder="one", wrap=Wrapped) as rig:
            rig.layer.request_load("1")
            assert len(rig.layer.dead_letters) == 1
            rig.add(channel_id="2")
            await asyncio.sleep(30)
            assert len(rig.layer.dead_letters) == 1
            assert [row["channel_id"] for row in sent_rows(rig)] == ["2"]
            assert rig.layer.telemetry.counters["dead_letters"] == 0
            letter = letter_of(rig)
            assert letter is not None and letter.sqlstate == "22P05"
            assert [operation.value for operation in disk.read().rows[KEY].pending] == ["nul \x00"]
    async with process(fake, journal_store=disk, holder="one") as rig:
        rig.add(last="well")
        await asyncio.sleep(10)
        assert rig.stored()["data"] == {"total": 1, "last": "well"}
        assert letter_of(rig) is None
    fake.close()


@in_virtual_time()
async def test_a_change_before_the_first_load_retires_the_letter_of_an_earlier_process() -> None:
    """During an outage at boot already: the newer revision counts, whatever epoch it gets later."""
    fake = fake_supabase()
    disk = MemoryJournalStore("one")
    async with process(fake, journal_store=disk, holder="one") as rig:
        await settled(rig)
        rig.poison()
        await asyncio.sleep(5)
    async with process(fake, journal_store=disk, holder="one", database=False) as rig:
        rig.add(last="well")
        await asyncio.sleep(1)
        assert letter_of(rig) is None
    async with process(fake, journal_store=disk, holder="one") as rig:
        rig.layer.request_load("1")
        await asyncio.sleep(10)
        assert rig.stored()["data"] == {"total": 1, "last": "well"}
    fake.close()


@in_virtual_time()
async def test_a_human_s_edit_of_the_row_has_it_tried_again() -> None:
    """What was refused may fit now; if not, it is refused once more and waits again."""
    fake = fake_supabase()
    async with process(fake) as rig:
        await settled(rig)
        rig.add()
        await asyncio.sleep(5)
        rig.poison()
        await asyncio.sleep(5)
        fake.human_update("component_state", {"channel_id": "1"}, {"data": {"total": 7}})
        rig.layer.request_load("1")
        await asyncio.sleep(30)
        assert rig.total() == 7
        assert rig.layer.telemetry.counters["dead_letters"] == 2
        assert len(rig.layer.dead_letters) == 1
        assert letter_of(rig) is not None
    fake.close()


@in_virtual_time()
async def test_one_bad_row_among_500_costs_no_extra_request() -> None:
    """The SQL function isolates it: the other 499 are saved by the request that carried it."""
    fake = fake_supabase()
    async with process(fake, wrap=Wrapped) as rig:
        channels = [f"{number}" for number in range(499)]
        rig.manager.preload(channels)
        await asyncio.sleep(10)
        before = len(wrapped(rig).requests)
        for channel_id in channels:
            rig.add(channel_id=channel_id)
        context = rig.context("250")
        context.state(FromTheFuture).total += 1
        context.stage("future")
        context.seal()
        await asyncio.sleep(2)
        requests = wrapped(rig).requests[before:]
        assert [len(request.rows) for request in requests] == [500]
        assert len(fake.rows("component_state")) == 499
        letter = letter_of(rig, RowKey("component_state", "250", "rig-future"))
        assert letter is not None
        assert (letter.sqlstate, letter.words) == (
            "22003",
            'value "2147483648" is out of range for type integer',
        )
        assert rig.layer.ledger.rows_waiting == 1
    fake.close()


@pytest.mark.parametrize("bad", ["half \ud800", float("inf")], ids=["surrogate", "infinity"])
@in_virtual_time()
async def test_what_cannot_be_encoded_is_a_dead_letter_and_the_batch_goes_on(bad: Any) -> None:
    """Nothing of it reaches the network, the others are saved, and the journal shows what it was."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.manager.preload("123")
        await asyncio.sleep(1)
        for channel_id in "123":
            rig.add(channel_id=channel_id)
        rig.poison("2", last=bad)
        await asyncio.sleep(10)
        assert [rig.stored_total(channel_id) for channel_id in "123"] == [1, None, 1]
        letter = letter_of(rig, RowKey("component_state", "2", "rig-tally"))
        assert letter is not None
        assert letter.sqlstate == "unencodable"
        assert (b"\\ud800" if isinstance(bad, str) else b"Infinity") in letter.payload
        assert not rig.services[0].done()
        rig.add(channel_id="2", last="well")
        await asyncio.sleep(5)
        assert rig.stored_total("2") == 2
    fake.close()


@pytest.mark.parametrize("just", [True, False], ids=["just to be written", "bottomless"])
@in_virtual_time()
async def test_what_is_nested_too_deep_is_a_dead_letter_and_the_batch_goes_on(just: bool) -> None:
    """Also what could just be written: stored, it could not be read, and every bot after this one would load nothing."""
    value: Any = nested(deepest() - SPARE_LEVELS // 2 if just else BOTTOMLESS)
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.manager.preload("12")
        await asyncio.sleep(1)
        for channel_id in "12":
            rig.add(channel_id=channel_id)
        rig.poison("2", last=value)
        await asyncio.sleep(10)
        assert [rig.stored_total(channel_id) for channel_id in "12"] == [1, None]
        letter = letter_of(rig, RowKey("component_state", "2", "rig-tally"))
        assert letter is not None
        assert letter.sqlstate == "unencodable"
        assert (b"[[[[" if just else b"nested too deep to be shown") in letter.payload
        assert rig.layer.telemetry.counters["saves_bisected"] == 0
        assert not rig.services[0].done()
    fake.close()


class Stubborn(Row):
    """A row whose class cannot be made of what is stored when it is to be saved."""

    __slots__ = ()

    def freeze(self, epoch: int, now_s: int) -> Sent:
        """Fail as an author's upgrade does."""
        raise StateError("Tally.upgrade cannot read a row of version 1")


@in_virtual_time()
async def test_a_row_that_cannot_be_made_up_for_its_save_does_not_end_the_writer() -> None:
    """It is a dead letter, and the others are saved."""
    fake = fake_supabase()
    async with process(fake) as rig:
        rig.manager.preload("123")
        await asyncio.sleep(1)
        for channel_id in "123":
            rig.add(channel_id=channel_id)
        become(rig.layer.row(RowKey("component_state", "2", "rig-tally")), Stubborn)
        await asyncio.sleep(10)
        assert [rig.stored_total(channel_id) for channel_id in "123"] == [1, None, 1]
        letter = letter_of(rig, RowKey("component_state", "2", "rig-tally"))
        assert letter is not None and "upgrade" in letter.words
        assert not rig.services[0].done()
    fake.close()


@in_virtual_time()
async def test_a_letter_is_bounded_and_can_always_be_stored() -> None:
    """PostgreSQL quotes what offends it, however long; a proxy may say anything."""
    store = MemoryJournalStore()
    journal = Journal(store)
    letters = DeadLetters(journal, LoopClock(), Telemetry(LoopClock(), "test"))
    row = Row(KEY)
    row.replayed([Operation(Kind.SET, "last", None, "x" * 2 * PAYLOAD_BYTES_MAX, Stamp(1, 1))])
    row.accept(ABSENT, 1, 1)
    letters.refuse(row, row.freeze(1, 0), "22P02", "\x00\udc00" + "words" * WORDS_MAX)
    running = asyncio.get_running_loop().create_task(journal.run(), name="journal")
    await journal.drain()
    running.cancel()
    letter = store.read().dead_letters[KEY]
    assert len(letter.payload) == PAYLOAD_BYTES_MAX
    assert len(letter.words) == WORDS_MAX
    assert letter.words.startswith("\ufffdwords")
