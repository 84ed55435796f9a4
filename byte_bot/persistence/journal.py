"""The journal: what was done here and is not yet known to be in the database; and the gate in front of replies.

Theory of operation
-------------------
Every transaction that changes state appends *writes* (small structs, below) before its replies may leave. A store
commits them in groups; :meth:`Journal.after` calls back once everything up to a sequence number is committed. That
is the **output gate**: a viewer never sees a confirmation that a crash could take back. It costs one commit of the
store, never a database. When a save is acknowledged, the same journal is trimmed and its snapshot updated in one
write, so that neither can be ahead of the other.

:class:`JournalImage` is the pure core: what any sequence of writes amounts to. A store is right if what it reads back
is the image of what it committed. At boot the image gives the pending operations of the earlier process (rebased on
the loaded rows before the first save), the last known rows and channels (for a cold start during an outage) and the
window of handled message ids.

If the store fails or stalls for :data:`STALL_S`, the journal is *degraded*: announced, counted, and replies leave
ungated until a commit works again.

The store here keeps its image in memory (:class:`MemoryJournalStore`): it survives a simulated crash, since the world
hands it to the next process as a disk would be, but not the end of a real process. The durable store on SQLite is a
later release; it implements the same :class:`JournalStore`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from byte_bot.errors import JournalError
from byte_bot.persistence.operations import (
    NO_STAMP,
    Base,
    Operation,
    RowKey,
    Stamp,
    coalesce,
    coalesced,
    is_contained,
)
from byte_bot.persistence.row import CONFIG_TABLE

#: Message ids remembered as handled; chosen: Twitch repeats a message within seconds, and 10,000 ids are about
#: 100 s at 100 messages/s (1 MB).
SEEN_MESSAGES_MAX = 10_000
#: A commit that takes longer than this degrades the journal (DESIGN section 3), seconds.
STALL_S = 1.0
#: Seconds between tries while the store fails.
RETRY_S = 1.0

_log = structlog.get_logger(__name__)


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """Operations of one transaction on one row."""

    key: RowKey
    operations: list[Operation]


class Handled(msgspec.Struct, frozen=True, tag="handled"):
    """A message was handled: if Twitch delivers it again it is passed over."""

    message_id: str


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
    """The highest epoch this journal's bot ever held."""

    epoch: int


Write = Recorded | Handled | Sending | Settled | Rebased | KnownChannels | EpochTaken


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
        self.handled: OrderedDict[str, None] = OrderedDict()

    @property
    def pending_channels(self) -> tuple[str, ...]:
        """The ids of channels with operations that no save has contained yet."""
        return tuple(
            dict.fromkeys(
                key.channel_id for key, row in self.rows.items() if row.pending and key.table != CONFIG_TABLE
            )
        )

    def apply(self, write: Write) -> None:
        """Take one more write into account."""
        match write:
            case Recorded(key, operations):
                row = self._row(key)
                for operation in operations:
                    # A save can overtake the record: the writer sends what a handler staged before it has returned.
                    if row.base is None or not is_contained(operation, row.base):
                        coalesce(row.pending, operation, boundary=row.boundary)
            case Handled(message_id):
                self.handled[message_id] = None
                if len(self.handled) > SEEN_MESSAGES_MAX:
                    self.handled.popitem(last=False)
            case Sending(key, stamp):
                row = self._row(key)
                row.boundary = stamp
                row.pending = coalesced(row.pending, boundary=stamp)
            case Settled(key, base):
                row = self._row(key)
                row.base = base
                row.pending = [operation for operation in row.pending if not is_contained(operation, base)]
            case Rebased(key, base, operations):
                row = self._row(key)
                # The boundary stays: the save on its way may still arrive.
                row.base, row.pending = base, list(operations)
            case KnownChannels(channels):
                self.channels = list(channels)
            case EpochTaken(epoch):
                self.epoch = max(self.epoch, epoch)

    def _row(self, key: RowKey) -> RowImage:
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = RowImage()
            self.keys_of[key.channel_id] = (*self.keys_of.get(key.channel_id, ()), key)
        return row


class JournalStore(Protocol):
    """Where writes become durable."""

    @property
    def durable(self) -> bool:
        """True if what was committed survives the end of this process."""
        ...

    @property
    def identity(self) -> str:
        """What tells this journal from every other; the epochs that it holds are taken under this name."""
        ...

    async def commit(self, writes: Sequence[Write]) -> None:
        """Make ``writes`` durable, all or none; raises :class:`JournalError`."""
        ...

    def read(self) -> JournalImage:
        """The image of everything committed so far (at boot, before the first commit)."""
        ...

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        ...


