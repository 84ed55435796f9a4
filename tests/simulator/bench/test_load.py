"""The open loop, in virtual time."""

from __future__ import annotations

import asyncio
import gc

import pytest

from simulator.bench.load import OpenLoop, run_precisely
from simulator.bench.plan import Load
from simulator.loop import current_loop, in_virtual_time


@in_virtual_time()
async def test_every_message_is_sent_when_it_is_due() -> None:
    """By the clock, from the first on."""
    sent: list[tuple[int, float, float]] = []
    loop = current_loop()
    start_at = await OpenLoop(lambda number, due: sent.append((number, due, loop.time()))).run(
        Load(1, 50, 0.2)
    )
    assert [number for number, _, _ in sent] == list(range(10))
    assert [due for _, due, _ in sent] == pytest.approx([start_at + number / 50 for number in range(10)])
    assert [at for _, _, at in sent] == pytest.approx([due for _, due, _ in sent], abs=1e-5)


@in_virtual_time()
async def test_loads_with_different_phases_never_send_at_the_same_moment() -> None:
    """Whenever they were started: a quarter and three quarters of an interval lie half an interval apart, by the clock of all."""
    dues: dict[float, list[float]] = {0.25: [], 0.75: []}
    async with asyncio.TaskGroup() as tasks:
        for phase, found in dues.items():
            tasks.create_task(
                OpenLoop(lambda _, due, found=found: found.append(due), phase).run(Load(1, 50, 0.2))
            )
            await asyncio.sleep(0.0137)
    for phase, found in dues.items():
        assert len(found) == 10
        assert [due * 50 % 1 for due in found] == pytest.approx([phase] * 10, abs=1e-6)


class SkippingLoop(asyncio.SelectorEventLoop):
    """A real loop whose clock can be put forward, as if a callback had held it up."""

    skipped_s = 0.0

    def time(self) -> float:
        """The clock, with what was skipped."""
        return super().time() + self.skipped_s


def test_what_waited_behind_a_stall_counts_from_its_due_moment() -> None:
    """The loop is held up for 5 s after the third message: those of that time follow at once, each with its own due moment."""
    loop = SkippingLoop()
    dues: list[float] = []
    late: list[float] = []

    def send(number: int, due: float) -> None:
        dues.append(due)
        late.append(loop.time() - due)
        if number == 2:
            loop.skipped_s += 5

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        open_loop = OpenLoop(send)
        start_at = runner.run(open_loop.run(Load(1, 1_000, 0.01)))
    assert dues == pytest.approx([start_at + number / 1_000 for number in range(10)])
    assert late[3] >= 4.999
    assert open_loop.late_p99_ms() >= 4_999


@in_virtual_time()
async def test_a_message_that_cannot_be_sent_ends_the_load() -> None:
    """Where the load is awaited."""

    def send(number: int, due: float) -> None:
        raise LookupError(number)

    with pytest.raises(LookupError):
        await OpenLoop(send).run(Load(1, 50, 0.2))


def test_the_precise_loop_holds_the_garbage_collector() -> None:
    """A collection in mid-load would be in somebody's latency; afterwards everything is as before."""

    async def main() -> tuple[bool, str]:
        return gc.isenabled(), type(asyncio.get_running_loop()).__name__

    enabled, _ = run_precisely(main())
    assert not enabled
    assert gc.isenabled()
