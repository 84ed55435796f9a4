"""What must hold in every world, whatever its faults; one file each.

An invariant watches (``started``), may look now and then (``sampled``, every virtual second) and judges when
everything has been healed and drained (``converged``). It reports with ``world.violated(name, words)`` and never
changes anything.

One may have an attribute ``restless``: False while a later look could only find something if something has happened since. Then
``sampled`` is left out for seconds in which nothing has (:mod:`simulator.sampler`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from simulator.world import World


class Invariant(Protocol):
    """See the module's docstring."""

    name: str

    def started(self, world: World) -> None:
        """The fakes stand, the bot does not run yet."""
        ...

    def sampled(self, world: World) -> None:
        """A virtual second has passed."""
        ...

    def converged(self, world: World) -> None:
        """Everything was healed, the backlog is drained, the bot still runs."""
        ...


def had_company(world: World) -> bool:
    """True once two of the bot's processes run, or people spoke while two did: each knows only what it did itself."""
    bot = world.bot
    return world.second is not None or bot.rival is not None or bool(bot.heard_by_two)
