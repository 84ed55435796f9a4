"""A world for one test: components, the bot's life, and the judgement at the end."""

from __future__ import annotations

import asyncio
import shutil
import warnings
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest

from byte_bot.components.api import Add, ChannelState, Component, Context, command
from byte_bot.errors import ExitCode
from simulator.conversation import StoryError
from simulator.faults import Hang
from simulator.testing.errors import NothingJudged, NotYet, PromiseBroken
from simulator.testing.sim_world import PlanError, SimWorld, WorldPlan
from simulator.world import World
from tests.clients import deaths
from tests.simulator.testing.nights import play


class Jumps(ChannelState, key="jumps_of_a_test"):
    """State for one component."""

    total: Annotated[int, Add] = 0


class JumpCounter(Component):
    """Counts in its state, and in its own memory, which ends with its process."""

    def __init__(self) -> None:
        self.here = 0

    @command(role="moderator")
    async def jump(self, ctx: Context) -> None:
        """Count one."""
        jumps = ctx.state(Jumps)
        jumps.total += 1
        self.here += 1
        await ctx.reply(f"{jumps.total} ({self.here} here)")


def test_a_components_state_survives_a_crash_and_its_memory_does_not() -> None:
    """The class is built anew for every process."""
    world = SimWorld(WorldPlan(components=(JumpCounter,)))

    async def test() -> None:
        assert await world.ask("mod", "!jump") == "1 (1 here)"
        world.world.break_database(Hang())
        assert await world.ask("mod", "!jump") == "2 (2 here)"
        world.crash()
        with pytest.raises(StoryError, match="crash: no bot runs"):
            world.crash()
        await world.restart()
        assert await world.ask("mod", "!jump") == "3 (1 here)"
        assert world.stored("jumps_of_a_test") is None, "the database has answered nothing yet"
        await world.restart()
        assert await world.ask("mod", "!jump") == "4 (1 here)"
        await world.saved()
        assert world.stored("jumps_of_a_test") == {"total": 4}

    play(test, world)


class Clumsy(Component):
    """Fails."""

    @command()
    async def fall(self, _ctx: Context) -> None:
        """As a handler with a defect does."""
        raise LookupError("no floor")


@pytest.mark.parametrize("supervised", [True, False])
def test_a_handler_that_fails_fails_the_test_unless_it_is_meant_to(supervised: bool) -> None:
    """The bot survives it, and a viewer sees only silence: a test must not."""
    world = SimWorld(WorldPlan(components=(Clumsy,), supervised=supervised))

    async def test() -> None:
        world.say("ana", "!fall")
        await asyncio.sleep(1)

    if supervised:
        with pytest.raises(
            PromiseBroken, match=r"supervised at .*: a supervisor caught a defect: handlers_failed is 1"
        ):
            play(test, world)
    else:
        play(test, world)


def test_the_bots_life() -> None:
    """Stopped in order, started, its machine without power; in the channels that it is to be in."""
    world = SimWorld(
        WorldPlan(
            channels=("one", "two", "three"),
            listed=("one",),
            fixed=("two",),
            settings={"durability": "power"},
        )
    )

    async def test() -> None:
        assert world.world.faces.bot_channels() == ("one", "two")
        assert await world.ask("mod", "!count deaths +1", channel="two") == "deaths: 1"
        world.cut_power()
        await world.start()
        assert await world.stop() is ExitCode.OK
        await world.restart()
        assert await world.ask("mod", "!count deaths +1", channel="two") == "deaths: 2"
        world.say("mod", "!ping")
        await world.until(lambda: world.transcript[-1].text == "Pong!", what="a pong")

    play(test, world)


def test_components_can_be_named_as_in_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their module; one of its own, because the loader judges every state class of a module's package."""
    shutil.copy(deaths.__file__, tmp_path / "deaths_by_name.py")
    monkeypatch.syspath_prepend(tmp_path)
    world = SimWorld(WorldPlan(components=("deaths_by_name",)))

    async def test() -> None:
        assert await world.ask("mod", "!death lava") == "Deaths: 1"

    play(test, world)


def test_a_component_that_cannot_be_loaded_is_told() -> None:
    """The bot dies of it, and the test with the bot's words."""
    world = SimWorld(WorldPlan(components=("tests.no_such_module",)))

    async def test() -> None:
        pytest.fail("not reached")

    with pytest.raises(Exception, match=r"no_such_module"):
        play(test, world)


def never_two(world: SimWorld) -> None:
    """An own invariant."""
    assert all(line.text != "deaths: 2" for line in world.transcript), "two"


class Judge:
    """An invariant as the simulator's own are."""

    name = "judge"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def started(self, _world: World) -> None:
        """Note it."""
        self.calls.append("started")

    def sampled(self, _world: World) -> None:
        """Nothing."""

    def converged(self, world: World) -> None:
        """Object."""
        self.calls.append("converged")
        world.violated(self.name, "I object")


