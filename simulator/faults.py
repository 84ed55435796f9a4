"""The faults a simulated world can suffer, and the board that says which of them act now.

A fault is a small frozen value whose field names carry their units (``_s`` seconds, ``_ms`` milliseconds). It
acts from ``start_s`` for ``duration_s`` (infinity: until somebody heals it); a ``probability`` below one is drawn
afresh, from the world's seed, each time the fault could act. A fault knows nothing of what it breaks: the faces of
the fakes read the `FaultBoard` and act accordingly, so that one timeline means the same thing on an in-memory
transport and on real sockets.

The board holds two sorts of entries. The *timeline* is what a scenario planned; its ``start_s`` counts from zero
of the time source. *Named* faults are set and cleared by hand (the demo's keys, the control address); their
``start_s`` counts from the moment they were set. Nothing here waits or polls: a face which has to act at the very
moment a fault begins or ends (a listener that closes) subscribes, and asks for `FaultBoard.next_change_s`.

*Instant* faults (a human's edit, a crash, a disconnect) have a start and no duration: whoever carries them out
collects them once with `FaultBoard.take_due`.

Left out: faults of the machine itself (disk, clock), which belong to the parts that own those things.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

if TYPE_CHECKING:
    import random

Family = Literal["database", "twitch", "process"]

# Instants are compared in whole microseconds, as in the trace: a float remainder at the very edge of a phase
# would otherwise flip between two phases from one machine to the next.
MICROSECONDS_PER_S = 1_000_000


class FaultError(ValueError):
    """A fault that cannot be: an unknown kind or field, or a value out of range. The message says what is allowed."""


@dataclass(frozen=True)
class Fault:
    """What every fault shares: when it acts, and how often."""

    kind: ClassVar[str] = ""
    family: ClassVar[Family] = "database"
    instant: ClassVar[bool] = False

    start_s: float = field(default=0.0, kw_only=True)
    duration_s: float = field(default=math.inf, kw_only=True)
    probability: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.type != "float":
                continue
            if math.isnan(value) or value < 0:
                raise FaultError(f"{self.kind}: {item.name} must not be negative, got {value}")
            if item.name.endswith("probability") and value > 1:
                raise FaultError(f"{self.kind}: {item.name} must be between 0 and 1, got {value}")
        if math.isinf(self.start_s):
            raise FaultError(f"{self.kind}: start_s must be finite")


# --- the database -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Latency(Fault):
    """Every request takes this much longer, half of it before and half of it after the database executes it.

    ``fixed``: ``ms`` give or take up to ``jitter_ms``, evenly. ``lognormal``: the median is ``ms`` and 84 % of the
    requests stay below ``ms + jitter_ms``. With ``spike_probability`` a request takes ``spike_ms`` more. Where
    something is drawn, so is the instant of execution within the delay. A request whose client gave up while it
    was on its way is executed all the same, late, with ``late_probability``: networks and poolers do that, and it
    is what a writer's row guard is for.
    """

    kind: ClassVar[str] = "latency"
    ms: float = 0.0
    jitter_ms: float = 0.0
    distribution: str = "fixed"
    spike_ms: float = 0.0
    spike_probability: float = 0.0
    late_probability: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distribution not in ("fixed", "lognormal"):
            raise FaultError(f"latency: distribution must be fixed or lognormal, got {self.distribution!r}")
        if self.distribution == "lognormal" and self.ms == 0:
            raise FaultError("latency: a lognormal distribution needs a median: ms must be above 0")

    def draw_s(self, rng: random.Random) -> float:
        """The delay of one request, in seconds, never negative."""
        if self.distribution == "lognormal":
            delay_ms = self.ms * math.exp(rng.gauss(0.0, math.log1p(self.jitter_ms / self.ms)))
        elif self.jitter_ms:
            delay_ms = self.ms + rng.uniform(-self.jitter_ms, self.jitter_ms)
        else:
            delay_ms = self.ms
        if self.spike_probability and rng.random() < self.spike_probability:
            delay_ms += self.spike_ms
        return max(0.0, delay_ms) / 1000

    def draw_share_before(self, rng: random.Random) -> float:
        """The part of the delay that passes before the execution, between 0 and 1."""
        return rng.random() if self.jitter_ms or self.spike_probability else 0.5


@dataclass(frozen=True)
class SlowRecovery(Fault):
    """The database comes back slowly: the delay falls in a straight line from ``ms`` to 0 over the duration."""

    kind: ClassVar[str] = "slow_recovery"
    ms: float = 2000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.isinf(self.duration_s):
            raise FaultError("slow_recovery: duration_s must be finite: it is the time the recovery takes")

    def delay_s(self, elapsed_s: float) -> float:
        """The delay of a request that starts ``elapsed_s`` after the recovery began, in seconds."""
        return self.ms / 1000 * max(0.0, 1.0 - elapsed_s / self.duration_s)


@dataclass(frozen=True)
class Refused(Fault):
    """Nothing listens: the connection is refused."""

    kind: ClassVar[str] = "refused"


@dataclass(frozen=True)
class Hang(Fault):
    """The connection is accepted and the request is never answered, not even once the fault is over."""

    kind: ClassVar[str] = "hang"


@dataclass(frozen=True)
class Reset(Fault):
    """The request is read, then the connection is reset; nothing was executed."""

    kind: ClassVar[str] = "reset"


@dataclass(frozen=True)
class Status503(Fault):
    """503 with PostgREST's own JSON, as while it cannot reach PostgreSQL."""

    kind: ClassVar[str] = "status_503"


