"""P4, fencing: once a process has taken an epoch, nothing is written under an older one.

A superseded process, or a save of it that was long on its way, must not reach the rows: whoever took over has read them
and answers from what it read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.invariants.newest_wins import GUARDED, name_of
from simulator.supabase.server import RequestRecord
from simulator.supabase.view import Key, Row

if TYPE_CHECKING:
    from simulator.world import World


class SingleWriter:
    """See the module's docstring."""

    name = "single_writer"
    restless = False

    def __init__(self) -> None:
        self._seen: dict[str, Mapping[Key, Row]] = {}

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
        newest = max((row["epoch"] for row in world.supabase.view("bot_writer").values()), default=0)
        for table in GUARDED:
            now, seen = world.supabase.view(table), self._seen.get(table, {})
            for key, row in now.items():
                before = seen.get(key)
                if before is row:
                    continue
                epoch, revision = row["epoch"], row["revision"]
                as_before = before is not None and (epoch, revision) == (before["epoch"], before["revision"])
                # (0, 0) is a row that a human made.
                if (epoch, revision) != (0, 0) and not as_before and epoch < newest:
                    world.violated(
                        self.name,
                        f"{name_of(table, key)} was written under epoch {epoch}, revision {revision}, although {newest} was taken",
                    )
            self._seen[table] = now
