"""Safeguard: leaving out. What no JSON can hold is left out of a commit, and everything else is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from byte_bot.errors import JournalError
from byte_bot.persistence.journal import Journal, MemoryJournalStore
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Handled, Write
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.journal_in_memory import add, in_memory
from tests.safeguards.variants import become


class Strict(SqliteJournal):
    """Leaves nothing out."""

    def _without_unencodable(self, writes: Iterable[Write]) -> list[Write]:
        return list(writes)


class OnSqlite(MemoryJournalStore):
    """Commits at once to a journal on SQLite."""

    def __init__(self, journal: SqliteJournal) -> None:
        super().__init__("one")
        self.journal = journal

    async def commit(self, writes: Sequence[Write]) -> None:
        """As the thread does it."""
        try:
            self.journal.apply(writes, self.journal.commits + 1)
        except Exception as error:
            raise JournalError(str(error)) from None


@pytest.mark.parametrize("left_out", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_one_write_that_cannot_be_encoded_does_not_end_the_journal(left_out: bool) -> None:
    """Without it that write fails every commit from then on, and nothing that chat is told is on the disk any more."""
    core, _ = in_memory()
    if not left_out:
        become(core, Strict)
    journal = Journal(OnSqlite(core))
    running = asyncio.create_task(journal.run())
    journal.append([Handled("half \ud800")])
    await asyncio.sleep(1)
    for number in range(1, 4):
        journal.append([add(number), Handled(f"m{number}")])
        await asyncio.sleep(5)
    assert journal.degraded is not left_out
    assert list(core.read().handled) == (["m1", "m2", "m3"] if left_out else [])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    core.close()
