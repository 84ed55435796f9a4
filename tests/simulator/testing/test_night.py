"""A test's night: the order of its parts, asynchronous fixtures, and whose error comes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from simulator.loop import current_loop
from simulator.testing.errors import NotYet, PromiseBroken
from simulator.testing.ground import Ground
from simulator.testing.night import Night
from tests.simulator.testing.nights import play


class Noted:
    """A part that notes what happens to it."""

    def __init__(self, notes: list[str], order: int, *, sockets: bool = False) -> None:
        self.order, self.sockets = order, sockets
        self.ground: Ground | None = None
        self._notes = notes

    @asynccontextmanager
    async def standing(self, ground: Ground) -> AsyncIterator[None]:
        """Note the beginning and the end."""
        self.ground = ground
        self._notes.append(f"up {self.order}")
        try:
            yield
        finally:
            self._notes.append(f"down {self.order}")

    async def judged(self) -> None:
        """Note that."""
        self._notes.append(f"judged {self.order}")


def test_parts_stand_up_in_their_order_and_end_in_the_other() -> None:
    """A world is first, whoever asked first; each has its say after the test, while all still stand."""
    notes: list[str] = []

    async def test() -> None:
        notes.append("test")

    play(test, Noted(notes, 3), Noted(notes, 0))
    assert notes == ["up 0", "up 3", "test", "judged 0", "judged 3", "down 3", "down 0"]


def test_after_a_failure_nobody_judges() -> None:
    """What is wrong at the end of a test that failed is no news; everything ends all the same."""
    notes: list[str] = []

    async def test() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        play(test, Noted(notes, 0))
    assert notes == ["up 0", "down 0"]


@pytest.mark.parametrize(
    ("orders", "asked", "hybrid"),
    [((), None, False), ((2,), None, True), ((0, 2), None, False), ((2,), False, False), ((), True, True)],
)
def test_sockets_are_there_if_they_are_asked_for_or_needed(
    orders: tuple[int, ...], asked: bool | None, hybrid: bool
) -> None:
    """A world's word goes before that of the parts that stand on it; the mark's before both."""
    night = Night(1, sockets=asked)
    for order in orders:
        night.add(Noted([], order, sockets=order != 0))
    assert night.hybrid is hybrid


def test_asynchronous_fixtures_begin_in_the_tests_loop_and_get_each_others_values() -> None:
    """In the order in which they were asked for; those that yield end in the other, in the same loop."""
    notes: list[object] = []

    async def first() -> AsyncIterator[str]:
        await asyncio.sleep(5)
        yield "one"
        notes.append(("end of first", current_loop().time()))

    async def second(first: str) -> list[str]:
        return [first, "two"]

    async def test(first: str, second: list[str], plain: int) -> None:
        notes.append((first, second, plain, current_loop().time()))
        await asyncio.sleep(1)

    night = Night(1)
    one = night.later("first", first, {})
    two = night.later("second", second, {"first": one})
    night.play(test, {"first": one, "second": two, "plain": 3})
    assert notes == [("one", ["one", "two"], 3, 5.0), ("end of first", 6.0)]


def test_an_asynchronous_fixture_is_nothing_yet_for_a_synchronous_one() -> None:
    """Whoever touches it before the night is told what to do."""
    later = Night(1).later("bot", lambda: None, {})
    with pytest.raises(NotYet, match="'bot' is asynchronous"):
        _ = later.name


def test_a_fixture_that_yields_twice_is_a_mistake() -> None:
    """As in pytest."""

    async def twice() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def test(number: int) -> None:
        assert number == 1

    night = Night(1)
    with pytest.raises(RuntimeError, match="'twice' yields more than once"):
        night.play(test, {"number": night.later("twice", twice, {})})


def test_the_tests_own_error_comes_out_and_others_are_notes_on_it() -> None:
    """A task that failed as well must not hide the assertion."""

    async def test() -> None:
        ground = part.ground
        assert ground is not None
        ground.background(fail(), "doomed")
        try:
            await asyncio.sleep(1)
        finally:
            raise AssertionError("mine")

    async def fail() -> None:
        raise KeyError("theirs")

    part = Noted([], 0)
    with pytest.raises(AssertionError, match="mine") as caught:
        play(test, part)
    assert caught.value.__notes__ == ["and meanwhile: KeyError('theirs')"]


def test_an_error_beside_the_test_comes_out_alone() -> None:
    """Not as a group of one."""

    async def test() -> None:
        assert part.ground is not None
        part.ground.background(fail(), "doomed")
        await asyncio.sleep(1)

    async def fail() -> None:
        raise KeyError("theirs")

    part = Noted([], 0)
    with pytest.raises(KeyError):
        play(test, part)


def test_a_skip_stays_a_skip() -> None:
    """pytest's outcomes are no Exceptions, and pass through like errors."""

    async def test() -> None:
        pytest.skip("not today")

    with pytest.raises(pytest.skip.Exception, match="not today"):
        play(test, Noted([], 0))


def test_a_broken_promise_fails_a_test_that_passed_and_stands_in_its_story() -> None:
    """In the words of the invariant."""
    part = Noted([], 0)

    async def test() -> None:
        assert part.ground is not None
        await asyncio.sleep(2.5)
        part.ground.violated("calm", "somebody shouted")

    night = Night(7, "random")
    night.add(part)
    with pytest.raises(PromiseBroken, match=r"^calm at 2\.500000 s: somebody shouted$"):
        night.play(test, {})
    story = night.story()
    assert story[0] == "seed 7, order random, ended at 2.500000 s of virtual time"
    assert story[1].startswith("trace ")
    assert story[2] == "BROKEN calm at 2.500000 s: somebody shouted"


def test_a_seed_is_the_loops() -> None:
    """Whatever a test draws from the loop's streams, it draws again with the same seed."""
    drawn: list[Any] = []

    async def test() -> None:
        drawn.append(current_loop().seeds.stream("mine").random())

    for seed in (1, 1, 2):
        play(test, seed=seed)
    assert drawn[0] == drawn[1] != drawn[2]
