"""One save in flight: two could arrive in the wrong order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World


class SingleSave:
    """At no time are two calls of ``byte_bot_save`` of one process under way."""

    name = "single_save"
    restless = False

    def started(self, world: World) -> None:
        """The world's HTTP meter is asked later."""

    def sampled(self, world: World) -> None:
        """Nothing: the meter keeps the maximum."""

    def converged(self, world: World) -> None:
        """Judge by the most saves that were ever under way at once."""
        if world.meter.saves_at_once_max > 1:
            world.violated(self.name, f"{world.meter.saves_at_once_max} saves were in flight at once")
