"""The whole bot over EventSub, while everything that EventSub, Helix and tokens can do goes wrong, one after the other."""

from __future__ import annotations

import asyncio
from collections import Counter

from simulator.faults import (
    EventsubClose,
    EventsubMute,
    EventsubRevoke,
    Fault,
    Helix401,
    Helix429,
    Helix503,
    HelixSlow,
    TokenExpires,
)
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import PLACES

CHANNELS = ("lobby", "arcade", "attic")
#: How long answers may be late, or missing, after Helix was in trouble: a reply may wait for 15 s.
AFTER_S = 15.0
MUTE = EventsubMute(start_s=30.0, duration_s=22.0)
HELIX: tuple[Fault, ...] = (
    Helix429(start_s=60.0, duration_s=3.0),
    Helix503(start_s=80.0, duration_s=3.0),
    Helix401(start_s=100.0, duration_s=3.0),
    HelixSlow(3_000.0, start_s=120.0, duration_s=5.0),
)
NIGHT = Scenario(
    "eventsub_faults",
    "everything that EventSub, Helix and tokens can do",
    channels=CHANNELS,
    faults=(
        EventsubClose(code=4003, start_s=15.0),
        MUTE,
        *HELIX,
        TokenExpires(start_s=145.0),
        EventsubRevoke(start_s=160.0),
    ),
)


async def speak(world: World, asked: list[str]) -> None:
    """Somebody asks in every channel, twice in three seconds; nobody while keepalives are what keeps a connection alive."""
    while world.loop.time() < 235.0:
        if not MUTE.start_s <= world.loop.time() < MUTE.start_s + MUTE.duration_s:
            asked += [world.say("mod", "!count deaths +1", channel=channel) for channel in CHANNELS]
        await asyncio.sleep(1.5)


def test_the_bot_bears_them_all() -> None:
    """Each has struck; what was heard was answered once, as soon as Helix took it; in the end the bot is in all its channels."""

    async def story(world: World) -> None:
        asked: list[str] = []
        world.start_bot()
        await world.joined()
        await speak(world, asked)
        await world.joined(within_s=1)
        world.heal()
        for channel in CHANNELS:
            assert await world.ask("viewer", "!ping", channel=channel) == "Pong!"
        await world.converge()
        _each_has_struck(world.faces.counts())
        answers = Counter(line.reply_to for line in world.transcript)
        assert max(answers.values()) == 1
        for message_id in asked:
            missing = world.chat.asked(message_id)
            if missing is not None and missing.heard_by:
                at_s = missing.message.at_s
                assert any(
                    fault.start_s - AFTER_S <= at_s <= fault.start_s + fault.duration_s + AFTER_S
                    for fault in HELIX
                ) or not missing.heard_by <= world.attendance(missing.message.channel), missing
        unanswered = sum(world.chat.asked(message_id) is not None for message_id in asked)
        # The revocation alone costs a minute: Twitch is not asked again at once for what it took away.
        assert unanswered < len(asked) / 3

    play(story, NIGHT, seed=5, **PLACES["eventsub"])


def _each_has_struck(counts: dict[str, int]) -> None:
    assert counts["eventsub_closed_4003"] == 1
    assert counts["eventsub_keepalives_muted"] >= 1
    assert counts["eventsub_revocations"] >= 5 * len(CHANNELS)
    for fault in ("429", "503", "401", "slow"):
        assert counts[f"web_fault_{fault}"] >= len(CHANNELS), fault
    assert counts["web_tokens_given_refresh_token"] >= 1
    # One at the start, one each after the close and the silence.
    assert counts["eventsub_connections"] >= 3
