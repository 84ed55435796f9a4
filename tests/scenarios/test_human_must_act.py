"""The database refuses everything until a human acts: the log says what to do, and chat does not notice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from simulator.faults import Fault, OverQuota, ProjectPaused, ReadOnly, Unauthorized
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place

NIGHT = Scenario("human_must_act", "somebody has to open the dashboard", fixed=("lobby",))


def lines(logs: list[Any], event: str) -> list[dict[str, Any]]:
    """The lines of the log about one event."""
    return [dict(entry) for entry in logs if entry["event"] == event]


@pytest.mark.parametrize(
    ("fault", "code", "advice"),
    [
        (ProjectPaused(), "540", "project paused: restore it in the dashboard"),
        (OverQuota(), "402", "see usage and billing of its organization"),
        (ReadOnly(), "25006", "see the project's dashboard"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_it_is_said_once_a_minute_with_what_waits_and_ends_by_itself(
    place: Place, fault: Fault, code: str, advice: str
) -> None:
    """For three minutes; then the human has acted, the next probe finds it, and everything is saved."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        began_s = world.loop.time()
        world.break_database(fault)
        for expected in range(1, 6):
            assert await world.ask("mod", "!count deaths +1") == f"deaths: {expected}"
        assert await world.ask("mod", "!game Celeste")
        await asyncio.sleep(began_s + 179 - world.loop.time())
        assert "somebody must look at my log. Nothing is lost; changes waiting: 2" in await world.ask(
            "viewer", "!status"
        )
        world.heal()
        healed_s = world.loop.time()
        await world.until(world.drained)
        assert world.loop.time() < healed_s + 10
        assert world.counter("lobby", "deaths") == 5
        world.judge()

    with capture_logs() as logs:
        play(story, NIGHT, **place)
    paused = lines(logs, "database_paused")
    assert len(paused) == 3
    assert all(advice in line["what_to_do"] for line in paused)
    assert all(line["server_says"].startswith(f"{code}: ") for line in paused)
    # Counters, and what is known of the stream.
    assert [line["what_it_means"] for line in paused[1:]] == ["2 rows wait, nothing is lost"] * 2
    (works,) = lines(logs, "database_works")
    assert works["rows_waiting"] <= 2
    assert works["after_s"] > 170
    assert not lines(logs, "database_out")


def test_a_wrong_key_at_boot_is_said_and_the_right_one_saves_what_waited(place: Place) -> None:
    """The bot enters the channels of its settings, counts from zero, and adds up when it can read."""

    async def story(world: World) -> None:
        world.store_counters("lobby", deaths=7)
        world.break_database(Unauthorized())
        world.start_bot()
        await world.joined(within_s=10)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        await asyncio.sleep(100 - world.loop.time())
        assert world.counter("lobby", "deaths") == 7
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 8
        assert await world.ask("viewer", "!count deaths") == "deaths: 8"

    with capture_logs() as logs:
        play(story, NIGHT, **place)
    (fallen_back,) = lines(logs, "channels_without_database")
    assert fallen_back["channels"] == ["lobby"]
    assert "SUPABASE_KEY" in fallen_back["why"]
    paused = lines(logs, "database_paused")
    assert paused and all("set SUPABASE_KEY" in line["what_to_do"] for line in paused)
    assert paused[-1]["rows_waiting"] >= 1
    assert len(lines(logs, "database_works")) == 1
