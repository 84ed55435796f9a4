"""The board that says which faults act now, and faults as JSON.

The board holds two sorts of entries. The *timeline* is what a scenario planned; its ``start_s`` counts from
zero of the time source. *Named* faults are set and cleared by hand (the demo's keys, the control address);
their ``start_s`` counts from the moment they were set. One timeline means the same on an in-memory transport
and on real sockets. Nothing here waits or polls: a face which has to act at the very moment a fault begins or
ends (a listener that closes) subscribes, and asks for `FaultBoard.next_change_s`.

*Instant* faults are collected once by whoever carries them out, with `FaultBoard.take_due`. The faults themselves are
in `fault_kinds.py` and the modules that it names, and can be imported from here.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from simulator.clock_faults import ClockJump, ClockSkew
from simulator.fault_base import Family, Fault, FaultError
from simulator.fault_kinds import (
    KINDS,
    CommitThenDrop,
    CutBody,
    DiskFull,
    DiskReadOnly,
    Drip,
    Flapping,
    Hang,
    Html520,
    HtmlOk,
    HumanEdit,
    Latency,
    MissingFunction,
    MissingGrant,
    OverQuota,
    ProjectPaused,
    ReadOnly,
    Refused,
    Reset,
    SlowRecovery,
    SlowSync,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.process_faults import Crash, PowerCut, Restart, SecondInstance
from simulator.spelling import unknown
from simulator.table_faults import EmptyList, TooLarge
from simulator.twitch_faults import (
    ConsentEnded,
    EventsubClose,
    EventsubMute,
    EventsubRevoke,
    FacedFault,
    Helix401,
    Helix429,
    Helix503,
    HelixSlow,
    TokenExpires,
    TokenFault,
    TokenRevoked,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchJoinDropped,
    TwitchPackets,
    TwitchReconnect,
    TwitchRefusals,
    TwitchReordering,
)

if TYPE_CHECKING:
    import random

__all__ = [
    "KINDS",
    "ClockJump",
    "ClockSkew",
    "CommitThenDrop",
    "ConsentEnded",
    "Crash",
    "CutBody",
    "DiskFull",
    "DiskReadOnly",
    "Drip",
    "EmptyList",
    "EventsubClose",
    "EventsubMute",
    "EventsubRevoke",
    "FacedFault",
    "Fault",
    "FaultBoard",
    "FaultError",
    "Flapping",
    "Hang",
    "Helix401",
    "Helix429",
    "Helix503",
    "HelixSlow",
    "Html520",
    "HtmlOk",
    "HumanEdit",
    "Latency",
    "MissingFunction",
    "MissingGrant",
    "OverQuota",
    "PowerCut",
    "ProjectPaused",
    "ReadOnly",
    "Refused",
    "Reset",
    "Restart",
    "SecondInstance",
    "SlowRecovery",
    "SlowSync",
    "Status503",
    "TokenExpires",
    "TokenFault",
    "TokenRevoked",
    "TooLarge",
    "TooManyRequests",
    "TwitchDisconnect",
    "TwitchDuplicates",
    "TwitchHalfOpen",
    "TwitchJoinDropped",
    "TwitchPackets",
    "TwitchReconnect",
    "TwitchRefusals",
    "TwitchReordering",
    "Unauthorized",
    "fault_from_json",
    "fault_to_json",
]

# Instants are compared in whole microseconds, as in the trace: a float remainder at the very edge of a phase
# would otherwise flip between two phases from one machine to the next.
MICROSECONDS_PER_S = 1_000_000


# --- JSON
# -------------------------------------------------------------------------------------------------------


def fault_from_json(value: object) -> Fault:
    """Build a fault from ``{"kind": "hang", "duration_s": 20, ...}``; a ``duration_s`` of null means: until cleared.

    Raises FaultError whose message names the allowed kinds, or the allowed fields of that kind.
    """
    if not isinstance(value, Mapping):
        raise FaultError(f"a fault is a JSON object such as {{'kind': 'hang'}}, got {type(value).__name__}")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise FaultError(unknown("kind of fault", kind, KINDS))
    known = {item.name: str(item.type) for item in dataclasses.fields(KINDS[kind])}
    arguments: dict[str, Any] = {}
    for name, given in value.items():
        if name == "kind":
            continue
        if name not in known:
            raise FaultError(f"{kind}: {unknown('field', name, known)}")
        arguments[name] = _field_from_json(kind, name, known[name], given)
    return KINDS[kind](**arguments)


def _field_from_json(kind: str, name: str, type_name: str, given: object) -> object:
    if name == "duration_s" and given is None:
        return math.inf
    if type_name == "float":
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise FaultError(f"{kind}: {name} must be a number, got {given!r}")
        if isinstance(given, int) and abs(given) > sys.float_info.max:
            raise FaultError(f"{kind}: {name} must be a number that a float can hold")
        # Not made a float: 5 and 5.0 are the same time, but look different in a trace.
        return given
    if type_name == "int":
        if isinstance(given, bool) or not isinstance(given, int):
            raise FaultError(f"{kind}: {name} must be a whole number, got {given!r}")
        return given
    if type_name == "str":
        if not isinstance(given, str):
            raise FaultError(f"{kind}: {name} must be a string, got {given!r}")
        return given
    if type_name == "Fault":
        return fault_from_json(given)
    if not isinstance(given, Mapping):
        raise FaultError(f"{kind}: {name} must be an object, got {given!r}")
    return dict(given)


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """The fault as JSON that `fault_from_json` reads back to an equal fault."""
    answer: dict[str, Any] = {"kind": fault.kind}
    for item in dataclasses.fields(fault):
        value = getattr(fault, item.name)
        if isinstance(value, Fault):
            value = fault_to_json(value)
        elif isinstance(value, float) and math.isinf(value):
            value = None
        elif isinstance(value, Mapping):
            value = dict(value)
        answer[item.name] = value
    return answer


# --- the board
# --------------------------------------------------------------------------------------------------


@dataclass
class _Entry:
    name: str
    begins_s: float
    fault: Fault
    taken: bool = False

    @property
    def ends_s(self) -> float:
        return self.begins_s + self.fault.duration_s

    def acting(self, now_s: float) -> Fault | None:
        """The fault that acts at this instant on behalf of this entry, if any."""
        if self.fault.instant or not self.begins_s <= now_s < self.ends_s:
            return None
        if isinstance(self.fault, Flapping):
            phase_us, _ = self._phase_us(self.fault, now_s)
            return self.fault.inner if phase_us < round(self.fault.down_s * MICROSECONDS_PER_S) else None
        if isinstance(self.fault, SlowRecovery):
            # The face sees a plain delay: how it came about is the board's business.
            return Latency(
                self.fault.delay_s(now_s - self.begins_s) * 1000, probability=self.fault.probability
            )
        return self.fault

    def next_change_s(self, now_s: float) -> float:
        """The next instant after now at which this entry begins, ends or flaps; infinity if never."""
        if self.fault.instant:
            return self.begins_s if self.begins_s > now_s else math.inf
        if now_s < self.begins_s:
            return self.begins_s
        if now_s >= self.ends_s:
            return math.inf
        if not isinstance(self.fault, Flapping):
            return self.ends_s
        phase_us, cycles = self._phase_us(self.fault, now_s)
        down_us = round(self.fault.down_s * MICROSECONDS_PER_S)
        period_us = down_us + round(self.fault.up_s * MICROSECONDS_PER_S)
        edge_us = cycles * period_us + (down_us if phase_us < down_us else period_us)
        return min(self.ends_s, self.begins_s + edge_us / MICROSECONDS_PER_S)

    def _phase_us(self, fault: Flapping, now_s: float) -> tuple[int, int]:
        period_us = round(fault.down_s * MICROSECONDS_PER_S) + round(fault.up_s * MICROSECONDS_PER_S)
        cycles, phase_us = divmod(round((now_s - self.begins_s) * MICROSECONDS_PER_S), period_us)
        return phase_us, cycles


FaultT = TypeVar("FaultT", bound=Fault)


class FaultBoard:
    """Which faults act now: a planned timeline, and faults set by name by hand.

    ``time_source`` gives seconds (the loop's time); ``rng`` draws the probabilities. Reading the board with
    ``*_now`` draws nothing, so looking at it never changes a run; ``*_draw`` is for whoever carries the
    faults out.
    """

    def __init__(
        self, time_source: Callable[[], float], rng: random.Random, timeline: Iterable[Fault] = ()
    ) -> None:
        self._time_source = time_source
        self._rng = rng
        self._timeline: list[_Entry] = []
        self._named: dict[str, _Entry] = {}
        #: The same, sorted anew after each change: what can act, by family, and what can become due. Every message asks.
        self._lasting: dict[Family, list[_Entry]] = {}
        self._instant: list[_Entry] = []
        self._observers: list[Callable[[], None]] = []
        self._struck_at_s: dict[Family, float] = {}
        for fault in timeline:
            self.add(fault)

    # Changing it

    def add(self, fault: Fault) -> None:
        """Put a fault on the timeline: its ``start_s`` counts from zero of the time source."""
        self._timeline.append(_Entry(f"timeline-{len(self._timeline)}", fault.start_s, fault))
        self._changed()

    def set(self, name: str, fault: Fault) -> None:
        """Set a fault under a name, in place of the one of that name; its ``start_s`` counts from now."""
        self._named[name] = _Entry(name, self._time_source() + fault.start_s, fault)
        self._changed()

    def clear(self, name: str) -> bool:
        """Remove the fault of that name; False when there is none."""
        removed = self._named.pop(name, None) is not None
        if removed:
            self._changed()
        return removed

    def clear_all(self) -> None:
        """Heal everything: the named faults and the whole timeline, what is still to come included."""
        self._named.clear()
        self._timeline.clear()
        self._changed()

    def subscribe(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call ``observer`` after every change by hand; returns the function that ends it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def _changed(self) -> None:
        self._lasting.clear()
        self._instant = []
        for entry in self._entries():
            if not entry.fault.instant:
                self._lasting.setdefault(entry.fault.family, []).append(entry)
            elif not entry.taken:
                self._instant.append(entry)
        for observer in tuple(self._observers):
            observer()

    # Reading it

    @property
    def time_s(self) -> float:
        """The board's time, in seconds."""
        return self._time_source()

    def database_now(self) -> tuple[Fault, ...]:
        """The database faults of this instant, flapping resolved: the timeline's first, then by name as set."""
        return self._acting("database")

    def twitch_now(self) -> tuple[Fault, ...]:
        """The Twitch faults of this instant, in the same order."""
        return self._acting("twitch")

    def disk_now(self) -> tuple[Fault, ...]:
        """The faults of the journal's disk at this instant, in the same order."""
        return self._acting("disk")

    def clock_now(self) -> tuple[Fault, ...]:
        """The faults of the bot's wall clock at this instant, in the same order."""
        return self._acting("clock")

    def database_draw(self, *kinds: type[Fault]) -> tuple[Fault, ...]:
        """The database faults that hit this one request: `database_now` with each probability drawn.

        ``kinds`` restricts it (and the drawing) to the faults that the caller carries out; none means all.
        """
        return self._drawn("database", kinds)

    def twitch_draw(self, *kinds: type[Fault]) -> tuple[Fault, ...]:
        """The Twitch faults that hit this one message or packet; ``kinds`` as above."""
        return self._drawn("twitch", kinds)

    def disk_draw(self) -> tuple[Fault, ...]:
        """The faults of the disk that hit this one commit."""
        return self._drawn("disk", ())

    def next_change_s(self) -> float | None:
        """The next instant (board time, seconds) at which a fault begins, ends or flaps, or None."""
        now_s = self._time_source()
        changes = [entry.next_change_s(now_s) for entry in self._entries()]
        earliest = min(changes, default=math.inf)
        return None if math.isinf(earliest) else earliest

    def take_due(self, kind: type[FaultT]) -> list[FaultT]:
        """Collect the instant faults of one kind which have become due, each exactly once, in order of time."""
        now_s = self._time_source()
        due = [entry for entry in self._instant if isinstance(entry.fault, kind) and entry.begins_s <= now_s]
        if not due:
            return []
        due.sort(key=lambda entry: entry.begins_s)  # stable: entries of one instant keep the board's order
        taken: list[FaultT] = []
        for entry in due:
            entry.taken = True
            if isinstance(entry.fault, kind) and self._hits(entry.fault):
                taken.append(entry.fault)
        self._instant = [entry for entry in self._instant if not entry.taken]
        return taken

    def to_json(self) -> dict[str, Any]:
        """The whole board for the control address: time, named faults, timeline, and what acts now."""
        return {
            "time_s": self._time_source(),
            "named": {name: fault_to_json(entry.fault) for name, entry in self._named.items()},
            "timeline": [fault_to_json(entry.fault) for entry in self._timeline],
            "acting": [
                fault.kind
                for now in (self.database_now, self.twitch_now, self.disk_now, self.clock_now)
                for fault in now()
            ],
        }

    def _entries(self) -> list[_Entry]:
        return [*self._timeline, *self._named.values()]

    def _acting(self, family: Family) -> tuple[Fault, ...]:
        entries = self._lasting.get(family)
        if not entries:
            return ()
        now_s = self._time_source()
        found = [entry.acting(now_s) for entry in entries]
        return tuple([fault for fault in found if fault is not None])

    def _drawn(self, family: Family, kinds: tuple[type[Fault], ...]) -> tuple[Fault, ...]:
        acting = self._acting(family)
        if not acting:
            return ()
        wanted = [fault for fault in acting if not kinds or isinstance(fault, kinds)]
        hits = tuple(fault for fault in wanted if self._hits(fault))
        if hits:
            self._struck_at_s[family] = self._time_source()
        return hits

    def struck_at_s(self, family: Family) -> float:
        """When a fault of that family last hit somebody, in the board's seconds; minus infinity if none ever did."""
        return self._struck_at_s.get(family, -math.inf)

    def _hits(self, fault: Fault) -> bool:
        return fault.probability >= 1 or self._rng.random() < fault.probability
