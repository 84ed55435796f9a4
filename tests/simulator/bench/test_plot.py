"""The picture of latency over time."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from benchmarks.chat_plan import STRATEGIES
from simulator.bench.plot import (
    HEIGHT_PX,
    WIDTH_PX,
    PlotError,
    check_drawable,
    draw,
    duration_words,
    stretches_for,
    styles,
    worst_of_stretches,
)
from simulator.bench.results import Timeline
from tests.simulator.bench.made_up import timeline


def size_of_png(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header that every PNG begins with."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_the_picture_is_a_png_of_the_promised_size(tmp_path: Path) -> None:
    """Bots with and without unanswered messages, known and unknown names: one file of 1200 x 600 pixels."""
    file = tmp_path / "latency.png"
    lines = [
        timeline("byte_bot", 1.0, 1.1),
        timeline("inline", 4.0, 3_000.0, unanswered=0.5),
        timeline("mine", 2.0, None),
    ]
    draw(lines, file, title="While the database hangs")
    assert size_of_png(file.read_bytes()) == (WIDTH_PX, HEIGHT_PX)


def test_no_two_lines_have_one_colour() -> None:
    """Neither those of our own bots, nor a stranger's beside them."""
    names = [*STRATEGIES, "mine", "another"]
    colours = [colour for colour, _ in styles([timeline(name, 1.0, 1.0) for name in names])]
    assert len(set(colours[: len(STRATEGIES)])) == len(STRATEGIES)
    assert not set(colours[len(STRATEGIES) :]) & set(colours[: len(STRATEGIES)])


def test_a_bot_that_never_answers_can_be_drawn(tmp_path: Path) -> None:
    """A picture of crosses only, in a measurement of less than a second, is a picture."""
    draw([timeline("mute", 1.0, None, seconds=0.5, outage=(0.0, 9.0))], tmp_path / "mute.png")
    assert size_of_png((tmp_path / "mute.png").read_bytes()) == (WIDTH_PX, HEIGHT_PX)


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    """No points, no picture: an error in words and no file."""
    with pytest.raises(PlotError, match="nothing to draw"):
        draw([Timeline(strategy="a", points=[], outage=(0.0, 1.0))], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder that is not there is an error which names the file."""
    check_drawable()
    with pytest.raises(PlotError, match=r"cannot write .*p\.png"):
        draw([timeline("a", 1.0, 1.0, seconds=1.0)], tmp_path / "nowhere" / "p.png")


def test_the_line_goes_through_the_slowest_reply_of_each_stretch() -> None:
    """Two stretches of 5 s: the slowest of each, at the middle of each."""
    points = [(0.0, 1.0), (4.0, 9.0), (5.0, 2.0), (9.9, 3.0)]
    assert worst_of_stretches(points, 5.0) == [(2.5, 9.0), (7.5, 3.0)]


def test_the_line_has_a_gap_where_nothing_was_answered() -> None:
    """A stretch with unanswered messages only is NaN, one with an answer besides is that answer, an empty one is left out."""
    points = [(0.5, None), (1.5, None), (1.6, 4.0), (3.5, 2.0)]
    (first, gap), second, third = worst_of_stretches(points, 1.0)
    assert first == 0.5 and math.isnan(gap)
    assert (second, third) == ((1.5, 4.0), (3.5, 2.0))


def test_few_messages_make_few_stretches() -> None:
    """Eight messages a stretch, between 12 stretches and 75."""
    counts = [
        stretches_for([timeline("a", 1.0, 1.0, rate=rate, seconds=10.0)]) for rate in (1.0, 20.0, 1_000.0)
    ]
    assert counts == [12, 25, 75]


def test_latencies_on_the_axis_have_their_unit() -> None:
    """Below a second milliseconds, from there on seconds."""
    assert [duration_words(ms) for ms in (0.3, 10.0, 1_000.0, 30_000.0)] == ["0.3 ms", "10 ms", "1 s", "30 s"]
