"""P5: memory, sockets and tasks have limits that do not grow with messages or with the length of an outage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World

#: Tasks of the bot: about a dozen services, and at most an inbox and an outbox for each channel, and slow work.
TASKS_MAX = 30
TASKS_PER_CHANNEL_MAX = 3
#: HTTP requests of one process under way at once: a save, a load, a list, an epoch.
REQUESTS_MAX = 4
#: Pending operations of one row: as many as it has fields and capped keys, twice (before and after a save's boundary).
OPERATIONS_PER_ROW_MAX = 2 * (200 + 200 + 50 + 20)


class Bounded:
    """See the module's docstring."""

    name = "bounded"
    restless = False

    def __init__(self) -> None:
        #: How many tasks the bot had when they were counted, and how many there had ever been in the world by then.
        self._tasks, self._tasks_made = 0, 0

    def started(self, world: World) -> None:
        """Nothing: it looks every second."""

    def sampled(self, world: World) -> None:
        """Look at tasks, requests and pending operations."""
        limit = TASKS_MAX + TASKS_PER_CHANNEL_MAX * len(world.channels)
        # They are counted when those made since might be too many; to count them every second cost a seventh of a night.
        if self._tasks + world.loop.tasks_made - self._tasks_made > limit:
            self._tasks, self._tasks_made = len(world.bot_tasks()), world.loop.tasks_made
            self._check(world, "tasks", self._tasks, limit)
        self._check(world, "requests in flight", world.meter.requests_at_once_max, REQUESTS_MAX)
        app = world.app
        if app is None:
            return
        rows = app.layer.rows.values()
        pending = max((len(row.pending) for row in rows), default=0)
        self._check(world, "pending operations of one row", pending, OPERATIONS_PER_ROW_MAX)
        self._check(world, "rows waiting", app.layer.ledger.rows_waiting, len(rows))

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)

    def _check(self, world: World, what: str, value: int, limit: int) -> None:
        if value > limit:
            world.violated(self.name, f"{what}: {value}, at most {limit} allowed")
