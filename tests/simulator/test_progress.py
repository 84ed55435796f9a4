"""Progress has a rate and an estimate, and is quiet where there is nothing to wait for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.progress import PROGRESS_LINE_S, Progress


def ticking(step_s: float) -> Iterator[float]:
    """Real time: each look at the clock finds it later."""
    now_s = 0.0
    while True:
        now_s += step_s
        yield now_s


def shown(total: int, step_s: float, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is printed while all of it is done."""
    ticks = ticking(step_s)
    progress = Progress(total, "nights", "failed", lambda: next(ticks))
    for done in range(total):
        progress.step(done // 2)
    progress.end()
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_a_line_has_rate_and_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, every ten seconds."""
    lines = shown(10, 4.0, capsys)
    assert lines == [
        "3 of 10 nights, 1 failed, 0.2/s, 28 s left",
        "6 of 10 nights, 2 failed, 0.2/s, 16 s left",
        "9 of 10 nights, 4 failed, 0.2/s, 4 s left",
    ]


def test_what_is_quick_or_alone_shows_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to wait for."""
    assert shown(5, PROGRESS_LINE_S / 10, capsys) == []
    assert shown(1, 100.0, capsys) == []
