"""What a simulated disk keeps, how long it takes, and how it fails: in the words of the real one."""

from __future__ import annotations

import asyncio
import random

import pytest

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import Journal
from byte_bot.persistence.journal_image import (
    EpochTaken,
    Handled,
    JournalImage,
    KnownChannel,
    KnownChannels,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.journal_thread import TIDY_EVERY
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from simulator.disk import FOLD_EVERY, FOLD_MAX_S, NO_ROOM, Disk, Durability
from simulator.faults import DiskFull, DiskReadOnly, Fault, FaultBoard, SlowSync
from simulator.loop import current_loop, in_virtual_time
from simulator.rng import SeedTree
from simulator.scenario import DiskLatency

SLOW = DiskLatency(median_ms=20.0)


def disk_with(
    *faults: Fault, seed: int = 1, latency: DiskLatency | None = None, durability: Durability = "process"
) -> Disk:
    """A disk under these faults."""
    board = FaultBoard(current_loop().time, random.Random(seed), faults)
    return Disk("disk", SeedTree(seed), board, latency=latency, durability=durability)


def handled(disk: Disk) -> list[str]:
    """The messages that a process would find on it."""
    return list(disk.open().read().handled)


async def ended(task: asyncio.Task[None]) -> None:
    """A task was cancelled, and is over."""
    task.cancel()
    await asyncio.wait([task])


@in_virtual_time()
async def test_a_commit_takes_as_long_for_a_record_whatever_it_is_committed_with() -> None:
    """The slowest record decides, bookkeeping takes no time, and order and company change no draw."""
    first, second, bookkeeping = Handled("m1"), Handled("m2"), EpochTaken(1)

    async def took(*groups: list[Write]) -> list[float]:
        store, times = disk_with(latency=SLOW).open(), []
        for group in groups:
            began_s = current_loop().time()
            await store.commit(group)
            times.append(round(current_loop().time() - began_s, 6))
        return times

    alone = await took([first], [second], [bookkeeping])
    assert alone[2] == 0.0 < min(alone[:2])
    assert alone[0] != alone[1]
    assert await took([second], [bookkeeping, first]) == [alone[1], alone[0]]
    assert await took([first, second]) == [max(alone)]


@in_virtual_time()
async def test_operations_that_were_combined_change_no_latency() -> None:
    """Which are left depends on when a save was sent, so on the database; a record without a message has its own."""
    key = RowKey("component_state", "1", "counters")

    def recorded(op_id: str) -> Recorded:
        return Recorded(key, [Operation(Kind.ADD, "values", "deaths", 1, Stamp(1, 1), op_id)])

    async def took(*writes: Write) -> float:
        began_s = current_loop().time()
        await disk_with(latency=SLOW).open().commit(writes)
        return round(current_loop().time() - began_s, 6)

    messages = (Handled("m1"), Handled("m2"))
    alone = await took(*messages)
    assert await took(recorded("m1:1"), recorded("m2:1"), *messages) == alone
    assert await took(recorded("m2:2"), *messages) == alone
    assert await took(recorded("m0+1:1")) > 0.0


@in_virtual_time()
async def test_what_was_written_outlives_the_process_that_opens_it() -> None:
    """Acknowledged or not; what was not written yet is not there. The seed says when it is."""
    found: list[list[str]] = []
    for seed in range(20):
        disk = disk_with(seed=seed, latency=DiskLatency(median_ms=100.0, spread=0.0))
        store = disk.open()
        await store.commit([Handled("m1")])
        under_way = asyncio.create_task(store.commit([Handled("m2")]))
        await asyncio.sleep(0.05)
        found.append(handled(disk))
        assert disk.holds("m2") is (found[-1] == ["m1", "m2"])
        await ended(under_way)
    assert all(ids in found for ids in (["m1"], ["m1", "m2"])) and max(map(len, found)) == 2


@in_virtual_time()
async def test_a_power_cut_leaves_a_prefix_that_begins_with_what_was_synced() -> None:
    """Any length from the last sync on; it says which acknowledged messages are gone, and commits go on after it."""
    kept: set[int] = set()
    for seed in range(40):
        disk = disk_with(seed=seed)
        store = disk.open()
        for number in range(10):
            await store.commit([Handled(f"m{number}")])
            if number == 3:
                disk.sync()
        lost = disk.cut_power()
        left = handled(disk)
        assert left + lost == [f"m{number}" for number in range(10)]
        assert not lost or not disk.holds(lost[0])
        await disk.open().commit([Handled("after")])
        assert handled(disk) == [*left, "after"]
        kept.add(len(left))
    assert (min(kept), max(kept)) == (4, 10)


@in_virtual_time()
async def test_with_power_every_acknowledged_commit_is_synced() -> None:
    """Only the one under way may be missing, or be there."""
    found: set[tuple[str, ...]] = set()
    for seed in range(40):
        disk = disk_with(seed=seed, latency=DiskLatency(median_ms=100.0, spread=0.0), durability="power")
        store = disk.open()
        for number in range(3):
            await store.commit([Handled(f"m{number}")])
        under_way = asyncio.create_task(store.commit([Handled("m3")]))
        await asyncio.sleep(0.09)
        assert disk.cut_power() == []
        found.add(tuple(handled(disk)))
        await ended(under_way)
    assert found == {("m0", "m1", "m2"), ("m0", "m1", "m2", "m3")}


@in_virtual_time()
async def test_the_file_is_synced_now_and_then() -> None:
    """As the real one is when its WAL is moved: no cut goes back behind that, and nothing is kept in RAM for it."""
    disk = disk_with()
    store = disk.open()
    for number in range(TIDY_EVERY):
        await store.commit([Handled(f"m{number}")])
    assert disk.cut_power() == []
    assert len(handled(disk)) == TIDY_EVERY


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (DiskFull(start_s=1, duration_s=5), NO_ROOM),
        (DiskReadOnly(start_s=1, duration_s=5), "readonly database"),
    ],
)
def test_a_disk_that_takes_nothing_refuses_whole_commits_in_sqlites_words(fault: Fault, words: str) -> None:
    """Nothing of a refused commit is there, it is not in doubt, what was there can be read, and afterwards it works."""

    @in_virtual_time()
    async def body() -> None:
        disk = disk_with(fault)
        store = disk.open()
        await store.commit([Handled("before")])
        await asyncio.sleep(1)
        with pytest.raises(JournalError, match=words) as caught:
            await store.commit([Handled("m1"), KnownChannels([KnownChannel("lobby")])])
        assert not caught.value.in_doubt
        assert (handled(disk), store.read().channels) == (["before"], [])
        assert (disk.troubles, disk.trouble_until_s) == (1, 2.0)
        await asyncio.sleep(5)
        await store.commit([Handled("after")])
        assert handled(disk) == ["before", "after"]

    body()


