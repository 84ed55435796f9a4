"""Has the invariants of a world look every virtual second, unless nothing can have come of it.

How it works. In pure virtual time everything begins with a timer. So if no timer has fired since the last look but the sampler's own,
nothing has happened, and who found nothing then finds nothing now; except an invariant for which time alone matters, since a change
waits or a command is not answered: such a one says that it is *restless*, and then all of them look. One more look follows whatever
has happened, because in the instant of a look others may act after it.

An invariant without the attribute ``restless`` is always asked, and so are all over real sockets, where the kernel can begin something
too. A world in which nobody speaks is idle for most of its seconds: this halves what it costs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World

#: Seconds between two looks.
PERIOD_S = 1.0


class Sampler:
    """See the module's docstring."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self) -> None:
        """Look every second, until cancelled."""
        world = self._world
        invariants, timers = world.invariants, world.loop._timers
        made, waiting = timers.mark
        again = True
        while True:
            await asyncio.sleep(PERIOD_S)
            # The sleep was one timer more, which has fired.
            happened = timers.mark != (made + 1, waiting) or world.loop.hybrid
            made, waiting = timers.mark
            if happened or again or any(getattr(one, "restless", True) for one in invariants):
                for invariant in invariants:
                    invariant.sampled(world)
            again = happened
