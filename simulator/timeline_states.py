"""How the bot changes while a night goes by, as events of its timeline: circuit, journal, connection, channels, epoch, its end in order.

How it works. A :class:`StateWatcher` stands among the invariants of a world, which look and change nothing. It looks whenever something
crosses the edge of the bot's process or is said in chat, and in each virtual second in which something happened, and notes what is
another than before, of each of two instances that run at the same time. Such events stand beside those of the trace, and are none of them: so
the hash of the night is the same with and without, which a test compares.

What it leaves out: a state that came and went between two looks. A change is dated by the look that found it: in a silent night up to a
second late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulator.replay import Seen
from simulator.timeline_notes import NOTES_MAX, Notes

if TYPE_CHECKING:
    from byte_bot.app import Application
    from simulator.world import World

#: The kind of these events.
STATE_KIND: Final = "state"
#: Channels that are named where several are joined or left at once; of more only how many.
NAMED_MAX: Final = 6
_EDGE: Final = (
    "irc_open", "irc_closed", "irc_in", "irc_out", "eventsub_open", "eventsub_closed", "request", "response", "request_failed",
)  # fmt: skip


class Standing(NamedTuple):
    """How one process stands."""

    circuit: str = "closed"
    journal: str = "works"
    chat: str = "away"
    epoch: int = 0
    channels: frozenset[str] = frozenset()


@dataclass(eq=False)
class _Known:
    """A process that was seen to run."""

    number: int
    app: Application
    standing: Standing


class StateWatcher:
    """An invariant that never complains; see the module's docstring. For one world."""

    name = "states"
    #: A second in which nothing has happened has nothing to see.
    restless = False

    def __init__(self, *, changes_max: int = NOTES_MAX) -> None:
        self._notes = Notes(changes_max)
        self._world: World | None = None
        self._known: list[_Known] = []
        self._killed = False

    @property
    def left_out(self) -> int:
        """Changes that were not kept because there were too many."""
        return self._notes.left_out

    def started(self, world: World) -> None:
        """Look at everything from now on."""
        self._world = world
        world.twitch.on_message(lambda _message: self._look())
        world.supabase.observe(lambda _request: self._look())
        world.trace.observe(lambda _fields: self._look(), *_EDGE)
        world.trace.observe(lambda _fields: self._die(), "bot_crashed", "power_cut")

    def sampled(self, world: World) -> None:
        """A virtual second has passed."""
        assert world is self._world, "a watcher watches one world"
        self._look()

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)

    def changes(self, events: int) -> list[Seen]:
        """What was seen while the trace had no more than so many events."""
        return self._notes.until(events)

    def _die(self) -> None:
        # Its end is an event of the trace already.
        self._killed = True

    def _look(self) -> None:
        world = self._world
        assert world is not None, "watched before there was a world"
        running = dict(_running(world))
        for known in tuple(self._known):
            if not any(app is known.app for app in running.values()):
                self._known.remove(known)
                if not self._killed:
                    self._note(known.number, {"process": "ended"})
        self._killed = False
        for number, app in running.items():
            known = next((one for one in self._known if one.app is app), None) or _Known(
                number, app, Standing()
            )
            if known not in self._known:
                self._known.append(known)
            standing = _standing(app)
            if standing != known.standing:
                self._note(known.number, _changed(known.standing, standing))
                known.standing = standing

    def _note(self, number: int, fields: Mapping[str, Any]) -> None:
        assert self._world is not None
        self._notes.add(self._world, STATE_KIND, {"bot": number, **fields})


def _running(world: World) -> list[tuple[int, Application]]:
    """The processes that run and have been put together, by number; of two the newer one has the newest number."""
    rival = world.bot.rival
    found = []
    if world.app is not None and world.bot_runs:
        # One that was seen before keeps its number; of one that was not the rival can only be the next.
        found.append((world.bot.incarnation if rival is None else rival.incarnation - 1, world.app))
    if rival is not None and rival.running and rival.app is not None:
        found.append((rival.incarnation, rival.app))
    return found


def _standing(app: Application) -> Standing:
    layer = app.layer
    return Standing(
        str(layer.link.circuit),
        "degraded" if layer.journal.degraded else "works",
        "connected" if app.transport.connected else "away",
        layer.epoch,
        frozenset(app.transport.joined),
    )


def _changed(before: Standing, after: Standing) -> dict[str, Any]:
    changed: dict[str, Any] = {
        name: value
        for name, value in after._asdict().items()
        if name != "channels" and value != getattr(before, name)
    }
    for name, logins in (
        ("joined", after.channels - before.channels),
        ("parted", before.channels - after.channels),
    ):
        if logins:
            many = len(logins) > NAMED_MAX
            changed[name] = f"{len(logins)} channels" if many else ", ".join(sorted(logins))
    return changed
