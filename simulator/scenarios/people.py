"""The audiences that the named scenarios share: a quiet evening in each channel, and people with commands.

Twitch lets a bot say 100 messages in 30 s in one channel. What comes faster is dropped as too old, rightly, so every
audience stays below three commands a second and channel.
"""

from __future__ import annotations

from simulator.audience import Chatter, CommandStorm, Crowd

#: Two channels, so that one row is never the whole database, and nothing that goes wrong in one may be seen in the other.
CHANNELS = ("lobby", "arcade")

COUNTING = ("!count deaths +1", "!count wins +1", "!count wins -1", "!count deaths +2")
#: Everything that changes state, and what only reads it.
MIXED = (
    *COUNTING,
    "!count deaths",
    "!ping",
    "!game Game {n}",
    "!vibe mood {n}",
    "!note add remember {n}",
    "!quote add quote {n}",
    "!cmd add greet{n} Hello {n}",
    "!cmd list",
)


def evening(commands: tuple[str, ...] = MIXED, *, commands_per_s: float = 2.0) -> tuple[Crowd, ...]:
    """Small talk and commands by moderators in every channel of :data:`CHANNELS`."""
    return tuple(
        crowd
        for channel in CHANNELS
        for crowd in (Chatter(channel, 1.5), CommandStorm(channel, commands_per_s, commands))
    )
