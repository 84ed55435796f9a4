"""Who waits for a condition is woken at the instant at which it comes true, and costs nothing before."""

from __future__ import annotations

import asyncio

import pytest

from simulator.errors import DeadlockError
from simulator.loop import current_loop, run


@pytest.mark.parametrize("hybrid", [False, True])
def test_it_is_seen_at_the_very_instant(hybrid: bool) -> None:
    """Once all that happens at it has happened, to the microsecond."""

    async def body() -> int:
        done: list[str] = []

        async def work() -> None:
            await asyncio.sleep(1.234567)
            done.append("begun")
            for _ in range(5):
                await asyncio.sleep(0)
            done.append("ended")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            await current_loop().watches.until(lambda: "begun" in done)
            assert done == ["begun", "ended"], "looked at in the midst of an instant"
            return current_loop().time_us()

    assert run(body(), hybrid=hybrid) == 1_234_567


def test_a_quiet_hour_costs_nothing() -> None:
    """A condition is looked at when something has happened."""

    async def body() -> int:
        looks: list[float] = []

        def look() -> bool:
            looks.append(current_loop().time())
            return looks[-1] >= 3_600

        current_loop().call_later(3_600, lambda: None)
        await current_loop().watches.until(look)
        return len(looks)

    assert run(body()) == 2


def test_what_holds_already_is_seen_before_time_moves() -> None:
    """And everybody who waits for it, in the order in which they came."""

    async def body() -> list[int]:
        woken: list[int] = []

        async def wait(number: int) -> None:
            await current_loop().watches.until(lambda: True)
            woken.append(number)

        async with asyncio.TaskGroup() as tasks:
            for number in range(3):
                tasks.create_task(wait(number))
        assert current_loop().time_us() == 0
        return woken

    assert run(body()) == [0, 1, 2]


def test_what_a_condition_raises_comes_out_where_it_is_waited_for() -> None:
    """The others go on waiting."""

    async def body() -> float:
        loop = current_loop()

        def fail() -> bool:
            raise KeyError("lobby")

        async def other() -> None:
            await loop.watches.until(lambda: loop.time() >= 2)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(other())
            with pytest.raises(KeyError, match="lobby"):
                await loop.watches.until(fail)
            assert loop.time() == 0
            await asyncio.sleep(2)
        return loop.time()

    assert run(body()) == 2


def test_who_gives_up_or_is_killed_is_forgotten() -> None:
    """Its condition is looked at no more, and time goes on."""

    async def body() -> int:
        loop = current_loop()
        looks = 0

        def look() -> bool:
            nonlocal looks
            looks += 1
            return False

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await loop.watches.until(look)
        before = looks
        loop.spawn("bot", loop.watches.until(lambda: loop.time() >= 3))
        await asyncio.sleep(1)
        loop.kill_process("bot")
        await asyncio.sleep(9)
        assert loop.time() == 11
        return looks - before

    assert run(body()) == 0


def test_what_can_never_come_true_is_a_deadlock() -> None:
    """Nothing is scheduled that could change it."""
    with pytest.raises(DeadlockError):
        run(wait_for_ever())


async def wait_for_ever() -> None:
    """Wait for what nobody will do."""
    await current_loop().watches.until(lambda: False)
