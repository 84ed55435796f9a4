"""What a bot looked like from inside while a night went by: rows waiting, circuit, journal, connection; for the timeline page.

How it works. A :class:`Watcher` stands among the invariants of a world, which look and change nothing. It looks at every message that
Twitch has, at every answer of the database, and in each virtual second in which something happened, and keeps a :class:`Sample` when something is another than before. It has
no task and no timer of its own, draws nothing and records nothing: it looks where others look anyway. So the trace hash is the same with and
without it, which a test compares.

What it leaves out: a state that came and went between two looks; and how a second bot beside the first stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from simulator.scenario import Scenario
    from simulator.world import World

#: Looks beyond these are made every second only; counted. A night of an hour has some thousands, and a page must open in a browser.
SAMPLES_MAX = 50_000


class Sample(NamedTuple):
    """How the bot stands from this moment on, until the next sample."""

    at_s: float
    #: The number of the process that was started last, 0 if none runs.
    incarnation: int
    #: Rows that wait to be saved; 0 if no process runs.
    rows_waiting: int
    #: The breaker's state; "" if no process runs.
    circuit: str
    #: Whether replies leave before they are durable, as the bot has announced.
    degraded: bool
    #: Whether the bot has a connection to chat.
    connected: bool


def nobody(at_s: float) -> Sample:
    """The sample of a moment in which no process runs."""
    return Sample(at_s, 0, 0, "", False, False)


@dataclass(frozen=True)
class Watched:
    """What a watcher has seen, and what the page must know of the night beside its events."""

    scenario: Scenario
    bot_login: str
    samples: tuple[Sample, ...]
    #: Looks that were not made because there were too many.
    looks_left_out: int = 0


class Watcher:
    """An invariant that never complains; see the module's docstring. For one world."""

    name = "timeline"
    #: A second in which nothing has happened has nothing to see; and being asked in it would be something that happens.
    restless = False

    def __init__(self, *, samples_max: int = SAMPLES_MAX) -> None:
        self._samples_max = samples_max
        self._world: World | None = None
        self._samples: list[Sample] = []
        self._left_out = 0

    def started(self, world: World) -> None:
        """Look at every message and every answer from now on."""
        self._world = world
        world.twitch.on_message(lambda _message: self._look_while_few())
        world.supabase.observe(lambda _request: self._look_while_few())
        self._look()

    def sampled(self, world: World) -> None:
        """A virtual second has passed."""
        assert world is self._world, "a watcher watches one world"
        self._look()

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)

    def watched(self) -> Watched:
        """What was seen so far."""
        assert self._world is not None, "nothing was watched yet"
        return Watched(self._world.scenario, self._world.bot_login, tuple(self._samples), self._left_out)

    def _look_while_few(self) -> None:
        if len(self._samples) < self._samples_max:
            self._look()
        else:
            self._left_out += 1

    def _look(self) -> None:
        assert self._world is not None
        now_s, app = self._world.loop.time(), self._world.app
        sample = nobody(now_s)
        if app is not None and self._world.bot_runs:
            layer = app.layer
            sample = Sample(
                now_s,
                self._world.bot.incarnation,
                layer.ledger.rows_waiting,
                str(layer.link.circuit),
                layer.journal.degraded,
                app.transport.connected,
            )
        if not self._samples or self._samples[-1][1:] != sample[1:]:
            self._samples.append(sample)