class MemoryJournalStore:
    """A store in RAM; see the module's docstring for what it is worth."""

    durable = False

    def __init__(self, identity: str = "memory") -> None:
        self.identity = identity
        self._image = JournalImage()

    async def commit(self, writes: Sequence[Write]) -> None:
        """Fold the writes into the image."""
        for write in writes:
            self._image.apply(write)

    def read(self) -> JournalImage:
        """A copy of the image, as a file would be read back."""
        copy = JournalImage()
        for key, row in self._image.rows.items():
            copy.rows[key] = RowImage(row.base, list(row.pending), row.boundary)
            copy.keys_of[key.channel_id] = (*copy.keys_of.get(key.channel_id, ()), key)
        copy.channels = list(self._image.channels)
        copy.epoch = self._image.epoch
        copy.handled = OrderedDict(self._image.handled)
        return copy

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        keys = self._image.keys_of.get(channel_id, ())
        return {key: base for key in keys if (base := self._image.rows[key].base) is not None}


class Journal:
    """Sequence numbers, group commit and the gate, over a store.

    Args:
        store: where writes become durable.
        on_degraded: called with True when the journal stops gating, with False when it works again.
        stall_s, retry_s: seconds, see :data:`STALL_S` and :data:`RETRY_S`.
    """

    def __init__(
        self,
        store: JournalStore,
        *,
        on_degraded: Callable[[bool], None] | None = None,
        stall_s: float = STALL_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._store = store
        self._on_degraded = on_degraded
        self._stall_s = stall_s
        self._retry_s = retry_s
        self._waiting: list[Write] = []
        self._appended = 0
        self._committed = 0
        self._gated: list[tuple[int, int, Callable[[], None]]] = []
        self._gate_order = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.degraded = False
        self.ungated_replies = 0

    def append(self, writes: Iterable[Write]) -> int:
        """Queue ``writes`` for the next commit; the sequence number that :meth:`after` waits for."""
        self._waiting.extend(writes)
        self._appended += 1
        self._idle.clear()
        self._wake.set()
        return self._appended

    def after(self, sequence: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` once everything up to ``sequence`` is committed: at once if it is.

        Callbacks are called in the order of their sequences, those of the same one in the order of the calls.
        While the journal is degraded they are called at once, and counted.
        """
        if sequence <= self._committed:
            callback()
        elif self.degraded:
            self.ungated_replies += 1
            callback()
        else:
            self._gate_order += 1
            heapq.heappush(self._gated, (sequence, self._gate_order, callback))

    async def wait(self, sequence: int) -> None:
        """Wait until everything up to ``sequence`` is committed, or as long as the journal is not degraded."""
        committed = asyncio.Event()
        self.after(sequence, committed.set)
        await committed.wait()

    def committed(self, sequence: int) -> bool:
        """True if everything up to ``sequence`` is committed."""
        return sequence <= self._committed

    async def run(self) -> None:
        """Commit what is appended, group by group, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            writes, self._waiting = self._waiting, []
            upto = self._appended
            await self._commit(writes)
            self._committed = upto
            self._open_gate(upto)
            if self.degraded:
                self._set_degraded(False)
            if not self._waiting:
                self._idle.set()

    async def drain(self) -> None:
        """Wait until everything appended is committed."""
        await self._idle.wait()

    async def _commit(self, writes: list[Write]) -> None:
        """Commit one group, however often it takes; while it does not work the journal is degraded."""
        while True:
            try:
                commit = asyncio.ensure_future(self._store.commit(writes))
                try:
                    # A stalled commit is not cancelled: it may still reach the disk, and must not be doubled.
                    done, _ = await asyncio.wait({commit}, timeout=self._stall_s)
                    if not done:
                        self._set_degraded(True, f"a commit takes longer than {self._stall_s:g} s")
                    await commit
                    return
                finally:
                    commit.cancel()
            except JournalError as error:
                self._set_degraded(True, str(error))
                await asyncio.sleep(self._retry_s)
                writes.extend(self._waiting)
                self._waiting.clear()

    def _open_gate(self, sequence: int) -> None:
        while self._gated and self._gated[0][0] <= sequence:
            heapq.heappop(self._gated)[2]()

    def _set_degraded(self, degraded: bool, reason: str = "") -> None:
        if degraded == self.degraded:
            return
        self.degraded = degraded
        if degraded:
            _log.warning(
                "journal_degraded", reason=reason, what_it_means="replies leave before they are durable"
            )
            self.ungated_replies += len(self._gated)
            self._open_gate(self._appended)
        else:
            _log.info("journal_works_again")
        if self._on_degraded:
            self._on_degraded(degraded)
