"""The journal: group commit, what goes first, the gate, and a disk that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import (
    BOOKKEEPING_ROWS_MAX,
    BOOKKEEPING_WRITES_MAX,
    ROOM_S,
    WAITING_MAX,
    Handled,
    Journal,
    JournalImage,
    MemoryJournalStore,
    Rebased,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.operations import ABSENT, Base, Kind, Operation, RowKey, Stamp
from simulator.loop import in_virtual_time

KEY = RowKey("component_state", "1", "deaths")
CONFIG = RowKey("channels_config", "anna")


def add(revision: int, value: int = 1, epoch: int = 1) -> Operation:
    """An add of one row."""
    return Operation(Kind.ADD, "total", None, value, Stamp(epoch, revision))


def saved(revision: int, total: int, epoch: int = 1) -> Base:
    """The row as the database has it."""
    return Base(b'{"total":%d}' % total, {}, 1, epoch, revision, 0)


class Disk:
    """A store whose commits the test holds back or lets fail."""

    def __init__(self) -> None:
        self.groups: list[list[Write]] = []
        self.delay_s = 0.0
        self.failing = self.in_doubt = False
        self.tried: list[list[Write]] = []
        self.memory = MemoryJournalStore()

    async def commit(self, writes: Sequence[Write]) -> None:
        """Commit after the delay."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.failing:
            self.tried.append(list(writes))
            raise JournalError("disk full", in_doubt=self.in_doubt)
        self.groups.append(list(writes))
        await self.memory.commit(writes)

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image."""
        return self.memory.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The bases."""
        return self.memory.snapshot(channel_id)


def started(disk: Disk) -> tuple[Journal, list[bool], asyncio.Task[None]]:
    """A running journal, and what it said about its health."""
    health: list[bool] = []
    journal = Journal(disk, on_degraded=health.append)
    return journal, health, asyncio.get_running_loop().create_task(journal.run())


async def stop(service: asyncio.Task[None]) -> None:
    """End the journal's task."""
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)


@in_virtual_time()
async def test_replies_wait_for_the_commit_of_what_came_before() -> None:
    """The gate opens in order, when the store has committed, and at once for what is committed already."""
    disk, opened = Disk(), []
    disk.delay_s = 0.1
    journal, _, service = started(disk)
    first = journal.append([Handled("a")])
    second = journal.append([Handled("b")])
    journal.after(second, lambda: opened.append("second"))
    journal.after(first, lambda: opened.append("first"))
    journal.after(first, lambda: opened.append("first again"))
    assert opened == []
    await asyncio.sleep(0.05)
    assert opened == []
    await journal.drain()
    assert opened == ["first", "first again", "second"]
    assert journal.committed(second)
    journal.after(second, lambda: opened.append("at once"))
    assert opened[-1] == "at once"
    await stop(service)


@in_virtual_time()
async def test_writes_that_arrive_during_a_commit_form_the_next_group() -> None:
    """One commit at a time, everything that waits in one group."""
    disk = Disk()
    disk.delay_s = 0.1
    journal, _, service = started(disk)
    journal.append([Handled("a")])
    await asyncio.sleep(0.01)
    for name in "bcd":
        journal.append([Handled(name)])
    await journal.drain()
    assert [[write.message_id for write in group if isinstance(write, Handled)] for group in disk.groups] == [
        ["a"],
        ["b", "c", "d"],
    ]
    await stop(service)


@in_virtual_time()
async def test_a_failing_disk_is_announced_and_does_not_hold_replies() -> None:
    """Degraded: replies leave ungated and are counted, nothing appended is lost, and the end is announced too."""
    disk, opened = Disk(), []
    disk.failing = True
    journal, health, service = started(disk)
    sequence = journal.append([Handled("a")])
    journal.after(sequence, lambda: opened.append("waited"))
    await asyncio.sleep(0.1)
    assert (health, opened, journal.degraded) == ([True], ["waited"], True)
    journal.after(journal.append([Handled("b")]), lambda: opened.append("ungated"))
    await journal.wait(sequence)
    assert opened == ["waited", "ungated"]
    assert journal.ungated_replies >= 2
    assert not journal.committed(sequence)
    disk.failing = False
    await journal.drain()
    assert health == [True, False]
    assert journal.committed(sequence)
    assert list(disk.read().handled) == ["a", "b"]
    await stop(service)


@in_virtual_time()
async def test_a_stalled_commit_degrades_after_a_second_and_is_not_doubled() -> None:
    """The commit goes on: it may still reach the disk, so it is waited for and not sent again."""
    disk = Disk()
    disk.delay_s = 3.0
    journal, health, service = started(disk)
    journal.append([Handled("a")])
    await asyncio.sleep(0.9)
    assert health == []
    await asyncio.sleep(0.2)
    assert health == [True]
    await journal.drain()
    assert health == [True, False]
    assert len(disk.groups) == 1
    await stop(service)


