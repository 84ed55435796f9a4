"""Nights on which the database fails, in one way each."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Flapping,
    Hang,
    Latency,
    Refused,
    Reset,
    SlowRecovery,
    Status503,
)
from simulator.scenario import Scenario
from simulator.scenarios.people import CHANNELS, COUNTING, evening

if TYPE_CHECKING:
    from simulator.world import World

#: Seconds between two edits by the human of `human_edit`.
EDIT_EVERY_S = 7.0


async def edit_by_hand(world: World) -> None:
    """A human keeps changing rows in the table editor: a counter of their own, the vibe, a pause, the language."""
    for number in range(1, int(world.scenario.duration_s / EDIT_EVERY_S)):
        await asyncio.sleep(EDIT_EVERY_S)
        channel_id = world.channels[CHANNELS[number % 2]]
        where = {"channel_id": channel_id}
        counters = world.stored("component_state", channel_id, "counters")
        if counters is not None:
            values = {**counters.get("values", {}), "falls": number}
            world.supabase.human_update(
                "component_state", {**where, "key": "counters"}, {"data": {**counters, "values": values}}
            )
        stream = world.stored("channel_state", channel_id)
        if stream is not None:
            world.supabase.human_update(
                "channel_state", where, {"data": {**stream, "vibe": f"edit {number}"}}
            )
        world.supabase.human_update(
            "channels_config",
            {"login": CHANNELS[0]},
            {"paused": number % 4 == 0, "language": "pt-br" if number % 2 else "en"},
        )
    world.supabase.human_update("channels_config", {"login": CHANNELS[0]}, {"paused": False})


QUEDA = Scenario(
    "queda",
    "the database is down when the bot starts, and comes back after 30 s",
    channels=CHANNELS,
    listed=(CHANNELS[1],),
    fixed=(CHANNELS[0],),
    crowds=evening(),
    faults=(Refused(duration_s=30),),
)

OUTAGE = Scenario(
    "outage",
    "the database hangs in mid-stream for 30 s",
    channels=CHANNELS,
    crowds=evening(),
    faults=(Hang(start_s=15, duration_s=30),),
)

SLOW = Scenario(
    "slow",
    "every request takes about 2 s, some longer than the bot waits, and those may be executed late",
    channels=CHANNELS,
    fixed=CHANNELS,
    crowds=evening(),
    faults=(Latency(ms=2000, jitter_ms=600, spike_ms=6000, spike_probability=0.2),),
)

FLAPPING = Scenario(
    "flapping",
    "the database comes and goes every few seconds, in two ways",
    channels=CHANNELS,
    crowds=evening(),
    faults=(
        Flapping(up_s=3, down_s=4, inner=Status503(), start_s=3, duration_s=27),
        Flapping(up_s=2.5, down_s=3.5, inner=Reset(), start_s=30),
    ),
)

LOST_ANSWERS = Scenario(
    "lost_answers",
    "half of the requests are carried out and their answers lost",
    channels=CHANNELS,
    crowds=evening(COUNTING),
    faults=(CommitThenDrop(start_s=3, probability=0.4), CutBody(start_s=3, probability=0.2)),
)

LATE_ARRIVALS = Scenario(
    "late_arrivals",
    "saves arrive long after the bot gave them up, some after newer ones",
    channels=CHANNELS,
    crowds=evening(COUNTING),
    faults=(
        Latency(
            start_s=3, ms=100, jitter_ms=90, spike_ms=12_000, spike_probability=0.4, late_probability=1.0
        ),
    ),
)

SLOW_RECOVERY = Scenario(
    "slow_recovery",
    "after an outage the database answers slowly at first",
    channels=CHANNELS,
    crowds=evening(),
    faults=(Hang(start_s=10, duration_s=15), SlowRecovery(start_s=25, duration_s=30, ms=6000)),
)

HUMAN_EDIT = Scenario(
    "human_edit",
    "a human works in the table editor while the bot runs, also during an outage",
    channels=CHANNELS,
    crowds=evening((*COUNTING, "!game Game {n}", "!count deaths")),
    faults=(Hang(start_s=20, duration_s=10), CommitThenDrop(start_s=30, probability=0.3)),
    settings=MappingProxyType({"config_refresh_s": 5.0}),
    script=edit_by_hand,
)
