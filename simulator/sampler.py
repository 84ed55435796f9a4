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
        self._timers = world.loop._timers
        #: Those that may be restless; one that does not say is.
        self._moody = [one for one in world.invariants if getattr(type(one), "restless", True) is not False]
        self._due = asyncio.Event()
        self._handle: asyncio.TimerHandle | None = None
        self._mark = (-1, -1)
        self._again = True

    async def run(self) -> None:
        """Look every second, until cancelled."""
        world, due = self._world, self._due
        self._wait()
        try:
            while True:
                await due.wait()
                due.clear()
                for invariant in world.invariants:
                    invariant.sampled(world)
        finally:
            if self._handle is not None:
                self._handle.cancel()

    def _wait(self) -> None:
        self._handle = self._world.loop.call_later(PERIOD_S, self._second_passed)
        self._mark = self._timers.mark

    def _second_passed(self) -> None:
        made, waiting = self._mark
        # The timer that has fired is the sampler's own.
        happened = self._timers.mark != (made, waiting - 1) or self._world.loop.hybrid
        if happened or self._again or any(getattr(one, "restless", True) for one in self._moody):
            self._due.set()
        self._again = happened
        self._wait()
