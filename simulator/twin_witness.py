"""What happened in a night under faults: a twin that never met a full save or a shut gate has shown nothing about them.

How it works. A :class:`Witness` looks, and changes nothing: at every message that Twitch has (the bot's public state at that
moment), at every commit of the journal (how long it took, and whether the reply left in the instant in which it was
acknowledged), and at the end at the bot's own counters and at the saves that the database carried out. What it has seen
is a set of :class:`Seen`; the tests ask that a few hundred nights together have seen all of it.

The night with the perfect database has no witness. So if one disturbed the bot, the two would not be alike.

What it leaves out: how often something happened in a night, and whether the bot did right; that is for the comparison and the
invariants.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from byte_bot.app import Application, Surroundings
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.journal import Handled, JournalImage, JournalStore, StoreCounts, Write
from byte_bot.persistence.ledger import BATCH_ROWS_MAX
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.settings import Settings
from simulator.simulated_bot import ApplicationFactory
from simulator.twitch.events import SentMessage

if TYPE_CHECKING:
    from simulator.world import World

#: Messages within one second that are a burst; a twentieth of the nights has up to 1,000.
BURST_PER_S = 500
#: Two messages this close to one another, and what happened between them happened amid chat; seconds.
AMID_S = 0.1
#: Instants that are compared were added up in another order: they may differ by less than this, seconds.
SAME_INSTANT_S = 1e-6


class Seen(enum.StrEnum):
    """What can happen to a bot whose database is in trouble, or whose chat is loud; the words are those shown to people."""

    CALL_FAILED = "call failed"
    CIRCUIT_OPEN = "circuit open amid chat"
    CIRCUIT_PAUSED = "circuit paused amid chat"
    SAVE_FAILED = "save failed"
    SAVE_HALVED = "more rows waiting than a halved save takes"
    FULL_SAVE = "full save of rows"
    FULL_SAVE_OF_HISTORY = "full save of history"
    HISTORY_DROPPED = "history dropped"
    EVICTED_AMID_CHAT = "context evicted amid chat"
    RELOADED = "evicted context loaded again"
    ANSWERED_BEFORE_LOAD = "reply before the load"
    GATE_WAITED = "reply held by the gate"
    JOURNAL_DEGRADED = "journal degraded"
    LEFT_UNGATED = "reply left ungated"
    JOURNAL_FOLDED = "journal folded for its length"
    LIMITER_HELD = "reply held by a limit of Twitch"
    REPLY_TOO_OLD = "reply dropped for its age"
    OUTBOX_FULL = "reply dropped by a full outbox"
    REPEATED = "message delivered twice"
    CHAT_AWAY = "chat connection lost"
    BURST = f"burst of {BURST_PER_S}/s"


#: What the bot's counters say.
_COUNTED: Mapping[str, Seen] = {
    "database_failures": Seen.CALL_FAILED,
    "saves_failed": Seen.SAVE_FAILED,
    "event_journal_degraded": Seen.JOURNAL_DEGRADED,
    "replies_dropped_too_old": Seen.REPLY_TOO_OLD,
    "replies_dropped_queue_full": Seen.OUTBOX_FULL,
    "messages_repeated": Seen.REPEATED,
}


class Witness:
    """Of one night with one process of the bot; see the module's docstring."""

    def __init__(self) -> None:
        self._seen: dict[Seen, None] = {}
        self._app: Application | None = None
        self._world: World | None = None
        #: When the commit of a message was acknowledged, of those that took time.
        self._acknowledged_s: dict[str, float] = {}
        self._within_1_s: deque[float] = deque()
        self._looked_at_s = 0.0
        self._evicted = 0
        #: Channels that were spoken to while they were not in RAM.
        self._returning: set[str] = set()

    def beside(self, application: ApplicationFactory) -> ApplicationFactory:
        """The same factory, whose bot this witness watches."""

        def build(settings: Settings, surroundings: Surroundings) -> Application:
            store = _WatchedStore(surroundings.journal_store, self._acknowledged_s)
            self._app = application(settings, replace(surroundings, journal_store=store))
            return self._app

        return build

    def watch(self, world: World) -> None:
        """Look at every message from now on."""
        self._world = world
        world.twitch.on_message(self._look)

    def testimony(self) -> tuple[Seen, ...]:
        """What was seen in the night, which is over; in the order of :class:`Seen`."""
        app, world = self._app, self._world
        if app is None or world is None:
            return ()
        self._note(
            *(seen for name, seen in _COUNTED.items() if app.telemetry.counters[name]),
            *([Seen.LEFT_UNGATED] if app.layer.journal.ungated_replies else []),
            *([Seen.JOURNAL_FOLDED] if app.layer.journal.overflows else []),
            *([Seen.HISTORY_DROPPED] if app.layer.ledger.history_dropped else []),
        )
        for save in world.supabase.saves:
            if save.rows >= BATCH_ROWS_MAX:
                self._note(Seen.FULL_SAVE)
            if save.history >= BATCH_ROWS_MAX:
                self._note(Seen.FULL_SAVE_OF_HISTORY)
        return tuple(seen for seen in Seen if seen in self._seen)

    def _note(self, *seen: Seen) -> None:
        self._seen.update(dict.fromkeys(seen))

    def _look(self, message: SentMessage) -> None:
        app, world = self._app, self._world
        assert app is not None and world is not None, "watched before there was a bot"
        self._look_at_the_whole(app, message.at_s)
        channel_id = world.channels[message.channel]
        if message.login == world.bot_login:
            self._look_at_reply(app, message, channel_id, world.scenario.latency_ms / 1_000)
        else:
            self._look_at_speech(app, message, channel_id)
        self._looked_at_s = message.at_s

    def _look_at_the_whole(self, app: Application, at_s: float) -> None:
        layer = app.layer
        if layer.link.circuit is Circuit.OPEN:
            self._note(Seen.CIRCUIT_OPEN)
        if layer.link.circuit is Circuit.PAUSED:
            self._note(Seen.CIRCUIT_PAUSED)
        if layer.ledger.batch_limit < min(BATCH_ROWS_MAX, layer.ledger.rows_waiting):
            self._note(Seen.SAVE_HALVED)
        if not app.transport.connected:
            self._note(Seen.CHAT_AWAY)
        elif app.outbox.waiting:
            self._note(Seen.LIMITER_HELD)
        evicted = app.telemetry.counters["contexts_evicted"]
        if evicted > self._evicted and at_s - self._looked_at_s < AMID_S:
            self._note(Seen.EVICTED_AMID_CHAT)
        self._evicted = evicted

    def _look_at_speech(self, app: Application, message: SentMessage, channel_id: str) -> None:
        self._within_1_s.append(message.at_s)
        while self._within_1_s[0] <= message.at_s - 1.0:
            self._within_1_s.popleft()
        if len(self._within_1_s) >= BURST_PER_S:
            self._note(Seen.BURST)
        if channel_id not in app.manager.get_active_channels():
            self._returning.add(channel_id)

    def _look_at_reply(
        self, app: Application, message: SentMessage, channel_id: str, latency_s: float
    ) -> None:
        acknowledged_s = self._acknowledged_s.pop(message.reply_to, None)
        if (
            acknowledged_s is not None
            and abs(message.at_s - latency_s - acknowledged_s) < SAME_INSTANT_S
            and not app.layer.journal.degraded
        ):
            self._note(Seen.GATE_WAITED)
        if app.layer.is_loading(channel_id):
            self._note(Seen.ANSWERED_BEFORE_LOAD)
        elif channel_id in self._returning and channel_id in app.manager.get_active_channels():
            self._note(Seen.RELOADED)


class _WatchedStore:
    """A journal's store; for each message whose commit took time, when that was acknowledged."""

    def __init__(self, inner: JournalStore, acknowledged_s: dict[str, float]) -> None:
        self._inner = inner
        self._acknowledged_s = acknowledged_s
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
        await self._inner.commit(writes)
        if loop.time() > began_s:
            for write in writes:
                if isinstance(write, Handled):
                    self._acknowledged_s[write.message_id] = loop.time()

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """The image of everything written."""
        return self._inner.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases of one channel's rows."""
        return self._inner.snapshot(channel_id)
