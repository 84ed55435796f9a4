"""P3: the gate is open only while the disk gives a reason.

*Journal degraded* is the one state in which replies leave before they are durable, so the bot must enter it for nothing less
than a commit that failed or takes longer than it may, and must leave it as soon as a commit works: within the second after
which it tries again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World

#: Two rhythms meet, the bot's and that of whoever looks; and the next commit takes its time too.
TOLERANCE_S = 0.5


class Degraded:
    """See the module's docstring."""

    name = "degraded"

    def __init__(self) -> None:
        self.restless = False

    def started(self, world: World) -> None:
        """Nothing: it looks every second."""

    def sampled(self, world: World) -> None:
        """Compare what the bot announces with what its disk went through."""
        app, disk = world.app, world.bot.disk
        self.restless = app is not None and app.layer.journal.degraded
        if self.restless:
            late_s = world.loop.time() - disk.trouble_until_s
            if late_s > TOLERANCE_S:
                world.violated(
                    self.name,
                    "replies leave ungated, and the disk never failed"
                    if not disk.troubles
                    else f"replies leave ungated {late_s:.1f} s after the disk was last in trouble",
                )

    def converged(self, world: World) -> None:
        """Where no disk ever failed, not one reply has left ungated."""
        self.sampled(world)
        ungated = world.bot.ungated_replies
        if ungated and not any(disk.troubles for disk in world.bot.disks):
            world.violated(self.name, f"{ungated} replies left ungated, and no disk ever failed")
