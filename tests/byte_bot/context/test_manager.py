"""Contexts in RAM: how they get there, their transaction, and ``_touch`` from anywhere."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest

from byte_bot.context.channel import ChannelContext
from byte_bot.errors import StateError
from byte_bot.persistence.journal import Handled, MemoryJournalStore, Settled
from byte_bot.persistence.operations import Kind, RowKey
from byte_bot.persistence.row import CONFIG_TABLE
from byte_bot.persistence.state import Add, ChannelState
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.context.contexts import TALLY, Shelf, Tally, contexts, make_place, running, stored


class Other(ChannelState, key="tests_context_other"):
    """A second row of the same channel."""

    total: Annotated[int, Add] = 0


async def snapshot(total: int) -> MemoryJournalStore:
    """A disk on which an earlier process left the tally of channel 1001."""
    disk = MemoryJournalStore()
    await disk.commit([Settled(TALLY, stored(total))])
    return disk


def now_s() -> float:
    """The virtual time."""
    return current_loop().time()


# --- getting one ----------------------------------------------------------------------------------------------------


@in_virtual_time()
async def test_get_never_suspends() -> None:
    """In RAM, in the snapshot or never seen: the coroutine ends at its first step, whatever the database does."""
    database = Shelf(load_s=1e6)
    async with contexts(database=database, disk=await snapshot(3)) as place:
        for channel_id in ("1001", "2002", "1001"):
            with pytest.raises(StopIteration) as ended:
                place.manager.get(channel_id).send(None)
            assert ended.value.value.channel_id == channel_id


@in_virtual_time()
async def test_a_channel_has_one_context() -> None:
    """Everybody who asks for a channel holds the same object and the same state."""
    async with contexts() as place:
        first, second = await asyncio.gather(place.manager.get("1001", "lobby"), place.manager.get("1001"))
        assert first is second
        assert first.state(Tally) is second.state(Tally)
        assert place.manager.get_active_channels() == ("1001",)


@in_virtual_time()
async def test_a_channel_follows_its_new_name() -> None:
    """A streamer renames the channel: the id stays, the login is taken over; an unknown login changes nothing."""
    async with contexts() as place:
        context = place.context("1001", "lobby")
        place.context("1001", "")
        assert context.login == "lobby"
        place.context("1001", "lounge")
        assert context.login == "lounge"


@in_virtual_time()
async def test_the_snapshot_is_shown_at_once_and_the_load_follows() -> None:
    """What the disk knows is there at the same instant; what the database knows replaces it when it comes."""
    database = Shelf({TALLY: stored(7, revision=9)}, load_s=2.0)
    async with contexts(database=database, disk=await snapshot(3)) as place:
        context = place.context()
        assert (now_s(), context.state(Tally).total) == (0.0, 3)
        await asyncio.sleep(1.9)
        assert context.state(Tally).total == 3
        await asyncio.sleep(0.2)
        assert context.state(Tally).total == 7


@in_virtual_time()
async def test_what_was_added_before_the_load_adds_up_with_it() -> None:
    """A change on the snapshot's value is a change, not the value: the late load gets it on top."""
    database = Shelf({TALLY: stored(7, revision=9)}, load_s=2.0)
    async with contexts(database=database, disk=await snapshot(3)) as place:
        context = place.context()
        context.state(Tally).total += 1
        context.stage("m1")
        context.seal()
        assert context.state(Tally).total == 4
        await asyncio.sleep(2.1)
        assert context.state(Tally).total == 8


@in_virtual_time()
async def test_loads_are_single_flight() -> None:
    """However many ask while a channel's load is under way, it is asked for once."""
    database = Shelf(load_s=1.0)
    async with contexts(database=database) as place:
        for _ in range(5):
            await place.manager.get("1001", "lobby")
            place.manager.preload(["1001"])
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        assert database.asked == [["1001"]]


@in_virtual_time()
async def test_preloading_asks_for_a_hundred_channels_at_a_time() -> None:
    """250 channels are three requests, each channel once, and then all are in RAM."""
    ids = [str(number) for number in range(1000, 1250)]
    database = Shelf()
    async with contexts(database=database) as place:
        place.manager.preload(ids)
        await asyncio.sleep(1)
        assert [len(asked) for asked in database.asked] == [100, 100, 50]
        assert [channel_id for asked in database.asked for channel_id in asked] == ids
        assert place.manager.get_active_channels() == tuple(ids)
        assert all(place.context(channel_id).loaded.is_set() for channel_id in ids)


# --- the first load -------------------------------------------------------------------------------------------------


