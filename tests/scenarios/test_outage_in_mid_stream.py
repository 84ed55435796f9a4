"""The database goes away in the middle of a stream, in every way it can."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Hang,
    Html520,
    HtmlOk,
    Latency,
    MissingFunction,
    MissingGrant,
    OverQuota,
    ProjectPaused,
    ReadOnly,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import PLACES, Place

FAULTS = (
    Latency(ms=2000),
    Refused(),
    Hang(),
    Reset(),
    Status503(),
    Html520(),
    TooManyRequests(retry_after_s=3),
    HtmlOk(),
    CutBody(),
    Drip(bytes_per_s=3),
    CommitThenDrop(),
    Unauthorized(),
    OverQuota(),
    ProjectPaused(),
    ReadOnly(),
    MissingGrant(table="component_state"),
    MissingFunction(name="byte_bot_save"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_chat_goes_on_and_nothing_is_lost(place: Place, fault: Fault) -> None:
    """Answers come in the same time as before the outage, to the microsecond, and every confirmed change is stored after it."""
    # Commands, one a second, real sockets being dear: the shortest outage in which two saves can run into their deadline.
    commands = 30 if place == PLACES["memory"] else 12

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        await world.until(lambda: world.counter("lobby", "deaths") == 2)
        world.break_database(fault)
        for expected in range(3, 3 + commands):
            assert await world.ask("mod", "!count deaths +1") == f"deaths: {expected}"
            await asyncio.sleep(1.0)
        # The first one may have been held for its channel's load.
        _, before_ms, *meanwhile_ms = world.chat.latencies_ms
        assert meanwhile_ms == [pytest.approx(before_ms, abs=0.001)] * commands, "an outage was felt in chat"
        assert world.app is not None
        failures = world.app.telemetry.counters["database_failures"]
        assert failures > 0 or isinstance(fault, Latency), "the fault has not acted: this proves nothing"
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 2 + commands
        world.judge()

    play(story, Scenario("outage", "in mid-stream"), **place)
