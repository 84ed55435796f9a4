"""The named nights: what ``byte-sim list`` lists and ``byte-sim run`` simulates.

Each is data, a :class:`~simulator.scenario.Scenario`, and together with a seed it is a run. Whatever the name, the same
must hold: every invariant of :mod:`simulator.invariants`, and the bot recovers in time after the heal.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from simulator.scenario import Scenario
from simulator.scenarios.chat import (
    COMMAND_STORM,
    DEAD_SOCKET,
    QUIET,
    RAID_DURING_OUTAGE,
    RECONNECT_STORM,
)
from simulator.scenarios.database import (
    FLAPPING,
    HUMAN_EDIT,
    LATE_ARRIVALS,
    LOST_ANSWERS,
    OUTAGE,
    QUEDA,
    SLOW,
    SLOW_RECOVERY,
)
from simulator.scenarios.disk import DISK_FULL, SLOW_SYNC
from simulator.scenarios.process import CRASH, CRASH_LOOP, POWER_CUT, RESTART

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            QUIET, QUEDA, OUTAGE, SLOW, SLOW_RECOVERY, FLAPPING, LOST_ANSWERS, LATE_ARRIVALS, HUMAN_EDIT,
            RAID_DURING_OUTAGE, COMMAND_STORM, RECONNECT_STORM, DEAD_SOCKET, RESTART, CRASH, CRASH_LOOP,
            POWER_CUT, DISK_FULL, SLOW_SYNC,
        )
    }
)  # fmt: skip
