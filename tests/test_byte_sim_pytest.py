"""The pytest plugin as its users have it: suites of somebody's, run by pytest in processes of their own.

Each of these processes finds the distribution installed: an entry point in a folder on its path, and the modules of this tree. They cost
a second each, so each tries many things; what the fixtures give is tested without pytest in tests/simulator/testing/.
"""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

import byte_sim_pytest
from simulator.testing.fake_supabase import FakeProject
from simulator.testing.fake_twitch import FakeTwitch
from simulator.testing.sim_audience import SimAudience
from simulator.testing.sim_faults import SimFaults
from simulator.testing.sim_world import SimWorld, WorldPlan
from tests.test_readmes import SIMULATOR_README, block, rows_of

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
NO_LOOPS = ("-p", "no:asyncio", "-p", "no:anyio")


@pytest.fixture
def suite(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """An empty folder for somebody's tests, where the distribution is installed."""
    installed = tmp_path_factory.mktemp("installed")
    dist = installed / "byte_bot_twitch_here-0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: byte-bot-twitch-here\nVersion: 0\n", encoding="utf-8"
    )
    (dist / "entry_points.txt").write_text(
        "[pytest11]\nbyte_sim_pytest = byte_sim_pytest\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(installed), str(ROOT))))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider")
    return pytester


LOOPS = """
from __future__ import annotations

import asyncio
import sys

import pytest

OURS = ("simulator", "byte_bot")


def of_ours():
    return [name for name in sys.modules if name.partition(".")[0] in OURS]


def kind_of_loop():
    return type(asyncio.get_running_loop()).__name__


def test_at_first_only_the_plugin_itself_is_loaded(request):
    assert "byte_sim_pytest" in sys.modules
    assert of_ours() == []


@pytest.mark.asyncio
async def test_of_pytest_asyncio():
    assert kind_of_loop() != "VirtualLoop"
    assert of_ours() == []


@pytest.mark.anyio
async def test_of_anyio(anyio_backend_name):
    assert anyio_backend_name == "asyncio"
    assert kind_of_loop() != "VirtualLoop"


@pytest.fixture
async def an_hour():
    await asyncio.sleep(3_600)
    yield asyncio.get_running_loop()
    await asyncio.sleep(3_600)


@pytest.mark.virtual_time
async def test_of_ours_with_a_fixture_in_its_loop(an_hour):
    assert kind_of_loop() == "VirtualLoop"
    assert asyncio.get_running_loop() is an_hour
    assert an_hour.time() == 3_600


@pytest.mark.virtual_time
class TestClass:
    @pytest.fixture
    async def word(self):
        self.seen = "here"
        return "word"

    @pytest.mark.parametrize("number", [1, 2])
    async def test_method(self, word, number):
        assert (word, self.seen, kind_of_loop()) == ("word", "here", "VirtualLoop")

    def test_plain(self):
        pass


@pytest.mark.asyncio
class TestOfBoth:
    @pytest.mark.virtual_time
    async def test_the_nearer_mark(self):
        assert kind_of_loop() == "VirtualLoop"

    async def test_the_other(self):
        assert kind_of_loop() != "VirtualLoop"


async def test_marked_late():
    assert kind_of_loop() == "VirtualLoop"
    assert asyncio.get_running_loop().seeds.seed == 1


@pytest.mark.virtual_time(seed=3)
async def test_the_seed_of_the_mark(sim_seed):
    assert asyncio.get_running_loop().seeds.seed == sim_seed == 3
"""

CONFTEST = """
import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_marked_late":
            item.add_marker(pytest.mark.virtual_time)
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_every_loop_goes_to_whom_the_test_is_marked_for(suite: pytest.Pytester, mode: str) -> None:
    """Ours for our mark, with the asynchronous fixtures; pytest-asyncio's and anyio's for theirs; no warning, and nothing loaded before."""
    suite.makepyfile(test_loops=LOOPS)
    suite.makeconftest(CONFTEST)
    suite.makeini(
        f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    result = suite.runpytest_subprocess(
        "-p", "byte_sim_pytest", "--strict-markers"
    )  # named, and installed as well
    result.assert_outcomes(passed=11)


SEEDS = """
import asyncio
import pytest

@pytest.mark.virtual_time(seed=3)
@pytest.mark.parametrize("letter", ["a"])
async def test_draws(letter, sim_seed):
    await asyncio.sleep(sim_seed)
    assert asyncio.get_running_loop().seeds.seed == sim_seed
    assert sim_seed != 6, "six"
"""


def test_seeds_follow_each_other_and_a_failure_says_how_to_play_it_again(suite: pytest.Pytester) -> None:
    """In a worker of xdist, without a plugin for loops: one item a seed, and the line that is printed fails again."""
    suite.makepyfile(test_seeds=SEEDS)
    result = suite.runpytest_subprocess(*NO_LOOPS, "-n1", "--sim-seed", "5", "--sim-seeds", "3", "-v")
    result.assert_outcomes(passed=2, failed=1)
    shown = result.stdout.str()
    assert "test_draws[a-seed=5]" in shown
    assert "seed 6, order fifo, ended at 6.000000 s of virtual time" in shown
    assert "again: pytest 'test_seeds.py::test_draws[a]' --sim-seed 6" in shown
    again = suite.runpytest_subprocess(*NO_LOOPS, "test_seeds.py::test_draws[a]", "--sim-seed", "6")
    again.assert_outcomes(failed=1)


BROKEN = """
import pytest

def nobody_dies_twice(world):
    assert all(line.text != "deaths: 2" for line in world.transcript), "somebody died twice"