@pytest.mark.parametrize("given", ["with the world", "while it runs"])
def test_own_invariants_fail_the_test(given: str) -> None:
    """Functions that assert, for every test or for one."""
    world = SimWorld(WorldPlan(), (never_two,) if given == "with the world" else ())

    async def test() -> None:
        if given == "while it runs":
            world.watch(never_two)
        for _ in range(2):
            await world.ask("mod", "!count deaths +1")

    with pytest.raises(PromiseBroken, match=r"^never_two at \d+\.\d+ s: two"):
        play(test, world)


def test_invariants_of_the_simulators_kind_are_judged_with_its_own() -> None:
    """At the beginning and at the end."""
    judge = Judge()

    async def test() -> None:
        pass

    with pytest.raises(PromiseBroken, match="I object"):
        play(test, SimWorld(WorldPlan(), (judge,)))
    assert judge.calls == ["started", "converged"]


class Company:
    """An invariant that looks whether somebody is beside the bot when it is judged."""

    name = "company"

    def started(self, world: World) -> None:
        """Nobody is there yet."""

    def sampled(self, world: World) -> None:
        """There may be."""

    def converged(self, world: World) -> None:
        """There must not be."""
        if world.bot.rival is not None:
            world.violated(self.name, "two instances are judged")


def test_of_two_instances_one_has_gone_before_the_judgement() -> None:
    """As in a night: else what the older one has left would be judged as if it still counted."""
    world = SimWorld(WorldPlan(), (Company(),))

    async def test() -> None:
        assert await world.ask("mod", "!count deaths +1")
        await world.saved()  # who has nothing to save does not learn that it was superseded
        world.world.start_rival()

    play(test, world)


@pytest.mark.parametrize("judged", [True, False])
def test_an_end_from_which_the_bot_does_not_get_well_is_judged_if_it_is_to_be(judged: bool) -> None:
    """A function is gone: no heal brings it back, and the backlog waits for a human."""
    world = SimWorld(WorldPlan(judge=judged))

    async def test() -> None:
        await world.ask("mod", "!count deaths +1")
        world.world.supabase.drop_function("byte_bot_save")
        await asyncio.sleep(5)

    if judged:
        with pytest.raises(PromiseBroken, match="recovers at"):
            play(test, world)
    else:
        play(test, world)


def test_events_of_ones_own_are_in_the_trace() -> None:
    """Two runs of one seed are compared by them."""

    def digest(word: str) -> str:
        world = SimWorld(WorldPlan(start=False))
        seen: list[str] = []

        async def test() -> None:
            world.record("mine", word=word)
            seen.append(world.world.trace.digest)

        play(test, world)
        return seen[0]

    assert digest("a") == digest("a") != digest("b")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"components": "my_bot.deaths"}, "components is a list or a tuple, got 'my_bot.deaths'"),
        ({"components": [JumpCounter()]}, "of an object give the class"),
        ({"channels": ()}, "a world needs one at least"),
    ],
)
def test_a_plan_that_cannot_be_is_told(values: dict[str, Any], words: str) -> None:
    """Before anything is built."""
    with pytest.raises(PlanError, match=words):
        WorldPlan(**values)


def test_before_the_test_there_is_no_world() -> None:
    """A fixture's object alone is not one."""
    with pytest.raises(NotYet, match="sim_world can be used while the test runs"):
        SimWorld(WorldPlan()).say("mod", "!ping")


def test_a_bot_that_ended_by_itself_with_an_error_fails_the_test() -> None:
    """Nothing of its end could be judged, so it must not pass in silence; `judge=False` is the way out."""

    async def ends(world: SimWorld) -> None:
        inner = world.world
        await world.saved()
        inner.supabase.human_update("bot_writer", {"id": 1}, {"epoch": 7, "holder": "another bot"})
        await world.ask("mod", "!count deaths +1")
        await world.until(lambda: not inner.bot_runs, 10)
        assert inner.exit_codes == [ExitCode.FENCED]

    judged, left_alone = SimWorld(WorldPlan()), SimWorld(WorldPlan(judge=False))
    words = r"running .* the bot ended by itself, as FENCED, exit code \d+; if .*sim\(judge=False\)"
    with pytest.raises(PromiseBroken, match=words):
        play(lambda: ends(judged), judged)
    play(lambda: ends(left_alone), left_alone)


def test_a_bot_that_ended_by_itself_in_order_is_told() -> None:
    """By a warning. One that the test has stopped, or killed, is the test's own business."""

    async def ends(world: SimWorld, how: str) -> None:
        app = world.world.app
        assert app is not None
        match how:
            case "by itself":
                app.stop()
                await world.until(lambda: not world.world.bot_runs)
            case "stopped":
                await world.stop()
            case _:
                world.crash()

    world = SimWorld(WorldPlan())
    with pytest.warns(NothingJudged, match="ended by itself, in order"):
        play(lambda: ends(world, "by itself"), world)
    for how in ("stopped", "killed"):
        other = SimWorld(WorldPlan())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            play(partial(ends, other, how), other)
