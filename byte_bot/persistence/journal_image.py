"""What is written to the journal, and what any sequence of it amounts to; pure.

*Writes* are small structs: what was done to a row, what the database is known to have, which messages were handled.
:class:`JournalImage` folds them: it is the specification of every store, whose reading must equal the image of what it
committed (the tests compare). What is kept of a row: its last known base, the operations that no base contains yet,
coalesced, and the *boundary*, the stamp up to which a save may be on its way
(:mod:`byte_bot.persistence.operations` says why operations on both sides of it stay apart).

A *dead letter* is a row that the server refused. It stands beside the pending operations, which stay: it says what was
refused, when, and in which words. A newer revision of the row retires it, and so does whoever requeues or drops it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from byte_bot.persistence.coalescing import INDEXED_MIN, Coalescing, coalesce, coalesced
from byte_bot.persistence.operations import (
    NO_STAMP,
    Base,
    Operation,
    RowKey,
    Stamp,
    believed_revision,
    is_contained,
)
from byte_bot.persistence.row import CONFIG_TABLE
from byte_bot.persistence.spoken import NOTHING_SPOKEN, Spoken

#: Message ids remembered as handled; chosen: Twitch repeats a message within seconds, and 10,000 ids are about
#: 100 s at 100 messages/s (1 MB).
SEEN_MESSAGES_MAX = 10_000
#: Processes remembered whose calls for an epoch may still arrive; chosen: a call arrives within minutes or never, and a
#: supervisor that starts the bot every 5 s makes 64 processes in 5 minutes.
STARTS_MAX = 64


class Recorded(msgspec.Struct, frozen=True, tag="recorded", gc=False):
    """Operations of one transaction on one row."""

    key: RowKey
    operations: list[Operation]


class Handled(msgspec.Struct, frozen=True, tag="handled", omit_defaults=True):
    """A message was handled: if Twitch delivers it again it is passed over.

    With ``spoken``, what has been said since the one before it; None: nothing, and nothing waits to be said. A release that does
    not know the field passes over it.
    """

    message_id: str
    spoken: Spoken | None = None


class Sending(msgspec.Struct, frozen=True, tag="sending"):
    """A save of the row up to ``stamp`` is on its way; operations up to it are not coalesced with newer ones.

    A stamp below the one before says that the save surely never left.
    """

    key: RowKey
    stamp: Stamp


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """The database has the row as ``base``: operations contained in it are trimmed, the snapshot is updated."""

    key: RowKey
    base: Base


class Rebased(msgspec.Struct, frozen=True, tag="rebased"):
    """The row was rebased: this base, and these operations (re-stamped) are all that is pending."""

    key: RowKey
    base: Base
    operations: list[Operation]


class KnownChannel(msgspec.Struct, frozen=True, gc=False):
    """A channel as last seen: login, and Twitch's id once it is known ('' before)."""

    login: str
    channel_id: str = ""


class KnownChannels(msgspec.Struct, frozen=True, tag="channels"):
    """The channels to join when the database cannot be asked."""

    channels: list[KnownChannel]


class EpochTaken(msgspec.Struct, frozen=True, tag="epoch"):
    """The highest epoch this journal's bot ever held; with ``start``, the id of a process that is about to ask for one."""

    epoch: int
    start: str = ""


class DeadLettered(msgspec.Struct, frozen=True, tag="dead_letter"):
    """The server refused the row as it was at ``revision``.

    ``payload`` is the JSON that was sent, ``words`` what the server said, ``at_s`` wall time in seconds since 1970.
    """

    key: RowKey
    revision: int
    sqlstate: str
    words: str
    payload: bytes
    at_s: float


class LetterRetired(msgspec.Struct, frozen=True, tag="letter_retired"):
    """The row's dead letter is done with: its operations are to be sent again, or were given up (``Rebased``)."""

    key: RowKey


Write = (
    Recorded
    | Handled
    | Sending
    | Settled
    | Rebased
    | KnownChannels
    | EpochTaken
    | DeadLettered
    | LetterRetired
)


def retires(write: Recorded | Settled | Rebased, revision: int) -> bool:
    """True if the row has moved on since ``revision`` was refused."""
    if isinstance(write, Settled):
        # A revision that is not believed no later one exceeds: the row was saved, so it has another one now.
        return write.base.revision >= revision or not believed_revision(revision)
    if isinstance(write, Rebased) and not write.operations:
        return True
    return any(operation.stamp.revision > revision for operation in write.operations)


