"""ContextManager: the contexts of all channels in RAM, and when they get there.

``await manager.get(channel_id)``:

* in RAM: returned without a suspension;
* known to the local snapshot: put into RAM and returned at once, the load goes on behind it;
* never seen: one load is asked for (callers share it) and the caller may wait for it with
  :meth:`ChannelContext.first_load`; the chat path does so once, for at most ``load_hold_s``.

Channels are preloaded in bulk at boot and when Twitch names their id on JOIN. A context idle for ``context_idle_s`` is
evicted, only when every row of it is clean and the journal has its snapshot.

Threads: everything here belongs to the main loop, which is injected with :meth:`ContextManager.bind_loop`. Other
threads go through :mod:`byte_bot.context.bridge`. Only :meth:`ChannelContext._touch` may be called from anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec
import structlog

from byte_bot.context.stream_context import ChannelConfig, StreamContext
from byte_bot.errors import StateError
from byte_bot.persistence.layer import PersistenceLayer
from byte_bot.persistence.operations import Base, Operation, RowKey
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.state import ChannelState, StateSpec, StateT, state_classes

#: Seconds between two looks for contexts to evict.
EVICTION_PERIOD_S = 60.0
#: Contexts that are looked at before the loop has its turn; chosen: a few milliseconds if all of them leave.
EVICTION_AT_ONCE = 200

_log = structlog.get_logger(__name__)


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
        self._used: dict[Row, None] = {}
        #: The rows behind the state classes that were asked for; they live as long as the context.
        self._known: dict[type[ChannelState], tuple[Row, ChannelState]] = {}
        self._staged: list[tuple[Row, list[Operation]]] = []
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
        row, state = self._known.get(cls) or self._find(cls)
        if row.unreadable:
            self._manager.layer.report_unreadable(row)
        self._used[row] = None
        return cast(StateT, state)

    def peek(self, cls: type[StateT]) -> StateT:
        """:meth:`state` for whoever only reads: what is changed in it is not recorded."""
        row, state = self._known.get(cls) or self._find(cls)
        if row.unreadable:
            self._manager.layer.report_unreadable(row)
        return cast(StateT, state)

    def _find(self, cls: type[StateT]) -> tuple[Row, StateT]:
        spec = self._manager.spec(cls)
        row = self._manager.layer.row(RowKey(spec.table, self._owner(spec), spec.key))
        found = row, row.typed(spec, cls)
        self._known[cls] = found
        return found

    def rename(self, login: str) -> None:
        """Take over the channel's login, by which its configuration is found."""
        self.login = login
        self._known.clear()

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
        self._used[row] = None

    def mark_assigned(self, cls: type[ChannelState], assigned: tuple[str, str | None]) -> None:
        """An ``Add`` field was given an absolute value, which discards earlier adds."""
        spec = self._manager.spec(cls)
        self._manager.layer.row(RowKey(spec.table, self._owner(spec), spec.key)).assigned.append(assigned)

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

    def stage(self, op_id: str, now: float | None = None) -> None:
        """Turn what changed since the last stage into operations, to be recorded by :meth:`seal`.

        Args:
            op_id: what did it; Twitch's id of the message.
            now: wall time in seconds, for the age of tombstones; asked of the clock if left out.

        Raises:
            StateError: a value cannot be stored; everything since the last stage was rolled back.
        """
        layer = self._manager.layer
        at_s = int(layer.clock.unix() if now is None else now)
        try:
            for row in self._used:
                row.prepare()
        except StateError:
            self.rollback()
            raise
        for row in self._used:
            operations = row.commit(layer.epoch, op_id, at_s)
            if operations:
                self._staged.append((row, operations))
        self._used.clear()

    def seal(self, message_id: str = "") -> int:
        """Journal everything staged as one record; the sequence number that replies of this channel must wait for."""
        staged, self._staged = self._staged, []
        self._gate = self._manager.layer.record(staged, message_id) or self._gate
        return self._gate

    def rollback(self) -> None:
        """Put every value back to what it was at the last stage."""
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