@in_virtual_time()
async def test_a_channel_never_seen_waits_for_its_first_load() -> None:
    """The wait ends with the load, and the stored value is there."""
    async with contexts(database=Shelf({TALLY: stored(7)}, load_s=0.1)) as place:
        context = place.context()
        await context.first_load(0.25)
        assert now_s() == pytest.approx(0.1)
        assert context.state(Tally).total == 7


@in_virtual_time()
async def test_the_first_load_is_waited_for_once_and_not_for_long() -> None:
    """A database that hangs costs a new channel 250 ms once; the next message does not wait at all."""
    async with contexts(database=Shelf(load_s=1e6)) as place:
        context = place.context()
        await context.first_load(0.25)
        assert now_s() == pytest.approx(0.25)
        await context.first_load(0.25)
        assert now_s() == pytest.approx(0.25)


@in_virtual_time()
async def test_a_channel_in_the_snapshot_does_not_wait() -> None:
    """The disk's value is good enough to answer with."""
    async with contexts(database=Shelf(load_s=1e6), disk=await snapshot(3)) as place:
        await place.context().first_load(0.25)
        assert now_s() == 0.0


@in_virtual_time()
async def test_without_a_database_nobody_waits() -> None:
    """No load will ever come."""
    async with contexts() as place:
        await place.context().first_load(0.25)
        assert now_s() == 0.0


# --- the transaction ------------------------------------------------------------------------------------------------


@in_virtual_time()
async def test_staged_changes_reach_the_journal_with_the_seal() -> None:
    """Stages of one message become one record: all of it or nothing survives a crash."""
    async with contexts() as place:
        context = place.context()
        context.state(Tally).total += 1
        context.stage("m1")
        context.state(Other).total += 2
        context.stage("m1")
        await place.layer.journal.drain()
        assert place.on_disk() == []
        gate = context.seal(Handled("m1"))
        assert context.gate == gate
        assert not place.layer.journal.committed(gate)
        await place.layer.journal.drain()
        assert place.layer.journal.committed(gate)
        assert [op.value for op in place.on_disk()] == [1]
        assert [op.value for op in place.on_disk(TALLY._replace(key=Other.__state_key__))] == [2]


@in_virtual_time()
async def test_a_message_that_changed_nothing_is_remembered_as_handled() -> None:
    """Twitch may deliver it again after a restart; without a message there is nothing to write, and the gate stays."""
    disk = MemoryJournalStore()
    async with contexts(disk=disk) as place:
        context = place.context()
        context.stage("m1")
        gate = context.seal(Handled("m1"))
        assert gate > 0
        assert context.seal() == gate
        await place.layer.journal.drain()
        assert list(disk.read().handled) == ["m1"]


@in_virtual_time()
async def test_rolling_back_keeps_what_was_staged() -> None:
    """Only what came after the last stage is undone, in the object that components hold."""
    async with contexts() as place:
        context = place.context()
        tally = context.state(Tally)
        tally.total = 5
        context.stage("m1")
        context.state(Tally).total = 9
        context.state(Tally).last = "eve"
        context.rollback()
        assert (tally.total, tally.last) == (5, "")
        context.seal(Handled("m1"))
        await place.layer.journal.drain()
        assert [(op.kind, op.field, op.value) for op in place.on_disk()] == [(Kind.ADD, "total", 5)]


@in_virtual_time()
async def test_one_value_that_cannot_be_stored_rolls_back_every_row() -> None:
    """A transaction is all or nothing, also when its last row is the bad one."""
    async with contexts() as place:
        context = place.context()
        context.state(Other).total = 3
        context.state(Tally).last = object()  # type: ignore[assignment]
        with pytest.raises(StateError, match=r"Tally\.last"):
            context.stage("m1")
        context.seal()
        assert context.state(Other).total == 0
        assert context.state(Tally).last == ""
        await place.layer.journal.drain()
        assert place.on_disk(TALLY._replace(key=Other.__state_key__)) == []


@in_virtual_time()
async def test_a_load_waits_for_the_open_transaction() -> None:
    """A handler never sees its state change under it; the base arrives when it is through."""
    async with contexts(database=Shelf({TALLY: stored(7)}, load_s=0.1)) as place:
        context = place.context()
        tally = context.state(Tally)
        context.begin()
        await asyncio.sleep(1)
        assert tally.total == 0
        context.end()
        assert tally.total == 7


@in_virtual_time()
async def test_an_assigned_number_discards_what_was_added_before() -> None:
    """``=5`` on a row not loaded yet is 5 after the load, not 5 more."""
    async with contexts(database=Shelf({TALLY: stored(7)}, load_s=1.0)) as place:
        context = place.context()
        context.state(Tally).total = 5
        context.mark_assigned(Tally, ("total", None))
        context.stage("m1")
        context.seal()
        await asyncio.sleep(2)
        assert context.state(Tally).total == 5


