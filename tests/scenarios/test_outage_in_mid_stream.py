"""The database goes away in the middle of a stream, in every way it can."""

from __future__ import annotations

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
from tests.scenarios.places import Place

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
    """Answers come in the same time as before the outage, and every confirmed change is stored after it."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        before_s = await timed(world, "!count deaths +1", "deaths: 2")
        await world.until(lambda: world.counter("lobby", "deaths") == 2)
        world.break_database(fault)
        for expected in range(3, 33):
            assert await timed(world, "!count deaths +1", f"deaths: {expected}") == pytest.approx(
                before_s, abs=0.011
            ), "an outage must not be felt in chat"
            await world.until(_instant(world, 1.0))
        assert world.app is not None
        failures = world.app.telemetry.counters["database_failures"]
        assert failures > 0 or isinstance(fault, Latency), "the fault has not acted: this proves nothing"
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 32
        world.judge()

    play(story, Scenario("outage", "in mid-stream"), **place)


async def timed(world: World, text: str, expected: str) -> float:
    """How long the answer to a command took, virtual seconds."""
    started_s = world.loop.time()
    assert await world.ask("mod", text) == expected
    return world.loop.time() - started_s


def _instant(world: World, wait_s: float):  # type: ignore[no-untyped-def]
    until_s = world.loop.time() + wait_s
    return lambda: world.loop.time() >= until_s
