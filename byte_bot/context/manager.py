"""ContextManager: the contexts of all channels in RAM, and when they get there.

``await manager.get(channel_id)``:

* in RAM: returned without a suspension;
* known to the local snapshot: put into RAM and returned at once, the load goes on behind it;
* never seen: one load is asked for (callers share it) and the caller may wait for it with
  :meth:`ChannelContext.first_load`; the chat path does so once, for at most ``load_hold_s``.

Channels are preloaded in bulk at boot and when Twitch names their id on JOIN. A context idle for ``context_idle_s`` is
evicted, only when every row of it is clean and the journal's disk has its snapshot as it is; while that disk does not work
nobody is.

Threads: everything here belongs to the main loop, which is injected with :meth:`ContextManager.bind_loop`. Other
threads go through :mod:`byte_bot.context.bridge`. Only :meth:`ChannelContext._touch` may be called from anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import structlog

from byte_bot.context.channel import ChannelContext
from byte_bot.context.stream_context import stored_channel_id
from byte_bot.errors import StateError
from byte_bot.persistence.layer import PersistenceLayer
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.pace import PIECE_BYTES, ROW_BYTES, Pace
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.state import ChannelState, StateSpec, spec_of, state_classes

#: Seconds between two looks for contexts to evict.
EVICTION_PERIOD_S = 60.0
#: Contexts that are evicted before there is a pause (:mod:`byte_bot.persistence.pace`): each has the disk asked for its snapshot, on
#: the loop, which counts as a row. Measured: a tenth of a millisecond from the system's memory; a disk that is asked takes one or ten.
EVICTION_AT_ONCE = PIECE_BYTES // ROW_BYTES
#: What a context counts for that is only looked at: 200 of them are a piece.
LOOK_BYTES = PIECE_BYTES // 200
#: Contexts used within this many seconds count as used at the same time; of hours of silence it is nothing, and of
#: 100,000 channels joined in a few minutes it saves 100,000 numbers.
USED_APART_S = 1.0

_log = structlog.get_logger(__name__)


class Evicted(NamedTuple):
    """How many contexts left RAM, and for how many the disk was asked whether they may."""

    left: int
    asked: int


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
        self._loop: asyncio.AbstractEventLoop | None = None
        #: What every context used at about this moment has as its time, all of them the same object.
        self._now_s = float("-inf")
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
        return spec_of(cls)

    def find_spec(self, key: RowKey) -> StateSpec | None:
        """The spec of the one imported state class that ``key`` belongs to; None if there is none, or more than one.

        Nor of a class that is declared wrongly, which its component's first use of it says.
        """
        found = [
            cls for cls in state_classes() if (cls.__state_table__, cls.__state_key__) == (key.table, key.key)
        ]
        try:
            return self.spec(found[0]) if len(found) == 1 else None
        except (NameError, StateError, TypeError):
            return None

    async def get(self, channel_id: str, login: str = "") -> ChannelContext:
        """The channel's context; see the module's docstring. Never waits for the database."""
        return self.obtain(channel_id, login)

    def obtain(self, channel_id: str, login: str = "") -> ChannelContext:
        """:meth:`get` for code that cannot await."""
        context = self._contexts.get(channel_id)
        if context is None:
            context = self._contexts[channel_id] = ChannelContext(self, channel_id, login)
            context.hold_first = not self.layer.snapshot.restore(channel_id) and self.layer.has_database
            self.layer.request_load(channel_id)
        if login and login != context.login:
            context.rename(login)
        if self._loop is not None:
            now_s = self._loop.time()
            if now_s - self._now_s >= USED_APART_S:
                self._now_s = now_s
            context.used_at_s = self._now_s
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
        key = RowKey(CONFIG_TABLE, login)
        base = self.layer.loaded_base(key)
        if base is None or base.data is None:
            return
        row = self.layer.rows.get(key)
        if (row is None or (row.unused and not row.dirty)) and stored_channel_id(base) == channel_id:
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
        """Evict what can be evicted now, a piece at a time: between two of them a message is answered from end to end."""
        now_s = asyncio.get_running_loop().time()
        ids = tuple(self._contexts)
        pace = Pace()
        for first in range(0, len(ids), EVICTION_AT_ONCE):
            looked_at = ids[first : first + EVICTION_AT_ONCE]
            evicted = self.evict_idle(now_s, looked_at)
            await pace.after(evicted.asked * ROW_BYTES + len(looked_at) * LOOK_BYTES)

    def evict_idle(self, now_s: float, channel_ids: Iterable[str] | None = None) -> Evicted:
        """Evict contexts idle since before ``now_s - context_idle_s``.

        Args:
            now_s: loop time, seconds.
            channel_ids: which to look at; all of them if left out.
        """
        looked_at = self._contexts if channel_ids is None else channel_ids
        if self.layer.journal.degraded:
            return Evicted(0, 0)  # the snapshot is as old as the disk's last commit
        idle = [
            context
            for context in filter(None, map(self._contexts.get, looked_at))
            if now_s - context.used_at_s >= self._context_idle_s and self._evictable(context)
        ]
        leaving = [context for context in idle if self.layer.may_leave(context.channel_id)]
        for context in leaving:
            self.layer.forget(context.channel_id)
            del self._contexts[context.channel_id]
        self.layer.telemetry.count("contexts_evicted", len(leaving))
        return Evicted(len(leaving), len(idle))

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
