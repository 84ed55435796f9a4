"""The pytest plugin: asynchronous tests in virtual time, and fixtures for worlds, fakes, faults and crowds.

    @pytest.mark.virtual_time
    async def test_deaths_survive_a_crash(sim_world):
        assert await sim_world.ask("mod", "!death lava") == "Deaths: 1"

How it works. pytest loads this file in every run in an environment that has the distribution, whoever's tests they are. So it is one file of
its own, imports nothing of ours until a marked test runs or one of its fixtures is used, and touches no test without its mark. An
`async def` test with the mark becomes a `VirtualTimeFunction` once all are collected, whose function is synchronous for pytest and everybody's
plugins: it plays the coroutine in a loop of its own (`simulator/testing/night.py`). Plugins that choose loops (pytest-asyncio in either mode, anyio)
see nothing there that is theirs, and keep all other tests. A marked test's asynchronous fixtures begin in its loop too, whatever decorator made
them.

`--sim-seed` goes before the mark's `seed`, so that the line that a failure prints replays it. With `--sim-seeds N` every marked test is
parametrised with N seeds.

Left out: marked `unittest` methods and asynchronous Hypothesis tests, which are left to whoever runs them otherwise.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import shlex
import sys
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.testing.fake_supabase import FakeProject
    from simulator.testing.fake_twitch import FakeTwitch
    from simulator.testing.night import Night
    from simulator.testing.sim_audience import SimAudience
    from simulator.testing.sim_faults import SimFaults
    from simulator.testing.sim_world import SimWorld

#: The seed of a test that nobody gave one.
DEFAULT_SEED: Final = 1
#: More than anybody waits for: a typing error must not collect for an hour.
SEEDS_MAX: Final = 100_000
MARK: Final = "virtual_time"
WORLD_MARK: Final = "sim"
_MARK_OPTIONS: Final = ("seed", "order", "sockets")
_PARAMETER: Final = "sim_seed"
#: The marks of plugins that would run a test in a loop of theirs, or complain that this one is not.
_OTHER_LOOPS: Final = frozenset({"asyncio", "anyio", "trio"})


# ── options and marks ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.hookimpl
def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed, and how many."""
    group = parser.getgroup("byte-sim", "tests in virtual time (byte-sim)")
    group.addoption(
        "--sim-seed",
        type=int,
        default=None,
        metavar="S",
        help="the seed of tests marked virtual_time (default: the mark's, else 1); with --sim-seeds the first one",
    )
    group.addoption(
        "--sim-seeds",
        type=_seeds,
        default=None,
        metavar="N",
        help="run each test marked virtual_time with N seeds that follow each other",
    )


def _seeds(text: str) -> int:
    number = int(text)
    if not 1 <= number <= SEEDS_MAX:
        raise ValueError
    return number


@pytest.hookimpl
def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    config.addinivalue_line(
        "markers",
        "virtual_time(seed=1, order='fifo', sockets=None): run this async test in virtual time; order of tasks ready at the same instant: "
        "'fifo' or 'random' (drawn from the seed); sockets: allow loopback sockets (default: if a fixture needs them)",
    )
    config.addinivalue_line(
        "markers",
        "sim(components=…, channels=…, settings=…, transport='irc', start=True, judge=True, supervised=True, …): what sim_world is made of "
        "(simulator.testing.sim_world.WorldPlan), over the fixtures sim_components, sim_channels and sim_settings",
    )


