"""How contexts leave RAM: only idle, clean and on disk, and without anybody noticing."""

from __future__ import annotations

import asyncio
import gc
from itertools import pairwise

import msgspec

from byte_bot.context.manager import EVICTION_AT_ONCE
from byte_bot.persistence.journal import Handled
from byte_bot.persistence.pace import PAUSE_S
from byte_bot.persistence.state import ChannelState
from simulator.loop import in_virtual_time
from tests.byte_bot.context.contexts import TALLY, Shelf, Tally, contexts, stored
from tests.byte_bot.rig import Disk


class Card(msgspec.Struct):
    """There are ten."""

    number: int = 1

    def __post_init__(self) -> None:
        assert 1 <= self.number <= 10


class Deck(ChannelState, key="tests_eviction_deck"):
    """What the author of its card has something to say about."""

    card: Card = msgspec.field(default_factory=Card)


@in_virtual_time()
async def test_an_idle_clean_context_leaves_ram_and_comes_back_from_the_snapshot() -> None:
    """After two hours of silence its rows are dropped; the next message finds them at the same instant."""
    database = Shelf({TALLY: stored(7)})
    async with contexts(database=database) as place:
        assert place.context().state(Tally).total == 0
        await asyncio.sleep(10)
        assert place.manager.evict_idle(7199.9).left == 0
        assert place.manager.evict_idle(7200.0).left == 1
        assert place.manager.get_active_channels() == ()
        assert place.layer.rows == {}
        assert place.layer.telemetry.counters["contexts_evicted"] == 1
        assert place.context().state(Tally).total == 7
        await asyncio.sleep(1)
        assert database.asked == [["1001"], ["1001"]]


@in_virtual_time()
async def test_a_channel_of_which_nothing_is_stored_comes_back_without_the_database() -> None:
    """It was loaded once: its next message must not be held for a load, as that of a channel never seen is."""
    async with contexts(database=Shelf()) as place:
        place.context()
        await asyncio.sleep(1)
        assert place.manager.evict_idle(1e9).left == 1
        await asyncio.sleep(1)
        assert place.context().hold_first is False


@in_virtual_time()
async def test_a_context_with_unsaved_changes_stays() -> None:
    """While the database is down nothing unsaved leaves RAM; once it is saved it may."""
    database = Shelf()
    async with contexts(database=database) as place:
        context = place.context()
        await asyncio.sleep(1)
        database.down = True
        context.state(Tally).total += 1
        context.stage("m1")
        context.seal()
        await asyncio.sleep(100)
        assert place.manager.evict_idle(1e9).left == 0
        database.down = False
        await asyncio.sleep(30)
        assert len(database.saved) == 1
        assert place.manager.evict_idle(1e9).left == 1


@in_virtual_time()
async def test_a_context_with_changes_that_nobody_recorded_yet_stays() -> None:
    """A value changed outside a transaction waits for its ``_touch``; evicting it would lose it."""
    async with contexts(database=Shelf()) as place:
        context = place.context()
        await asyncio.sleep(1)
        context.state(Tally).total += 1
        assert place.manager.evict_idle(1e9).left == 0
        context._touch()
        await asyncio.sleep(10)
        assert place.manager.evict_idle(1e9).left == 1


@in_virtual_time()
async def test_a_locked_context_stays() -> None:
    """A handler is at work in it."""
    async with contexts(database=Shelf()) as place:
        context = place.context()
        await asyncio.sleep(1)
        async with context.lock:
            assert place.manager.evict_idle(1e9).left == 0
        assert place.manager.evict_idle(1e9).left == 1


@in_virtual_time()
async def test_a_context_whose_load_is_under_way_stays() -> None:
    """Its answer is older than whatever the row would come back from."""
    async with contexts(database=Shelf(load_s=5.0)) as place:
        place.context()
        await asyncio.sleep(1)
        assert place.manager.evict_idle(1e9).left == 0
        await asyncio.sleep(5)
        place.layer.request_load("1001")
        assert place.manager.evict_idle(1e9).left == 0
        await asyncio.sleep(6)
        assert place.manager.evict_idle(1e9).left == 1


