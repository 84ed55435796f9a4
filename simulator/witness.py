"""Who has seen what in a night: a witness looks, and changes nothing.

How it works. A :class:`Witness` looks at every message that Twitch has (the bot's public state at that moment), at every request
to the database as it leaves, at every save just before it is carried out, at every commit of the journal (how long it took, and whether
the reply left in the instant in which it was acknowledged), at the death of every process, and at the end at the bots' own counters
and at the saves that the database carried out. What it has seen is a set of :class:`~simulator.sometimes.Sometimes`.

The night with the perfect database of a pair of twins has no witness. So if one disturbed the bot, the two would not be alike.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from byte_bot.app import Application, Surroundings
from byte_bot.errors import ExitCode
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.journal import Handled, JournalImage, JournalStore, StoreCounts, Write
from byte_bot.persistence.ledger import BATCH_ROWS_MAX
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.settings import Settings
from simulator.simulated_bot import ApplicationFactory
from simulator.sometimes import BURST_PER_S, Sometimes
from simulator.twitch.events import SentMessage

if TYPE_CHECKING:
    from simulator.world import World

#: Two messages this close to one another, and what happened between them happened amid chat; seconds.
AMID_S = 0.1
#: Instants that are compared were added up in another order: they may differ by less than this, seconds.
SAME_INSTANT_S = 1e-6

#: What the bot's counters say.
_COUNTED: Mapping[str, Sometimes] = {
    "database_failures": Sometimes.CALL_FAILED,
    "saves_failed": Sometimes.SAVE_FAILED,
    "saves_bisected": Sometimes.BISECTED,
    "dead_letters": Sometimes.DEAD_LETTER,
    "event_row_unreadable": Sometimes.UNREADABLE,
    "event_journal_degraded": Sometimes.JOURNAL_DEGRADED,
    "replies_dropped_too_old": Sometimes.REPLY_TOO_OLD,
    "replies_dropped_queue_full": Sometimes.OUTBOX_FULL,
    "messages_repeated": Sometimes.REPEATED,
}


class Witness:
    """Of one night, however many processes the bot has in it; see the module's docstring."""

    def __init__(self) -> None:
        self._seen: dict[Sometimes, None] = {}
        self._world: World | None = None
        self._journal = _JournalNotes()
        #: Every process there was, in the order of their starts.
        self._apps: list[Application] = []
        self._within_1_s: deque[float] = deque()
        self._looked_at_s = 0.0
        self._evicted = 0
        #: Channels that were spoken to while they were not in RAM.
        self._returning: set[str] = set()
        self._probing = False
        #: What was carried out: a row's key and stamp.
        self._carried_out: set[tuple[Any, ...]] = set()
        #: By row and epoch the number of a human's edit that had changed what a save was based on, so that it was refused.
        self._edited: dict[tuple[RowKey, int], int] = {}
        #: Channels in which something was changed while their load was on its way.
        self._changed_early: set[str] = set()

    def beside(self, application: ApplicationFactory) -> ApplicationFactory:
        """The same factory, whose bots this witness watches."""

        def build(settings: Settings, surroundings: Surroundings) -> Application:
            store = _WatchedStore(surroundings.journal_store, self._journal)
            app = application(settings, replace(surroundings, journal_store=store))
            self._apps.append(app)
            return app

        return build

    def watch(self, world: World) -> None:
        """Look at everything from now on."""
        self._world = world
        world.twitch.on_message(self._look)
        world.supabase.observe_saves(self._look_at_save)
        world.trace.observe(self._look_at_request, "request")
        world.trace.observe(self._look_at_death, "bot_crashed", "power_cut")
        world.trace.observe(self._look_at_loss, "commits_lost")

    def testimony(self) -> tuple[Sometimes, ...]:
        """What was seen in the night, which is over; in the order of :class:`~simulator.sometimes.Sometimes`."""
        world = self._world
        if not self._apps or world is None:
            return ()
        for app in self._apps:
            journal = app.layer.journal
            self._note(
                *(seen for name, seen in _COUNTED.items() if app.telemetry.counters[name]),
                *([Sometimes.LEFT_UNGATED] if journal.ungated_replies else []),
                *([Sometimes.JOURNAL_FOLDED] if journal.overflows else []),
                *([Sometimes.HISTORY_DROPPED] if app.layer.ledger.history_dropped else []),
            )
        for save in world.supabase.saves:
            if save.rows >= BATCH_ROWS_MAX:
                self._note(Sometimes.FULL_SAVE)
            if save.history >= BATCH_ROWS_MAX:
                self._note(Sometimes.FULL_SAVE_OF_HISTORY)
            if save.status == "fenced":
                self._note(Sometimes.FENCED_SAVE)
        if ExitCode.FENCED in world.exit_codes:
            self._note(Sometimes.FENCED)
        if any(disk.folds_struck for disk in world.bot.disks):
            self._note(Sometimes.FOLD_FAILED)
        return tuple(seen for seen in Sometimes if seen in self._seen)

    def _note(self, *seen: Sometimes) -> None:
        self._seen.update(dict.fromkeys(seen))

    # ── chat ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, message: SentMessage) -> None:
        world = self._world
        assert world is not None, "watched before there was a world"
        if message.login != world.bot_login:
            self._count_burst(message)
        app = world.app
        if app is None:
            return
        self._look_at_the_whole(app, message.at_s)
        channel_id = world.channels[message.channel]
        if message.login == world.bot_login:
            self._look_at_reply(app, message, channel_id, world)
        elif channel_id not in app.manager.get_active_channels():
            self._returning.add(channel_id)
        self._looked_at_s = message.at_s

    def _look_at_the_whole(self, app: Application, at_s: float) -> None:
        layer = app.layer
        self._look_at_circuit(layer.link.circuit)
        if layer.link.circuit is Circuit.OPEN:
            self._note(Sometimes.CIRCUIT_OPEN)
        if layer.link.circuit is Circuit.PAUSED:
            self._note(Sometimes.CIRCUIT_PAUSED)
        if layer.ledger.batch_limit < min(BATCH_ROWS_MAX, layer.ledger.rows_waiting):
            self._note(Sometimes.SAVE_HALVED)
        if not app.transport.connected:
            self._note(Sometimes.CHAT_AWAY)
        elif app.outbox.waiting:
            self._note(Sometimes.LIMITER_HELD)
        if layer.unadopted:
            self._note(Sometimes.REPLAYED)
        evicted = app.telemetry.counters["contexts_evicted"]
        if evicted > self._evicted and at_s - self._looked_at_s < AMID_S:
            self._note(Sometimes.EVICTED_AMID_CHAT)
        self._evicted = evicted

    def _count_burst(self, message: SentMessage) -> None:
        self._within_1_s.append(message.at_s)
        while self._within_1_s[0] <= message.at_s - 1.0:
            self._within_1_s.popleft()
        if len(self._within_1_s) >= BURST_PER_S:
            self._note(Sometimes.BURST)

    def _look_at_reply(self, app: Application, message: SentMessage, channel_id: str, world: World) -> None:
        latency_s = world.scenario.latency_ms / 1_000
        acknowledged_s = self._journal.acknowledged_s.pop(message.reply_to, None)
        if (
            acknowledged_s is not None
            and abs(message.at_s - latency_s - acknowledged_s) < SAME_INSTANT_S
            and not app.layer.journal.degraded
        ):
            self._note(Sometimes.GATE_WAITED)
        if world.faces.connections_made() > len(self._apps):
            self._note(Sometimes.REJOINED)
        if not app.layer.epoch and app.layer.has_database:
            self._note(Sometimes.EPOCH_LATE)
        if app.layer.is_loading(channel_id):
            self._note(Sometimes.ANSWERED_BEFORE_LOAD)
            if any(row.pending for row in app.layer.rows_of(channel_id).values()):
                self._changed_early.add(channel_id)
            if world.bot.incarnation > 1:
                self._note(Sometimes.SNAPSHOT_ANSWERED)
            return
        if channel_id in self._changed_early:
            self._note(Sometimes.LATE_LOAD)
        if channel_id in self._returning and channel_id in app.manager.get_active_channels():
            self._note(Sometimes.RELOADED)

    # ── the database ─────────────────────────────────────────────────────────────────────────────────────────────

    def _look_at_request(self, _fields: Mapping[str, Any]) -> None:
        world = self._world
        if world is None or world.app is None:
            return
        circuit = world.app.layer.link.circuit
        if circuit is Circuit.HALF_OPEN:
            # Only one call at a time may probe: another one means that the last has failed.
            if self._probing:
                self._note(Sometimes.PROBE_FAILED)
            self._probing = True
        else:
            self._look_at_circuit(circuit)
        if world.app.layer.unadopted:
            self._note(Sometimes.REPLAYED)

    def _look_at_circuit(self, circuit: Circuit) -> None:
        if self._probing and circuit is not Circuit.HALF_OPEN:
            self._probing = False
            if circuit is not Circuit.CLOSED:
                self._note(Sometimes.PROBE_FAILED)

    def _look_at_save(self, arguments: Mapping[str, Any]) -> None:
        epoch = arguments["p_epoch"]
        for row in arguments.get("p_rows") or ():
            name = (epoch, row["table"], row["channel_id"], row.get("key", ""), row["revision"])
            if name in self._carried_out:
                self._note(Sometimes.LOST_ANSWER_RETRIED)
            self._carried_out.add(name)
            stored = self._stored(row)
            if stored is None:
                continue
            if (stored["epoch"], stored["revision"]) > (epoch, row["revision"]):
                self._note(Sometimes.OVERTAKEN)
            self._look_at_edit(row, stored, epoch)

    def _look_at_edit(self, row: Mapping[str, Any], stored: Mapping[str, Any], epoch: int) -> None:
        """Note a save on top of a human's edit, if one without it was refused before, and the edit had changed what that was based on."""
        key = RowKey(row["table"], row["channel_id"], row["key"])
        if (row["edit_no"] or 0) == stored["edit_no"]:
            if (key, epoch) in self._edited and self._edited.pop((key, epoch)) == stored["edit_no"]:
                self._note(Sometimes.MERGED)
            return
        for app in self._apps:
            if app.layer.epoch != epoch or key not in app.layer.rows:
                continue
            base = app.layer.row(key).base
            if base.edit_no == row["edit_no"] and json.loads(base.data or b"{}") != stored["data"]:
                self._edited[key, epoch] = stored["edit_no"]

    def _stored(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        assert self._world is not None, "watched before there was a world"
        key = (row["channel_id"], row["key"]) if row["table"] == "component_state" else (row["channel_id"],)
        return self._world.supabase.view(row["table"]).get(key)

    # ── the process ──────────────────────────────────────────────────────────────────────────────────────────────

    def _look_at_death(self, _fields: Mapping[str, Any]) -> None:
        world = self._world
        assert world is not None, "watched before there was a world"
        self._probing = False
        if world.bot.stopping:
            self._note(Sometimes.DIED_STOPPING)
        if world.meter.saves_now:
            self._note(Sometimes.DIED_IN_FLIGHT)
        if self._journal.under_way:
            self._note(Sometimes.DIED_UNCOMMITTED)
        self._journal.under_way = 0
        self._changed_early.clear()

    def _look_at_loss(self, _fields: Mapping[str, Any]) -> None:
        self._note(Sometimes.POWER_CUT_LOST)


class _JournalNotes:
    """What was seen of the journals' commits."""

    def __init__(self) -> None:
        #: When the commit of a message was acknowledged, of those that took time.
        self.acknowledged_s: dict[str, float] = {}
        #: Commits of live processes that are not acknowledged yet.
        self.under_way = 0


class _WatchedStore:
    """A journal's store; for each message whose commit took time, when that was acknowledged."""

    def __init__(self, inner: JournalStore, notes: _JournalNotes) -> None:
        self._inner = inner
        self._notes = notes
        self.durable = inner.durable
        self.identity = inner.identity

    @property
    def counts(self) -> StoreCounts:
        """What the store has counted."""
        return self._inner.counts

    async def commit(self, writes: Sequence[Write]) -> None:
        """Pass the commit on, in the same turn of the loop."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self._notes.under_way += 1
        try:
            await self._inner.commit(writes)
        finally:
            self._notes.under_way -= 1
        if loop.time() > began_s:
            for write in writes:
                if isinstance(write, Handled):
                    self._notes.acknowledged_s[write.message_id] = loop.time()

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything written."""
        return self._inner.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        return self._inner.snapshot(channel_id)
