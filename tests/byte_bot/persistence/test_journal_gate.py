"""What a reply waits for on a disk where each write of a commit costs time: the commit under way, and its own.

The disk of the simulator takes no time for bookkeeping (`simulator/disk.py`), so no pair of twins could notice a reply that waits behind
the 500 rows of a save, or of a load. Here a store is as slow as its commits are large.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from byte_bot.persistence.journal import (
    Handled,
    Journal,
    MemoryJournalStore,
    Rebased,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.operations import ABSENT, Base, Kind, Operation, RowKey, Stamp
from simulator.loop import in_virtual_time

COMMIT_S, WRITE_S = 0.002, 0.000_1
#: As a number, and not as the journal has it: whoever changes that one changes what viewers wait for.
RIDING_MAX = 64
ROWS = 500


class CostlyStore(MemoryJournalStore):
    """Each commit takes some time, and some more for every write in it."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[list[Write]] = []

    async def commit(self, writes: Sequence[Write]) -> None:
        """Commit after what it costs."""
        self.commits.append(list(writes))
        await asyncio.sleep(cost_s(len(writes)))
        await super().commit(writes)


def cost_s(writes: int) -> float:
    """What a commit of so many writes takes."""
    return COMMIT_S + WRITE_S * writes


def bookkeeping(kind: str) -> list[Write]:
    """What a save of 500 rows, its answer, or a load has to note down."""
    keys = [RowKey("component_state", str(number), "deaths") for number in range(ROWS)]
    base = Base(b'{"total":1}', {}, 1, 1, 1, 0)
    match kind:
        case "sending":
            return [Sending(key, Stamp(1, 1)) for key in keys]
        case "settled":
            return [Settled(key, base) for key in keys]
        case _:
            return [Rebased(key, ABSENT, []) for key in keys]


def change(number: int) -> list[Write]:
    """What one command of chat records, about a row of which nothing waits."""
    add = Operation(Kind.ADD, "total", None, 1, Stamp(1, number))
    return [Recorded(RowKey("component_state", f"chat {number}", "deaths"), [add]), Handled(f"m{number}")]


@pytest.mark.parametrize("kind", ["sending", "settled", "rebased"])
@in_virtual_time()
async def test_a_reply_waits_for_at_most_one_commit_of_bookkeeping(kind: str) -> None:
    """Whenever it comes, before the 500 rows, amid them or with them; and no commit has more of them than it may."""
    loop = asyncio.get_running_loop()
    longest_s = cost_s(RIDING_MAX) + cost_s(RIDING_MAX + len(change(0)))
    store = CostlyStore()
    journal = Journal(store)
    service = loop.create_task(journal.run())
    waited_s: list[float] = []
    for number in range(40):
        # Each time at another moment of the commit that is under way by then.
        journal.append(bookkeeping(kind))
        await asyncio.sleep(0.000_7 * number)
        began_s, begun = loop.time(), len(store.commits)
        opened: list[tuple[float, int, bool]] = []
        record = journal.append(change(number))

        def look(opened: list[tuple[float, int, bool]] = opened, name: str = f"m{number}") -> None:
            opened.append((loop.time(), len(store.commits), name in store.read().handled))

        journal.after(record, look)
        await journal.drain()
        ((opened_s, commits, committed),) = opened
        waited_s.append(opened_s - began_s)
        assert committed and commits <= begun + 1, "its own is the next commit"
    assert max(waited_s) <= longest_s + 1e-9
    # Some came just after a full commit had begun: nothing less is promised.
    assert max(waited_s) > longest_s - 2 * WRITE_S * RIDING_MAX
    riding = [
        sum(isinstance(write, Sending | Settled | Rebased) for write in writes) for writes in store.commits
    ]
    assert max(riding) == RIDING_MAX
    assert sum(riding) == 40 * ROWS, "and all of it is noted down in the end"
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
