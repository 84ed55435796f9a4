"""The bridge from other threads, with real threads on a real loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from byte_bot.context.channel import ChannelContext
from byte_bot.errors import BridgeError, StateError
from byte_bot.persistence.journal import MemoryJournalStore, Write
from byte_bot.persistence.operations import Kind
from tests.byte_bot.context.contexts import Place, Tally, contexts, make_place

#: Real seconds given to a call that is meant to time out; nothing depends on its size.
SHORT_S = 0.05
#: Real seconds in which a call to an idle loop has surely begun.
AMPLE_S = 0.5


class Held(MemoryJournalStore):
    """A disk whose commits wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.free = asyncio.Event()

    async def commit(self, writes: Sequence[Write]) -> None:
        """Wait, then commit."""
        self.reached.set()
        await self.free.wait()
        await super().commit(writes)


def add_one(context: ChannelContext) -> int:
    """Add one to the channel's tally; its new total."""
    tally = context.state(Tally)
    tally.total += 1
    return tally.total


def total(context: ChannelContext) -> int:
    """The channel's total."""
    return context.state(Tally).total


async def test_another_thread_changes_a_context() -> None:
    """The function runs on the loop's thread, its result comes back, and the change is in RAM and in the journal."""
    async with contexts() as place:
        threads: list[int] = []

        def add(context: ChannelContext) -> int:
            threads.append(threading.get_ident())
            return add_one(context)

        assert await asyncio.to_thread(place.bridge.change, "1001", add) == 1
        assert threads == [threading.get_ident()]
        assert total(place.context()) == 1
        assert [(op.kind, op.field, op.value) for op in place.on_disk()] == [(Kind.ADD, "total", 1)]


async def test_twenty_threads_lose_no_increment() -> None:
    """20 threads x 50 increments make exactly 1,000, each of which saw a total of its own."""
    async with contexts() as place:
        loop = asyncio.get_running_loop()

        def fifty() -> list[int]:
            return [place.bridge.change("1001", add_one, timeout_s=60) for _ in range(50)]

        with ThreadPoolExecutor(20) as pool:
            totals = await asyncio.gather(*[loop.run_in_executor(pool, fifty) for _ in range(20)])
        assert sorted(seen for fifty_seen in totals for seen in fifty_seen) == list(range(1, 1001))
        assert total(place.context()) == 1000
        assert sum(op.value for op in place.on_disk()) == 1000


async def test_a_change_waits_for_the_channels_lock() -> None:
    """While a handler holds the channel nothing of the change happens; afterwards it sees what the handler did."""
    async with contexts() as place:
        context = place.context()
        async with context.lock:
            call = asyncio.create_task(asyncio.to_thread(place.bridge.change, "1001", add_one))
            await arrival_of_the_call()
            context.state(Tally).total = 41
            context.stage("handler")
            context.seal()
        assert await call == 42


