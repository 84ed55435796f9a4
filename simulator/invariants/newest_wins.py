"""P4: a stored row never goes back, whatever is retried, delayed, duplicated or written by a second process.

After every request that was executed, each row of the guarded tables must have a stamp (epoch, revision) and an edit
count that are not smaller than before, unless a human did it (the edit count moved, or the row is gone).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.supabase.server import RequestRecord
from simulator.supabase.view import Key, Row

if TYPE_CHECKING:
    from simulator.world import World

GUARDED = ("channel_state", "component_state", "channels_config")


class NewestWins:
    """See the module's docstring."""

    name = "newest_wins"
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
        for table in GUARDED:
            now, seen = world.supabase.view(table), self._seen.get(table, {})
            for key, row in now.items():
                before = seen.get(key)
                if before is None or before is row or row["edit_no"] != before["edit_no"]:
                    continue
                if _stamp(row) < _stamp(before):
                    world.violated(
                        self.name,
                        f"{name_of(table, key)} went back from epoch {before['epoch']}, revision {before['revision']} to "
                        f"{row['epoch']}, {row['revision']}",
                    )
            self._seen[table] = now


def name_of(table: str, key: Key) -> str:
    """How a row is named in a violation."""
    return "/".join((table, *map(str, key)))


def _stamp(row: Row) -> tuple[int, int]:
    return row["epoch"], row["revision"]
