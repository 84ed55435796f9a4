"""A bot with a planted bug: a search that does not find it is no search, whatever it says of the bot as it is.

The bug: its journal says that a commit is on the disk, and one in a while was never written. Replies leave too early, and whoever pulls
the plug then loses what a viewer was told. It takes no fault to be seen by the invariant of the output gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from byte_bot.app import Application, Surroundings
from byte_bot.persistence.journal import JournalImage, JournalStore, StoreCounts, Write
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.settings import Settings
from simulator.search.outcome import Outcome, judge
from simulator.search.plan import draw_night

#: Every so many commits are not written.
FORGOTTEN_EVERY: Final = 5


class ForgetfulStore:
    """A journal's store that acknowledges every commit and does not write each."""

    def __init__(self, inner: JournalStore) -> None:
        self._inner = inner
        self.durable = inner.durable
        self.identity = inner.identity
        self._commits = 0

    @property
    def counts(self) -> StoreCounts:
        """What the store has counted."""
        return self._inner.counts

    async def commit(self, writes: Sequence[Write]) -> None:
        """Pass the commit on, or say that it was."""
        self._commits += 1
        if self._commits % FORGOTTEN_EVERY:
            await self._inner.commit(writes)

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of what was written."""
        return self._inner.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        return self._inner.snapshot(channel_id)


def canary(settings: Settings, surroundings: Surroundings) -> Application:
    """The bot with the planted bug."""
    return Application(
        settings, replace(surroundings, journal_store=ForgetfulStore(surroundings.journal_store))
    )


def judge_canary(seed: int) -> Outcome:
    """The night of a seed, with the planted bug."""
    return judge(draw_night(seed), canary)