@pytest.hookimpl
def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which seeds, if somebody chose them."""
    seed, seeds = config.getoption("sim_seed"), config.getoption("sim_seeds")
    if seed is None and seeds is None:
        return None
    return f"byte-sim: seed {'of the mark, or 1' if seed is None else seed}, {seeds or 1} for each test"


# ── collecting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class VirtualTimeFunction(pytest.Function):
    """An asynchronous test with the mark; see the module's docstring."""

    _night: Night | None = None

    def _getobj(self) -> Callable[..., None]:
        coroutine: Callable[..., Any] = super()._getobj()  # type: ignore[no-untyped-call]

        @functools.wraps(coroutine)
        def test(**arguments: Any) -> None:
            __tracebackhide__ = True
            self.play(coroutine, arguments)

        return test

    def iter_markers_with_node(self, name: str | None = None) -> Any:
        """Its marks, less those of other loops (a whole module may have one): this test is not for them."""
        return (pair for pair in super().iter_markers_with_node(name) if pair[1].name not in _OTHER_LOOPS)

    def setup(self) -> None:
        """Each run of a test has a night of its own."""
        self._night = None
        super().setup()

    @property
    def night(self) -> Night:
        """This run's."""
        if self._night is None:
            self._night = self._new_night()
        return self._night

    def _new_night(self) -> Night:
        check_package()
        from simulator.testing.night import Night

        mark = self.get_closest_marker(MARK)
        assert mark is not None, "collected for its mark"
        parameters: Mapping[str, Any] = self.callspec.params if hasattr(self, "callspec") else {}
        seed = parameters.get(_PARAMETER)
        if seed is None:
            seed = first_seed(self.config, mark)
        order = mark.kwargs.get("order", "fifo")
        if order not in ("fifo", "random"):
            pytest.fail(f"virtual_time(order={order!r}): it must be 'fifo' or 'random'", pytrace=False)
        return Night(seed, order, sockets=mark.kwargs.get("sockets"))

    def play(self, coroutine: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        """Run it, with its fixtures' values; broken promises are a failure in their words."""
        __tracebackhide__ = True
        night = self.night
        from simulator.testing.errors import PromiseBroken

        try:
            night.play(coroutine, arguments)
        except PromiseBroken as broken:
            words = str(broken)
        else:
            return
        pytest.fail(words, pytrace=False)

    def explanation(self) -> str:
        """What a reader of its failure needs: the night, and how to play it again."""
        if self._night is None:
            return ""
        file, colons, rest = self.nodeid.partition("::")
        nodeid = (
            os.path.relpath(self.config.rootpath / file, self.config.invocation_params.dir) + colons + rest
        )
        seed = self._night.seed
        for with_seed, without in ((f"[seed={seed}]", ""), (f"-seed={seed}]", "]")):
            if nodeid.endswith(with_seed):
                nodeid = nodeid.removesuffix(with_seed) + without
        again = f"pytest {shlex.quote(nodeid)} --sim-seed {seed}"
        return "\n".join((*self._night.story(), f"again: {again}"))


def first_seed(config: pytest.Config, mark: pytest.Mark) -> int:
    """The seed of a marked test, or the first of them: the command line's, else the mark's, else `DEFAULT_SEED`."""
    unknown = [name for name in mark.kwargs if name not in _MARK_OPTIONS]
    if unknown or mark.args:
        got = ", ".join([*map(repr, mark.args), *unknown])
        pytest.fail(f"virtual_time takes {', '.join(_MARK_OPTIONS)} by name, got {got}", pytrace=False)
    seed = config.getoption("sim_seed")
    if seed is None:
        seed = mark.kwargs.get("seed", DEFAULT_SEED)
    if not isinstance(seed, int) or isinstance(seed, bool):
        pytest.fail(f"virtual_time(seed=…) is a whole number, got {seed!r}", pytrace=False)
    return seed


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make marked asynchronous tests ours, after everybody: whatever another plugin has made of them, whenever they were marked."""
    items[:] = [_ours(item) for item in items]


def _ours(node: Any) -> Any:
    """The node, or in place of a marked asynchronous test one that runs in virtual time."""
    if (
        not isinstance(node, pytest.Function)
        or isinstance(node, VirtualTimeFunction)
        or type(node).__name__ == "TestCaseFunction"  # a method that unittest runs
        or node.get_closest_marker(MARK) is None
        or not inspect.iscoroutinefunction(node.obj)
    ):
        return node
    callspec = getattr(node, "callspec", None)
    ours = VirtualTimeFunction.from_parent(
        node.parent,
        name=node.name,
        callspec=callspec,
        fixtureinfo=node._fixtureinfo,
        keywords={callspec.id: True} if callspec is not None else None,
        originalname=node.originalname,
    )
    ours.own_markers = list(node.own_markers)
    ours.keywords.update((mark.name, mark) for mark in node.own_markers)
    return ours


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With `--sim-seeds`: one item for each seed; its part of the id comes last."""
    seeds = metafunc.config.getoption("sim_seeds")
    mark = metafunc.definition.get_closest_marker(MARK)
    if seeds is None or mark is None or not inspect.iscoroutinefunction(metafunc.function):
        return
    first = first_seed(metafunc.config, mark)
    if _PARAMETER not in metafunc.fixturenames:
        metafunc.fixturenames.append(_PARAMETER)
    chosen = range(first, first + seeds)
    metafunc.parametrize(_PARAMETER, chosen, ids=[f"seed={seed}" for seed in chosen], indirect=True)


# ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """An asynchronous fixture of a marked test waits for the night, in whose loop it begins; others are not ours."""
    function: Any = fixturedef.func
    item = request.node
    if not isinstance(item, VirtualTimeFunction) or not (
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    ):
        return (yield)
    owner = request.instance
    bound = function
    if owner is not None and inspect.ismethod(function) and isinstance(owner, type(function.__self__)):
        bound = function.__func__.__get__(owner)  # a method: of the instance that the test has

    def later(**arguments: Any) -> Any:
        return item.night.later(fixturedef.argname, bound, arguments)

    changeable: Any = fixturedef
    changeable.func = later  # what other plugins look at, when they look for asynchronous fixtures
    try:
        return (yield)
    finally:
        changeable.func = function


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test in virtual time says which seed it was, and how to play it again."""
    report = yield
    if report.failed and report.when == "call" and isinstance(item, VirtualTimeFunction):
        explanation = item.explanation()
        if explanation:
            report.sections.append(("simulated night", explanation))
    return report


def check_package() -> None:
    """Fail with the way out if the name of our package leads to somebody else's."""
    here = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "simulator"))
    loaded = sys.modules.get("simulator")
    if loaded is not None:
        found = getattr(loaded, "__file__", None) or next(iter(getattr(loaded, "__path__", ())), "")
    else:
        spec = importlib.util.find_spec("simulator")
        found = "" if spec is None else spec.origin or ""
    folder = os.path.dirname(found) if found.endswith(".py") else found
    if os.path.realpath(folder) == here:
        return
    pytest.fail(
        f"byte_sim_pytest needs its own package 'simulator' ({here}), but that name leads to {found or 'nothing'}. Rename yours, or move it "
        "into a package; or keep its parent folder off the path (--import-mode=importlib, no pythonpath of pytest's that holds it)",
        pytrace=False,
    )


