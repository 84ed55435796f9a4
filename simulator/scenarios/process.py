"""Nights on which the bot's own process ends and starts again."""

from __future__ import annotations

from types import MappingProxyType

from simulator.faults import CommitThenDrop, Crash, Hang, Latency, PowerCut, Restart
from simulator.scenario import DiskLatency, Scenario
from simulator.scenarios.people import CHANNELS, COUNTING, evening

RESTART = Scenario(
    "restart",
    "a new version is deployed in the middle of an outage, and once more after it",
    channels=CHANNELS,
    crowds=evening(),
    faults=(Hang(start_s=10, duration_s=30), Restart(start_s=20), Restart(start_s=50)),
)

CRASH = Scenario(
    "crash",
    "the process is killed before, during and after an outage, with answers lost on the way",
    channels=CHANNELS,
    crowds=evening(COUNTING),
    faults=(
        Crash(start_s=9.5, down_s=1),
        Hang(start_s=15, duration_s=20),
        Crash(start_s=25.3, down_s=2),
        CommitThenDrop(start_s=35, probability=0.4),
        Crash(start_s=42.7, down_s=0.5),
        Crash(start_s=47.1, down_s=5),
    ),
)

CRASH_LOOP = Scenario(
    "crash_loop",
    "the process is killed every few seconds over a slow database, so that saves arrive after their sender died",
    channels=CHANNELS,
    crowds=evening(COUNTING),
    faults=(
        Latency(start_s=3, ms=800, jitter_ms=700, spike_ms=6000, spike_probability=0.2, late_probability=1.0),
        *(Crash(start_s=8 + 5.3 * number, down_s=0.4) for number in range(9)),
    ),
)

POWER_CUT = Scenario(
    "power_cut",
    "the machine loses its power again and again, before, during and after an outage, with DURABILITY=power",
    channels=CHANNELS,
    crowds=evening(COUNTING),
    faults=(
        PowerCut(start_s=9.5, down_s=1),
        Hang(start_s=15, duration_s=20),
        PowerCut(start_s=25.3, down_s=2),
        CommitThenDrop(start_s=35, probability=0.4),
        PowerCut(start_s=42.7, down_s=0.5),
        Crash(start_s=47.1, down_s=5),
    ),
    settings=MappingProxyType({"durability": "power"}),
    disk_latency=DiskLatency(median_ms=20.0, spread=1.0),
)