@in_virtual_time()
async def test_waiting_for_a_commit() -> None:
    """``wait`` returns when the store has committed, not before."""
    disk = Disk()
    disk.delay_s = 0.5
    journal, _, service = started(disk)
    sequence = journal.append([Handled("a")])
    assert not disk.groups
    await journal.wait(sequence)
    assert len(disk.groups) == 1
    await stop(service)


@in_virtual_time()
async def test_replies_do_not_wait_behind_bookkeeping() -> None:
    """What 500 acknowledged rows have to note down rides along in pieces; records go with the next commit."""
    disk, opened = Disk(), []
    disk.delay_s = 0.01
    journal, _, service = started(disk)
    keys = [RowKey("component_state", str(number), "deaths") for number in range(500)]
    settled = journal.append([Settled(key, saved(1, 1)) for key in keys])
    await asyncio.sleep(0.005)
    record = journal.append([Recorded(KEY, [add(2)]), Handled("a")])
    journal.after(record, lambda: opened.append(asyncio.get_running_loop().time()))
    began_s = asyncio.get_running_loop().time()
    assert not journal.committed(settled)
    await journal.drain()
    # The commit under way, and the next.
    assert opened[0] - began_s <= 0.0151
    assert max(map(len, disk.groups)) <= BOOKKEEPING_WRITES_MAX + 2
    assert journal.committed(settled)
    assert len(disk.read().rows) == 500
    await stop(service)


@in_virtual_time()
async def test_bookkeeping_of_a_row_goes_before_its_next_record() -> None:
    """A record takes along what waits about its own row: the order within a row is that of the appends."""
    disk = Disk()
    disk.delay_s = 0.01
    journal, _, service = started(disk)
    journal.append([Handled("first")])
    await asyncio.sleep(0.001)
    others = [RowKey("component_state", str(number), "deaths") for number in range(200, 400)]
    journal.append([Settled(key, saved(1, 1)) for key in others])
    journal.append([Sending(KEY, Stamp(1, 1)), Settled(KEY, saved(1, 1))])
    journal.append([Recorded(KEY, [add(2)])])
    await asyncio.sleep(0.011)
    await asyncio.sleep(0.01)
    about = [write for group in disk.groups for write in group if getattr(write, "key", None) == KEY]
    assert about == [Sending(KEY, Stamp(1, 1)), Settled(KEY, saved(1, 1)), Recorded(KEY, [add(2)])]
    await journal.drain()
    await stop(service)


@in_virtual_time()
async def test_waiting_for_bookkeeping_waits_for_all_of_it() -> None:
    """A save may only leave once every base and boundary before it is on the disk."""
    disk = Disk()
    disk.delay_s = 0.01
    journal, _, service = started(disk)
    keys = [RowKey("component_state", str(number), "deaths") for number in range(300)]
    await journal.wait(journal.append([Sending(key, Stamp(1, 1)) for key in keys]))
    assert sum(map(len, disk.groups)) == 300
    await stop(service)


@in_virtual_time()
async def test_what_a_record_took_along_is_not_committed_by_the_commit_before_it() -> None:
    """It is in neither the backlog nor the commit under way: a save that left now would be doubled by a crash."""
    disk = Disk()
    disk.delay_s = 0.01
    journal, _, service = started(disk)
    journal.append([Handled("first")])
    await asyncio.sleep(0.005)
    keys = [RowKey("component_state", f"other {number}") for number in range(BOOKKEEPING_WRITES_MAX)]
    bases = journal.append([Rebased(key, ABSENT, [add(1)]) for key in (*keys, KEY)])
    await asyncio.sleep(0.01)
    record = journal.append([Recorded(KEY, [add(2)])])
    await asyncio.sleep(0.01)
    assert len(disk.groups) == 2 and KEY not in disk.read().rows
    assert not journal.committed(bases)
    await journal.wait(bases)
    assert disk.read().rows[KEY].pending == [add(2, 2)]
    assert journal.committed(record)
    await stop(service)


@in_virtual_time()
async def test_what_waits_for_a_failing_disk_is_folded() -> None:
    """An hour of chat on one row is one write and the window of ids; all of it is there once the disk works."""
    disk = Disk()
    disk.failing = True
    journal, _, service = started(disk)
    for revision in range(1, 3601):
        journal.append([Recorded(KEY, [add(revision)]), Handled(f"m{revision}")])
        await asyncio.sleep(1)
    assert len(disk.tried[-1]) in (3600, 3601)
    disk.failing = False
    await journal.drain()
    assert disk.read().rows[KEY].pending == [add(3600, 3600)]
    assert len(disk.read().handled) == 3600
    await stop(service)


@in_virtual_time()
async def test_what_waits_behind_a_hanging_commit_is_folded() -> None:
    """The disk neither works nor fails: after a second nothing more is queued one by one."""
    disk = Disk()
    disk.delay_s = 5.0
    journal, _, service = started(disk)
    for revision in range(1, 401):
        journal.append([Recorded(KEY, [add(revision)])])
        await asyncio.sleep(0.01)
    await journal.drain()
    assert disk.groups[1:] == [[Recorded(KEY, [add(400, 399)])]]
    await stop(service)


