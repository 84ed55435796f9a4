"""Notes beside a trace: kept with where the trace stood, bounded, and cut where the night was over."""

from __future__ import annotations

from simulator.loop import run
from simulator.scenario import Scenario
from simulator.timeline_notes import Notes
from simulator.world import World


def test_notes_stand_where_the_trace_stood() -> None:
    """Each has its moment, and how many events there were; what is beyond the bound is counted."""

    async def body() -> None:
        world = World(Scenario("notes", "nothing happens"), 1)
        notes = Notes(notes_max=2)
        notes.add(world, "x", {"a": 1})
        world.trace.record("something")
        notes.add(world, "x", {"a": 2})
        notes.add(world, "x", {"a": 3})
        assert notes.until(1) == [(0, (0, "x", {"a": 1})), (1, (0, "x", {"a": 2}))] and notes.left_out == 1
        assert notes.until(0) == [(0, (0, "x", {"a": 1}))], "what came later is no part of the night"

    run(body())