# ── fixtures ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _night(request: pytest.FixtureRequest) -> Night:
    item = request.node
    if not isinstance(item, VirtualTimeFunction):
        pytest.fail(
            f"the fixture {request.fixturename!r} is for asynchronous tests in virtual time: write `async def` and "
            "@pytest.mark.virtual_time",
            pytrace=False,
        )
    return item.night


@pytest.fixture
def sim_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test."""
    return _night(request).seed


@pytest.fixture
def sim_components() -> tuple[Any, ...]:
    """What sim_world's bot has beside its built-in components, names of modules or classes; override it."""
    return ()


@pytest.fixture
def sim_channels() -> tuple[str, ...]:
    """The channels of sim_world; override it."""
    return ("lobby",)


@pytest.fixture
def sim_settings() -> Mapping[str, Any]:
    """Settings of sim_world's bot, by field name; override it."""
    return {}


@pytest.fixture
def sim_invariants() -> tuple[Any, ...]:
    """What must hold in every sim_world, beside its own invariants: functions that assert, or invariants; override it."""
    return ()


@pytest.fixture
def sim_schema() -> Path | None:
    """The folder of *.sql files that fake_supabase has its tables from (None: no tables); override it."""
    return None


@pytest.fixture
def sim_world(
    request: pytest.FixtureRequest,
    sim_components: tuple[Any, ...],
    sim_channels: tuple[str, ...],
    sim_settings: Mapping[str, Any],
    sim_invariants: tuple[Any, ...],
) -> SimWorld:
    """Byte Bot with your components, on the fakes: `ask`, `say`, `crash`, `restart`, `stored`, …"""
    night = _night(request)
    from simulator.testing.sim_world import PlanError, SimWorld, WorldPlan

    asked: dict[str, Any] = {
        "components": sim_components,
        "channels": sim_channels,
        "settings": sim_settings,
    }
    for mark in reversed(list(request.node.iter_markers(WORLD_MARK))):  # the closest last
        if mark.args:
            pytest.fail(f"the mark sim takes its values by name, got {mark.args!r}", pytrace=False)
        asked |= mark.kwargs
    known = inspect.signature(WorldPlan).parameters
    unknown = [name for name in asked if name not in known]
    if unknown:
        pytest.fail(
            f"the mark sim does not know {', '.join(unknown)}; it takes {', '.join(known)}", pytrace=False
        )
    try:
        world = SimWorld(WorldPlan(**asked), tuple(sim_invariants))
    except PlanError as error:
        pytest.fail(f"sim_world: {error}", pytrace=False)
    night.add(world)
    return world


@pytest.fixture
def fake_twitch(request: pytest.FixtureRequest) -> FakeTwitch:
    """A fake Twitch on loopback ports for a bot of your own: `connect(bot)`, `ask`, `add_channel`, …"""
    night = _night(request)
    from simulator.testing.fake_twitch import FakeTwitch

    twitch = FakeTwitch()
    night.add(twitch)
    return twitch


@pytest.fixture
def fake_supabase(request: pytest.FixtureRequest, sim_schema: Path | None) -> FakeProject:
    """A fake Supabase project for a program of your own: `url`, `key`, `transport`, `rows(table)`, …"""
    night = _night(request)
    from simulator.testing.fake_supabase import FakeProject

    project = FakeProject(sim_schema)
    night.add(project)
    return project


@pytest.fixture
def sim_faults(request: pytest.FixtureRequest) -> SimFaults:
    """Breaks what the test stands on: `begin(Hang(duration_s=20))`, `with sim_faults.begin(…)`, `heal()`."""
    night = _night(request)
    from simulator.testing.sim_faults import SimFaults

    faults = SimFaults()
    night.add(faults)
    return faults


@pytest.fixture
def sim_audience(request: pytest.FixtureRequest) -> SimAudience:
    """Crowds that chat beside the test: `add(Raid("lobby", at_s=5, viewers=100))`."""
    night = _night(request)
    from simulator.testing.sim_audience import SimAudience

    audience = SimAudience()
    night.add(audience)
    return audience
