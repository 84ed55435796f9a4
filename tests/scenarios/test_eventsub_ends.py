"""Each way in which a connection of EventSub can end, and the two in which its events may come askew, one after the other.

Beside test_eventsub_faults.py, where faults of all kinds strike one bot at once: here each is judged for itself, over three seeds that
shuffle them. The codes are those of dev.twitch.tv/docs/eventsub/handling-websocket-events; TwitchIO itself gives up after two of them.
"""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import EventsubClose, TwitchDuplicates, TwitchReconnect, TwitchReordering
from simulator.scenario import Scenario
from simulator.twitch_faults import CLOSE_CODES
from simulator.world import World, play
from tests.scenarios.places import PLACES

CHANNELS = ("lobby", "arcade")
#: One channel: what a world costs is its subscriptions, made anew after each end.
ENDS = Scenario("ends", "each close code", channels=("lobby",))
#: A session that lived so long is replaced without a pause.
STABLE_S = 31.0
#: Connecting and subscribing in two channels, on a line that takes no time.
BACK_S = 5.0
ASKEW = Scenario(
    "askew",
    "every event twice, every other one late, over a session that moves",
    channels=CHANNELS,
    faults=(TwitchDuplicates(face="eventsub"), TwitchReordering(probability=0.5, face="eventsub")),
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_every_close_code_the_bot_is_back_at_once(seed: int) -> None:
    """It hears nothing in between, and loses nothing of what it had confirmed."""

    async def story(world: World) -> None:
        codes = list(CLOSE_CODES)
        world.seeds.stream("codes").shuffle(codes)
        world.start_bot()
        await world.joined()
        for number, code in enumerate(codes, 1):
            await asyncio.sleep(STABLE_S)
            assert await world.ask("mod", "!count deaths +1") == f"deaths: {number}"
            world.break_database(EventsubClose(code=code), name=f"close {code}")
            await world.until(lambda: not world.faces.attending("lobby"), 1.0, f"the end by {code}")
            # Twitch keeps nothing for who is away.
            world.say("mod", "!count deaths +100")
            await world.joined(within_s=BACK_S)
            assert world.faces.counts()[f"eventsub_closed_{code}"] == 1
        assert await world.ask("viewer", "!ping") == "Pong!"
        await world.converge()
        assert world.counter("lobby", "deaths") == len(codes)

    play(story, ENDS, seed=seed, **PLACES["eventsub"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_comes_twice_or_late_counts_once_also_while_the_session_moves(seed: int) -> None:
    """At least once is how Twitch delivers; exactly once is how a command is carried out and answered."""

    async def story(world: World) -> None:
        asked: list[str] = []
        world.start_bot()
        await world.joined()
        for round_number in range(3):
            world.break_database(TwitchReconnect(face="eventsub", grace_s=5.0), name=f"move {round_number}")
            for _ in range(8):
                asked.append(world.say("mod", "!count deaths +1", channel=CHANNELS[len(asked) % 2]))
                await asyncio.sleep(1.0)
        await world.until(lambda: all(world.chat.asked(one) is None for one in asked), 5.0)
        counts = world.faces.counts()
        assert counts["eventsub_reconnects_asked"] == 3
        assert counts["eventsub_connections"] == 4
        assert world.app is not None and world.app.transport.repeated >= len(asked)
        replied = [line.reply_to for line in world.transcript]
        assert sorted(replied) == sorted(asked)
        await world.converge()
        assert [world.counter(channel, "deaths") for channel in CHANNELS] == [12, 12]

    play(story, ASKEW, seed=seed, **PLACES["eventsub"])