@dataclass(frozen=True)
class Html520(Fault):
    """520 with a page of HTML, as Cloudflare answers in front of a broken origin."""

    kind: ClassVar[str] = "html_520"


@dataclass(frozen=True)
class TooManyRequests(Fault):
    """429 with a Retry-After header and the gateway's JSON."""

    kind: ClassVar[str] = "too_many_requests"
    retry_after_s: float = 5.0


@dataclass(frozen=True)
class HtmlOk(Fault):
    """200 with a page of HTML, as a captive proxy answers; nothing was executed."""

    kind: ClassVar[str] = "html_ok"


@dataclass(frozen=True)
class CutBody(Fault):
    """The request is executed; the connection ends in the middle of the answer's body."""

    kind: ClassVar[str] = "cut_body"


@dataclass(frozen=True)
class Drip(Fault):
    """The request is executed; the answer's body trickles at this rate, so that no timeout per read ever fires."""

    kind: ClassVar[str] = "drip"
    bytes_per_s: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.bytes_per_s < math.inf:
            raise FaultError(f"drip: bytes_per_s must be above 0 and finite, got {self.bytes_per_s}")


@dataclass(frozen=True)
class CommitThenDrop(Fault):
    """The request is executed and committed; the connection ends without an answer."""

    kind: ClassVar[str] = "commit_then_drop"


@dataclass(frozen=True)
class Unauthorized(Fault):
    """401 from the gateway, as after the key was revoked."""

    kind: ClassVar[str] = "unauthorized"


@dataclass(frozen=True)
class ReadOnly(Fault):
    """PostgreSQL refuses every write (25006), as Supabase does when the disk is full."""

    kind: ClassVar[str] = "read_only"


@dataclass(frozen=True)
class MissingGrant(Fault):
    """The roles of the API have no privilege on this table (42501)."""

    kind: ClassVar[str] = "missing_grant"
    table: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.table:
            raise FaultError("missing_grant: table must name the table")


@dataclass(frozen=True)
class MissingFunction(Fault):
    """This SQL function is not in PostgREST's schema cache (PGRST202)."""

    kind: ClassVar[str] = "missing_function"
    name: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name:
            raise FaultError("missing_function: name must name the function")


@dataclass(frozen=True)
class Flapping(Fault):
    """``inner`` acts for ``down_s``, not for ``up_s``, and so on; it begins with the inner fault acting."""

    kind: ClassVar[str] = "flapping"
    up_s: float = 1.0
    down_s: float = 1.0
    inner: Fault = field(default_factory=Refused)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("up_s", "down_s"):
            if not 0.000001 <= getattr(self, name) < math.inf:
                raise FaultError(f"flapping: {name} must be finite and at least a microsecond")
        if (
            self.inner.instant
            or self.inner.family != self.family
            or isinstance(self.inner, Flapping | SlowRecovery)
        ):
            raise FaultError(f"flapping: inner cannot be {self.inner.kind}")


