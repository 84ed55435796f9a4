"""A scenario is data: what it says is what the world has."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from simulator.rng import SeedTree
from simulator.scenario import DiskLatency, Scenario
from simulator.world import World, play, simulate


def test_a_scenario_cannot_be_changed() -> None:
    """A night that many seeds share must not remember one of them."""
    scenario = Scenario("quiet", "nothing happens")
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.name = "other"  # type: ignore[misc]


def test_channels_stand_in_the_list_unless_it_says_otherwise() -> None:
    """All channels are enabled in channels_config by default; ``listed`` names others, ``fixed`` is the bot's."""

    async def listed(world: World) -> list[str]:
        return [row["login"] for row in world.supabase.rows("channels_config") if row["enabled"]]

    both = ("arcade", "lobby")
    assert play(listed, Scenario("all", "all listed", channels=both)) == ["arcade", "lobby"]
    assert play(listed, Scenario("one", "one listed", channels=both, listed=("lobby",))) == ["lobby"]


def test_settings_reach_the_bot() -> None:
    """A field of the settings can be set by name."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert await world.ask("viewer", "?ping") == "Pong!"

    play(
        story,
        Scenario("prefix", "another prefix", fixed=("lobby",), settings={"default_prefix": "?"}, listed=()),
    )


def test_a_script_is_played_beside_the_crowds() -> None:
    """It gets the world, and the night lasts as long as it."""

    async def script(world: World) -> None:
        await asyncio.sleep(20)
        world.say("mod", "!count deaths +1")
        await asyncio.sleep(1)

    report = simulate(Scenario("scripted", "a script", duration_s=5, script=script), seed=1)
    assert [(line.at_us // 1_000_000, line.text) for line in report.transcript] == [(20, "deaths: 1")]


def test_a_disk_stalls_with_a_probability() -> None:
    """Else its latency lies round the median."""
    rng = SeedTree(1).stream("disk")
    drawn = [DiskLatency(10.0, 0.5, stall_probability=0.1, stall_ms=2_000).draw_s(rng) for _ in range(1_000)]
    assert 60 < drawn.count(2.0) < 140
    assert sorted(drawn)[450] == pytest.approx(0.010, rel=0.1)


@pytest.mark.parametrize("numbers", [(-1.0,), (1.0, float("nan")), (1.0, 0.5, 1.5), (float("inf"),)])
def test_a_disk_with_senseless_numbers_is_refused(numbers: tuple[float, ...]) -> None:
    """Where it is written down, not in the middle of a night."""
    with pytest.raises(ValueError, match="must be finite and not negative"):
        DiskLatency(*numbers)
