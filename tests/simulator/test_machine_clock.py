"""The wall clock of the bot's machine: right, jumping, running too fast or too slow, and set right again."""

from __future__ import annotations

import asyncio

import pytest

from simulator.loop import current_loop, run
from simulator.machine_clock import MachineClock
from simulator.trace import Trace


def test_a_clock_that_nothing_ails_is_the_worlds() -> None:
    """To the last bit, so that a night without such a fault is the night that it was."""

    async def body() -> None:
        loop = current_loop()
        clock = MachineClock(loop, Trace(loop.time))
        for _ in range(10):
            await asyncio.sleep(1 / 3)
            assert clock.unix() == loop.unix_time()

    run(body())


def test_it_jumps_runs_away_and_is_set_right() -> None:
    """Each on top of what was; a change is in the trace, and being set right when it is right is none."""

    async def body() -> None:
        loop = current_loop()
        trace = Trace(loop.time, keep=True)
        clock = MachineClock(loop, trace)
        clock.set_right()
        clock.jump(3600.0)
        await asyncio.sleep(10)
        assert clock.ahead_s == 3600.0
        clock.run_at(1.5)
        clock.run_at(1.5)
        await asyncio.sleep(10)
        assert clock.ahead_s == pytest.approx(3605.0)
        clock.jump(-7200.0)
        clock.run_at(0.0)
        await asyncio.sleep(5)
        assert clock.ahead_s == pytest.approx(-3600.0)
        assert clock.unix() == pytest.approx(loop.unix_time() - 3600.0)
        clock.set_right()
        assert clock.unix() == loop.unix_time()
        await asyncio.sleep(5)
        assert clock.unix() == loop.unix_time()
        assert sum('"clock"' in line for line in trace.lines) == 5

    run(body())
