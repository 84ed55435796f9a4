"""What waits to be written to the journal, folded: as large as the rows it is about, however long it waits; pure.

While the disk does not work (or is slower than chat) writes are not queued but *folded*, row by row, into fewer writes
that amount to the same: whatever the store holds, committing the folded writes leaves it as committing all of them would.
Message ids are capped at what the store keeps anyway, and of the lists of channels and the epochs only the last counts.

:func:`folded` holds the rules for one row. Operations are combined only on one side of a boundary, so a save that was
under way when the disk failed may still turn out to have arrived or not.
"""

from __future__ import annotations

from collections.abc import Sequence

from byte_bot.persistence.coalescing import coalesce, coalesced
from byte_bot.persistence.journal_image import (
    SEEN_MESSAGES_MAX,
    DeadLettered,
    EpochTaken,
    Handled,
    KnownChannels,
    LetterRetired,
    Rebased,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.operations import NO_STAMP, RowKey, Stamp, is_contained

RowWrite = Recorded | Sending | Settled | Rebased | DeadLettered | LetterRetired


def folded(writes: Sequence[RowWrite], boundary: Stamp = NO_STAMP) -> list[RowWrite]:
    """Fewer writes about one row that amount to the same, in order.

    Args:
        writes: about one row, oldest first.
        boundary: the stamp of the row's last :class:`Sending` before them, as far as operations at or below it may
            still be recorded.
    """
    kept: list[RowWrite] = []
    for write in writes:
        match write:
            case Rebased():
                # All that is pending from now on; only the boundary outlives it, and a letter it does not retire.
                kept = [other for other in kept if isinstance(other, Sending | DeadLettered | LetterRetired)]
            case Settled(_, base):
                kept = [
                    trimmed
                    for other in kept
                    if not (
                        isinstance(other, Settled)
                        and other.base.epoch == base.epoch
                        and other.base.revision <= base.revision
                    )
                    and (trimmed := _without_contained(other, write)) is not None
                ]
            case Sending(_, stamp):
                before = next(
                    (other.stamp for other in reversed(kept) if isinstance(other, Sending)), boundary
                )
                if stamp == before and any(isinstance(other, Sending) for other in kept):
                    continue
                if stamp < before:
                    # That save surely never left: nothing has to be kept apart for it.
                    kept = [other for other in kept if not isinstance(other, Sending)]
            case DeadLettered() | LetterRetired():
                kept = [other for other in kept if not isinstance(other, DeadLettered | LetterRetired)]
        kept.append(write)
    return _joined(kept, boundary)


def _without_contained(write: RowWrite, settled: Settled) -> RowWrite | None:
    """``write`` without the operations that the base contains; None if nothing of it is left."""
    if not isinstance(write, Recorded | Rebased):
        return write
    left = [operation for operation in write.operations if not is_contained(operation, settled.base)]
    if isinstance(write, Recorded):
        return Recorded(write.key, left) if left else None
    return Rebased(write.key, write.base, left)


def _joined(writes: Sequence[RowWrite], boundary: Stamp) -> list[RowWrite]:
    """Neighbours that record become one record; of boundaries in a row that rise the last counts.

    The first may be lower than the one that the store knows, which says that a save never left: it stays.
    """
    joined: list[RowWrite] = []
    first_boundary = True
    for write in writes:
        last = joined[-1] if joined else None
        if isinstance(write, Sending):
            if isinstance(last, Sending) and not first_boundary:
                joined.pop()
            first_boundary = first_boundary and not isinstance(last, Sending)
            boundary = write.stamp
        elif isinstance(write, Recorded):
            operations = write.operations
            if isinstance(last, Recorded):
                joined.pop()
                operations = [*last.operations, *operations]
            if len(operations) > 1:
                operations = coalesced(operations, boundary=boundary)
            write = Recorded(write.key, operations)
        joined.append(write)
    return joined


class Backlog:
    """Writes that wait, folded by row, in the order in which the rows came first."""

    def __init__(self) -> None:
        self._rows: dict[RowKey, list[RowWrite]] = {}
        #: The sequence number of the first write about each row.
        self._since: dict[RowKey, int] = {}
        self._channels: KnownChannels | None = None
        self._channels_since = 0
        self._handled: dict[str, Handled] = {}
        self._epoch = 0
        #: Whoever was about to ask for an epoch: this process, nobody else.
        self._starts: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._rows or self._handled or self._epoch or self._starts or self._channels)

    def __contains__(self, key: RowKey) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        """How many writes wait."""
        others = len(self._epochs()) + (self._channels is not None)
        return sum(map(len, self._rows.values())) + len(self._handled) + others

    @property
    def rows(self) -> int:
        """About how many rows something waits."""
        return len(self._rows)

    @property
    def oldest(self) -> int | None:
        """The sequence number of the oldest write about a row or the channels; None if there is none."""
        since = next(iter(self._since.values()), None)
        if self._channels is None:
            return since
        return self._channels_since if since is None else min(since, self._channels_since)

    def add(self, write: Write, sequence: int, boundary: Stamp = NO_STAMP) -> None:
        """Take one more write, appended under ``sequence``; ``boundary`` as in :func:`folded`."""
        match write:
            case Handled(message_id):
                self._handled[message_id] = write
                if len(self._handled) > SEEN_MESSAGES_MAX:
                    del self._handled[next(iter(self._handled))]
            case EpochTaken(epoch, start):
                self._epoch = max(self._epoch, epoch)
                if start:
                    self._starts[start] = None
            case KnownChannels():
                if self._channels is None:
                    self._channels_since = sequence
                self._channels = write
            case _:
                waiting = self._rows.get(write.key)
                if waiting is None:
                    self._since[write.key] = sequence
                    self._rows[write.key] = [write]
                elif isinstance(write, Recorded) and isinstance(last := waiting[-1], Recorded):
                    # What chat does all day; the same as folding them all anew.
                    operations = list(last.operations)
                    for operation in write.operations:
                        coalesce(operations, operation, boundary)
                    waiting[-1] = Recorded(write.key, operations)
                else:
                    self._rows[write.key] = folded([*waiting, write], boundary)

    def since(self, key: RowKey) -> int:
        """The sequence number of the first write that waits about this row, which must be in it."""
        return self._since[key]

    def take_row(self, key: RowKey) -> list[RowWrite]:
        """Take out what waits about one row."""
        self._since.pop(key, None)
        return self._rows.pop(key, [])

    def take(self, writes_max: int, bytes_max: int) -> list[Write]:
        """Take out the oldest rows until one of the limits is reached (by the last row perhaps passed).

        The list of channels comes first. Message ids and the epoch stay: they wait only with everything else.
        """
        taken: list[Write] = []
        if self._channels is not None:
            taken.append(self._channels)
            self._channels = None
        size = 0
        while self._rows and len(taken) < writes_max and size < bytes_max:
            writes = self.take_row(next(iter(self._rows)))
            size += sum(_size_of(write) for write in writes)
            taken += writes
        return taken

    def writes(self) -> list[Write]:
        """Everything, to be committed together."""
        found: list[Write] = [*self._epochs()]
        if self._channels is not None:
            found.append(self._channels)
        for writes in self._rows.values():
            found += writes
        found += self._handled.values()
        return found

    def take_all(self) -> list[Write]:
        """Take out everything."""
        taken = self.writes()
        self._rows, self._since, self._channels = {}, {}, None
        self._handled, self._epoch, self._starts = {}, 0, {}
        return taken

    def _epochs(self) -> list[EpochTaken]:
        if self._starts:
            return [EpochTaken(self._epoch, start) for start in self._starts]
        return [EpochTaken(self._epoch)] if self._epoch else []


def _size_of(write: Write) -> int:
    return len(write.base.data or b"") if isinstance(write, Settled | Rebased) else 0
