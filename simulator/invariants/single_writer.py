"""P4, fencing: once a process has taken an epoch, nothing is written under an older one.

A superseded process, or a save of it that was long on its way, must not reach the rows: whoever took over has read them
and answers from what it read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.invariants.newest_wins import GUARDED
from simulator.supabase.server import RequestRecord

if TYPE_CHECKING:
    from simulator.world import World

Stamps = dict[tuple[str, str, str], tuple[int, int]]


class SingleWriter:
    """See the module's docstring."""

    name = "single_writer"

    def __init__(self) -> None:
        self._seen: Stamps = {}

    def started(self, world: World) -> None:
        """Look at the tables after every save."""

        def look(record: RequestRecord) -> None:
            if record.path.endswith("byte_bot_save"):
                self._compare(world)

        world.supabase.observe(look)

    def sampled(self, world: World) -> None:
        """Nothing: every save was seen."""

    def converged(self, world: World) -> None:
        """Look a last time."""
        self._compare(world)

    def _compare(self, world: World) -> None:
        newest = max((row["epoch"] for row in world.supabase.rows("bot_writer")), default=0)
        now: Stamps = {}
        for table in GUARDED:
            for row in world.supabase.rows(table):
                owner = row["login"] if table == "channels_config" else row["channel_id"]
                now[table, owner, row.get("key", "")] = (row["epoch"], row["revision"])
        for key, (epoch, revision) in now.items():
            # (0, 0) is a row that a human made.
            if (epoch, revision) != (0, 0) and (epoch, revision) != self._seen.get(key) and epoch < newest:
                world.violated(
                    self.name,
                    f"{'/'.join(key)} was written under epoch {epoch}, revision {revision}, although {newest} was taken",
                )
        self._seen = now
