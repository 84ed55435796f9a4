"""Nights on which Twitch is the trouble, or the audience."""

from __future__ import annotations

from simulator.audience import Chatter, CommandStorm, Raid
from simulator.faults import (
    Flapping,
    Hang,
    Refused,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchPackets,
    TwitchReconnect,
)
from simulator.scenario import Scenario
from simulator.scenarios.people import CHANNELS, COUNTING, MIXED, evening

QUIET = Scenario(
    "quiet",
    "nothing goes wrong",
    channels=CHANNELS,
    crowds=evening(),
)

RECONNECT_STORM = Scenario(
    "reconnect_storm",
    "Twitch throws the bot out again and again, repeats and cuts what it sends, over a flapping database",
    channels=CHANNELS,
    crowds=evening((*COUNTING, "!ping")),
    faults=(
        *(TwitchDisconnect(start_s=at_s) for at_s in (5, 6, 7, 20)),
        TwitchReconnect(start_s=30, grace_s=5),
        TwitchDisconnect(start_s=50),
        TwitchDuplicates(probability=0.3),
        TwitchPackets(split_probability=0.5, merge_probability=0.3),
        Flapping(up_s=4, down_s=3, inner=Refused(), start_s=3),
    ),
)

DEAD_SOCKET = Scenario(
    "dead_socket",
    "the chat connection dies without a word, while the database hangs",
    duration_s=120.0,
    channels=CHANNELS,
    crowds=evening((*COUNTING, "!ping"), commands_per_s=1.0),
    faults=(TwitchHalfOpen(start_s=20), Hang(start_s=15, duration_s=60)),
)

RAID_DURING_OUTAGE = Scenario(
    "raid_during_outage",
    "five hundred people arrive while the database hangs",
    channels=CHANNELS,
    crowds=(*evening(), Raid(CHANNELS[0], at_s=20, viewers=500, duration_s=15)),
    faults=(Hang(start_s=15, duration_s=30),),
)

COMMAND_STORM = Scenario(
    "command_storm",
    "as many commands as Twitch lets the bot answer, through an outage",
    channels=CHANNELS,
    crowds=(
        *(CommandStorm(channel, rate_per_s=3, commands=MIXED, people=20) for channel in CHANNELS),
        Chatter(CHANNELS[0], rate_per_s=10),
    ),
    faults=(Refused(start_s=20, duration_s=20),),
)
