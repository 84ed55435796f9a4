"""After the drain: what is in the database = what is in RAM = what viewers were told.

* Every row of the database that the bot holds in RAM has the value that RAM has, and nothing in RAM waits. A row that a
  human has edited since may differ: the bot learns of an edit of state when it saves the row next, or loads it.
* What viewers were told: the world keeps its own account of the counters (``!count NAME +n``, ``-n``, ``=n``), applying
  each change when the bot *confirmed* it in chat. At the end each counter in the database must have that value, so a
  confirmed change that was lost shows, and so does one that was applied twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from simulator.world import World


class Agreement:
    """See the module's docstring."""

    name = "agreement"

    def started(self, world: World) -> None:
        """Nothing: it judges the end."""

    def sampled(self, world: World) -> None:
        """Nothing."""

    def converged(self, world: World) -> None:
        """Compare database, RAM and what was confirmed."""
        self._compare_ram(world)
        self._compare_told(world)

    def _compare_ram(self, world: World) -> None:
        app = world.app
        if app is None:
            return
        for key, row in app.layer.rows.items():
            if row.pending:
                world.violated(self.name, f"{'/'.join(key)} still waits with {len(row.pending)} operations")
            if key.table == "channels_config" or row.base.data is None:
                continue
            stored = _stored(world, key.table, key.channel_id, key.key)
            if stored is not None and stored["edit_no"] != row.base.edit_no:
                continue  # edited by a human, who alone moves the number
            data = stored["data"] if stored is not None else None
            known = msgspec.json.decode(row.base.data)
            if data != known:
                world.violated(
                    self.name, f"{'/'.join(key)}: database {json.dumps(data)}, RAM {json.dumps(known)}"
                )

    def _compare_told(self, world: World) -> None:
        for channel, counter in world.account.counters:
            possible = world.account.range_of(channel, counter)
            stored = world.counter(channel, counter)
            if possible is not None and not possible[0] <= stored <= possible[1]:
                world.violated(
                    self.name,
                    f"counter {counter!r} in #{channel}: viewers were told changes that make {possible[0]} to "
                    f"{possible[1]}, the database has {stored}",
                )


def _stored(world: World, table: str, channel_id: str, key: str) -> dict[str, Any] | None:
    for row in world.supabase.rows(table):
        if (row["channel_id"], row.get("key", "")) == (channel_id, key):
            return dict(row)
    return None
