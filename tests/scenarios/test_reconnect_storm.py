"""Twitch throws the bot out again and again."""

from __future__ import annotations

import pytest

from simulator.audience import Chatter, CommandStorm
from simulator.faults import (
    EventsubClose,
    Fault,
    Flapping,
    Refused,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchPackets,
    TwitchReconnect,
)
from simulator.scenario import Scenario
from simulator.world import World, play, simulate
from tests.scenarios.places import PLACES, Place, over_sockets

STORM: tuple[Fault, ...] = (
    *(TwitchDisconnect(start_s=at_s) for at_s in (5, 6, 7, 20)),
    TwitchReconnect(start_s=30, grace_s=5),
    TwitchDuplicates(probability=0.3),
    TwitchPackets(split_probability=0.5, merge_probability=0.3),
    Flapping(up_s=4, down_s=3, inner=Refused()),
)
#: EventSub closes with a code besides; at 4003 TwitchIO by itself gives up without a word.
STORM_OF_CODES: tuple[Fault, ...] = (
    *over_sockets(STORM),
    EventsubClose(start_s=13, code=4003),
    EventsubClose(start_s=38, code=4000),
)
#: Where, under which faults, and what counts how often the bot came back.
STORMS = {
    "memory": (STORM, "irc_logins"),
    "tcp": (over_sockets(STORM), "irc_logins"),
    "eventsub": (STORM_OF_CODES, "eventsub_connections"),
}


@pytest.mark.parametrize(
    ("where", "seed"), [("memory", 0), ("memory", 1), ("memory", 2), ("tcp", 3), ("eventsub", 4)]
)
def test_a_storm_of_reconnects_over_a_flapping_database(where: str, seed: int) -> None:
    """Nothing confirmed is lost, nothing is answered twice, and every channel is joined again."""
    faults, comebacks = STORMS[where]
    scenario = Scenario(
        "reconnect_storm",
        "reconnects over a flapping database",
        duration_s=45,
        channels=("lobby", "arcade"),
        crowds=(
            Chatter("lobby", rate_per_s=3),
            CommandStorm("arcade", rate_per_s=2, commands=("!count deaths +1", "!ping")),
            CommandStorm("lobby", rate_per_s=2, commands=("!count wins +1",)),
        ),
        faults=faults,
    )
    report = simulate(scenario, seed, **PLACES[where])
    assert report.ok, report.to_text()
    assert report.counts[comebacks] >= 4
    if where == "eventsub":
        assert report.counts["eventsub_closed_4003"] == report.counts["eventsub_closed_4000"] == 1
        assert report.counts["eventsub_reconnects"] == 1


@pytest.mark.parametrize(
    "fault", [TwitchDisconnect(), TwitchHalfOpen(), TwitchReconnect(grace_s=2)], ids=lambda fault: fault.kind
)
def test_every_channel_is_joined_again_and_a_parted_one_is_not(place: Place, fault: Fault) -> None:
    """After a lost connection the bot is where it was: joined stays joined, parted stays parted."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined("lobby", "arcade", "cinema")
        world.supabase.human_update("channels_config", {"login": "cinema"}, {"enabled": False})
        await world.until(lambda: "cinema" not in world.faces.bot_channels(), 90)
        connections = world.faces.connections_made()
        world.break_database(fault, "twitch")
        await world.until(lambda: world.faces.connections_made() > connections, 400)
        await world.joined("lobby", "arcade")
        assert await world.ask("viewer", "!ping") == "Pong!"
        assert "cinema" not in world.faces.bot_channels()

    play(story, Scenario("rejoin", "three channels", channels=("lobby", "arcade", "cinema")), **place)


def test_a_message_delivered_twice_is_handled_once_also_after_a_crash(place: Place) -> None:
    """Twitch repeats a command, before and after kill -9: it counts once and is answered once."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        first = world.say("mod", "!count deaths +1", message_id="11111111-1111-4111-8111-111111111111")
        await world.until(lambda: len(world.transcript) == 1)
        world.say("mod", "!count deaths +1", message_id=first)
        assert await world.ask("viewer", "!count deaths") == "deaths: 1"
        world.crash_bot()
        world.start_bot()
        await world.joined()
        world.say("mod", "!count deaths +1", message_id=first)
        assert await world.ask("viewer2", "!count deaths") == "deaths: 1"
        await world.until(world.drained)
        assert world.counter("lobby", "deaths") == 1

    play(story, Scenario("repeated", "a message comes twice"), **place, strict=False)
