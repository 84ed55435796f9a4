"""Where the peers' libraries live: made on demand, pinned, away from the bot's own environment.

How it works. The folder ``.peers`` of the repository (git ignores it) gets ``twitchio/``, a virtual environment with twitchio 2.10.0,
which cannot stand beside newer releases, and ``tmijs/``, a node_modules with tmi.js 1.8.5. Both are installed by ``pip`` and
``npm`` the first time they are needed; a file beside each says that its installation was finished, so that one that was
interrupted begins again. What cannot be had is no error: the table says so and why.

Left out: versions of the libraries' own dependencies, which pip and npm choose.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

HERE: Final = Path(__file__).resolve().parent
FOLDER: Final = HERE.parent.parent / ".peers"

TWITCHIO: Final = "twitchio==2.10.0"  # 2024-06, MIT: the last release that speaks IRC
TMIJS: Final = "tmi.js@1.8.5"  # 2021-08, MIT
#: Seconds an installation may take; the slower of the two took 24 here.
INSTALL_S: Final = 300.0


class Unavailable(Exception):
    """A peer cannot be had on this machine; the message says why, in a few words."""


class Peer(msgspec.Struct, frozen=True):
    """How a peer is started: its command line, and variables beside those that every bot gets."""

    command: tuple[str, ...]
    variables: Mapping[str, str] = {}


async def prepare(name: str) -> Peer:
    """Make the environment of ``tmi.js`` or ``twitchio`` if it is not there yet.

    Raises:
        Unavailable: it is not there and cannot be made.
    """
    return await (_tmijs() if name == "tmi.js" else _twitchio())


async def _tmijs() -> Peer:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        raise Unavailable("Node is not installed")
    folder = FOLDER / "tmijs"
    if not _installed(folder, TMIJS):
        if npm is None:
            raise Unavailable("npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--no-audit", "--no-fund", "--ignore-scripts")
        await _install((npm, "install", *options, "--prefix", str(folder), TMIJS), folder, TMIJS)
    return Peer((node, str(HERE / "tmijs_bot.js")), {"NODE_PATH": str(folder / "node_modules")})


async def _twitchio() -> Peer:
    folder = FOLDER / "twitchio"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not _installed(folder, TWITCHIO):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        await run_quietly((sys.executable, "-m", "venv", str(folder)), "a virtual environment cannot be made")
        options = ("--quiet", "--disable-pip-version-check", "--no-input")
        await _install((str(python), "-m", "pip", "install", *options, TWITCHIO), folder, TWITCHIO)
    return Peer((str(python), str(HERE / "twitchio_bot.py")))


def _installed(folder: Path, what: str) -> bool:
    try:
        return (folder / "installed").read_text(encoding="utf-8") == what
    except OSError:
        return False


async def _install(command: Sequence[str], folder: Path, what: str) -> None:
    await run_quietly(command, f"{what} cannot be installed")
    (folder / "installed").write_text(what, encoding="utf-8")


async def run_quietly(command: Sequence[str], failure: str, limit_s: float = INSTALL_S) -> str:
    """Run a command for `limit_s` seconds at most and return what it says, stripped.

    Raises:
        Unavailable: it failed (told by the last line it said), is not there, or took longer.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise Unavailable(f"{failure}: {error.strerror or error}") from error
    try:
        async with asyncio.timeout(limit_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Unavailable(f"{failure}: not done within {limit_s:g} s") from None
    said = output.decode("utf-8", "replace").strip()
    if process.returncode:
        lines = said.splitlines()
        raise Unavailable(f"{failure}: {lines[-1] if lines else f'exit code {process.returncode}'}")
    return said
