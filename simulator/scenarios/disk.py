"""Nights on which the disk under the bot's journal fails."""

from __future__ import annotations

from simulator.faults import Crash, DiskFull, DiskReadOnly, Hang, SlowSync
from simulator.scenario import DiskLatency, Scenario
from simulator.scenarios.people import CHANNELS, COUNTING, evening

DISK_FULL = Scenario(
    "disk_full",
    "the disk of the bot is full in mid-stream, also during an outage, and somebody kills the process over it",
    channels=CHANNELS,
    crowds=evening(),
    faults=(
        DiskFull(start_s=10, duration_s=12),
        Hang(start_s=18, duration_s=10),
        DiskFull(start_s=34, duration_s=8),
        Crash(start_s=38.2, down_s=1),
        DiskFull(start_s=44, duration_s=4, probability=0.4),
        DiskReadOnly(start_s=50),
    ),
)

SLOW_SYNC = Scenario(
    "slow_sync",
    "the disk of the bot takes its time, at first less than the second that a reply waits for it, then more",
    channels=CHANNELS,
    crowds=evening(COUNTING),
    faults=(
        SlowSync(start_s=8, duration_s=10, sync_s=0.4),
        Crash(start_s=15.1, down_s=0.5),
        SlowSync(start_s=24, duration_s=16, sync_s=2.5),
        Hang(start_s=30, duration_s=15),
        Crash(start_s=36.7, down_s=1),
        SlowSync(start_s=48, sync_s=1.2),
    ),
    disk_latency=DiskLatency(median_ms=8.0),
)