@in_virtual_time()
async def test_a_context_whose_last_record_is_not_on_disk_stays() -> None:
    """The snapshot it would come back from must be there first."""
    async with contexts(database=Shelf(), disk=Disk(delay_s=3.0)) as place:
        context = place.context()
        await asyncio.sleep(20)
        context.stage("m1")
        context.seal(Handled("m1"))
        await asyncio.sleep(1)
        assert place.manager.evict_idle(1e9).left == 0
        await asyncio.sleep(20)
        assert place.manager.evict_idle(1e9).left == 1


@in_virtual_time()
async def test_eviction_runs_every_minute() -> None:
    """A context idle for 100 s is gone by the second look; one that is used stays."""
    async with contexts(database=Shelf(), context_idle_s=100.0) as place:
        eviction = asyncio.create_task(place.manager.run_eviction())
        place.context("1001", "lobby")
        for _ in range(12):
            await asyncio.sleep(10)
            place.context("2002", "arcade")
        await asyncio.sleep(1)
        eviction.cancel()
        assert place.manager.get_active_channels() == ("2002",)


@in_virtual_time()
async def test_a_value_that_cannot_be_stored_does_not_end_the_eviction() -> None:
    """Left there outside a transaction, it is put back and counted; the context leaves RAM like any other."""
    async with contexts(database=Shelf()) as place:
        context = place.context()
        await asyncio.sleep(20)
        stream = context.stream
        stream.vibe = object()  # type: ignore[assignment]  # a component's slip
        assert place.manager.evict_idle(1e9).left == 1
        assert stream.vibe == ""
        assert place.layer.telemetry.counters["touches_refused"] == 1


@in_virtual_time()
async def test_a_value_that_its_author_refuses_does_not_end_the_eviction() -> None:
    """Whatever the author's code raises: it is put back and counted."""
    async with contexts(database=Shelf()) as place:
        context = place.context()
        await asyncio.sleep(20)
        deck = context.state(Deck)
        deck.card.number = 11
        assert place.manager.evict_idle(1e9).left == 1
        assert deck.card.number == 1
        assert place.layer.telemetry.counters["touches_refused"] == 1


@in_virtual_time()
async def test_a_sweep_over_many_contexts_pauses_after_every_few() -> None:
    """Each has the disk asked, on the loop: between two pauses only a few leave, and a message is answered in a pause."""
    async with contexts(database=Shelf()) as place:
        place.manager.preload(str(number) for number in range(20 * EVICTION_AT_ONCE + 1))
        await asyncio.sleep(8000)
        place.context("never-idle")
        left = []
        loop = asyncio.get_running_loop()
        sweep = loop.create_task(place.manager.sweep())
        while not sweep.done():
            left.append(len(place.manager.get_active_channels()))
            await asyncio.sleep(PAUSE_S / 2)
        assert max(before - after for before, after in pairwise(left)) == EVICTION_AT_ONCE < 10
        assert place.manager.get_active_channels() == ("never-idle",)


@in_virtual_time()
async def test_contexts_that_stay_cost_a_sweep_next_to_nothing() -> None:
    """Of those that are in use the disk is not asked: 1,000 of them are looked at in five pieces."""
    async with contexts(database=Shelf()) as place:
        place.manager.preload(str(number) for number in range(1000))
        await asyncio.sleep(60)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await place.manager.sweep()
        assert loop.time() - began_s <= 5 * PAUSE_S
        assert len(place.manager.get_active_channels()) == 1000


