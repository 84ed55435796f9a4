"""A lane: a bot and its fakes in a process of their own, which takes orders."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.chat_latency import findings
from benchmarks.chat_plan import SOAK, Job
from benchmarks.lane import Lane, Worker
from simulator.bench.child import BenchError
from simulator.bench.plan import CONDITIONS, Condition, Load
from simulator.bench.probe import Cores
from simulator.bench.results import FLOOR, Round, Timeline, rows_of

HEALTHY = CONDITIONS[0]
LOAD = Load(1, 50, 0.2)


def job(*conditions: Condition, part: str = "rounds", strategy: str = FLOOR) -> Job:
    """A short job."""
    return Job(part=part, strategy=strategy, conditions=conditions, loads=(LOAD,) * len(conditions), number=3)


async def test_a_job_is_measured_condition_by_condition_and_the_lane_takes_the_next() -> None:
    """Rounds come back whole; the picture's job gives a line of it; the kill's has no samples."""
    async with Lane(Cores(enabled=False), seed=1) as lane:
        await lane.start(job(HEALTHY, CONDITIONS[1]), 0.5)
        for step, name in enumerate(("healthy", "healthy again")):
            one = await lane.measure(step)
            assert isinstance(one, Round)
            assert (one.strategy, one.condition, one.number, len(one.samples)) == (FLOOR, name, 3, 10)
            assert all(sample.latency_ms is not None for sample in one.samples)
        await lane.end()
        await lane.start(job(HEALTHY, part="picture"), 0.0)
        line = await lane.measure(0)
        assert isinstance(line, Timeline)
        assert len(line.points) == 10
        await lane.end()
        await lane.start(job(HEALTHY, part="kill"), 0.0)
        killed = await lane.measure(0)
        assert isinstance(killed, Round)
        assert killed.samples == []
        await lane.end()


async def test_the_soak_measures_memory_and_then_kills() -> None:
    """What it was run for: by its rounds the promise about memory is judged, and the one about a SIGKILL."""
    broken = next(condition for condition in CONDITIONS if condition.name == "503")
    async with Lane(Cores(enabled=False), seed=1) as lane:
        await lane.start(job(HEALTHY, broken, part="soak", strategy="byte_bot"), 0.0)
        rounds = [await lane.measure(step) for step in range(2)]
    healthy, one = rounds
    assert isinstance(healthy, Round) and isinstance(one, Round)
    assert healthy.lost_after_kill is None
    assert (len(one.samples), one.lost_after_kill) == (10, 0)
    hang = msgspec.structs.replace(one, condition="hang", rate=SOAK.rate)
    (memory,) = [found for found in findings(rows_of([hang]), [hang]) if found.promise == "P5"]
    assert memory.ok is True
    assert 0 < one.rss_end_mb != one.rss_start_mb


async def test_what_goes_wrong_is_an_error_in_words_and_ends_the_job() -> None:
    """An order that it does not know, a fault that there is not; the lane itself goes on."""
    unknown = Condition("impossible", {"kind": "no such fault"})
    async with Lane(Cores(enabled=False), seed=1) as lane:
        await lane.start(job(unknown, strategy="inline"), 0.0)
        with pytest.raises(BenchError, match="no such fault"):
            await lane.measure(0)
        await lane.start(job(HEALTHY), 0.0)
        assert isinstance(await lane.measure(0), Round)
    assert await Worker().obey({"do": "dance"}) == {"error": "a lane knows no order 'dance'"}