@in_virtual_time()
async def test_the_configuration_belongs_to_the_login() -> None:
    """The row of channels_config is found by name, that of the stream by id."""
    async with contexts() as place:
        context = place.context()
        context.config.paused = True
        context.stream.current_game = "Celeste"
        context.stage("m1")
        context.seal()
        assert list(place.layer.rows) == [RowKey(CONFIG_TABLE, "lobby"), RowKey("channel_state", "1001")]


@in_virtual_time()
async def test_keys_made_by_a_channel_differ() -> None:
    """Two notes of one millisecond are two notes."""
    async with contexts() as place:
        context = place.context()
        assert context.next_key() != context.next_key()


# --- _touch ---------------------------------------------------------------------------------------------------------


def change(context: ChannelContext) -> None:
    """Change the tally outside a transaction."""
    context.state(Tally).total += 1
    context._touch()


@in_virtual_time()
async def test_a_touch_on_the_loop_records_at_once() -> None:
    """Before the caller goes on the change is an operation on its way to the journal."""
    async with contexts() as place:
        change(place.context())
        assert [op.value for op in place.layer.rows[TALLY].pending] == [1]
        await place.layer.journal.drain()
        assert [op.value for op in place.on_disk()] == [1]


@in_virtual_time()
async def test_a_touch_within_a_transaction_waits_for_its_end() -> None:
    """Else half of what a handler is about to roll back would be recorded."""
    async with contexts() as place:
        context = place.context()
        context.begin()
        change(context)
        assert place.layer.rows[TALLY].pending == []
        context.end()
        assert [op.value for op in place.layer.rows[TALLY].pending] == [1]


async def test_what_another_thread_puts_into_a_state_is_cleaned() -> None:
    """NUL and half characters are no reason to refuse the change, and no poison for the row."""
    async with contexts() as place:
        context = place.context()
        context.state(Tally).last = "nul \x00 half \ud800"
        await asyncio.to_thread(context._touch)
        await place.layer.journal.drain()
        assert [op.value for op in place.on_disk()] == ["nul  half \ufffd"]
        assert context.state(Tally).last == "nul  half \ufffd"


async def test_a_touch_from_another_thread_is_recorded_by_the_loop() -> None:
    """A thread without a loop may touch; the operation is made on the loop's own thread."""
    async with contexts() as place:
        context = place.context()
        context.state(Tally).total += 1
        await asyncio.to_thread(context._touch)
        await place.layer.journal.drain()
        assert [op.value for op in place.on_disk()] == [1]


def test_a_touch_from_another_loop_is_recorded_by_the_main_one() -> None:
    """A running loop is not enough: it must be the main one, or the touch waits until that one runs."""
    place = make_place()
    main = asyncio.new_event_loop()
    place.manager.bind_loop(main)

    async def elsewhere() -> None:
        change(place.context())

    asyncio.run(elsewhere())
    assert place.layer.rows[TALLY].pending == []
    main.run_until_complete(asyncio.sleep(0))
    main.close()
    assert [op.value for op in place.layer.rows[TALLY].pending] == [1]


@in_virtual_time()
async def test_a_touch_before_the_loop_is_bound_is_recorded_when_it_is() -> None:
    """Components may prepare channels while the bot is built; nothing of it is lost, and the load is asked for."""
    database = Shelf({TALLY: stored(7)})
    place = make_place(database=database)
    change(place.context())
    assert place.layer.rows[TALLY].pending == []
    place.manager.bind_loop(asyncio.get_running_loop())
    assert [op.value for op in place.layer.rows[TALLY].pending] == [1]
    async with running(place):
        await asyncio.sleep(1)
        assert place.context().state(Tally).total == 8
        assert database.asked == [["1001"]]


@in_virtual_time()
async def test_a_touch_of_a_value_that_cannot_be_stored_is_counted_and_undone() -> None:
    """Nobody is there to raise to; the good value stays and the operator can see it."""
    async with contexts() as place:
        context = place.context()
        context.state(Tally).last = 7  # type: ignore[assignment]
        context._touch()
        assert context.state(Tally).last == ""
        assert place.layer.telemetry.counters["touches_refused"] == 1
        change(context)
        assert [op.value for op in place.layer.rows[TALLY].pending] == [1]


@in_virtual_time()
async def test_of_a_class_that_is_declared_wrongly_nothing_is_known() -> None:
    """A row of its key is one without a class, as if its component were not installed; whoever uses it is told."""

    class Broken(ChannelState, key="tests_context_broken"):
        total: int = None  # type: ignore[assignment]  # an author's slip

    async with contexts() as place:
        assert place.manager.find_spec(RowKey("component_state", "1001", "tests_context_broken")) is None
        with pytest.raises(StateError, match="Broken: the defaults do not fit"):
            place.context().state(Broken)
