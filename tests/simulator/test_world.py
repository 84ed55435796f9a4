"""A world is the same night for the same seed, runs the bot as a process, and says when a promise is broken."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from byte_bot.errors import ExitCode
from simulator.audience import Chatter, CommandStorm
from simulator.conversation import StoryError
from simulator.faults import Crash, Flapping, Hang, Latency, Refused, TwitchDisconnect, TwitchDuplicates
from simulator.loop import ReadyOrder, run
from simulator.scenario import Scenario
from simulator.trace import first_difference
from simulator.world import Network, World, play, simulate

ROOT = Path(__file__).parents[2]
#: A little of everything that draws from the seed.
BUSY = Scenario(
    "busy",
    "a bit of everything",
    duration_s=15,
    channels=("lobby", "arcade"),
    crowds=(Chatter("lobby", 2), CommandStorm("arcade", 2), CommandStorm("lobby", 1, ("!note add {n}",))),
    faults=(
        Flapping(up_s=2, down_s=1, inner=Refused(), duration_s=8),
        Latency(ms=300, jitter_ms=250, start_s=8),
        TwitchDuplicates(probability=0.3),
        TwitchDisconnect(start_s=4),
        Crash(start_s=9, down_s=0.5),
    ),
)
SHORT = Scenario("short", "ten seconds", duration_s=10, crowds=(CommandStorm("lobby", 1),))
#: Prints the hash of the busy night in each order, in a process of its own.
PRINT_HASHES = """
import structlog
from simulator.world import simulate
from tests.simulator.test_world import BUSY
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
for order in ("fifo", "random"):
    print(simulate(BUSY, 7, ready_order=order).trace_hash)
"""


@pytest.mark.parametrize("ready_order", ["fifo", "random"])
def test_the_same_seed_gives_the_same_night(ready_order: ReadyOrder) -> None:
    """Everything recorded happened at the same microsecond, and so was everything said."""
    first, again = (simulate(BUSY, 7, ready_order=ready_order) for _ in range(2))
    assert first == again
    assert first.ok, first.to_text()


def test_the_same_seed_gives_the_same_night_in_every_process() -> None:
    """Neither the hashes of strings nor addresses get into a night."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HASHES],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    orders: tuple[ReadyOrder, ...] = ("fifo", "random")
    assert done.stdout.split() == [simulate(BUSY, 7, ready_order=order).trace_hash for order in orders]


def test_another_seed_gives_another_night() -> None:
    """Every seed has a hash of its own."""
    hashes = [simulate(BUSY, seed).trace_hash for seed in range(4)]
    assert len(dict.fromkeys(hashes)) == 4


def test_two_kept_traces_can_be_compared() -> None:
    """A world that keeps its events shows where two nights part."""

    async def trace_of(seed: int) -> World:
        async with World(SHORT, seed, keep_trace=True).standing() as world:
            await world.night()
        return world

    one, again, other = (run(trace_of(seed), seed=seed).trace for seed in (1, 1, 2))
    assert first_difference(one, again) is None
    assert first_difference(one, other) is not None
    assert one.events("bot_started") == [(0, "bot_started", {"incarnation": 1})]


def test_both_networks_tell_the_same_story() -> None:
    """In memory and over loopback sockets the bot says the same."""

    async def story(world: World) -> list[str]:
        world.start_bot()
        await world.joined()
        return [
            await world.ask("mod", text) for text in ("!count deaths +1", "!ping", "!game Hades", "!game")
        ]

    networks: tuple[Network, ...] = ("memory", "tcp")
    memory, tcp = (play(story, network=network) for network in networks)
    assert memory == tcp


def test_a_night_reports_what_happened() -> None:
    """Replies, latencies, counts and the recovery are in the report; the counts agree with each other."""
    report = simulate(SHORT, 3)
    assert report.ok
    assert report.counts["incarnations"] == 1
    assert (
        report.counts["confirmed_counter_changes"] == len(report.transcript) == len(report.latencies_ms) == 10
    )
    assert report.unanswered == 0
    assert report.recovered_after_s is not None
    assert report.latencies_ms[-1] == pytest.approx(20, abs=0.01), "10 ms to the bot and 10 ms back"
    assert report.options == ()


