"""Where a journal's writes become durable, as a protocol, and the store that keeps them in memory.

:class:`MemoryJournalStore` is for ``DURABILITY=off``, for tests, and for the simulator, which hands it over a crash as a disk
would be: what it holds is worth as much as the process. The durable store is
:class:`~byte_bot.persistence.journal_thread.FileJournalStore`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from byte_bot.persistence.journal_image import JournalImage, RowImage, Write
from byte_bot.persistence.operations import Base, RowKey


class StoreCounts(NamedTuple):
    """What a store counts.

    ``writes_dropped``: operations, writes and rows that were left out because no JSON or no table can hold them. ``folds_put_off``: how often a
    commit that found no room on the disk was not folded with everything before it, since that had not helped just before.
    """

    writes_dropped: int = 0
    folds_put_off: int = 0


class JournalStore(Protocol):
    """Where writes become durable."""

    @property
    def durable(self) -> bool:
        """True if what was committed survives the end of this process."""
        ...

    @property
    def counts(self) -> StoreCounts:
        """What it has counted since it was opened."""
        ...

    @property
    def identity(self) -> str:
        """What tells this journal from every other; the epochs that it holds are taken under this name."""
        ...

    async def commit(self, writes: Sequence[Write]) -> None:
        """Make ``writes`` durable, all or none, one call at a time.

        Raises:
            JournalError: it did not work. If the error says ``in_doubt``, the same writes must be committed next: the
                store then finds out whether it has them already.
        """
        ...

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything committed so far (at boot, before the first commit).

        With ``pending_only`` rows without pending operations may be left out: there may be 100,000 of them.
        """
        ...

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        ...


class MemoryJournalStore:
    """A store in RAM; see the module's docstring for what it is worth."""

    durable = False
    counts = StoreCounts()

    def __init__(self, identity: str = "memory") -> None:
        self.identity = identity
        self._image = JournalImage()

    async def commit(self, writes: Sequence[Write]) -> None:
        """Fold the writes into the image."""
        self._image.apply(writes)

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """A copy of the image, as a file would be read back."""
        copy = JournalImage()
        for key, row in self._image.rows.items():
            if pending_only and not row.pending:
                continue
            copy.rows[key] = RowImage(row.base, list(row.pending), row.boundary)
            copy.keys_of[key.channel_id] = (*copy.keys_of.get(key.channel_id, ()), key)
        copy.channels = list(self._image.channels)
        copy.epoch, copy.starts = self._image.epoch, self._image.starts
        copy.handled, copy.spoken = OrderedDict(self._image.handled), self._image.spoken
        copy.dead_letters = dict(self._image.dead_letters)
        return copy

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        keys = self._image.keys_of.get(channel_id, ())
        return {key: base for key in keys if (base := self._image.rows[key].base) is not None}