@dataclass(frozen=True)
class HumanEdit(Fault):
    """At ``start_s`` a human changes ``values`` of the rows of ``table`` where each column of ``where`` is equal."""

    kind: ClassVar[str] = "human_edit"
    instant: ClassVar[bool] = True
    table: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.table or not self.values:
            raise FaultError("human_edit: table and values must not be empty")


# --- Twitch -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwitchDisconnect(Fault):
    """Twitch closes every chat connection at ``start_s``."""

    kind: ClassVar[str] = "twitch_disconnect"
    family: ClassVar[Family] = "twitch"
    instant: ClassVar[bool] = True


@dataclass(frozen=True)
class TwitchHalfOpen(Fault):
    """At ``start_s`` every chat connection goes dead without being closed: bytes vanish both ways."""

    kind: ClassVar[str] = "twitch_half_open"
    family: ClassVar[Family] = "twitch"
    instant: ClassVar[bool] = True


@dataclass(frozen=True)
class TwitchReconnect(Fault):
    """At ``start_s`` Twitch sends RECONNECT and closes the connection ``grace_s`` later."""

    kind: ClassVar[str] = "twitch_reconnect"
    family: ClassVar[Family] = "twitch"
    instant: ClassVar[bool] = True
    grace_s: float = 15.0


@dataclass(frozen=True)
class TwitchPackets(Fault):
    """Chat bytes arrive cut at arbitrary places, or several lines at once, with these probabilities per write."""

    kind: ClassVar[str] = "twitch_packets"
    family: ClassVar[Family] = "twitch"
    split_probability: float = 0.5
    merge_probability: float = 0.0


@dataclass(frozen=True)
class TwitchDuplicates(Fault):
    """A chat message is delivered twice, with ``probability``."""

    kind: ClassVar[str] = "twitch_duplicates"
    family: ClassVar[Family] = "twitch"


# --- the process ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crash(Fault):
    """At ``start_s`` the bot's process dies with no clean-up and is started again ``down_s`` later."""

    kind: ClassVar[str] = "crash"
    family: ClassVar[Family] = "process"
    instant: ClassVar[bool] = True
    down_s: float = 1.0


@dataclass(frozen=True)
class Restart(Fault):
    """At ``start_s`` the bot is asked to stop, and is started again once it has."""

    kind: ClassVar[str] = "restart"
    family: ClassVar[Family] = "process"
    instant: ClassVar[bool] = True


KINDS: Mapping[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        Latency, SlowRecovery, Refused, Hang, Reset, Status503, Html520, TooManyRequests, HtmlOk, CutBody, Drip,
        CommitThenDrop, Unauthorized, ReadOnly, MissingGrant, MissingFunction, Flapping, HumanEdit,
        TwitchDisconnect, TwitchHalfOpen, TwitchReconnect, TwitchPackets, TwitchDuplicates, Crash, Restart,
    )
}  # fmt: skip


# --- JSON -------------------------------------------------------------------------------------------------------


def fault_from_json(value: object) -> Fault:
    """Build a fault from ``{"kind": "hang", "duration_s": 20, ...}``; a ``duration_s`` of null means: until cleared.

    Raises FaultError whose message names the allowed kinds, or the allowed fields of that kind.
    """
    if not isinstance(value, Mapping):
        raise FaultError(f"a fault is a JSON object such as {{'kind': 'hang'}}, got {type(value).__name__}")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise FaultError(f"unknown kind of fault {kind!r}; allowed: {', '.join(KINDS)}")
    known = {item.name: str(item.type) for item in dataclasses.fields(KINDS[kind])}
    arguments: dict[str, Any] = {}
    for name, given in value.items():
        if name == "kind":
            continue
        if name not in known:
            raise FaultError(f"{kind}: unknown field {name!r}; allowed: {', '.join(known)}")
        arguments[name] = _field_from_json(kind, name, known[name], given)
    return KINDS[kind](**arguments)


def _field_from_json(kind: str, name: str, type_name: str, given: object) -> object:
    if name == "duration_s" and given is None:
        return math.inf
    if type_name == "float":
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise FaultError(f"{kind}: {name} must be a number, got {given!r}")
        return float(given)
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