def test_a_report_says_with_which_options_it_can_be_replayed() -> None:
    """What differs from the defaults is in the command."""
    report = simulate(SHORT, 3, ready_order="random")
    assert report.replay == "byte-sim run short --seed 3 --order random"


def test_a_bot_that_is_down_at_the_end_is_started_once() -> None:
    """A crash whose pause lasts beyond the night: the heal brings the bot back, the pause's end not once more."""
    scenario = Scenario(
        "late_crash", "a crash at the end", duration_s=10, faults=(Crash(start_s=9.5, down_s=3),)
    )
    report = simulate(scenario, 1)
    assert report.ok, report.to_text()
    assert report.counts["incarnations"] == 2


def test_a_backlog_that_does_not_drain_is_a_violation() -> None:
    """P6 has a limit: who has not recovered by then has broken it."""

    async def story(world: World) -> list[str]:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")
        await world.converge()
        return [violation.invariant for violation in world.violations]

    assert play(story, strict=False) == ["recovers"]


def test_a_strict_story_fails_when_an_invariant_breaks() -> None:
    """What an invariant saw comes out as an assertion of the story."""

    async def story(world: World) -> None:
        world.violated("newest_wins", "a row went back")

    with pytest.raises(AssertionError, match=r"newest_wins at 0\.000000 s: a row went back"):
        play(story)
    play(story, strict=False)


def test_what_never_happens_ends_a_story() -> None:
    """Waiting has a deadline in virtual time, and the error names what was waited for."""

    async def story(world: World) -> None:
        await world.until(lambda: False, 5, "the impossible")

    with pytest.raises(StoryError, match="did not happen within 5 s: the impossible"):
        play(story)


def test_nobody_waits_for_a_bot_that_died() -> None:
    """If the bot cannot start, whoever waits for it gets its error at once."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined(within_s=1000)

    with pytest.raises(StoryError, match="the bot died"):
        play(
            story,
            Scenario("no_component", "a component that is not there", settings={"components": "no_such"}),
        )


def test_what_changes_on_the_way_back_is_saved_before_anybody_judges() -> None:
    """A process that begins with the heal has nothing to save yet, and learns of its channels when it is back in them."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.converge()
        await world.ask("mod", "!count deaths +1")
        assert not world.drained()
        await world.returned()
        assert world.drained() and world.counter("lobby", "deaths") == 1

    play(story)


def test_an_orderly_stop_returns_the_exit_code() -> None:
    """SIGTERM ends the process; afterwards there is no bot to stop."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert world.bot_runs
        assert await world.stop_bot() is ExitCode.OK
        assert not world.bot_runs
        with pytest.raises(StoryError, match="there is no bot to stop"):
            await world.stop_bot()

    play(story)


@pytest.mark.parametrize(("disk", "expected"), [("kept", "deaths: 1"), ("lost", "")])
def test_a_crash_keeps_what_the_disk_keeps(disk: str, expected: str) -> None:
    """The journal outlives the process like a disk; a scenario without one loses it."""

    async def story(world: World) -> str:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        await world.ask("mod", "!count deaths +1")
        world.crash_bot()
        assert world.bot_tasks() == []
        world.start_bot()
        await world.joined(within_s=10)
        return await world.ask("viewer", "!count deaths")

    answer = play(story, Scenario("disk", "a disk", disk=disk, fixed=("lobby",)))
    assert answer == (expected or "There is no counter called deaths.")


def test_nothing_of_a_world_is_left_behind() -> None:
    """Thousands follow each other in one process: all of a world is collected with it, its database too."""

    async def story(world: World) -> weakref.ref[World]:
        world.start_bot()
        await world.joined()
        return weakref.ref(world)

    assert play(story)() is None
