"""Single keys, typed into a pseudo-terminal."""

from __future__ import annotations

import asyncio
import io
import os
import sys

import pytest

from simulator.keyboard import keys

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")


@unix_only
async def test_a_key_is_heard_without_enter() -> None:
    """Each character calls back at once, and the terminal is as before afterwards."""
    import termios

    ours, theirs = os.openpty()
    typed: asyncio.Queue[str] = asyncio.Queue()
    with os.fdopen(theirs, "r+b", buffering=0) as raw, io.TextIOWrapper(raw, write_through=True) as terminal:
        before = termios.tcgetattr(terminal.fileno())
        with keys(terminal, typed.put_nowait) as works:
            assert works
            os.write(ours, b"bq")
            assert [await typed.get(), await typed.get()] == ["b", "q"]
            assert termios.tcgetattr(terminal.fileno()) != before
        assert termios.tcgetattr(terminal.fileno()) == before
    os.close(ours)


async def test_without_a_terminal_there_are_no_keys() -> None:
    """A pipe or a file is left alone."""
    with keys(io.StringIO("bq"), lambda key: pytest.fail("a key without a terminal")) as works:
        assert not works
        await asyncio.sleep(0)
