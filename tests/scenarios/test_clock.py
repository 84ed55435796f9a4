"""The wall clock of the bot's machine jumps, runs away, and is set right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.audience import CommandStorm
from simulator.faults import ClockJump, ClockSkew, Crash, Fault, Hang, Restart, TooManyRequests
from simulator.scenario import Scenario
from simulator.world import World, play, simulate
from tests.safeguards.variants import other_machine
from tests.scenarios.places import PLACES, Place
from tests.scenarios.test_deleted_command import is_gone

DAY_S = 86_400.0

#: In memory stands for IRC as such: no socket of the kernel's looks at the bot's clock.
on_both_transports = pytest.mark.parametrize("where", ["memory", "eventsub"])
COMMANDS = (
    "!count deaths +1", "!ping", "!note add note {n}", "!quote add words {n}", "!note del 1", "!cmd add c{n} hi", "!cmd del c{n}",
    "!game Game {n}",
)  # fmt: skip


def shaken(*faults: Fault) -> Scenario:
    """A night in which the clock cannot be relied on, over what else the bot has to bear."""
    return Scenario(
        "clock",
        "the clock jumps and runs away",
        duration_s=60.0,
        channels=("lobby", "arcade"),
        crowds=tuple(
            CommandStorm(channel, 1.0, COMMANDS, ("moderator",), start_s=5.0, duration_s=50.0)
            for channel in ("lobby", "arcade")
        ),
        faults=(
            ClockJump(40 * DAY_S, start_s=10.0),
            ClockJump(-80 * DAY_S, start_s=25.0),
            ClockSkew(100.0, start_s=38.0, duration_s=10.0),
            *faults,
        ),
    )


def test_a_clock_that_jumps_breaks_no_promise(place: Place) -> None:
    """Everything is answered, saved and kept, over a server that names its pause, a restart and a crash."""
    others = (
        TooManyRequests(5.0, start_s=11.0, duration_s=6.0),
        Restart(start_s=30.0),
        Crash(start_s=42.0, down_s=1.0),
    )
    report = simulate(shaken(*others), seed=3, **place)
    assert report.violations == ()
    assert report.counts["confirmed_counter_changes"] > 5


@on_both_transports
def test_what_is_said_and_when_does_not_depend_on_the_clock(where: str) -> None:
    """The same lines at the same microseconds as with a clock that is right."""
    scenario = shaken()
    wrong = simulate(scenario, seed=4, **PLACES[where])
    right = simulate(replace(scenario, faults=()), seed=4, **PLACES[where])
    assert wrong.violations == right.violations == ()
    assert len(wrong.transcript) > 30
    if where == "memory":
        assert wrong.transcript == right.transcript
    else:
        # Of requests that leave at one instant the kernel decides which is seen first.
        assert sorted(map(str, wrong.transcript)) == sorted(map(str, right.transcript))


@on_both_transports
@pytest.mark.parametrize(("while_deleting_s", "afterwards_s"), [(0.0, 40 * DAY_S), (-40 * DAY_S, 0.0)])
def test_a_jump_brings_no_deleted_command_back(
    while_deleting_s: float, afterwards_s: float, where: str
) -> None:
    """What a machine that was away changed about it before the deletion loses, however old the deletion seems to be."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!cmd add hello Hello!")
        await world.until(world.drained)
        world.break_database(Hang())
        await world.ask("mod", "!cmd edit hello Hello again!")
        world.crash_bot()
        world.heal()
        async with other_machine(world):
            world.bot.clock.jump(while_deleting_s)
            await world.ask("mod", "!cmd del hello")
            await world.until(lambda: "hello" not in commands(world))
            world.bot.clock.jump(afterwards_s - while_deleting_s)
            await world.ask("mod", "!cmd add bye Bye!")
            await world.until(lambda: "bye" in commands(world))
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        assert await is_gone(world)
        assert await world.ask("viewer", "!bye") == "Bye!"
        await world.converge()
        world.judge()

    play(story, Scenario("deleted", "deleted while the clock was wrong"), **PLACES[where])


def commands(world: World) -> dict[str, object]:
    """The lobby's commands in the database."""
    stored = world.stored("component_state", world.channels["lobby"], "custom_commands") or {}
    return dict(stored.get("commands", {}))


@on_both_transports
def test_a_note_keeps_its_number_when_the_clock_is_set_back(where: str) -> None:
    """The newest note is the last one: the number that the bot tells must delete it and no other."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!note add first")
        await world.ask("mod", "!note add second")
        world.bot.clock.jump(-3_600.0)
        assert await world.ask("mod", "!note add third") == "Note 3 is kept."
        assert await world.ask("mod", "!note list") == "Notes: 1) first · 2) second · 3) third"
        await world.ask("mod", "!note del 3")
        assert await world.ask("mod", "!note list") == "Notes: 1) first · 2) second"
        await world.until(world.drained)

    play(story, Scenario("notes", "notes under a clock that is set back"), **PLACES[where])


@on_both_transports
def test_how_long_the_bot_is_up_is_not_asked_of_the_clock(where: str) -> None:
    """A process of some seconds has not been up for a year."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.bot.clock.jump(-365 * DAY_S)
        assert world.app is not None
        assert 0.0 <= world.app.bot.status()["uptime_s"] < 10.0

    play(story, Scenario("uptime", "a clock that is set back"), **PLACES[where])
