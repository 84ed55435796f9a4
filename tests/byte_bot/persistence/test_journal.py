"""The journal: what any sequence of writes amounts to, group commit, and the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import (
    SEEN_MESSAGES_MAX,
    EpochTaken,
    Handled,
    Journal,
    JournalImage,
    KnownChannel,
    KnownChannels,
    MemoryJournalStore,
    Rebased,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp, is_contained
from simulator.loop import in_virtual_time

KEY = RowKey("component_state", "1", "deaths")
CONFIG = RowKey("channels_config", "anna")


def add(revision: int, value: int = 1, epoch: int = 1) -> Operation:
    """An add of one row."""
    return Operation(Kind.ADD, "total", None, value, Stamp(epoch, revision))


def saved(revision: int, total: int, epoch: int = 1) -> Base:
    """The row as the database has it."""
    return Base(b'{"total":%d}' % total, {}, 1, epoch, revision, 0)


def image_of(*writes: Write) -> JournalImage:
    """What the writes amount to."""
    image = JournalImage()
    for write in writes:
        image.apply(write)
    return image


def total(image: JournalImage, base_total: int, base: Base) -> int:
    """What a restarted process would make of the row if the database held ``base``."""
    pending = image.rows[KEY].pending
    return base_total + sum(operation.value for operation in pending if not is_contained(operation, base))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.data())
def test_a_save_on_its_way_may_or_may_not_have_arrived(deltas: list[int], data: st.DataObject) -> None:
    """Whatever the image holds counts once on a base with the save and on one without it."""
    sent = data.draw(st.integers(1, len(deltas)))
    writes: list[Write] = []
    for revision, delta in enumerate(deltas, start=1):
        writes.append(Recorded(KEY, [add(revision, delta)]))
        if revision == sent:
            writes.append(Sending(KEY, Stamp(1, sent)))
            if data.draw(st.booleans()):
                # A load that does not show it yet comes in between.
                writes.append(
                    Rebased(KEY, saved(0, 10, epoch=0), [add(n, d) for n, d in enumerate(deltas[:sent], 1)])
                )
    image = image_of(*writes)
    assert total(image, 10, saved(0, 10, epoch=0)) == 10 + sum(deltas)
    with_it = 10 + sum(deltas[:sent])
    assert total(image, with_it, saved(sent, with_it)) == 10 + sum(deltas)


def test_operations_are_coalesced_and_trimmed() -> None:
    """Changes of one field become one operation, and none once the database has them."""
    image = image_of(*(Recorded(KEY, [add(revision)]) for revision in range(1, 5)))
    assert image.rows[KEY].pending == [add(4, 4)]
    image.apply(Settled(KEY, saved(4, 4)))
    assert image.rows[KEY].pending == []
    assert image.rows[KEY].base == saved(4, 4)


def test_a_boundary_that_was_lowered_lets_operations_be_combined_again() -> None:
    """A save that surely never left is no boundary: the image stays as small as the row in a long outage."""
    writes: list[Write] = []
    for revision in range(1, 50):
        writes += [Recorded(KEY, [add(revision)]), Sending(KEY, Stamp(1, revision)), Sending(KEY, Stamp())]
    assert image_of(*writes).rows[KEY].pending == [add(49, 49)]


def test_a_record_that_a_save_has_overtaken_is_not_pending() -> None:
    """What the database has already is not replayed, also if its record comes after the acknowledgement."""
    image = image_of(Settled(KEY, saved(3, 3)), Recorded(KEY, [add(3)]), Recorded(KEY, [add(4)]))
    assert image.rows[KEY].pending == [add(4)]


def test_a_rebase_replaces_what_was_pending() -> None:
    """The re-stamped operations are all that is pending from then on."""
    image = image_of(Recorded(KEY, [add(1)]), Rebased(KEY, saved(7, 7), [add(8, 1, epoch=2)]))
    assert image.rows[KEY].pending == [add(8, 1, epoch=2)]
    assert image.rows[KEY].base == saved(7, 7)


def test_channels_epoch_and_handled_messages_are_remembered() -> None:
    """The last list of channels, the highest epoch, the newest message ids."""
    image = image_of(
        KnownChannels([KnownChannel("anna", "1")]),
        EpochTaken(4),
        EpochTaken(2),
        KnownChannels([KnownChannel("bert")]),
        *(Handled(f"m{n}") for n in range(SEEN_MESSAGES_MAX + 3)),
    )
    assert image.channels == [KnownChannel("bert", "")]
    assert image.epoch == 4
    assert len(image.handled) == SEEN_MESSAGES_MAX
    assert next(iter(image.handled)) == "m3"


def test_channels_with_pending_operations_are_named_once() -> None:
    """Rows of configuration belong to logins, not to channel ids."""
    other = RowKey("channel_state", "1")
    image = image_of(
        Recorded(KEY, [add(1)]),
        Recorded(other, [add(1)]),
        Recorded(CONFIG, [add(1)]),
        Settled(RowKey("channel_state", "2"), saved(1, 1)),
    )
    assert image.pending_channels == ("1",)


class Disk:
    """A store whose commits the test holds back or lets fail."""

    def __init__(self) -> None:
        self.groups: list[list[Write]] = []
        self.delay_s = 0.0
        self.failing = False
        self.memory = MemoryJournalStore()

    async def commit(self, writes: Sequence[Write]) -> None:
        """Commit after the delay."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.failing:
            raise JournalError("disk full")
        self.groups.append(list(writes))
        await self.memory.commit(writes)

    def read(self) -> JournalImage:
        """The image."""
        return self.memory.read()

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
async def test_the_memory_store_reads_back_what_it_committed() -> None:
    """What is read is a copy, as a file would be: what the process does with it does not change the store."""
    store = MemoryJournalStore()
    await store.commit([Recorded(KEY, [add(1)]), Settled(CONFIG, saved(1, 1)), EpochTaken(3), Handled("a")])
    image = store.read()
    assert (image.rows[KEY].pending, image.epoch, list(image.handled)) == ([add(1)], 3, ["a"])
    image.rows[KEY].pending.clear()
    image.handled.clear()
    assert store.read().rows[KEY].pending == [add(1)]
    assert list(store.read().handled) == ["a"]
    assert store.snapshot("anna") == {CONFIG: saved(1, 1)}
    assert store.snapshot("1") == {}
