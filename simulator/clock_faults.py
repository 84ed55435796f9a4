"""The kinds of faults of the wall clock of the bot's machine; `machine_clock` has the clock that they strike.

Only wall time is wrong. What the loop measures (deadlines, pauses, the age of a message) runs on, as a monotonic clock does, and
so do the clocks of Twitch and of the database. A heal sets the clock right, which is one more jump.

Left out: a monotonic clock that stands still while a machine sleeps (for the bot that is a half-open connection and a late timer), and
two machines whose clocks differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from simulator.fault_base import Family, Fault, FaultError


@dataclass(frozen=True)
class ClockJump(Fault):
    """At ``start_s`` the wall clock jumps by ``jump_s``, back if that is negative: NTP's first step, a resumed machine, a hand."""

    kind: ClassVar[str] = "clock_jump"
    family: ClassVar[Family] = "clock"
    instant: ClassVar[bool] = True
    signed: ClassVar[tuple[str, ...]] = ("jump_s",)
    jump_s: float = 3600.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.isinf(self.jump_s):
            raise FaultError("clock_jump: jump_s must be finite")


@dataclass(frozen=True)
class ClockSkew(Fault):
    """The wall clock runs ``rate`` times as fast as time does; what it has gained or lost stays when that ends."""

    kind: ClassVar[str] = "clock_skew"
    family: ClassVar[Family] = "clock"
    rate: float = 1.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.isinf(self.rate):
            raise FaultError("clock_skew: rate must be finite")


CLOCK_KINDS = (ClockJump, ClockSkew)
