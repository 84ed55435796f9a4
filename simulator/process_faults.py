"""The kinds of faults of the bot's process: what ends it, and a second one beside it. All are *instant*.

Left out: a second process on the same machine, which finds the journal locked and ends at once (`tests/safeguards/test_process_lock.py`
and the real processes of `tests/kill` have that one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from simulator.fault_base import Family, Fault


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


@dataclass(frozen=True)
class PowerCut(Fault):
    """At ``start_s`` the machine loses its power: the bot dies as in a crash, and the disk may lose commits.

    Which is said in :mod:`simulator.disk`. The bot is started again ``down_s`` later.
    """

    kind: ClassVar[str] = "power_cut"
    family: ClassVar[Family] = "process"
    instant: ClassVar[bool] = True
    down_s: float = 1.0


@dataclass(frozen=True)
class SecondInstance(Fault):
    """At ``start_s`` a second process of the bot is started by mistake, on another machine, beside the one that runs.

    It has the same settings and a journal of its own. Whichever of the two ends first (the older one once it learns that it was
    superseded), the other is the bot from then on. Nothing happens while no bot runs, or two already do.
    """

    kind: ClassVar[str] = "second_instance"
    family: ClassVar[Family] = "process"
    instant: ClassVar[bool] = True


PROCESS_KINDS = (Crash, Restart, PowerCut, SecondInstance)
