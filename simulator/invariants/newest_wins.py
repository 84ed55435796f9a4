"""P4: a stored row never goes back, whatever is retried, delayed, duplicated or written by a second process.

After every request that was executed, each row of the guarded tables must have a stamp (epoch, revision) and an edit
count that are not smaller than before, unless a human did it (the edit count moved, or the row is gone).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.supabase.server import RequestRecord

if TYPE_CHECKING:
    from simulator.world import World

GUARDED = ("channel_state", "component_state", "channels_config")


class NewestWins:
    """See the module's docstring."""

    name = "newest_wins"

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], tuple[int, int, int]] = {}

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
        now: dict[tuple[str, str, str], tuple[int, int, int]] = {}
        for table in GUARDED:
            for row in world.supabase.rows(table):
                key = (table, str(row.get("channel_id") or row.get("login")), str(row.get("key", "")))
                if table == "channels_config":
                    key = (table, str(row["login"]), "")
                now[key] = (row["edit_no"], row["epoch"], row["revision"])
        for key, (edit_no, epoch, revision) in now.items():
            before = self._seen.get(key)
            if before is None or edit_no != before[0]:
                continue
            if (epoch, revision) < before[1:]:
                world.violated(
                    self.name,
                    f"{'/'.join(key)} went back from epoch {before[1]}, revision {before[2]} to {epoch}, {revision}",
                )
        self._seen = now
