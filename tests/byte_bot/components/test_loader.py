"""Loading components of others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from byte_bot.components.api import Component
from byte_bot.components.loader import GROUP, SETUP_TIMEOUT_S, installed_entry_points, load_components
from byte_bot.errors import ComponentError
from simulator.loop import in_virtual_time, run
from tests.byte_bot.components.harness import chat_with

GOOD = """
from byte_bot.components.api import Component, Context, command

class {name}(Component):
    @command()
    async def {name}(self, ctx: Context) -> None:
        await ctx.reply("{name}")

async def setup(bot):
    await bot.add_component({name}())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of modules, forgotten afterwards."""
    known, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in sorted(set(sys.modules) - known):
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def write(folder: Path, **modules: str) -> None:
    """Put modules there."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


def test_components_of_others_work_beside_the_built_in_ones(folder: Path) -> None:
    """Modules of the settings in their order, entry points by name, each once."""
    write(
        folder,
        lx_one=GOOD.format(name="one"),
        lx_two=GOOD.format(name="two"),
        lx_three=GOOD.format(name="three"),
    )
    offered = [
        EntryPoint("zz", "lx_two", GROUP),
        EntryPoint("aa", "lx_three", GROUP),
        EntryPoint("bb", "lx_one", GROUP),
    ]

    async def story() -> None:
        async with chat_with() as chat:
            loaded = await load_components(chat.bot, ["lx_one"], offered=lambda: offered, beside=folder)
            assert loaded == ("lx_one", "lx_three", "lx_two")
            assert await chat.viewer("!ping") == "Pong!"
            assert await chat.viewer("!three") == "three"

    run(story())


BROKEN = {
    "lx_no_setup": "x = 1",
    "lx_sync_setup": "def setup(bot):\n    pass",
    "lx_needs": "import not_installed_anywhere\nasync def setup(bot):\n    pass",
    "lx_raises": "raise ValueError('at import')",
    "lx_setup_raises": "async def setup(bot):\n    return {}['key']",
    "lx_slow": "import asyncio\nasync def setup(bot):\n    await asyncio.sleep(60)",
    "lx_taken": GOOD.format(name="ping"),
    "lx_syntax": "def",
}


def test_all_failures_are_named_at_once_with_the_way_out(folder: Path) -> None:
    """One line for each module: its name, why, what to do."""
    write(folder, **BROKEN, lx_fine=GOOD.format(name="fine"))
    modules = [*BROKEN, "lx_fine", "lx_absent", "lx_absent_package.module"]
    offered = [EntryPoint("odd", "lx_fine:setup", GROUP)]

    async def story() -> str:
        async with chat_with() as chat:
            with pytest.raises(ComponentError) as failed:
                await load_components(chat.bot, modules, offered=lambda: offered, beside=folder)
            return str(failed.value)

    lines = run(story()).splitlines()
    out = "; or take it out of COMPONENTS"
    absent = "there is no such module: install it, or start byte-bot in the folder that holds it" + out
    assert lines == [
        "lx_no_setup: it has no setup: add `async def setup(bot)` that calls `await bot.add_component(…)`"
        + out,
        "lx_sync_setup: its setup is not asynchronous: write `async def setup(bot)`" + out,
        "lx_needs: it needs the module not_installed_anywhere, which is not there: install that beside byte-bot"
        + out,
        "lx_raises: it failed with ValueError: at import (the log has the traceback): correct it" + out,
        "lx_setup_raises: it failed with KeyError: 'key' (the log has the traceback): correct it" + out,
        f"lx_slow: its setup(bot) took longer than {SETUP_TIMEOUT_S:g} s: let it add components and return"
        + out,
        "lx_taken: ping: the command 'ping' exists already in InfoCommands.ping; rename one or drop the alias"
        + out,
        lines[7],
        f"lx_absent: {absent}",
        f"lx_absent_package.module: {absent}",
        "lx_fine:setup: an entry point names a module: write lx_fine, without :setup; or uninstall the package odd, which offers it",
    ]
    assert lines[7].startswith("lx_syntax: it failed with SyntaxError: ")


@in_virtual_time()
async def test_without_any_only_the_built_in_ones_are_loaded() -> None:
    """Nothing of others is installed where these tests run."""
    async with chat_with() as chat:
        assert await load_components(chat.bot, (), offered=lambda: ()) == ()
        assert all(isinstance(component, Component) for component in chat.bot.components)
        assert len(chat.bot.commands) == 13


def test_a_folder_of_modules_hides_nothing_installed(folder: Path) -> None:
    """It is looked at last: a file called like a library does not replace it."""
    write(folder, msgspec="raise ValueError('hidden')")

    async def story() -> None:
        async with chat_with() as chat:
            await load_components(chat.bot, (), offered=lambda: (), beside=folder)
            assert sys.path[-1] == str(folder)

    run(story())


def test_entry_points_are_read_from_the_group() -> None:
    """The installed packages are asked for the documented group."""
    assert all(entry.group == "byte_bot.components" for entry in installed_entry_points())


STATES = """
from byte_bot.components.api import ChannelState

class Keyless(ChannelState):
    total: int = 0

class First(ChannelState, key="lx_states"):
    total: int = 0

class Second(ChannelState, key="lx_states"):
    total: int = 0

class NoDefault(ChannelState, key="lx_no_default"):
    total: int

class Base(ChannelState):
    total: int = 0

class Built(Base, key="lx_built"):
    more: int = 0

async def setup(bot):
    pass
"""


def test_wrong_state_classes_stop_the_start_and_are_all_named(folder: Path) -> None:
    """No key, a key of another class, a field without a default; a shared base is none of these."""
    write(folder, lx_states=STATES)

    async def story() -> None:
        async with chat_with() as chat:
            with pytest.raises(ComponentError) as caught:
                await load_components(chat.bot, ["lx_states"], offered=tuple, beside=folder)
            assert len(str(caught.value).splitlines()) == 3
            assert "lx_states: Keyless needs a key" in str(caught.value)
            assert "NoDefault: every field needs a default" in str(caught.value)
            assert "lx_states.Second: the key 'lx_states' belongs to lx_states.First already" in str(
                caught.value
            )

    run(story())
