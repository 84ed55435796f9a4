"""P6: after a heal the backlog is drained in time, and while all is well a change does not wait.

* After the heal: everything is saved and the circuit closed within 10 s + (rows waiting) / 500 per second
  (:func:`recovery`, which the world awaits where a night or a story heals). A row of ``channels_config`` that waits because the
  list came back without it may wait for the next list. Loads that wait are made by then too: until its load arrives a process
  shows a channel as its journal knew it.
* While all is well: a change is in the database within a second more than the flush interval, but no sooner than in the 3 s that are
  promised: where the bot flushes more often it waits for a slow disk all the same, twice. All is well
  when for :data:`WELL_S` a bot has run, its circuit was closed, its journal gated replies (a degraded one holds rows back that
  it could not give new stamps), its account was not locked out (who waits for a human's ``byte-bot login`` at its start saves nothing,
  lest it fence a bot that chats) and no fault of the database or of the disk acted, which is looked at every second, nor
  hit anybody in between: a request that hangs does so for its whole deadline.

Rows that the database refuses for what is in them, that the bot cannot read, or whose channel a human took out of the list, wait
for a human, and nothing is said about waiting while there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from byte_bot.persistence.breaker import Circuit
from simulator.conversation import StoryError

if TYPE_CHECKING:
    from byte_bot.app import Application
    from byte_bot.persistence.row import Row
    from simulator.world import World

#: The time to recover: so many seconds, and one more for so many rows.
RECOVERY_S = 10.0
RECOVERY_ROWS_PER_S = 500.0
#: All must have been well for so long before a change that waits is held against the bot.
WELL_S = 10.0
#: The bot's flush interval where the scenario names none, and how much longer a change may wait.
FLUSH_INTERVAL_S = 2.0
SAVE_S = 1.0
#: How often the bot reads the list of channels where the scenario does not say.
CONFIG_REFRESH_S = 60.0
#: Two rhythms meet, the bot's and that of whoever looks.
TOLERANCE_S = 0.5


class Recovers:
    """See the module's docstring."""

    name = "recovers"

    def __init__(self) -> None:
        self._unwell_s = 0.0
        #: True while a change waits, or all is not well.
        self.restless = True

    def started(self, world: World) -> None:
        """Nothing: it looks every second."""

    def sampled(self, world: World) -> None:
        """Look at the change that waits longest, if all is well."""
        now_s = world.loop.time()
        app = world.app
        faulty = world.faults.database_now() or world.faults.disk_now()
        if (
            app is None
            or app.layer.link.circuit is not Circuit.CLOSED
            or app.layer.journal.degraded
            or (app.keeper.waiting and not app.layer.epoch)
            or faulty
        ):
            self._unwell_s = now_s
        struck_s = max(world.faults.struck_at_s("database"), world.faults.struck_at_s("disk"))
        self._unwell_s = max(self._unwell_s, struck_s)
        if app is None:
            self.restless = True
            return
        waiting = _waiting(app)
        if any(row.unreadable or row.refused or app.layer.writer.is_unlisted(row) for row in waiting):
            self._unwell_s = now_s
        self.restless = bool(waiting or app.layer.ledger.rows_waiting or self._unwell_s == now_s)
        if now_s - self._unwell_s <= WELL_S:
            return
        interval_s = float(world.scenario.settings.get("flush_interval_s", FLUSH_INTERVAL_S))
        limit_s = max(interval_s, FLUSH_INTERVAL_S) + SAVE_S
        oldest_s = app.layer.ledger.oldest_unsaved_s(now_s)
        if oldest_s > limit_s + TOLERANCE_S:
            world.violated(
                self.name,
                f"all is well, and a change waits for {oldest_s:.1f} s, at most {limit_s:g} s allowed",
            )

    def converged(self, world: World) -> None:
        """Nothing: the world has waited for :func:`recovery`."""


def _waiting(app: Application) -> list[Row]:
    return [row for row in app.layer.rows.values() if row.pending]


def _loading(world: World) -> bool:
    """True while rows are shown as the journal's snapshot has them, and what the database has is still to be read."""
    app = world.app
    return app is not None and any(map(app.layer.is_loading, world.channels.values()))


async def recovery(world: World) -> float | None:
    """Wait until the backlog is drained and the circuit closed; after how many seconds, or None: too late, a violation."""
    backlog = world.app.layer.ledger.rows_waiting if world.app else 0
    limit_s = RECOVERY_S + backlog / RECOVERY_ROWS_PER_S
    app = world.app
    if app and any(row.loaded and app.layer.writer.is_unlisted(row) for row in _waiting(app)):
        limit_s += float(world.scenario.settings.get("config_refresh_s", CONFIG_REFRESH_S))
    started_s = world.loop.time()
    try:
        await world.until(
            lambda: world.drained() and not _loading(world), limit_s, "backlog drained and circuit closed"
        )
    except StoryError:
        layer = world.app.layer if world.app else None
        waiting = layer.ledger.rows_waiting if layer else 0
        circuit = layer.link.circuit if layer else "no bot"
        world.violated(
            Recovers.name, f"{limit_s:.1f} s after the heal: {waiting} rows wait, circuit {circuit}"
        )
        return None
    return world.loop.time() - started_s
