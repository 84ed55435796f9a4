"""P4, fencing: a process that the database has turned away as superseded ends.

Who took the next epoch answers from what it has read, so the older process must not go on confirming what is never saved. A save
that is answered `fenced`, on a line that loses nothing, tells it so: within :data:`ENDS_S` it is gone, or it has taken a newer epoch itself (what fenced it was a late call
of its own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.supabase.server import RequestRecord

if TYPE_CHECKING:
    from simulator.world import World

#: An answer may be on its way for as long as a request may take, 5 s; ending takes no longer than an orderly stop does.
ENDS_S = 15.0


class Fenced:
    """See the module's docstring."""

    name = "fenced"

    def __init__(self) -> None:
        #: When a save of each epoch was first turned away.
        self._turned_away_s: dict[int, float] = {}

    @property
    def restless(self) -> bool:
        """True once a process was turned away."""
        return bool(self._turned_away_s)

    def started(self, world: World) -> None:
        """Look at what became of every save."""

        def look(record: RequestRecord) -> None:
            if record.path.endswith("byte_bot_save") and world.supabase.saves:
                last = world.supabase.saves[-1]
                # While the database is in trouble the answer may have been lost: then the process cannot know.
                if last.status == "fenced" and not world.faults.database_now():
                    self._turned_away_s.setdefault(last.epoch, world.loop.time())

        world.supabase.observe(look)

    def sampled(self, world: World) -> None:
        """Look at the epochs of those who run."""
        rival = world.bot.rival.app if world.bot.rival is not None else None
        for app in (world.app, rival):
            if app is None or app.layer.epoch not in self._turned_away_s:
                continue
            since_s = world.loop.time() - self._turned_away_s[app.layer.epoch]
            if since_s > ENDS_S:
                world.violated(
                    self.name,
                    f"a save under epoch {app.layer.epoch} was turned away {since_s:.1f} s ago, and its process goes on",
                )

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)