@in_virtual_time()
async def test_more_than_the_disk_keeps_up_with_is_folded_and_counted() -> None:
    """A flood within the second before a slow commit counts as stalled stays bounded."""
    disk = Disk()
    disk.delay_s = 0.9
    journal, health, service = started(disk)
    journal.append([Handled("first")])
    await asyncio.sleep(0.1)
    for revision in range(1, WAITING_MAX + 5):
        journal.append([Recorded(KEY, [add(revision)])])
    assert journal.overflows == 1
    await journal.drain()
    assert [len(group) for group in disk.groups] == [1, 1]
    assert health == []
    await stop(service)


@in_virtual_time()
async def test_a_commit_in_doubt_is_tried_again_as_it_was() -> None:
    """The store recognises it only then; one that surely failed is folded into what came since."""
    disk = Disk()
    disk.failing = disk.in_doubt = True
    journal, _, service = started(disk)
    journal.append([Recorded(KEY, [add(1)])])
    await asyncio.sleep(0.5)
    sequence = journal.append([Recorded(KEY, [add(2)])])
    await asyncio.sleep(3)
    assert disk.tried[1:] == [disk.tried[0]] * 3
    disk.in_doubt = False
    await asyncio.sleep(2)
    assert disk.tried[-1] == [Recorded(KEY, [add(2, 2)])]
    disk.failing = False
    await journal.drain()
    assert journal.committed(sequence)
    assert disk.read().rows[KEY].pending == [add(2, 2)]
    await stop(service)


@in_virtual_time()
async def test_a_long_life_of_quick_commits_is_watched_by_one_timer() -> None:
    """A commit late in the second of an earlier one's watch has its own second."""
    disk = Disk()
    journal, health, service = started(disk)
    journal.append([Handled("a")])
    await asyncio.sleep(0.9)
    disk.delay_s = 0.95
    journal.append([Handled("b")])
    await asyncio.sleep(0.94)
    assert health == []
    disk.delay_s = 1.5
    journal.append([Handled("c")])
    await asyncio.sleep(0.99)
    assert health == []
    await asyncio.sleep(0.1)
    assert health == [True]
    await journal.drain()
    await stop(service)


@pytest.mark.parametrize("fails_before", [True, False])
@in_virtual_time()
async def test_folding_knows_the_boundary_that_went_before(fails_before: bool) -> None:
    """A save was under way when the disk failed: what it carried stays apart, and the boundary is forgotten once settled."""
    disk = Disk()
    journal, _, service = started(disk)
    for settled, revision in ((False, 5), (True, 15)):
        await journal.wait(journal.append([Sending(KEY, Stamp(1, revision))]))
        if settled:
            await journal.wait(journal.append([Settled(KEY, saved(revision, 1))]))
        disk.failing = True
        if fails_before:
            journal.append([Handled("a")])
            await asyncio.sleep(0.5)
        first = revision + settled
        for number in (first, first + 1):
            journal.append([Recorded(KEY, [add(number)])])
        await asyncio.sleep(0.5)
        disk.failing = False
        await journal.drain()
        values = [operation.value for operation in disk.read().rows[KEY].pending]
        assert values == ([2] if settled else [1, 1])
    await stop(service)


def loaded(number: int) -> Rebased:
    """A quiet row's base."""
    return Rebased(RowKey("channel_state", str(number)), saved(1, number), [])


@in_virtual_time()
async def test_whoever_takes_over_many_rows_goes_as_fast_as_the_disk() -> None:
    """There is room at once for the first, then whenever a commit has made some: what waits is bounded."""
    disk = Disk()
    disk.delay_s = 0.01
    journal, _, service = started(disk)
    at_s, committed = [], []
    for number in range(BOOKKEEPING_ROWS_MAX + 200):
        journal.append([loaded(number)])
        await journal.room()
        at_s.append(asyncio.get_running_loop().time())
        committed.append(sum(map(len, disk.groups)))
    assert at_s[BOOKKEEPING_ROWS_MAX - 1] == 0.0
    assert 0.01 <= at_s[-1] < ROOM_S
    under_way = BOOKKEEPING_WRITES_MAX
    assert all(
        number - done <= BOOKKEEPING_ROWS_MAX + under_way for number, done in enumerate(committed, start=1)
    )
    await journal.drain()
    await stop(service)


@in_virtual_time()
async def test_a_disk_that_does_not_work_makes_nobody_wait_for_room() -> None:
    """Each call ends after its bound while a commit hangs, and at once when the journal is degraded."""
    disk = Disk()
    disk.delay_s = 1000.0
    journal, health, service = started(disk)
    for number in range(2 * BOOKKEEPING_ROWS_MAX):
        journal.append([loaded(number)])
    for _ in range(3):
        await journal.room()
    assert asyncio.get_running_loop().time() == pytest.approx(3 * ROOM_S)
    await asyncio.sleep(1.0)
    assert health == [True]
    since = asyncio.get_running_loop().time()
    await journal.room()
    assert asyncio.get_running_loop().time() == since
    await stop(service)
