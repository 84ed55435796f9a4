"""After the drain: what is in the database = what is in RAM = what viewers were told.

* Every row of the database that the bot holds in RAM has the value that RAM has, and nothing in RAM waits.
* What viewers were told: the world keeps its own account of the counters (``!count NAME +n``, ``-n``, ``=n``), applying
  each change when the bot *confirmed* it in chat. At the end each counter in the database must have that value, so a
  confirmed change that was lost shows, and so does one that was applied twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
            stored = world.stored(key.table, key.channel_id, key.key)
            known = msgspec.json.decode(row.base.data)
            if stored != known:
                world.violated(
                    self.name, f"{'/'.join(key)}: database {json.dumps(stored)}, RAM {json.dumps(known)}"
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