async def arrival_of_the_call() -> None:
    """Wait until the bridge's own task is on the loop and has run as far as it can."""
    # Nothing sets an event when a thread hands its call over: the task's presence is the only sign of it.
    while not any("_on_loop" in repr(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_change_returns_only_once_the_journal_has_it() -> None:
    """Like a reply in chat, the answer to a dashboard must survive a crash that follows it."""
    disk = Held()
    async with contexts(disk=disk) as place:
        call = asyncio.create_task(asyncio.to_thread(place.bridge.change, "1001", add_one))
        await disk.reached.wait()
        assert total(place.context()) == 1
        assert not call.done()
        assert place.on_disk() == []
        disk.free.set()
        assert await call == 1
        assert len(place.on_disk()) == 1


async def test_reading_changes_nothing() -> None:
    """What a reader changes by mistake is rolled back, and not written anywhere."""
    async with contexts() as place:
        await asyncio.to_thread(place.bridge.change, "1001", add_one)
        assert await asyncio.to_thread(place.bridge.read, "1001", add_one) == 2
        assert await asyncio.to_thread(place.bridge.read, "1001", total) == 1
        assert sum(op.value for op in place.on_disk()) == 1


async def test_a_function_that_fails_changes_nothing() -> None:
    """Its exception reaches the caller's thread as it is, and the channel is free for the next change."""
    async with contexts() as place:

        def fail(context: ChannelContext) -> None:
            add_one(context)
            raise ZeroDivisionError("a defect of the dashboard")

        with pytest.raises(ZeroDivisionError, match="a defect"):
            await asyncio.to_thread(place.bridge.change, "1001", fail)
        assert total(place.context()) == 0
        assert await asyncio.to_thread(place.bridge.change, "1001", add_one) == 1


async def test_a_text_from_another_thread_is_cleaned() -> None:
    """A web page's form can hold anything; what the database has no place for does not get in."""
    async with contexts() as place:

        def name(context: ChannelContext) -> None:
            context.state(Tally).last = "nul \x00 half \ud800"

        await asyncio.to_thread(place.bridge.change, "1001", name)
        assert place.context().state(Tally).last == "nul  half \ufffd"
        assert [op.value for op in place.on_disk()] == ["nul  half \ufffd"]


async def test_a_value_that_cannot_be_stored_changes_nothing() -> None:
    """The caller learns which field does not fit; RAM keeps what it had."""
    async with contexts() as place:

        def spoil(context: ChannelContext) -> None:
            context.state(Tally).last = 7  # type: ignore[assignment]

        with pytest.raises(StateError, match=r"Tally\.last"):
            await asyncio.to_thread(place.bridge.change, "1001", spoil)
        assert place.context().state(Tally).last == ""
        assert place.on_disk() == []


async def test_a_change_that_could_not_begin_in_time_is_never_made() -> None:
    """The caller is told "not made", and it stays true once the channel is free."""
    async with contexts() as place:
        context = place.context()
        async with context.lock:
            with pytest.raises(BridgeError, match=r"channel 1001: no result within 0\.05 s.* not made"):
                await asyncio.to_thread(place.bridge.change, "1001", add_one, timeout_s=SHORT_S)
        assert await asyncio.to_thread(place.bridge.change, "1001", add_one) == 1


async def test_a_change_the_journal_is_late_with_is_reported_as_made() -> None:
    """A caller that gave up waiting for the disk must not try again: the change is in RAM and will be on disk."""
    disk = Held()
    async with contexts(disk=disk) as place:
        with pytest.raises(BridgeError, match="made, and is not in the journal yet"):
            await asyncio.to_thread(place.bridge.change, "1001", add_one, timeout_s=AMPLE_S)
        assert total(place.context()) == 1
        disk.free.set()
        await place.layer.journal.drain()
        assert [op.value for op in place.on_disk()] == [1]


async def test_it_refuses_a_call_on_the_loop_itself() -> None:
    """It would wait for itself for ever; the message names the way that works there."""
    async with contexts() as place:
        with pytest.raises(BridgeError, match=r"async with context\.lock"):
            place.bridge.change("1001", add_one)
        assert total(place.context()) == 0


async def test_it_refuses_a_call_on_another_running_loop() -> None:
    """A thread with a loop of its own would have that loop stand still meanwhile."""
    async with contexts() as place:

        async def elsewhere() -> int:
            return place.bridge.change("1001", add_one)

        with pytest.raises(BridgeError, match="other threads"):
            await asyncio.to_thread(asyncio.run, elsewhere())


async def test_it_refuses_a_coroutine_function() -> None:
    """An await under the channel's lock would let a slow page hold chat."""
    async with contexts() as place:

        async def slow(context: ChannelContext) -> int:
            return add_one(context)

        with pytest.raises(BridgeError, match="synchronous function"):
            await asyncio.to_thread(place.bridge.change, "1001", slow)


def test_before_the_bot_has_started_it_says_so() -> None:
    """No loop is bound: there is nobody to run the function."""
    with pytest.raises(BridgeError, match="has not started"):
        make_place().bridge.change("1001", add_one)


def test_after_the_bot_has_stopped_it_says_so() -> None:
    """The loop is closed: nothing is scheduled on it, and nothing is left waiting."""
    loop = asyncio.new_event_loop()
    place: Place = make_place()
    place.manager.bind_loop(loop)
    loop.close()
    with pytest.raises(BridgeError, match="has stopped"):
        place.bridge.change("1001", add_one)


async def test_the_configuration_of_a_channel_without_a_login_is_refused() -> None:
    """Its row is found by the login: a change is refused, not confirmed and lost, and works once the login is known."""

    def pause(context: ChannelContext) -> None:
        context.config.paused = True

    async with contexts() as place:
        place.manager.preload(["1001"])
        with pytest.raises(StateError, match="login is not known yet"):
            await asyncio.to_thread(place.bridge.change, "1001", pause)
        assert place.layer.rows_of("") == {}
        place.manager.preload_named({"lobby": "1001"})
        await asyncio.to_thread(place.bridge.change, "1001", pause)
        assert place.context().config.paused
        (row,) = place.layer.rows_of("lobby").values()
        assert row.dirty