class ContextManager:
    """See the module's docstring.

    Args:
        layer: rows and their persistence.
        context_idle_s: seconds without use after which a clean context leaves RAM.
    """

    def __init__(self, layer: PersistenceLayer, *, context_idle_s: float = 7200.0) -> None:
        self.layer = layer
        self._context_idle_s = context_idle_s
        self._contexts: dict[str, ChannelContext] = {}
        self._specs: dict[type[ChannelState], StateSpec] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._touched_early: dict[ChannelContext, None] = {}
        layer.on_loaded = self._loaded
        layer.find_spec = self.find_spec

    def bind_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Inject the main loop; contexts touched before are recorded and loaded now."""
        self._loop = loop
        early, self._touched_early = self._touched_early, {}
        for context in early:
            self._record_touch(context)
        for channel_id, context in self._contexts.items():
            if not context.is_loaded:
                self.layer.request_load(channel_id)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The main loop, None before :meth:`bind_loop`."""
        return self._loop

    def spec(self, cls: type[ChannelState]) -> StateSpec:
        """The class's table, key, rules and defaults; worked out once."""
        spec = self._specs.get(cls)
        if spec is None:
            spec = self._specs[cls] = StateSpec(cls)
        return spec

    def find_spec(self, key: RowKey) -> StateSpec | None:
        """The spec of the one imported state class that ``key`` belongs to; None if there is none, or more than one."""
        found = [
            cls for cls in state_classes() if (cls.__state_table__, cls.__state_key__) == (key.table, key.key)
        ]
        return self.spec(found[0]) if len(found) == 1 else None

    async def get(self, channel_id: str, login: str = "") -> ChannelContext:
        """The channel's context; see the module's docstring. Never waits for the database."""
        return self.obtain(channel_id, login)

    def obtain(self, channel_id: str, login: str = "") -> ChannelContext:
        """:meth:`get` for code that cannot await."""
        context = self._contexts.get(channel_id)
        if context is None:
            context = self._contexts[channel_id] = ChannelContext(self, channel_id, login)
            context.hold_first = not self.layer.restore_snapshot(channel_id) and self.layer.has_database
            self.layer.request_load(channel_id)
        if login and login != context.login:
            context.rename(login)
        if self._loop is not None:
            context.used_at_s = self._loop.time()
        return context

    def preload(self, channel_ids: Iterable[str]) -> None:
        """Have these channels loaded before they are needed; where the login is known, see :meth:`preload_named`."""
        for channel_id in channel_ids:
            self.obtain(channel_id)

    def preload_named(self, channels: Mapping[str, str]) -> None:
        """Have these channels (login to id) loaded before they are needed, their configuration at hand from now on."""
        for login, channel_id in channels.items():
            self.obtain(channel_id, login)

    def learn_channel_id(self, login: str, channel_id: str) -> None:
        """Write Twitch's id of a channel into its row of ``channels_config``, so that the next boot can preload by it.

        Passed over while the row is not loaded, and where there is none: which channels are listed is for humans.
        """
        row = self.layer.row(RowKey(CONFIG_TABLE, login))
        if row.loaded and row.base.data is not None:
            if row.unused and not row.dirty and _stored_channel_id(row.base) == channel_id:
                return  # as nearly always: no typed value is made of it just to see that
            context = self.obtain(channel_id, login)
            self.layer.when_idle(login, lambda: self._write_channel_id(context))

    def _write_channel_id(self, context: ChannelContext) -> None:
        if context.config.channel_id != context.channel_id:
            context.config.channel_id = context.channel_id
            context.stage(f"channel-id-{context.channel_id}")
            context.seal()

    def get_active_channels(self) -> tuple[str, ...]:
        """The ids of the channels whose contexts are in RAM."""
        return tuple(self._contexts)

    def touch(self, context: ChannelContext) -> None:
        """See :meth:`ChannelContext._touch`."""
        loop = self._loop
        if loop is None:
            self._touched_early[context] = None
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            self._record_touch(context)
        else:
            loop.call_soon_threadsafe(self._record_touch, context)

    def _record_touch(self, context: ChannelContext) -> None:
        self.layer.when_idle(context.channel_id, lambda: self._commit_touch(context))

    def _commit_touch(self, context: ChannelContext) -> None:
        for row in [
            *self.layer.rows_of(context.channel_id).values(),
            *(self.layer.rows_of(context.login).values() if context.login else ()),
        ]:
            context.use(row)
        try:
            context.stage(f"touch-{self.layer.next_serial()}")
        except StateError as error:
            # Whoever touched has gone on: there is nobody to raise to.
            self.layer.telemetry.count("touches_refused")
            _log.error("touch_refused", channel_id=context.channel_id, why=str(error))
        context.seal()

    def _loaded(self, channel_id: str) -> None:
        context = self._contexts.get(channel_id)
        if context is not None:
            context.mark_loaded()

    async def run_eviction(self) -> None:
        """Every minute, evict what has been idle for long and is clean; until cancelled."""
        while True:
            await asyncio.sleep(EVICTION_PERIOD_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Evict what can be evicted now; the loop has its turn every :data:`EVICTION_AT_ONCE` contexts."""
        now_s = asyncio.get_running_loop().time()
        ids = tuple(self._contexts)
        for first in range(0, len(ids), EVICTION_AT_ONCE):
            if first:
                await asyncio.sleep(0)
            self.evict_idle(now_s, ids[first : first + EVICTION_AT_ONCE])

    def evict_idle(self, now_s: float, channel_ids: Iterable[str] | None = None) -> int:
        """Evict contexts idle since before ``now_s - context_idle_s``; how many left RAM.

        Args:
            now_s: loop time, seconds.
            channel_ids: which to look at; all of them if left out.
        """
        looked_at = self._contexts if channel_ids is None else channel_ids
        idle = [
            context
            for context in filter(None, map(self._contexts.get, looked_at))
            if now_s - context.used_at_s >= self._context_idle_s and self._evictable(context)
        ]
        for context in idle:
            self.layer.forget(list(self.layer.rows_of(context.channel_id)))
            self.layer.keep_in_snapshot(context.channel_id)
            del self._contexts[context.channel_id]
        self.layer.telemetry.count("contexts_evicted", len(idle))
        return len(idle)

    def _changed(self, row: Row) -> bool:
        """True if the value differs from what was recorded; one that cannot be stored is put back, and counted."""
        try:
            return row.changed()
        except StateError as error:
            # Somebody changed it outside a transaction, hours ago perhaps: there is nobody to raise to.
            row.rollback()
            self.layer.telemetry.count("touches_refused")
            _log.error("touch_refused", channel_id=row.key.channel_id, why=str(error))
            return False

    def _evictable(self, context: ChannelContext) -> bool:
        rows = self.layer.rows_of(context.channel_id).values()
        return (
            not context.busy
            and context.is_loaded
            # A load on its way is older than the snapshot that the row would come back from.
            and not self.layer.is_loading(context.channel_id)
            and not any(row.dirty or self._changed(row) for row in rows)
            and self.layer.journal.committed(context.gate)
        )


class _ChannelIdColumn(msgspec.Struct):
    channel_id: str = ""


def _stored_channel_id(base: Base) -> str:
    """What the row of ``channels_config`` says; '' if it says nothing or cannot be read."""
    try:
        return msgspec.json.decode(base.data or b"{}", type=_ChannelIdColumn).channel_id
    except msgspec.ValidationError:
        return ""
