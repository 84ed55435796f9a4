"""The common ground of a test's parts: own invariants, background, and which faults can act."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from simulator.errors import NotSimulatedError
from simulator.faults import Crash, DiskFull, Fault, Hang, TwitchDisconnect, TwitchPackets
from simulator.loop import current_loop, run
from simulator.testing.errors import NotHere
from simulator.testing.ground import Ground, Rule, told
from simulator.twitch.state import TwitchState


def on_ground(story: Callable[[Ground], Coroutine[Any, Any, None]]) -> Ground:
    """The ground after the story."""

    async def main() -> Ground:
        async with asyncio.TaskGroup() as tasks:
            ground = Ground(current_loop(), 1, tasks)
            await story(ground)
            ground.end_background()
        return ground

    return run(main())


def test_an_own_invariant_is_looked_at_every_second_and_told_once() -> None:
    """With the words of the assertion, at the second at which it was first seen to fail."""
    count = [0]

    def small(counted: list[int]) -> None:
        counted[0] += 1
        assert counted[0] < 3, f"seen {counted[0]} times"

    async def story(ground: Ground) -> None:
        ground.watch(small, count)
        await asyncio.sleep(10)

    ground = on_ground(story)
    assert told(ground.violations).startswith("small at 3.000000 s: seen 3 times")
    assert count == [3], "one that was broken is not asked again"


def test_an_assertion_without_words_is_told_too() -> None:
    """As such."""

    def wordless(_: object) -> None:
        raise AssertionError

    rule = Rule(wordless, None)
    assert (rule.name, rule.look(), rule.look()) == ("wordless", "the assertion failed", "")


def test_the_trace_knows_of_violations() -> None:
    """Two runs of which one broke an invariant are not equal."""

    async def broken(ground: Ground) -> None:
        ground.violated("calm", "no")

    async def calm(ground: Ground) -> None:
        pass

    assert on_ground(broken).trace.digest != on_ground(calm).trace.digest


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Hang(), "'hang' strikes the database, .* fixture fake_supabase"),
        (TwitchDisconnect(), "'twitch_disconnect' strikes the twitch, .* fixture fake_twitch"),
        (Crash(), "'crash' strikes the process, .* fixture sim_world"),
        (DiskFull(), "'disk_full' strikes the disk, .* fixture sim_world"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_fault_that_nothing_here_can_feel_is_refused(fault: Fault, words: str) -> None:
    """The words name the fixture that would feel it."""

    async def story(ground: Ground) -> None:
        with pytest.raises(NotHere, match=words):
            ground.set_fault(fault, "mine")

    on_ground(story)


def test_packets_are_not_cut_on_sockets() -> None:
    """The kernel does as it likes there: refused, and not left out in silence."""

    async def story(ground: Ground) -> None:
        ground.listen(TwitchState(ground.loop.time, ground.seeds.stream("twitch"), 0.0))
        with pytest.raises(NotSimulatedError):
            ground.set_fault(TwitchPackets(), "mine")

    on_ground(story)


def test_the_last_lines_of_chat_are_kept() -> None:
    """A dozen, whoever said them."""

    async def story(ground: Ground) -> None:
        twitch = TwitchState(ground.loop.time, ground.seeds.stream("twitch"), 0.0)
        twitch.add_channel("lobby")
        ground.listen(twitch)
        for number in range(20):
            twitch.say("lobby", "ana", f"line {number}")

    assert [said.text for said in on_ground(story).heard] == [f"line {number}" for number in range(8, 20)]


def test_what_goes_on_in_the_background_ends_with_the_test() -> None:
    """It is cancelled, and runs its finally."""
    ended: list[str] = []

    async def for_ever() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            ended.append("yes")

    async def story(ground: Ground) -> None:
        ground.background(for_ever(), "for ever")
        await asyncio.sleep(1)

    assert on_ground(story).loop.time() < 2
    assert ended == ["yes"]
