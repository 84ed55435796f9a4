"""SIGTERM cancels what runs, so that it can clean up."""

from __future__ import annotations

import asyncio
import signal

import pytest

from simulator.termination import cancelled_by_sigterm


def test_sigterm_cancels_and_the_clean_up_runs() -> None:
    """The coroutine sees a cancellation, and the handler of before is back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    cleaned: list[str] = []

    async def main() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append("up")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled_by_sigterm(main()))
    assert cleaned == ["up"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_a_signal_the_result_comes_through() -> None:
    """What the coroutine returns is returned."""

    async def main() -> int:
        return 7

    assert asyncio.run(cancelled_by_sigterm(main())) == 7
