"""The store in memory, and what a journal says that it and its store have counted."""

from __future__ import annotations

from byte_bot.persistence.journal import (
    EpochTaken,
    Handled,
    Journal,
    MemoryJournalStore,
    Recorded,
    Settled,
    StoreCounts,
)
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from simulator.loop import in_virtual_time

KEY = RowKey("component_state", "1", "deaths")
CONFIG = RowKey("channels_config", "anna")
ADD = Operation(Kind.ADD, "total", None, 1, Stamp(1, 1))
SAVED = Base(b'{"total":1}', {}, 1, 1, 1, 0)


@in_virtual_time()
async def test_the_memory_store_reads_back_what_it_committed() -> None:
    """What is read is a copy, as a file would be: what the process does with it does not change the store."""
    store = MemoryJournalStore()
    await store.commit([Recorded(KEY, [ADD]), Settled(CONFIG, SAVED), EpochTaken(3), Handled("a")])
    image = store.read()
    assert (image.rows[KEY].pending, image.epoch, list(image.handled)) == ([ADD], 3, ["a"])
    image.rows[KEY].pending.clear()
    image.handled.clear()
    assert store.read().rows[KEY].pending == [ADD]
    assert list(store.read().handled) == ["a"]
    assert store.snapshot("anna") == {CONFIG: SAVED}
    assert store.snapshot("1") == {}


class Counting(MemoryJournalStore):
    """A store that has had trouble with its disk."""

    counts = StoreCounts(writes_dropped=3, folds_put_off=24)


def test_a_journal_tells_what_it_and_its_store_have_counted() -> None:
    """For the status line, under the names that the manual has."""
    assert Journal(MemoryJournalStore()).counts == {
        "replies_ungated": 0, "overflows": 0, "writes_dropped": 0, "folds_put_off": 0,
    }  # fmt: skip
    journal = Journal(Counting())
    journal.overflows, journal.ungated_replies = 2, 1
    assert journal.counts == {
        "replies_ungated": 1, "overflows": 2, "writes_dropped": 3, "folds_put_off": 24,
    }  # fmt: skip
