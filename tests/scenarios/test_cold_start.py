"""A bot that is killed during an outage and started again during the same one answers from its journal."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import Fault, Hang, Refused
from simulator.scenario import Scenario
from simulator.twin import EVENTSUB_CHANNELS_MAX
from simulator.world import World, play
from tests.scenarios.places import PLACES

#: Virtual seconds from the start of the process to its first answer, whatever the database does.
ANSWER_S = 3.0
resource = pytest.importorskip("resource", reason="CPU time of this process, on Unix")
#: CPU seconds from the start of the process to its first answer, the fakes' included. Measured: 0.3 with 1,000 channels. Over EventSub
#: Twitch's fake answers to 900 requests before that, all at one virtual instant.
CPU_S = {"memory": 3.0, "tcp": 3.0, "eventsub": 15.0}
#: Until it is in all channels: over EventSub each takes six of Helix's 800 points, and an empty bucket is full a minute later.
ALL_JOINED_S = 90.0


def cpu_s() -> float:
    """CPU seconds that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return float(used.ru_utime + used.ru_stime)


@pytest.mark.parametrize(
    ("where", "count", "fault", "quiet_s"),
    [
        ("memory", 1000, Hang(), 5),
        ("tcp", 50, Refused(), 5),
        # As many as one account can hear. Until Helix has its points back, as a process killed in mid-stream would find it.
        ("eventsub", EVENTSUB_CHANNELS_MAX, Hang(), 60),
    ],
    ids=["memory", "tcp", "eventsub"],
)
def test_every_channel_gets_the_right_number_before_the_database_has_answered(
    where: str, count: int, fault: Fault, quiet_s: float
) -> None:
    """What was saved comes from the snapshot, what was not is put on it, in every channel, at once."""
    channels = tuple(f"channel_{number}" for number in range(count))

    async def story(world: World) -> None:
        for number, channel in enumerate(channels, start=1):
            world.store_counters(channel, deaths=number)
        world.start_bot()
        await world.joined(within_s=ALL_JOINED_S)
        # Every row was loaded once; one counter was changed and saved, another one changed during the outage.
        await world.until(
            lambda: world.app is not None and world.app.telemetry.counters["channels_loaded"] >= count
        )
        assert await world.ask("mod", "!count deaths +1", channel=channels[1]) == "deaths: 3"
        await asyncio.sleep(quiet_s)
        world.break_database(fault)
        assert await world.ask("mod", "!count deaths +1", channel=channels[2]) == "deaths: 4"
        world.crash_bot()

        answers_before, began_s, began_cpu_s = world.supabase.requests_total, world.loop.time(), cpu_s()
        world.start_bot()
        await world.joined(channels[0])
        assert await world.ask("viewer", "!count deaths", channel=channels[0]) == "deaths: 1"
        assert world.loop.time() - began_s <= ANSWER_S
        assert cpu_s() - began_cpu_s < CPU_S[where]
        await world.joined(within_s=ALL_JOINED_S)
        asked = [world.say("viewer", "!count deaths", channel=channel) for channel in channels]
        await asyncio.sleep(1)
        right = {1: 3, 2: 4}
        for number, message_id in enumerate(asked):
            answer = world.chat.answer_to(message_id)
            assert answer is not None
            assert answer.text.split("deaths: ")[-1].strip(" \u034f") == str(right.get(number, number + 1))
        assert world.supabase.requests_total == answers_before

    play(
        story,
        Scenario("cold_start", "a cold start during an outage", channels=channels),
        **PLACES[where],
        judge=False,
    )