def added(number: int) -> list[Write]:
    """What one message does."""
    key = RowKey("component_state", f"{number % 5}", "counters")
    operation = Operation(Kind.ADD, "values", "deaths", 1, Stamp(1, number), f"m{number}:1")
    return [Recorded(key, [operation]), Handled(f"m{number}")]


async def commits(disk: Disk, numbers: range) -> list[Write]:
    """Commit what these messages do, a moment apart; what the disk took of it."""
    store, taken = disk.open(), list[Write]()
    for number in numbers:
        await asyncio.sleep(0.001)
        try:
            await store.commit(added(number))
        except JournalError:
            continue
        taken += added(number)
    return taken


def sums(image: JournalImage) -> dict[str, int]:
    """What is added to each row."""
    return {
        key.channel_id: sum(operation.value for operation in row.pending)
        for key, row in sorted(image.rows.items())
    }


def image_of(writes: list[Write]) -> JournalImage:
    """What they amount to."""
    image = JournalImage()
    image.apply(writes)
    return image


@pytest.mark.parametrize("fault", [DiskFull(probability=0.4), DiskReadOnly(probability=0.4)])
def test_a_fold_is_struck_at_any_point_and_nothing_is_lost_or_doubled(fault: Fault) -> None:
    """What was committed is there, once, whether it was folded, is to be, or a fold of it has failed."""
    struck: set[str] = set()

    @in_virtual_time()
    async def body(seed: int) -> None:
        disk = disk_with(fault, seed=seed)
        taken = await commits(disk, range(1, 6 * FOLD_EVERY))
        image = image_of(taken)
        assert (sums(disk.read()), disk.read().handled) == (sums(image), image.handled)
        assert disk.folded > 0
        struck.update(disk.folds_struck)

    for seed in range(15):
        body(seed)
    if isinstance(fault, DiskFull):
        assert {"INSERT INTO rows", "INSERT INTO handled", "UPDATE meta SET", "COMMIT"} <= struck
    else:
        assert struck == {"query_only"}


