"""The kinds of faults of the database and of the bot's disk; the list of all kinds.

The others are in `table_faults` (two more of the database), `twitch_faults`, `process_faults` and `clock_faults`.

What all have in common is in `fault_base`. A fault knows nothing of what it breaks: the faces of the fakes act on it.

A human's edit is the one *instant* kind here. Left out: a disk that cannot be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from simulator.clock_faults import CLOCK_KINDS
from simulator.fault_base import Family, Fault, FaultError
from simulator.process_faults import PROCESS_KINDS
from simulator.table_faults import EmptyList, TooLarge
from simulator.twitch_faults import TWITCH_KINDS

if TYPE_CHECKING:
    import random

# --- the database
# -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Latency(Fault):
    """Every request takes this much longer, half of it before and half of it after the database executes it.

    ``fixed``: ``ms`` give or take up to ``jitter_ms``, evenly. ``lognormal``: the median is ``ms`` and 84 %
    of the requests stay below ``ms + jitter_ms``. With ``spike_probability`` a request takes ``spike_ms``
    more. Where something is drawn, so is the instant of execution within the delay. A request whose client
    gave up while it was on its way is executed all the same, late, with ``late_probability``: networks and
    poolers do that, and it is what a writer's row guard is for.
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
class OverQuota(Fault):
    """402 from the gateway: the organization is over its quota or has not paid (supabase.com/docs, HTTP status codes)."""

    kind: ClassVar[str] = "over_quota"


@dataclass(frozen=True)
class ProjectPaused(Fault):
    """540 from the gateway: the project was paused, as free ones are when nobody uses them."""

    kind: ClassVar[str] = "project_paused"


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
    """At ``start_s`` a human changes the rows of ``table`` where each column of ``where`` is equal.

    ``values`` are written over what is there. ``merge`` is what a human does who looks at the JSON in the column ``data`` first: it goes
    into the object as it stands at that moment, key by key, and the rest stays (RFC 7396; null takes a key away).
    """

    kind: ClassVar[str] = "human_edit"
    instant: ClassVar[bool] = True
    table: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    merge: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.table or not (self.values or self.merge):
            raise FaultError("human_edit: table, and one of values and merge, must not be empty")
        if self.merge and "data" in self.values:
            raise FaultError("human_edit: values cannot have data beside merge, which changes part of it")


# --- the disk under the bot's journal
# --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DiskFull(Fault):
    """There is no room for another commit; what is on the disk can be read."""

    kind: ClassVar[str] = "disk_full"
    family: ClassVar[Family] = "disk"


@dataclass(frozen=True)
class DiskReadOnly(Fault):
    """The disk takes no commit, as after the system has mounted it anew to save what is there; it can be read."""

    kind: ClassVar[str] = "disk_read_only"
    family: ClassVar[Family] = "disk"


@dataclass(frozen=True)
class SlowSync(Fault):
    """A commit of records takes ``sync_s`` longer, as on a disk that is busy with something else."""

    kind: ClassVar[str] = "slow_sync"
    family: ClassVar[Family] = "disk"
    sync_s: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.isinf(self.sync_s):
            raise FaultError("slow_sync: sync_s must be finite")


KINDS: Mapping[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        Latency, SlowRecovery, Refused, Hang, Reset, Status503, Html520, TooManyRequests, HtmlOk, CutBody, Drip,
        CommitThenDrop, Unauthorized, OverQuota, ProjectPaused, ReadOnly, MissingGrant, MissingFunction, TooLarge, EmptyList,
        Flapping, HumanEdit, *TWITCH_KINDS, *PROCESS_KINDS, DiskFull, DiskReadOnly, SlowSync, *CLOCK_KINDS,
    )
}  # fmt: skip
