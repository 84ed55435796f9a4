"""What a test does to its fakes: one verb for every kind of fault, and the end of them.

    sim_faults.begin(Hang(duration_s=20))        # from now, for twenty virtual seconds
    with sim_faults.begin(Hang()):               # for as long as the block takes
        ...
    sim_faults.heal()                            # everything is well again

The kinds are the dataclasses of `simulator.faults`; their `start_s` counts from now. What a fault strikes must be there: the database of a
world or of `fake_supabase`, the Twitch of a world or of `fake_twitch`, the process, the disk and the clock of a world only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from simulator.faults import Fault
from simulator.testing.errors import NotYet
from simulator.testing.ground import Ground


class ActingFault:
    """A fault that was begun; ends by itself, with `end`, or with the block that it is entered for."""

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground = ground
        self.name = name

    def end(self) -> None:
        """It acts no longer; nothing happens if it does not anyway."""
        self._ground.end_fault(self.name)

    def __enter__(self) -> ActingFault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class SimFaults:
    """The fixture `sim_faults`; see the module's docstring."""

    order = 3
    sockets = False

    def __init__(self) -> None:
        self._ground: Ground | None = None
        self._begun = 0

    @asynccontextmanager
    async def standing(self, ground: Ground) -> AsyncIterator[None]:
        """Strike this ground while entered."""
        self._ground = ground
        try:
            yield
        finally:
            self._ground = None

    async def judged(self) -> None:
        """Nothing."""

    def begin(self, fault: Fault) -> ActingFault:
        """Let a fault act from now on (its `start_s` later), until it ends.

        Raises `NotHere` or `NotSimulatedError` if this test has nothing that it could act on.
        """
        ground = self._here()
        self._begun += 1
        name = f"test-{self._begun}"
        ground.set_fault(fault, name)
        return ActingFault(ground, name)

    def acting(self) -> tuple[Fault, ...]:
        """The faults that act at this instant."""
        board = self._here().board
        return (*board.database_now(), *board.twitch_now(), *board.disk_now(), *board.clock_now())

    def heal(self) -> None:
        """End every fault, those that a world began by itself too."""
        self._here().heal()

    def _here(self) -> Ground:
        if self._ground is None:
            raise NotYet("sim_faults can be used while the test runs, and by its asynchronous fixtures")
        return self._ground