@in_virtual_time()
async def test_a_process_that_is_killed_in_a_fold_leaves_it_to_the_next() -> None:
    """The file is as it was before, and the next process folds it when it opens it."""
    disk = disk_with(SlowSync(5.0))
    store = disk.open()
    for number in range(1, FOLD_EVERY + 5):
        disk.write(added(number), current_loop().time())
    assert disk.folded == 0
    next_disk_user = disk.open()
    assert sums(store.read()) == sums(next_disk_user.read())
    await asyncio.sleep(5.0 + FOLD_MAX_S)
    disk.write(added(FOLD_EVERY + 5), current_loop().time())
    assert disk.folded == FOLD_EVERY + 4
    assert sum(sums(disk.read()).values()) == FOLD_EVERY + 5


@in_virtual_time()
async def test_a_power_cut_leaves_a_fold_or_takes_it() -> None:
    """With the commits behind it, or alone; what is left is a prefix, folded as far as it was, and goes on."""
    folded: set[int] = set()
    for seed in range(60):
        disk = disk_with(seed=seed)
        await commits(disk, range(1, 2 * FOLD_EVERY))
        disk.cut_power()
        left = len(handled(disk))
        image = image_of([write for number in range(1, left + 1) for write in added(number)])
        assert (sums(disk.read()), disk.read().handled) == (sums(image), image.handled)
        assert disk.folded <= left
        folded.add(disk.folded)
        await commits(disk, range(left + 1, left + 3 * FOLD_EVERY))
        assert sum(sums(disk.read()).values()) == left + 3 * FOLD_EVERY - 1
    assert 0 in folded
    assert len(folded) > 1


@in_virtual_time()
async def test_a_slow_sync_makes_records_late_and_nothing_else() -> None:
    """By its seconds, on top of what they take; above a second that is trouble for a journal."""
    disk = disk_with(SlowSync(0.4, duration_s=10), SlowSync(2.5, start_s=10))
    store = disk.open()
    await store.commit([EpochTaken(1)])
    assert current_loop().time() == 0.0
    await store.commit([Handled("m1")])
    assert (current_loop().time(), disk.troubles) == (0.4, 0)
    await asyncio.sleep(9.6)
    await store.commit([Handled("m2")])
    assert (current_loop().time(), disk.troubles, disk.trouble_until_s) == (12.5, 1, 12.5)


@in_virtual_time()
async def test_a_journal_on_it_degrades_and_recovers() -> None:
    """The shipped journal's own rules, on the shipped journal's own file."""
    disk = disk_with(DiskFull(start_s=1, duration_s=5))
    states: list[tuple[float, bool]] = []
    journal = Journal(disk.open(), on_degraded=lambda state: states.append((current_loop().time(), state)))
    running = asyncio.create_task(journal.run())
    await asyncio.sleep(2)
    said: list[str] = []
    journal.after(journal.append([Handled("m1")]), lambda: said.append("m1"))
    await asyncio.sleep(0.1)
    assert said == ["m1"] and not disk.holds("m1")
    await asyncio.sleep(10)
    assert disk.holds("m1")
    assert states == [(2.0, True), (6.0, False)]
    await ended(running)


@in_virtual_time()
async def test_a_save_that_is_tried_again_has_nothing_of_what_was_handled_meanwhile() -> None:
    """It goes up to the stamp that it had when it was first sent; what was handled before that is saved with it."""
    disk, row, first, second = disk_with(), RowKey("channel_state", "1", ""), Stamp(1, 1), Stamp(1, 2)
    disk.write([Handled("before")], 1.0)
    disk.write([Sending(row, first)], 2.0)
    disk.write([Handled("meanwhile")], 3.0)
    disk.write([Sending(row, first)], 4.0)
    disk.write([Settled(row, Base(epoch=1, revision=1))], 5.0)
    assert [disk.handled_since(message, row) for message in ("before", "meanwhile")] == [False, True]
    disk.write([Sending(row, second)], 6.0)
    disk.write([Settled(row, Base(epoch=1, revision=2))], 7.0)
    assert not disk.handled_since("meanwhile", row)
