"""Loads components: the built-in ones, the modules of ``COMPONENTS``, and what installed packages offer.

A component module has one duty: ``async def setup(bot)``, which calls ``await bot.add_component(…)`` for each of its
components. A package that is installed beside the bot offers one by an entry point::

    [project.entry-points."byte_bot.components"]
    deaths = "my_bot.deaths"

When all are there, the state classes of their packages are checked, so that a wrong declaration or a key that two classes
share stops the start, not the first viewer who uses it.

Order: built-in, ``COMPONENTS`` as written there, entry points by name; a module that comes twice is loaded once. All
are tried before the start is given up, so that every mistake is named at once.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import structlog

from byte_bot.components import builtin
from byte_bot.components.api import ComponentHost
from byte_bot.errors import ComponentError, StateError
from byte_bot.persistence.state import ChannelState, spec_of, state_classes

#: The entry-point group in which packages offer component modules.
GROUP = "byte_bot.components"
#: Seconds a module's ``setup`` has; chosen: time for a request or two, not for hanging at start.
SETUP_TIMEOUT_S = 10.0

_log = structlog.get_logger(__name__)


def installed_entry_points() -> Iterable[EntryPoint]:
    """What the installed packages offer."""
    return entry_points(group=GROUP)


async def load_components(
    bot: ComponentHost,
    modules: Iterable[str],
    *,
    offered: Callable[[], Iterable[EntryPoint]] = installed_entry_points,
    beside: Path | None = None,
) -> tuple[str, ...]:
    """Load the built-in components, ``modules``, and those that installed packages offer.

    Args:
        bot: gets the components.
        modules: dotted names, as in ``COMPONENTS``.
        offered: the entry points; injected in tests.
        beside: a folder (the working directory) in which modules are looked for too, after everything installed, so
            that a file in it can hide nothing.

    Returns:
        The names of the modules loaded, without the built-in ones.

    Raises:
        ComponentError: one line for each that cannot be loaded: the module, why, and the way out; and one for each state
            class that is declared wrongly.
    """
    await builtin.setup(bot)
    if beside is not None and str(beside) not in sys.path:
        sys.path.append(str(beside))
    wanted = dict.fromkeys(modules, "take it out of COMPONENTS")
    for entry in sorted(offered(), key=lambda entry: (entry.name, entry.value)):
        wanted.setdefault(entry.value, f"uninstall the package {_package(entry)}, which offers it")
    failures: list[str] = []
    for name, way_out in wanted.items():
        if why := await _failure(bot, name):
            failures.append(f"{name}: {why}; or {way_out}")
        else:
            _log.info("component_loaded", module=name)
    failures += _state_failures([builtin.__name__, *wanted])
    if failures:
        raise ComponentError("\n".join(failures))
    return tuple(wanted)


def _state_failures(modules: Iterable[str]) -> list[str]:
    """What is wrong with the state classes of these modules' packages, one line for each."""
    packages = frozenset(name.partition(":")[0].partition(".")[0] for name in modules)
    owners: dict[tuple[str, str], str] = {}
    failures: list[str] = []
    for cls in state_classes():
        if not _is_declared_in(cls, packages):
            continue
        name = f"{cls.__module__}.{cls.__qualname__}"
        try:
            spec = spec_of(cls)
        except (NameError, StateError, TypeError) as error:
            failures.append(f"{cls.__module__}: {error}")
            continue
        owner = owners.setdefault((spec.table, spec.key), name)
        if owner != name:
            failures.append(
                f"{name}: the key {spec.key!r} belongs to {owner} already; give it one of its own"
            )
    return failures


def _is_declared_in(cls: type[ChannelState], packages: frozenset[str]) -> bool:
    """True for a class that a module of these packages defines, except a base without a key that only others build on."""
    if cls.__module__.partition(".")[0] not in packages:
        return False
    if vars(sys.modules.get(cls.__module__, None) or object).get(cls.__name__) is not cls:
        return False  # defined within a function, or left over from a module that was thrown away
    return bool(cls.__state_key__) or not cls.__subclasses__()


async def _failure(bot: ComponentHost, name: str) -> str:
    """Load one module; why it could not be, and what to do, or "" if it was."""
    try:
        await _load(bot, name)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if name == missing or name.startswith(f"{missing}."):
            return "there is no such module: install it, or start byte-bot in the folder that holds it"
        return f"it needs the module {missing}, which is not there: install that beside byte-bot"
    except ComponentError as error:
        return str(error)
    except TimeoutError:
        return f"its setup(bot) took longer than {SETUP_TIMEOUT_S:g} s: let it add components and return"
    except Exception as error:
        # Supervisor: a module from elsewhere may fail in any way, and the others are to be heard too.
        _log.error("component_failed", module=name, exc_info=error)
        return f"it failed with {type(error).__name__}: {error} (the log has the traceback): correct it"
    return ""


async def _load(bot: ComponentHost, name: str) -> None:
    path, _, attribute = name.partition(":")
    if attribute:
        raise ComponentError(f"an entry point names a module: write {path}, without :{attribute}")
    setup = getattr(importlib.import_module(path), "setup", None)
    if setup is None:
        raise ComponentError(
            "it has no setup: add `async def setup(bot)` that calls `await bot.add_component(…)`"
        )
    if not inspect.iscoroutinefunction(setup):
        raise ComponentError("its setup is not asynchronous: write `async def setup(bot)`")
    async with asyncio.timeout(SETUP_TIMEOUT_S):
        await setup(bot)


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.name
