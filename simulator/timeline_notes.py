"""Events that stand beside a night's trace, noted while it goes by: none of them is in the trace, so the hash is that of the night without them.

How it works. Whoever watches a world adds what it sees; each event is kept with the number of events that the trace had then, by which
`simulator.replay.interleaved` finds its place, and by which what cleaning up after the night did is left out again.

What it leaves out: events beyond a bound (counted).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from simulator.replay import Seen

if TYPE_CHECKING:
    from simulator.world import World

#: Events that one watcher keeps. A night of an hour in which everything flaps has some thousands.
NOTES_MAX: Final = 50_000
_US_PER_S: Final = 1_000_000


class Notes:
    """See the module's docstring."""

    def __init__(self, notes_max: int = NOTES_MAX) -> None:
        self._notes_max = notes_max
        self._notes: list[Seen] = []
        #: Events that were not kept because there were too many.
        self.left_out = 0

    def add(self, world: World, kind: str, fields: Mapping[str, Any]) -> None:
        """Something happens in this world now."""
        if len(self._notes) >= self._notes_max:
            self.left_out += 1
            return
        at_us = round(world.loop.time() * _US_PER_S)
        self._notes.append((world.trace.count, (at_us, kind, dict(fields))))

    def until(self, events: int) -> list[Seen]:
        """What was noted while the trace had no more than so many events."""
        return [note for note in self._notes if note[0] <= events]
