"""One channel in RAM: its typed states, its lock, and the transaction on them.

How it works. A handler asks for states; the rows behind them are remembered as *used*. A *stage* turns what changed in
them into operations, a *rollback* puts them back to the last stage, and :meth:`ChannelContext.seal` journals everything
that was staged as one record, whose number is the channel's gate: replies wait for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from byte_bot.context.stream_context import ChannelConfig, StreamContext
from byte_bot.errors import StateError
from byte_bot.persistence.journal import Handled
from byte_bot.persistence.operations import TOMBSTONES_MAX, Merge, Operation, RowKey
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.state import ChannelState, StateSpec, StateT
from byte_bot.persistence.storable import storable

if TYPE_CHECKING:
    from byte_bot.context.manager import ContextManager

#: Changes that may wait in a row that is not loaded, or has become unreadable, before keys that RAM does not show are no longer dropped
#: from it: else every wrong name that is typed in an outage would be kept (P5). Chosen as many as tombstones are, which do no more
#: for longer.
UNSEEN_DROPS_MAX = TOMBSTONES_MAX


class ChannelContext:
    """One channel in RAM: its typed states, its lock, and the transaction on them.

    ``lock`` serialises everything that changes the channel: handlers, and calls from other threads.

    Most channels are quiet, and there may be 100,000: what only a channel in use needs is made when it is needed.
    """

    __slots__ = (
        "_cooldowns",
        "_gate",
        "_keys_made",
        "_known",
        "_loaded_event",
        "_lock",
        "_manager",
        "_open",
        "_staged",
        "_used",
        "channel_id",
        "hold_first",
        "is_loaded",
        "login",
        "used_at_s",
    )

    def __init__(self, manager: ContextManager, channel_id: str, login: str) -> None:
        self._manager = manager
        self.channel_id = channel_id
        self.login = login
        self.used_at_s = 0.0
        #: True once the first load has been put into RAM; :attr:`loaded` can be waited for.
        self.is_loaded = False
        self._loaded_event: asyncio.Event | None = None
        self._lock: asyncio.Lock | None = None
        #: True if the first load still has to be waited for by the chat path.
        self.hold_first = False
        self._cooldowns: dict[str, float] | None = None
        self._keys_made = 0
        self._open: tuple[str, ...] = ()
        #: The rows that something may have changed in; none, as long as nobody has asked for a state.
        self._used: dict[Row, None] | None = None
        #: The rows behind the state classes that were asked for; they live as long as the context.
        self._known: dict[type[ChannelState], tuple[Row, ChannelState]] | None = None
        self._staged: list[tuple[Row, list[Operation]]] | None = None
        self._gate = 0

    def __repr__(self) -> str:
        return f"<ChannelContext {self.channel_id} {self.login!r}>"

    @property
    def lock(self) -> asyncio.Lock:
        """Held by whoever changes the channel."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    @property
    def loaded(self) -> asyncio.Event:
        """Set once the first load has been put into RAM."""
        if self._loaded_event is None:
            self._loaded_event = asyncio.Event()
            if self.is_loaded:
                self._loaded_event.set()
        return self._loaded_event

    def mark_loaded(self) -> None:
        """The first load has been put into RAM: whoever waits for it goes on."""
        self.is_loaded = True
        self.hold_first = False
        if self._loaded_event is not None:
            # Whoever waits holds it; nobody will wait again.
            self._loaded_event.set()
            self._loaded_event = None

    @property
    def cooldowns(self) -> dict[str, float]:
        """Loop times of the last use of a command, for cooldowns."""
        if self._cooldowns is None:
            self._cooldowns = {}
        return self._cooldowns

    @property
    def busy(self) -> bool:
        """True while somebody holds the lock."""
        return self._lock is not None and self._lock.locked()

    @property
    def stream(self) -> StreamContext:
        """What is known about the stream."""
        return self.state(StreamContext)

    @property
    def config(self) -> ChannelConfig:
        """The channel's row of ``channels_config``."""
        return self.state(ChannelConfig)

    def state(self, cls: type[StateT]) -> StateT:
        """The channel's value of a state class, in RAM; what is changed in it is recorded at the next commit.

        Raises:
            StateError: a row of ``channels_config`` is asked for, which is found by the login, and nobody has told the
                login yet. Handlers always know it.
        """
        row, state = (self._known and self._known.get(cls)) or self._find(cls)
        if row.unreadable:
            self._manager.layer.report_unreadable(row)
        if self._used is None:
            self._used = {}
        self._used[row] = None
        return cast(StateT, state)

    def peek(self, cls: type[StateT]) -> StateT:
        """:meth:`state` for whoever only reads: what is changed in it is not recorded."""
        row, state = (self._known and self._known.get(cls)) or self._find(cls)
        if row.unreadable:
            self._manager.layer.report_unreadable(row)
        return cast(StateT, state)

    def _find(self, cls: type[StateT]) -> tuple[Row, StateT]:
        spec = self._manager.spec(cls)
        row = self._manager.layer.row(RowKey(spec.table, self._owner(spec), spec.key))
        found = row, row.typed(spec, cls)
        if self._known is None:
            self._known = {}
        self._known[cls] = found
        return found

    def rename(self, login: str) -> None:
        """Take over the channel's login, by which its configuration is found."""
        self.login = login
        self._known = None

    @property
    def in_use(self) -> bool:
        """True if a value was asked for since the last stage, so that something may have changed."""
        return bool(self._used)

    def _owner(self, spec: StateSpec) -> str:
        """By what the rows of that table are found: the login, or the channel id."""
        if spec.table != CONFIG_TABLE:
            return self.channel_id
        if not self.login:
            raise StateError(
                f"channel {self.channel_id}: the login is not known yet, by which its configuration is found; "
                "it is once the bot has joined the channel"
            )
        return self.login

    def use(self, row: Row) -> None:
        """Have the next stage look at ``row`` too."""
        if self._used is None:
            self._used = {}
        self._used[row] = None

    def mark_assigned(self, cls: type[ChannelState], assigned: tuple[str, str | None]) -> None:
        """A field was given an absolute value: it discards earlier adds, and whatever a row holds that RAM does not show."""
        spec = self._manager.spec(cls)
        field, key = assigned
        row = self._manager.layer.row(RowKey(spec.table, self._owner(spec), spec.key))
        # Where RAM shows what is stored, and nothing changes, there is nothing to record, but for what discards adds.
        if not row.shows_stored or spec.rules[field].merge in (Merge.ADD, Merge.ADD_MAPPING):
            # By the name that the key will have once it is recorded.
            row.assigned.append((field, None if key is None else storable(key)))

    def mark_dropped(self, state: ChannelState, field: str, key: str) -> None:
        """A key, as it is stored, is to be dropped from a mapping: also one that RAM does not show, as long as it may be stored."""
        spec = self._manager.spec(type(state))
        row = self._manager.layer.row(RowKey(spec.table, self._owner(spec), spec.key))
        if row.shows_stored:
            return
        if key not in getattr(state, field) and len(row.pending) >= UNSEEN_DROPS_MAX:
            self._manager.layer.telemetry.count("unseen_drops_passed_over")
            return
        row.assigned.append((field, key))

    def next_key(self) -> int:
        """The next number of the channel's counter that tells apart keys made in the same millisecond."""
        self._keys_made += 1
        return self._keys_made

    def begin(self) -> None:
        """Open a transaction: bases that arrive wait until :meth:`end`."""
        # Remembered, since the login may change before the end (a renamed channel).
        self._open = (self.channel_id, self.login) if self.login else (self.channel_id,)
        self._manager.layer.begin(*self._open)

    def end(self) -> None:
        """Close the transaction."""
        self._manager.layer.end(*self._open)

    def stage(self, op_id: str) -> None:
        """Turn what changed since the last stage into operations, to be recorded by :meth:`seal`.

        Args:
            op_id: what did it; Twitch's id of the message.

        Raises:
            StateError: a value cannot be stored; everything since the last stage was rolled back.
        """
        if not self._used:
            return
        try:
            changed = [row for row in self._used if row.prepare()]
        except StateError:
            self.rollback()
            raise
        self._used.clear()
        if not changed:
            return
        layer = self._manager.layer
        at_s = layer.ages.latest_s()
        for row in changed:
            operations = row.commit(layer.epoch, op_id, at_s)
            if operations:
                if self._staged is None:
                    self._staged = []
                self._staged.append((row, operations))

    def seal(self, handled: Handled | None = None) -> int:
        """Journal everything staged as one record; the sequence number that replies of this channel must wait for."""
        staged, self._staged = self._staged, None
        self._gate = self._manager.layer.record(staged or (), handled) or self._gate
        return self._gate

    def rollback(self) -> None:
        """Put every value back to what it was at the last stage."""
        if self._used:
            for row in self._used:
                row.rollback()
            self._used.clear()

    @property
    def gate(self) -> int:
        """The journal's sequence number of the channel's last change."""
        return self._gate

    async def first_load(self, hold_s: float) -> None:
        """Wait once for the first load of a channel never seen before, at most ``hold_s`` seconds."""
        if not self.hold_first:
            return
        self.hold_first = False
        try:
            async with asyncio.timeout(hold_s):
                await self.loaded.wait()
        except TimeoutError:
            return

    def _touch(self) -> None:
        """Record what was changed in the context's states outside a transaction, and have it saved.

        Works from any thread. On the main loop: at once, or after the open transaction. From another thread: the main
        loop does it. Before the main loop is bound: when it is.
        """
        self._manager.touch(self)
