"""What every kind of fault is: a small frozen value whose field names carry their units, and which checks itself.

Units are ``_s`` seconds and ``_ms`` milliseconds. A fault acts from ``start_s`` for ``duration_s`` (infinity: until somebody heals
it); a ``probability`` below one is drawn afresh, from the world's seed, each time the fault could act. *Instant* faults have a start
and no duration. The kinds are in `fault_kinds` (database, disk), `table_faults`, `process_faults`, `clock_faults` and
`twitch_faults`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Family = Literal["database", "twitch", "process", "disk", "clock"]


class FaultError(ValueError):
    """A fault that cannot be: an unknown kind or field, or a value out of range. The message says what is allowed."""


@dataclass(frozen=True)
class Fault:
    """What every fault shares: when it acts, and how often."""

    kind: ClassVar[str] = ""
    family: ClassVar[Family] = "database"
    instant: ClassVar[bool] = False
    #: The fields that may be negative.
    signed: ClassVar[tuple[str, ...]] = ()

    start_s: float = field(default=0.0, kw_only=True)
    duration_s: float = field(default=math.inf, kw_only=True)
    probability: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.type != "float":
                continue
            if math.isnan(value) or (value < 0 and item.name not in self.signed):
                raise FaultError(f"{self.kind}: {item.name} must not be negative, got {value}")
            if item.name.endswith("probability") and value > 1:
                raise FaultError(f"{self.kind}: {item.name} must be between 0 and 1, got {value}")
        if math.isinf(self.start_s):
            raise FaultError(f"{self.kind}: start_s must be finite")