# --- the board --------------------------------------------------------------------------------------------------


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
    ``*_now`` draws nothing, so looking at it never changes a run; ``*_draw`` is for whoever carries the faults out.
    """

    def __init__(
        self, time_source: Callable[[], float], rng: random.Random, timeline: Iterable[Fault] = ()
    ) -> None:
        self._time_source = time_source
        self._rng = rng
        self._timeline: list[_Entry] = []
        self._named: dict[str, _Entry] = {}
        self._observers: list[Callable[[], None]] = []
        for fault in timeline:
            self.add(fault)

    # Changing it

    def add(self, fault: Fault) -> None:
        """Put a fault on the timeline: its ``start_s`` counts from zero of the time source."""
        self._timeline.append(_Entry(f"timeline-{len(self._timeline)}", fault.start_s, fault))
        self._notify()

    def set(self, name: str, fault: Fault) -> None:
        """Set a fault under a name, in place of the one of that name; its ``start_s`` counts from now."""
        self._named[name] = _Entry(name, self._time_source() + fault.start_s, fault)
        self._notify()

    def clear(self, name: str) -> bool:
        """Remove the fault of that name; False when there is none."""
        removed = self._named.pop(name, None) is not None
        if removed:
            self._notify()
        return removed

    def clear_all(self) -> None:
        """Heal everything: the named faults and the whole timeline, what is still to come included."""
        self._named.clear()
        self._timeline.clear()
        self._notify()

    def subscribe(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call ``observer`` after every change by hand; returns the function that ends it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def _notify(self) -> None:
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

    def database_draw(self, *kinds: type[Fault]) -> tuple[Fault, ...]:
        """The database faults that hit this one request: `database_now` with each probability drawn.

        ``kinds`` restricts it (and the drawing) to the faults that the caller carries out; none means all.
        """
        return self._drawn("database", kinds)

    def twitch_draw(self, *kinds: type[Fault]) -> tuple[Fault, ...]:
        """The Twitch faults that hit this one message or packet; ``kinds`` as above."""
        return self._drawn("twitch", kinds)

    def next_change_s(self) -> float | None:
        """The next instant (board time, seconds) at which a fault begins, ends or flaps, or None."""
        now_s = self._time_source()
        changes = [entry.next_change_s(now_s) for entry in self._entries()]
        earliest = min(changes, default=math.inf)
        return None if math.isinf(earliest) else earliest

    def take_due(self, kind: type[FaultT]) -> list[FaultT]:
        """Collect the instant faults of one kind which have become due, each exactly once, in order of time."""
        now_s = self._time_source()
        due = [
            entry
            for entry in self._entries()
            if isinstance(entry.fault, kind)
            and entry.fault.instant
            and not entry.taken
            and entry.begins_s <= now_s
        ]
        due.sort(key=lambda entry: entry.begins_s)  # stable: entries of one instant keep the board's order
        taken: list[FaultT] = []
        for entry in due:
            entry.taken = True
            if isinstance(entry.fault, kind) and self._hits(entry.fault):
                taken.append(entry.fault)
        return taken

    def to_json(self) -> dict[str, Any]:
        """The whole board for the control address: time, named faults, timeline, and what acts now."""
        return {
            "time_s": self._time_source(),
            "named": {name: fault_to_json(entry.fault) for name, entry in self._named.items()},
            "timeline": [fault_to_json(entry.fault) for entry in self._timeline],
            "acting": [fault.kind for fault in (*self.database_now(), *self.twitch_now())],
        }

    def _entries(self) -> list[_Entry]:
        return [*self._timeline, *self._named.values()]

    def _acting(self, family: Family) -> tuple[Fault, ...]:
        now_s = self._time_source()
        found = (entry.acting(now_s) for entry in self._entries() if entry.fault.family == family)
        return tuple(fault for fault in found if fault is not None)

    def _drawn(self, family: Family, kinds: tuple[type[Fault], ...]) -> tuple[Fault, ...]:
        wanted = [fault for fault in self._acting(family) if not kinds or isinstance(fault, kinds)]
        return tuple(fault for fault in wanted if self._hits(fault))

    def _hits(self, fault: Fault) -> bool:
        return fault.probability >= 1 or self._rng.random() < fault.probability
