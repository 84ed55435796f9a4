"""A flame graph of a real process, and what is said where there can be none."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from benchmarks.flame import FlameError, record, sampler

BUSY = """
import time
def where_the_time_goes():
    print("busy", flush=True)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        pass
where_the_time_goes()
"""


async def test_the_function_that_is_busy_is_in_the_picture(tmp_path: Path) -> None:
    """Or the reason why nobody may look, with the way out."""
    file = tmp_path / "flame.svg"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BUSY, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline()
        try:
            await record(process.pid, file, 1.0)
        except FlameError as error:
            assert "ptrace_scope" in str(error) or "py-spy:" in str(error), error  # noqa: PT017
        else:
            drawn = file.read_text(encoding="utf-8")
            assert "where_the_time_goes" in drawn
            assert str(tmp_path) not in drawn
    finally:
        process.kill()
        await process.wait()


async def test_a_process_that_is_gone_is_an_error_in_words(tmp_path: Path) -> None:
    """And an earlier picture does not pass for this one's."""
    try:
        sampler()
    except FlameError as error:
        pytest.skip(str(error))
    file = tmp_path / "flame.svg"
    file.write_text("an earlier one")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    with pytest.raises(FlameError, match="py-spy"):
        await record(process.pid, file, 1.0)
    assert not file.exists()
