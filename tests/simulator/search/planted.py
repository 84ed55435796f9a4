"""Bots with a defect, for what comes after a search: whole nights that fail, and how they are made small."""

from __future__ import annotations

from byte_bot.app import Application, Surroundings
from byte_bot.settings import Settings
from simulator.audience import ROLES, Chatter, CommandStorm, Raid
from simulator.faults import CommitThenDrop, Crash, Flapping, Hang, Status503, TwitchDisconnect
from simulator.scenario import DiskLatency, Scenario
from simulator.search.plan import SearchPlan
from tests.safeguards.row_variants import StamplessRow, layer_of
from tests.safeguards.variants import application_with

CHANNELS = ("arcade", "cinema", "kitchen", "library", "garden")

#: Many channels, many people, many faults; what the forgetful bot needs to fail is a lost answer, and a crash before the next one.
LOUD_NIGHT = SearchPlan(
    15,
    Scenario(
        "15",
        "one night of the search",
        duration_s=26.318204,
        channels=CHANNELS,
        fixed=CHANNELS[:2],
        crowds=(
            *(Chatter(channel, 0.3, start_s=5.0) for channel in CHANNELS),
            *(
                CommandStorm(
                    channel,
                    0.5,
                    ("!count deaths +1", "!vibe mood {n}", "!ping", "!quote add words {n}"),
                    ROLES,
                    5.0,
                    12.0,
                )
                for channel in CHANNELS
            ),
            Raid("kitchen", 12.0, viewers=10, duration_s=4.0),
        ),
        faults=(
            Hang(start_s=7.318422, duration_s=3.218),
            TwitchDisconnect(start_s=9.1),
            CommitThenDrop(start_s=11.482011, duration_s=8.0, probability=0.8),
            Flapping(up_s=1.3, down_s=0.7, inner=Status503(), start_s=19.0, duration_s=4.0),
            Crash(start_s=13.201993, down_s=1.28),
            Crash(start_s=16.7, down_s=0.5),
        ),
        settings={"default_language": "pt-br", "config_refresh_s": 20.0},
        disk_latency=DiskLatency(median_ms=3.0),
        latency_ms=35.0,
    ),
    "random",
)


def forgetful(settings: Settings, surroundings: Surroundings) -> Application:
    """A bot that adds a change once more when it is replayed, whether or not the database has it."""
    build = application_with(lambda application: application.layer, layer_of(StamplessRow))
    return build(settings, surroundings)