@in_virtual_time()
async def test_a_quiet_context_holds_nothing_that_only_a_busy_one_needs() -> None:
    """There may be 100,000 of them: locks, events and cooldowns are made when they are used."""
    async with contexts(database=Shelf()) as place:
        context = place.context()
        await asyncio.sleep(1)
        assert context.is_loaded
        held = gc.get_referents(context)
        assert not [one for one in held if isinstance(one, (asyncio.Lock, asyncio.Event, dict, list))]
        assert context.loaded.is_set()
        assert not context.lock.locked()


@in_virtual_time()
async def test_contexts_used_in_the_same_second_share_the_time() -> None:
    """Of 100,000 channels joined in a few minutes that is a few hundred numbers; no context is younger for it."""
    async with contexts(database=Shelf()) as place:
        first = place.context("1", "anna")
        await asyncio.sleep(0.9)
        second = place.context("2", "bert")
        assert second.used_at_s is first.used_at_s
        await asyncio.sleep(0.1)
        assert place.context("3", "carla").used_at_s == first.used_at_s + 1.0


@in_virtual_time()
async def test_a_quiet_channel_leaves_and_comes_back_without_a_row_made_of_it() -> None:
    """The sweep looks at rows in use only; what is quiet goes with its context."""
    database = Shelf({TALLY: stored(7)})
    async with contexts(database=database) as place:
        place.context()
        await asyncio.sleep(10)
        assert place.layer.rows == {}
        assert place.manager.evict_idle(1e9).left == 1
        assert list(place.layer.known_keys()) == []
        assert place.context().hold_first is False
        assert place.layer.rows == {}
        assert place.context().state(Tally).total == 7


@in_virtual_time()
async def test_nobody_leaves_while_the_journal_does_not_work() -> None:
    """A save that was acknowledged meanwhile is not in the snapshot: a channel that left would come back with an old value."""
    database, disk = Shelf({TALLY: stored(7)}), Disk()
    async with contexts(database=database, disk=disk) as place:
        context = place.context()
        place.context("2002", "arcade")  # of which nothing is stored: that could not be noted
        await asyncio.sleep(10)
        disk.broken = True
        context.state(Tally).total += 1
        context.stage("m1")
        context.seal()
        await asyncio.sleep(60)
        assert place.layer.journal.degraded
        assert len(database.saved) == 1, "what the disk surely does not have is saved all the same"
        assert place.manager.evict_idle(1e9).left == 0
        disk.broken = False
        await asyncio.sleep(10)
        assert place.manager.evict_idle(1e9).left == 2
        assert place.context().state(Tally).total == 8


@in_virtual_time()
async def test_a_channel_stays_until_the_disk_has_what_was_last_read_of_it() -> None:
    """Bookkeeping goes behind everything else: the channel's own last record says nothing about it."""
    database, disk = Shelf({TALLY: stored(7)}), Disk()
    async with contexts(database=database, disk=disk) as place:
        place.context()
        await asyncio.sleep(10)
        database.rows[TALLY] = stored(40, revision=6)
        disk.delay_s = 30.0
        place.layer.request_load("1001")
        await asyncio.sleep(5)
        assert not place.layer.is_loading("1001")
        assert place.manager.evict_idle(1e9).left == 0
        await asyncio.sleep(60)
        assert place.manager.evict_idle(1e9).left == 1
        assert place.context().state(Tally).total == 40


@in_virtual_time()
async def test_a_channel_whose_first_row_waits_for_the_disk_is_not_noted_as_empty() -> None:
    """Behind the row it would say that there is none."""
    database, disk = Shelf({TALLY: stored(7)}), Disk(delay_s=30.0)
    async with contexts(database=database, disk=disk) as place:
        place.context()
        await asyncio.sleep(62)
        assert place.context().is_loaded
        assert place.layer.loaded_base(TALLY) == stored(7)
        assert disk.snapshot("1001") == {}
        assert place.manager.evict_idle(1e9).left == 0
        await asyncio.sleep(100)
        assert disk.snapshot("1001") == {TALLY: stored(7)}
        assert place.manager.evict_idle(1e9).left == 1
