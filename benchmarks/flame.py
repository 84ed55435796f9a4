"""A flame graph of a running bot: where its time goes, as an SVG for the browser.

How it works. py-spy, a sampling profiler in a process of its own, looks at the bot a few hundred times a second and writes the
stacks that it saw as a flame graph. The bot runs as shipped: nothing is loaded into it, it is only stopped for a moment at each look.
(`throughput --profile` counts every call instead, which costs the bot several times its speed.) A bar is as wide as the part of
the samples in which its function was on the stack; what runs directly is at the lower end.

py-spy reads another process's memory. Where the system forbids that, and where py-spy is not installed, `FlameError` says so and
what to do.

Left out: time spent in the kernel or in C extensions, by name: it belongs to the Python function that called them.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
from pathlib import Path
from typing import Final

#: Looks a second: 4 s of load are 1,000 samples, each of which stops the bot for about a tenth of a millisecond.
SAMPLES_PER_S: Final = 250
#: Seconds py-spy may take beyond the time it samples: it reads the symbols first and writes the file last.
PATIENCE_S: Final = 30.0


class FlameError(Exception):
    """There is no flame graph; the message says why, and the way out."""


def sampler() -> str:
    """The path of py-spy. Raises `FlameError` if it is not installed."""
    try:
        # Not only on PATH: the environment of this Python need not be an activated one.
        scripts = importlib.metadata.files("py-spy") or []
        places = [
            str(file.locate())
            for file in scripts
            if file.stem == "py-spy" and "bin" in str(file.parent).lower()
        ]
    except importlib.metadata.PackageNotFoundError:
        places = []
    found = next((place for place in places if os.access(place, os.X_OK)), None) or shutil.which("py-spy")
    if found is None:
        raise FlameError(
            "a flame graph needs py-spy: pip install '.[bench]' (make setup has it), or --profile FILE, which does without"
        )
    return found


async def record(pid: int, file: Path, seconds: float) -> None:
    """Sample a process for so long and write the flame graph to an absolute path. Raises `FlameError`."""
    # The command is the picture's title, so it names no folder of this machine.
    command = ("py-spy", "record", "--pid", str(pid), "--output", file.name, "--format", "flamegraph")
    options = ("--rate", str(SAMPLES_PER_S), "--duration", str(max(1, round(seconds))))
    # A picture of an earlier run must not pass for this one's.
    await asyncio.to_thread(file.unlink, missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *command,
        *options,
        executable=sampler(),
        cwd=file.parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds + PATIENCE_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise FlameError(f"py-spy did not end within {seconds + PATIENCE_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not await asyncio.to_thread(file.exists):
        raise FlameError(_explained(output.decode("utf-8", "replace")))


def _explained(output: str) -> str:
    """What py-spy said, with the way out if it was not allowed to look."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    words = next((line for line in lines if line.startswith("Error")), lines[-1] if lines else "(nothing)")
    if "permission" in output.lower() or "not permitted" in output.lower():
        return (
            f"py-spy may not look at the bot ({words}). Run as root, or allow it: `sysctl kernel.yama.ptrace_scope=0` on "
            "Linux, --cap-add SYS_PTRACE for a container; or --profile FILE, which needs no permission"
        )
    return f"py-spy drew nothing: {words}"
