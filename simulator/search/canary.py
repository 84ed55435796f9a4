"""A bot with a planted bug: a search that does not find it is no search, whatever it says of the bot as it is.

The bug: its journal says that a commit is on the disk, and one in a while was never written. Replies leave too early, and whoever pulls
the plug then loses what a viewer was told. It takes no fault to be seen by the invariant of the output gate.

It is found only by that invariant, and in a night that the bot without it passes: an alarm that rings for something else, or whatever
the bot does, shows nothing (:class:`Alarm`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
#: The invariant that the planted bug breaks: a reply waits until its commit is on the disk.
BREAKS: Final = "gated"


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


class Alarm:
    """Whether the planted bug was found, judged night by night.

    Args:
        judge_shipped: plays a seed's night with the bot as it is.
    """

    def __init__(self, judge_shipped: Callable[[int], Outcome]) -> None:
        self._judge_shipped = judge_shipped
        self._nights = 0
        self._others: list[str] = []
        self._found_by = ""
        self._false_alarm = ""

    def heard(self, outcome: Outcome) -> bool:
        """Take a night with the planted bug; True if no further one is needed."""
        self._nights += 1
        if outcome.failure is None:
            return False
        seed = outcome.plan.seed
        if outcome.failure.invariant != BREAKS:
            # The bug may do other harm first; the next night may show it by what it breaks.
            self._others.append(f"seed {seed} by {outcome.failure.invariant}")
            return False
        shipped = self._judge_shipped(seed)
        if shipped.failure is None:
            self._found_by = f"by {BREAKS} in seed {seed}, a night that the bot without it passes"
        else:
            self._false_alarm = (
                f"in seed {seed} the bot without it fails as well, by {shipped.failure.invariant}"
            )
        return True

    @property
    def works(self) -> bool:
        """Whether the bug was found."""
        return bool(self._found_by)

    def to_text(self) -> str:
        """What came out, for people."""
        nights = f"{self._nights} night{'' if self._nights == 1 else 's'}"
        if self.works:
            return f"the planted bug was found after {nights}, {self._found_by}: the alarm works"
        said = f"the planted bug was NOT found in {nights}"
        if self._false_alarm:
            return f"{said}: {self._false_alarm}, which says nothing of the alarm"
        if self._others:
            more = f" and {len(self._others) - 1} more" if len(self._others) > 1 else ""
            return f"{said}: what failed is not what it breaks ({BREAKS}): {self._others[0]}{more}; the alarm does not work"
        return f"{said}: the alarm does not work"
