"""The alarm works: a planted bug is found within a few nights, and the bot as it is passes the same nights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from byte_bot.persistence.journal import EpochTaken, MemoryJournalStore, Write
from simulator.search.canary import BREAKS, FORGOTTEN_EVERY, Alarm, ForgetfulStore, judge_canary
from simulator.search.outcome import Verdict, judge_seed

pytestmark = pytest.mark.usefixtures("no_log")


def test_the_planted_bug_is_found() -> None:
    """By the invariant that looks at the disk when a reply is heard; without the bug the same night is good."""
    for seed in range(1, 6):
        outcome = judge_canary(seed)
        if not outcome.ok:
            assert outcome.failure is not None
            assert (outcome.verdict, outcome.failure.invariant) == (Verdict.SAFETY, BREAKS)
            alarm = Alarm(judge_seed)
            assert alarm.heard(outcome) and alarm.works
            return
    pytest.fail("five nights with a forgetful journal, and nobody saw it")


def test_the_store_forgets_one_commit_in_some() -> None:
    """And acknowledges it all the same."""
    written: list[Sequence[Write]] = []

    class Noting(MemoryJournalStore):
        """Says what reaches it."""

        async def commit(self, writes: Sequence[Write]) -> None:
            """Note it."""
            written.append(writes)
            await super().commit(writes)

    async def story() -> None:
        store = ForgetfulStore(Noting())
        for epoch in range(1, FORGOTTEN_EVERY + 1):
            await store.commit([EpochTaken(epoch)])
        assert store.read().epoch == FORGOTTEN_EVERY - 1
        assert store.snapshot("1") == {}
        assert store.counts == Noting().counts

    asyncio.run(story())
    assert len(written) == FORGOTTEN_EVERY - 1
