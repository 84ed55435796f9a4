"""Where the real clients live: ``.peers/clients``, two virtual environments and one ``node_modules``, pinned, made on demand.

``twitchio2`` holds the last twitchio that speaks IRC, which cannot stand beside a newer one; ``python`` the newer one and twitchAPI;
``node`` what is on npm, from ``packages/package.json`` and its lock. A file beside each holds what was installed there, so that
one which was interrupted or whose pins have changed is made anew. Nothing here is needed by the bot or its simulator.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.peers.environments import Unavailable, run_quietly
from tests.clients.roster import CLIENTS, Runtime

PACKAGES: Final = Path(__file__).resolve().parent / "packages"
FOLDER: Final = PACKAGES.parents[2] / ".peers" / "clients"
RUNTIMES: Final[tuple[Runtime, ...]] = ("twitchio2", "python", "node")
#: The oldest Node that the clients of the table run on.
NODE_MIN: Final = 18
#: Seconds an installation may take.
INSTALL_S: Final = 400.0
#: The same, and no second try, where somebody waits for tests: without a network they are to go on at once.
HASTY_S: Final = 120.0
_HASTY_NPM: Final = ("--fetch-retries", "0", "--fetch-timeout", "20000")
_HASTY_PIP: Final = ("--retries", "0", "--timeout", "20")


def pins(runtime: Runtime, packages: Path = PACKAGES) -> str:
    """What has to be installed, as text."""
    if runtime == "node":
        names = ("package.json", "package-lock.json")
        return "".join((packages / name).read_text(encoding="utf-8") for name in names)
    return f"{sys.version_info[:2]} " + (packages / f"{runtime}.txt").read_text(encoding="utf-8")


def installed(runtime: Runtime, folder: Path = FOLDER) -> bool:
    """Whether exactly what is pinned is there, whole."""
    try:
        return (folder / runtime / "installed").read_text(encoding="utf-8") == pins(runtime)
    except OSError:
        return False


def command(runtime: Runtime, program: Path, folder: Path = FOLDER) -> tuple[str, ...]:
    """How a driver is started."""
    if runtime == "node":
        return (shutil.which("node") or "node", str(program))
    if runtime == "none":
        return (sys.executable, str(program))
    return (str(_python(folder / runtime)), str(program))


def variables(runtime: Runtime, folder: Path = FOLDER) -> Mapping[str, str]:
    """What a driver needs in its environment to find its library."""
    return {"NODE_PATH": str(folder / runtime / "node_modules")} if runtime == "node" else {}


async def missing(runtime: Runtime, folder: Path = FOLDER) -> str:
    """Why drivers of this runtime cannot be started as things are, "" if they can."""
    try:
        if runtime == "node":
            await _check_node()
    except Unavailable as error:
        return str(error)
    return "" if installed(runtime, folder) else "not installed: make clients installs them"


async def install(
    runtime: Runtime, tell: Callable[[str], None], folder: Path = FOLDER, *, hasty: bool = False
) -> None:
    """Make a runtime if it is not there; ``tell`` gets a line before anything takes long. ``hasty`` gives up soon.

    Raises:
        Unavailable: it cannot be made here.
    """
    if runtime == "node":
        await _check_node()
    if installed(runtime, folder):
        return
    place = folder / runtime
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if runtime == "node":
        await _install_node(place, tell, hasty=hasty)
    else:
        await _install_python(runtime, place, tell, hasty=hasty)
    (place / "installed").write_text(pins(runtime), encoding="utf-8")


async def _check_node() -> None:
    node = shutil.which("node")
    if node is None:
        raise Unavailable(f"Node is not installed (the JavaScript clients need {NODE_MIN} or newer)")
    version = await run_quietly((node, "--version"), "node --version failed", INSTALL_S)
    found = re.match(r"v(\d+)", version)
    if found is None or int(found[1]) < NODE_MIN:
        raise Unavailable(f"Node is {version}; the JavaScript clients need {NODE_MIN} or newer")


async def _install_node(place: Path, tell: Callable[[str], None], *, hasty: bool) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGES / name, place)
    tell("Installing the JavaScript clients (npm, once)")
    # No scripts: nothing of what is installed has to be built, and nothing of it should run before it is asked to.
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place))
    command = (npm, "ci", *options, *(_HASTY_NPM if hasty else ()))
    await run_quietly(command, "the JavaScript clients cannot be installed", HASTY_S if hasty else INSTALL_S)


async def _install_python(runtime: Runtime, place: Path, tell: Callable[[str], None], *, hasty: bool) -> None:
    tell(f"Installing {' and '.join(_named(runtime))} for Python (pip, once)")
    await run_quietly(
        (sys.executable, "-m", "venv", str(place)), "a virtual environment cannot be made", INSTALL_S
    )
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "-r", str(PACKAGES / f"{runtime}.txt"))
    command = (str(_python(place)), "-m", "pip", "install", *options, *(_HASTY_PIP if hasty else ()))
    # pip's last words without a network are that there is no such release.
    told = f"{runtime} cannot be installed, if only for want of a network"
    await run_quietly(command, told, HASTY_S if hasty else INSTALL_S)


def _named(runtime: Runtime) -> list[str]:
    """The libraries in an environment that the roster plays with."""
    return list(
        dict.fromkeys(f"{one.name.split()[0]} {one.version}" for one in CLIENTS if one.runtime == runtime)
    )


def _python(place: Path) -> Path:
    return place / ("Scripts" if os.name == "nt" else "bin") / "python"