@pytest.fixture
def sim_invariants():
    return [nobody_dies_twice]

@pytest.mark.virtual_time
async def test_broken(sim_world):
    for _ in range(2):
        await sim_world.ask("mod", "!count deaths +1")

@pytest.mark.virtual_time
async def test_skipped(sim_world):
    pytest.skip("not today")

@pytest.mark.virtual_time
@pytest.mark.sim(chanels=["a"])
async def test_mistyped(sim_world):
    pass

@pytest.mark.virtual_time
@pytest.mark.sim(channels=["one", "two"], start=False)
async def test_of_its_own(sim_world):
    assert list(sim_world.world.channels) == ["one", "two"]
    assert not sim_world.world.bot_runs

def test_plain(sim_world):
    pass

@pytest.mark.virtual_time(sede=3)
async def test_mistyped_mark():
    pass
"""


def test_worlds(suite: pytest.Pytester) -> None:
    """The example of the page passes; a broken invariant fails the test in its words; what is mistyped is told."""
    suite.makepyfile(test_component=block(SIMULATOR_README, "plugin_component"), test_broken=BROKEN)
    result = suite.runpytest_subprocess(*NO_LOOPS)
    result.assert_outcomes(passed=2, failed=2, skipped=1, errors=2)
    shown = result.stdout.str()
    assert "nobody_dies_twice at " in shown
    assert "somebody died twice" in shown
    assert re.search(r"#lobby  mod: !count deaths \+1", shown)
    assert "again: pytest test_broken.py::test_broken --sim-seed 1" in shown
    assert "the mark sim does not know chanels; it takes components, channels" in shown
    assert "the fixture 'sim_world' is for asynchronous tests in virtual time" in shown
    assert "virtual_time takes seed, order, sockets by name, got sede" in shown


UNTOUCHED = """
import sys

def pytest_sessionfinish(session):
    import twitchio.eventsub.websockets
    import twitchio.http

    assert "simulator.testing.fake_twitch" in sys.modules
    assert not [name for name in sys.modules if name.partition(".")[0] == "byte_bot"]
    assert twitchio.http.Route.BASE == "https://api.twitch.tv/helix/"
    assert twitchio.eventsub.websockets.WSS == "wss://eventsub.wss.twitch.tv/ws"
    print("nothing was left behind")
"""


def test_a_bot_that_is_not_ours(suite: pytest.Pytester) -> None:
    """The example of the page passes, imports nothing of byte_bot, and leaves TwitchIO as it was."""
    suite.makepyfile(test_twitchio=block(SIMULATOR_README, "plugin_twitchio"))
    suite.makeconftest(UNTOUCHED)
    result = suite.runpytest_subprocess(*NO_LOOPS)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*nothing was left behind*"])


OWN_FOLDER = """
import sys
import pytest
from simulator import WIND

def test_of_theirs():
    assert WIND == 3

@pytest.mark.virtual_time
async def test_of_ours():
    pass
"""


def test_a_folder_of_the_users_by_the_name_of_our_package(suite: pytest.Pytester) -> None:
    """It is in nobody's way until a test of ours runs, which says what to do."""
    suite.mkpydir("simulator").joinpath("__init__.py").write_text("WIND = 3\n", encoding="utf-8")
    suite.makepyfile(test_wind=OWN_FOLDER)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(passed=1, failed=1)
    assert "byte_sim_pytest needs its own package 'simulator'" in result.stdout.str()
    assert "Rename yours" in result.stdout.str()


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

GIVEN = {
    "sim_world": SimWorld,
    "fake_twitch": FakeTwitch,
    "fake_supabase": FakeProject,
    "sim_faults": SimFaults,
    "sim_audience": SimAudience,
}


def fixtures() -> list[str]:
    """The names of all fixtures that the plugin has."""
    return [
        name
        for name, value in vars(byte_sim_pytest).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    ]


@pytest.mark.parametrize("name", fixtures())
def test_every_fixture_stands_in_the_page(name: str) -> None:
    """One row for each, in which every public name of what it gives is named, and none that it has not."""
    found = [row for row in rows_of(SIMULATOR_README, "In pytest") if row[0] == f"`{name}`"]
    assert len(found) == 1
    if name not in GIVEN:
        return
    own = [one for one in vars(GIVEN[name]) if not one.startswith("_")]
    instance = {
        "sim_world": ["plan"],
        "fake_twitch": ["transcript", "transcripts"],
        "sim_audience": ["lines_said"],
    }.get(name, [])
    of_the_night = {"order", "sockets", "standing", "judged"}
    shown = re.findall(r"`(?:await )?\.?(\w+)", found[0][1])
    missing = [one for one in own if one not in of_the_night and one not in shown]
    assert not missing
    assert set(shown) <= {*own, *instance, *_AROUND}


#: What the rows name besides.
_AROUND = {"mod", "end", "duration_s", "with", "raid", "ban", "await", "simulator"}


def test_every_option_and_mark_stands_in_the_page() -> None:
    """What the command line and the marks take."""
    rows = rows_of(SIMULATOR_README, "In pytest")
    cells = "\n".join(row[0] for row in rows)
    for option in ("--sim-seed S", "--sim-seeds N"):
        assert f"`{option}`" in cells
    for name in byte_sim_pytest._MARK_OPTIONS:
        assert re.search(rf"`virtual_time\([^`]*\b{name}=", cells)
    taken = inspect.signature(WorldPlan).parameters
    named = re.findall(r"(\w+)=", next(row[0] for row in rows if row[0].startswith("`sim(")))
    assert named
    assert set(named) <= set(taken)
