"""What the bot asks its database for, as events of a night's timeline: each save with its rows and epoch, and whatever is tried once more.

How it works. A :class:`RequestWatcher` stands among the invariants of a world, which look and change nothing. The world's meter tells it of
each request when it leaves and when it is over. How it ended is an event of the trace already (``http``, ``request_failed``), unless the bot itself
*gave up* waiting. A request is tried once more if the last one like it (method, path, query) of the same process failed; saves are alike whatever is in them, since a
save that failed is sent again with what came in meanwhile, or in halves.

What it leaves out: whether a save that failed was carried out nevertheless; ``http`` events say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from simulator.loop import Process, current_process
from simulator.replay import Seen
from simulator.timeline_notes import NOTES_MAX, Notes

if TYPE_CHECKING:
    from simulator.world import World

#: The kinds of these events: a save, any other request that is tried once more, and one for whose answer the bot waits no longer.
SAVE_KIND: Final = "save"
RETRY_KIND: Final = "retry"
GAVE_UP_KIND: Final = "gave_up"
_SAVE_PATH: Final = "/rest/v1/rpc/byte_bot_save"


class _Save(msgspec.Struct):
    """The arguments of a save, as far as they are counted."""

    p_epoch: int = 0
    p_rows: list[msgspec.Raw] | None = None
    p_patches: list[msgspec.Raw] | None = None
    p_history: list[msgspec.Raw] | None = None
    p_events: list[msgspec.Raw] | None = None

    def counts(self) -> dict[str, int]:
        """How many of each there are; rows in any case."""
        parts = {"patches": self.p_patches, "history": self.p_history, "events": self.p_events}
        return {"rows": len(self.p_rows or ()), **{name: len(part) for name, part in parts.items() if part}}


class RequestWatcher:
    """An invariant that never complains; see the module's docstring. For one world."""

    name = "requests"
    #: A second in which nothing has happened has nothing to see.
    restless = False

    def __init__(self, *, notes_max: int = NOTES_MAX) -> None:
        self._notes = Notes(notes_max)
        self._world: World | None = None
        #: How often what failed last has failed in a row; what succeeds is forgotten.
        self._failed: dict[tuple[Process | None, str, str], int] = {}
        #: True from an error of the network until the request that it ended is over, which is at once.
        self._error_told = False

    @property
    def left_out(self) -> int:
        """Events that were not kept because there were too many."""
        return self._notes.left_out

    def started(self, world: World) -> None:
        """Listen from now on."""
        self._world = world
        world.meter.observe(self._asked, self._answered)
        world.trace.observe(lambda _fields: self._fail(), "request_failed")

    def sampled(self, world: World) -> None:
        """Nothing: requests are told of."""

    def converged(self, world: World) -> None:
        """Nothing."""

    def asked(self, events: int) -> list[Seen]:
        """What was seen while the trace had no more than so many events."""
        return self._notes.until(events)

    def _asked(self, request: httpx.Request) -> None:
        world = self._world
        assert world is not None, "asked before there was a world"
        tries = self._failed.get(_like(request), 0) + 1
        told: dict[str, Any] = {"bot": _number(world), "try": tries}
        if request.url.path == _SAVE_PATH:
            save = _save_in(request)
            self._notes.add(world, SAVE_KIND, {**told, "epoch": save.p_epoch, **save.counts()})
        elif tries > 1:
            asked = {"method": request.method, "path": request.url.path}
            self._notes.add(world, RETRY_KIND, told | asked)

    def _fail(self) -> None:
        self._error_told = True

    def _answered(self, request: httpx.Request, status: int | None) -> None:
        """It is over; None: without an answer."""
        world, like = self._world, _like(request)
        assert world is not None, "answered before there was a world"
        if status is not None and status < 400:
            self._failed.pop(like, None)
            return
        self._failed[like] = self._failed.get(like, 0) + 1
        if status is None and not self._error_told:
            asked = {"method": request.method, "path": request.url.path}
            told = {"bot": _number(world), "try": self._failed[like]}
            self._notes.add(world, GAVE_UP_KIND, told | asked)
        self._error_told = False


def _like(request: httpx.Request) -> tuple[Process | None, str, str]:
    return current_process(), request.method, request.url.raw_path.decode("ascii")


def _save_in(request: httpx.Request) -> _Save:
    try:
        return msgspec.json.decode(request.content, type=_Save)
    except (ValueError, msgspec.MsgspecError):  # no save as the bot writes them
        return _Save()


def _number(world: World) -> int:
    """By which number the process that runs now is known; 0: by none, a bot that a story runs itself."""
    process, rival = current_process(), world.bot.rival
    if process is None:
        return 0
    if rival is not None and rival.process is process:
        return rival.incarnation
    others = frozenset() if rival is None else frozenset((rival.incarnation,))
    return max(world.bot.incarnations_running - others, default=0)
