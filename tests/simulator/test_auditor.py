"""The auditor raises where a component reaches for what no seed governs, and lets pass what changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from simulator.auditor import ALLOWED, Allowance, Auditor
from simulator.errors import NotReplayableError, SimulatorError
from simulator.loop import run
from simulator.scenario import Scenario
from simulator.world import Network, World, play
from tests.simulator.bad_components.offender import HARMLESS, OFFENCES

ONE = Scenario("offender", "a component that reaches", settings={"components": ("offender",)})


@pytest.fixture(autouse=True)
def components_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finds the component by a name of its own: as one of ``tests`` it would be judged with every test's state classes."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "bad_components")


async def reach(world: World, *names: str) -> list[str]:
    """What the bot says to `!reach` of each name."""
    world.start_bot()
    await world.joined()
    return [await world.ask("mod", f"!reach {name}") for name in names]


@pytest.mark.parametrize("name", OFFENCES)
def test_a_handler_that_reaches_for_it_fails_the_world(name: str) -> None:
    """Whatever the bot's supervisor makes of it, the world ends with the error, which names the source and the culprit."""
    with pytest.raises(NotReplayableError) as caught:
        play(lambda world: reach(world, name), ONE)
    words = str(caught.value)
    assert words.startswith(f"{OFFENCES[name][1]} was called in a simulated world at t=0.0")
    assert "offender.py" in words and " in reach\n" in words


def test_it_is_caught_over_sockets_too() -> None:
    """The world of real sockets has libraries more that may read a clock; a component may not."""
    with pytest.raises(NotReplayableError, match=r"datetime\.datetime\.now was called"):
        play(lambda world: reach(world, "datetime"), ONE, network="tcp")


@pytest.mark.parametrize("network", ["memory", "tcp"])
def test_what_depends_on_its_arguments_only_may_be_called(network: Network) -> None:
    """Conversions of a given time, seeded generators and locks are no sources."""
    answers = play(lambda world: reach(world, *HARMLESS), ONE, network=network)
    assert answers == [f"reached {name}" for name in HARMLESS]


def test_a_swallowed_offence_is_not_forgotten() -> None:
    """A story that ends well, with an offence that somebody caught, fails all the same, with the first one."""

    async def story(world: World) -> None:
        for read in (time.monotonic, time.time):
            try:
                read()
            except SimulatorError:
                continue

    with pytest.raises(NotReplayableError, match=r"^time\.monotonic was called"):
        play(story, ONE)


def test_an_interrupted_world_stays_interrupted() -> None:
    """Ctrl-C comes out as what it is."""

    def interrupted() -> None:
        with Auditor():
            try:
                time.time()
            except NotReplayableError:
                raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_an_error_that_followed_is_noted() -> None:
    """The offence comes out, not what came of it, which stands in a note."""

    async def story(world: World) -> None:
        try:
            time.time()
        except NotReplayableError:
            raise ValueError("no answer") from None

    with pytest.raises(NotReplayableError) as caught:
        play(story, ONE)
    assert "ValueError('no answer')" in caught.value.__notes__[0]


def test_nothing_is_guarded_outside_a_world() -> None:
    """After a world the module has its own functions again, and a guard that somebody kept calls the original."""
    original = time.time
    with Auditor():
        kept = time.time
        assert kept is not original
    assert time.time is original
    assert kept() > 0


def test_an_allowance_reaches_its_caller_only() -> None:
    """The bot's clock may be read for the log and for nothing else; submodules count as their package."""
    mine = Allowance((__name__,), "this test")
    with Auditor((mine,)) as auditor:
        time.time()
    assert auditor.offence is None and auditor.passed[mine] == 1
    for callers in (("tests.simulator.test",), (__name__, "nobody")):
        with pytest.raises(NotReplayableError), Auditor((Allowance(callers, "others"),)):
            time.time()


def test_every_allowance_has_a_reason() -> None:
    """Nobody is let pass without a word."""
    assert all(allowance.callers and allowance.reason for allowance in ALLOWED)


def test_worlds_do_not_nest() -> None:
    """Two auditors at once would report each other's reads."""
    with Auditor(), pytest.raises(RuntimeError, match="one after the other"), Auditor():
        pass


def test_a_world_that_is_run_by_hand_is_audited() -> None:
    """Not only `play` and `simulate`: the auditor belongs to the world."""

    async def by_hand() -> None:
        async with World(ONE, 1).standing():
            time.time()

    with pytest.raises(NotReplayableError):
        run(by_hand())