class RowImage(msgspec.Struct, gc=False):
    """One row in a journal: last known base (None before one was seen), pending operations, boundary."""

    base: Base | None = None
    pending: list[Operation] = []
    boundary: Stamp = NO_STAMP


class JournalImage:
    """What a sequence of writes amounts to; pure."""

    def __init__(self) -> None:
        self.rows: dict[RowKey, RowImage] = {}
        #: Tuples: nearly every channel has one to three rows.
        self.keys_of: dict[str, tuple[RowKey, ...]] = {}
        self.channels: list[KnownChannel] = []
        self.epoch = 0
        #: The processes that have asked for an epoch, oldest first; never changed in place.
        self.starts: list[str] = []
        self.handled: OrderedDict[str, None] = OrderedDict()
        self.spoken = NOTHING_SPOKEN
        self.dead_letters: dict[RowKey, DeadLettered] = {}
        #: The index of what is pending in a row with many parts that is written about again and again; None: once so far.
        self._coalescing: dict[RowKey, Coalescing | None] = {}

    @property
    def pending_channels(self) -> tuple[str, ...]:
        """The ids of channels with operations that no save has contained yet."""
        return tuple(
            dict.fromkeys(
                key.channel_id for key, row in self.rows.items() if row.pending and key.table != CONFIG_TABLE
            )
        )

    def apply(self, writes: Iterable[Write]) -> None:
        """Take more writes into account, oldest first."""
        for write in writes:
            # Nearly all are of these two: to match them takes as long as what is done with them.
            if type(write) is Recorded:
                self._record(write)
            elif type(write) is Handled:
                self.remember(write.message_id)
                self.spoken = self.spoken.followed_by(write.spoken)
            else:
                self._apply(write)

    def _apply(self, write: Write) -> None:
        match write:
            case Sending(key, stamp):
                row = self._row_to_change(key)
                row.boundary = stamp
                row.pending = coalesced(row.pending, boundary=stamp)
            case Settled(key, base):
                self._retire(write)
                row = self._row_to_change(key)
                row.base = base
                row.pending = [operation for operation in row.pending if not is_contained(operation, base)]
            case Rebased(key, base, operations):
                self._retire(write)
                row = self._row_to_change(key)
                # The boundary stays: the save on its way may still arrive.
                row.base, row.pending = base, coalesced(operations, boundary=row.boundary)
            case KnownChannels(channels):
                self.channels = list(channels)
            case EpochTaken(epoch, start):
                self.epoch = max(self.epoch, epoch)
                if start and start not in self.starts:
                    self.starts = [*self.starts, start][-STARTS_MAX:]
            case DeadLettered(key):
                self.dead_letters[key] = write
            case LetterRetired(key):
                self.dead_letters.pop(key, None)

    def remember(self, message_id: str) -> None:
        """The message was handled."""
        self.handled[message_id] = None
        if len(self.handled) > SEEN_MESSAGES_MAX:
            self.handled.popitem(last=False)

    def _record(self, write: Recorded) -> None:
        key = write.key
        if self.dead_letters:
            self._retire(write)
        row = self.rows.get(key) or self._row(key)
        base, pending, boundary = row.base, row.pending, row.boundary
        coalescing = self._coalescing.get(key) if self._coalescing else None
        for operation in write.operations:
            # A save can overtake the record: the writer sends what a handler staged before it has returned.
            if base is not None and is_contained(operation, base):
                continue
            if coalescing is None:
                coalesce(pending, operation, boundary)
            else:
                coalescing.add(operation)
        if coalescing is None and len(pending) >= INDEXED_MIN:
            again = key in self._coalescing
            self._coalescing[key] = Coalescing(pending, boundary) if again else None

    def _retire(self, write: Recorded | Settled | Rebased) -> None:
        if self.dead_letters:
            letter = self.dead_letters.get(write.key)
            if letter is not None and retires(write, letter.revision):
                del self.dead_letters[write.key]

    def _row_to_change(self, key: RowKey) -> RowImage:
        """The row for whoever puts another list of pending operations or another boundary into it."""
        self._coalescing.pop(key, None)
        return self._row(key)

    def _row(self, key: RowKey) -> RowImage:
        row = self.rows.get(key)
        if row is None:
            row = RowImage()
            self.add_row(key, row)
        return row

    def add_row(self, key: RowKey, row: RowImage) -> None:
        """Have ``row`` as the image of a row that was not there."""
        self.rows[key] = row
        self.keys_of[key.channel_id] = (*self.keys_of.get(key.channel_id, ()), key)
