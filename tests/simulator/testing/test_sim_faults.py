"""Faults in a test: from now, for a time, for a block, and healed."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from simulator.faults import Crash, Hang, Latency, Status503
from simulator.loop import current_loop
from simulator.testing.errors import NotYet
from simulator.testing.fake_supabase import FakeProject
from simulator.testing.sim_faults import SimFaults
from simulator.testing.sim_world import SimWorld, WorldPlan
from tests.simulator.testing.nights import play


async def status(project: FakeProject) -> int:
    """What a question is answered with now; 0 without an answer."""
    async with project.http(timeout_s=1) as http:
        try:
            return (await http.get("/nothing")).status_code
        except httpx.ReadTimeout:
            return 0


def test_a_fault_acts_for_its_time_for_a_block_or_until_it_is_healed() -> None:
    """And no longer."""
    project, faults = FakeProject(), SimFaults()

    async def test() -> None:
        well = await status(project)
        acting = faults.begin(Status503(duration_s=2))
        assert await status(project) == 503
        assert [fault.kind for fault in faults.acting()] == ["status_503"]
        await asyncio.sleep(2)
        assert await status(project) == well
        acting.end()  # it has ended by itself
        with faults.begin(Hang()):
            assert await status(project) == 0
        assert await status(project) == well
        faults.begin(Status503())
        faults.begin(Latency(100))
        faults.heal()
        assert faults.acting() == ()
        assert await status(project) == well

    play(test, project, faults, sockets=False)


def test_a_fault_may_begin_later() -> None:
    """Its `start_s` counts from now."""
    project, faults = FakeProject(), SimFaults()

    async def test() -> None:
        await asyncio.sleep(5)
        faults.begin(Status503(start_s=3))
        assert faults.acting() == ()
        await asyncio.sleep(3)
        assert faults.acting()

    play(test, project, faults, sockets=False)


def test_in_a_world_the_bots_process_and_its_database_are_struck() -> None:
    """The same verb; what the world began by itself is healed too."""
    world, faults = SimWorld(WorldPlan(faults=(Latency(200),))), SimFaults()

    async def test() -> None:
        assert [fault.kind for fault in faults.acting()] == ["latency"]
        faults.begin(Crash(down_s=2))
        await asyncio.sleep(1)
        assert not world.world.bot_runs
        await world.joined()
        assert current_loop().time() > 2
        faults.heal()
        assert faults.acting() == ()

    play(test, world, faults)


def test_without_a_test_there_is_nothing_to_break() -> None:
    """A fixture's object alone is not enough."""
    with pytest.raises(NotYet, match="sim_faults can be used while the test runs"):
        SimFaults().begin(Hang())
