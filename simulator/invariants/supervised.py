"""No supervisor of the bot has had to catch a defect: a handler that failed costs one message, and is a bug all the same.

The bot goes on when a component, a deferred job or a send fails in a way that nobody expected; it rolls back, logs and counts it. With
the built-in components nothing of that may ever happen. A story in which a component fails on purpose has other invariants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simulator.world import World

#: What the bot counts when a supervisor has caught something.
CAUGHT: Final = (
    "handlers_failed",
    "deferred_failed",
    "teardowns_failed",
    "replies_dropped_failed",
)


class Supervised:
    """See the module's docstring."""

    name = "supervised"
    restless = False

    def __init__(self) -> None:
        #: What was told already, by process: one defect is one violation.
        self._told: dict[tuple[int, str], None] = {}

    def started(self, world: World) -> None:
        """Nothing: it looks every second."""

    def sampled(self, world: World) -> None:
        """Look at the running bot's counters."""
        if world.app is None:
            return
        for name in CAUGHT:
            count = world.app.telemetry.counters[name]
            process = (world.bot.incarnation, name)
            if count and process not in self._told:
                self._told[process] = None
                world.violated(self.name, f"a supervisor caught a defect: {name} is {count}")

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)
