"""The picture of a benchmark: each bot's latency over time, and the outage as a band.

How it reads. Time runs to the right, in seconds; upwards, on a logarithmic scale, the latency of each reply. Every reply is
a faint dot at the moment at which its message was due, and each bot has a line through the worst reply of each short stretch
of time (`STRETCHES_MAX` over the whole width, fewer where there are few messages): of the few dozen messages of a stretch the
worst reply is what a 99th percentile would be, and the line shows what a viewer may meet. Messages that nobody answered are crosses in a strip at the top, one
height for each bot, and the line has a gap where a stretch has no reply at all.

The colours are those of Okabe and Ito, which people with any colour vision can tell apart; lines differ in width too. The
background is white, so that the picture reads the same on a light and on a dark page.

Left out: percentiles over many rounds, which the report's tables have. The picture shows one round of each bot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.bench.results import FLOOR, Timeline
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PX, HEIGHT_PX = 1_200, 600
DPI = 100
STRETCHES_MAX, STRETCHES_MIN = 75, 12
MESSAGES_PER_STRETCH = 8  # fewer, and the line jumps from dot to dot
WHOLE_FROM_S = 5.0
SHORTEST_S = 0.001  # an axis has a length, even for one message
FEW_DECADES = 3.0  # over so few powers of ten the axis has ticks between them too
DOTS_MAX = 3_000  # of each bot; more make the file large and the picture no clearer

# What each bot looks like: colour, width of its line.  Unknown ones take the other colours in turn.
STYLES: Mapping[str, tuple[str, float]] = {
    "byte_bot": ("#0072b2", 2.8),
    "byte_bot power": ("#009e73", 1.8),
    FLOOR: ("#7f7f7f", 1.6),
    "inline": ("#d55e00", 1.8),
    "blocking": ("#cc79a7", 1.8),
    "task_per_message": ("#e69f00", 1.8),
}
OTHER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
BAND_COLOUR = "#fbe3e0"
BAND_WORDS_COLOUR = "#a33327"


class PlotError(SimulatorError):
    """The picture cannot be drawn; the message says what to do."""


def draw(
    timelines: Sequence[Timeline], file: Path, *, title: str = "", outage_words: str = "database down"
) -> None:
    """Write the picture, a PNG of `WIDTH_PX` x `HEIGHT_PX`.

    Raises `PlotError` when matplotlib is not installed, when there is nothing to draw, and when the file cannot be written.
    """
    if not any(line.points for line in timelines):
        raise PlotError("there is nothing to draw: no message was measured over an outage")
    figure = _figure(timelines, title, outage_words)
    try:
        figure.savefig(file, format="png", dpi=DPI)
    except OSError as error:
        raise PlotError(f"cannot write {str(file)!r}: {error.strerror or error}") from error


def check_drawable() -> None:
    """Raise `PlotError` if matplotlib is missing: asked before a long measurement, not after it."""
    _new_figure()


def _new_figure() -> Figure:
    # Lazily: it takes a second to import, and everything but the picture works without it.
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotError(
            f"the picture needs {error.name}: in the clone, `make setup`, or pip install '.[bench]'"
        ) from error
    # Without pyplot, which would keep the figure in a global and look for a screen.
    return Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor="white", layout="constrained")


def _figure(timelines: Sequence[Timeline], title: str, outage_words: str) -> Figure:
    figure = _new_figure()
    axes = figure.add_subplot()
    low_ms, high_ms = _bounds_ms(timelines)
    stretches = stretches_for(timelines)
    strip = _Strip(high_ms, len([line for line in timelines if _unanswered_s(line)]))
    last_s = max(at_s for line in timelines for at_s, _ in line.points)
    # Up to a whole second, so that the last tick has its number.
    last_s = math.ceil(last_s) if last_s > WHOLE_FROM_S else max(last_s, SHORTEST_S)
    _draw_outage(axes, timelines[0].outage, last_s, outage_words)
    for line, (colour, width) in zip(timelines, styles(timelines), strict=True):
        _draw_line(axes, line, colour, width, last_s / stretches)
        unanswered_s = _unanswered_s(line)
        if unanswered_s:
            heights = [strip.next_height_ms()] * len(unanswered_s)
            axes.plot(unanswered_s, heights, "x", color=colour, markersize=6, markeredgewidth=1.4, zorder=5)
    _draw_frame(axes, low_ms, strip, last_s, last_s / stretches)
    if title:
        axes.set_title(title, loc="left", fontsize=15, fontweight="bold", pad=34)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(-0.005, 1.0), ncols=6, frameon=False, fontsize=12,
        borderaxespad=0.3, handlelength=1.6, columnspacing=1.6,
    )  # fmt: skip
    return figure


class _Strip:
    """The strip above the highest latency, for the crosses of unanswered messages: one height for each bot that has any."""

    def __init__(self, high_ms: float, bots: int) -> None:
        self.bottom_ms = high_ms
        self._step = 1.5  # on the logarithmic axis: factors
        self._next = 0
        self.top_ms = high_ms * self._step ** (bots + 1) if bots else high_ms

    def next_height_ms(self) -> float:
        self._next += 1
        return self.bottom_ms * self._step**self._next


def _bounds_ms(timelines: Iterable[Timeline]) -> tuple[float, float]:
    """The lowest and highest latency of the axis, with some room; at least one power of ten."""
    answered = [ms for line in timelines for _, ms in line.points if ms is not None and ms > 0]
    if not answered:
        return 1.0, 1_000.0
    low_ms = min(answered) / 2  # room for the words at the foot of the band
    return low_ms, max(max(answered) * 1.6, low_ms * 10)


def _unanswered_s(line: Timeline) -> list[float]:
    return [at_s for at_s, ms in line.points if ms is None]


def styles(timelines: Iterable[Timeline]) -> Iterator[tuple[str, float]]:
    """The colour and width of each line; a bot without a style of its own gets a colour that no other has, while there are any."""
    lines = list(timelines)
    taken = {STYLES[line.strategy][0] for line in lines if line.strategy in STYLES}
    others = itertools.cycle([colour for colour in OTHER_COLOURS if colour not in taken] or OTHER_COLOURS)
    for line in lines:
        yield STYLES[line.strategy] if line.strategy in STYLES else (next(others), 2.4)


def _draw_outage(axes: Axes, outage: tuple[float, float], last_s: float, words: str) -> None:
    start_s, end_s = max(0.0, outage[0]), min(last_s, outage[1])
    if end_s <= start_s:
        return
    axes.axvspan(start_s, end_s, color=BAND_COLOUR, linewidth=0, zorder=0)
    axes.text(
        (start_s + end_s) / 2, 0.025, words, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
        color=BAND_WORDS_COLOUR, fontsize=13, zorder=1,
    )  # fmt: skip


def _draw_line(axes: Axes, line: Timeline, colour: str, width: float, stretch_s: float) -> None:
    dots = [(at_s, ms) for at_s, ms in line.points if ms is not None and ms > 0]
    kept = dots[:: math.ceil(len(dots) / DOTS_MAX) or 1]
    axes.scatter(
        [at_s for at_s, _ in kept], [ms for _, ms in kept],
        s=7, color=colour, alpha=0.25, linewidths=0, zorder=2,
    )  # fmt: skip
    worst = worst_of_stretches(line.points, stretch_s)
    axes.plot(
        [at_s for at_s, _ in worst], [ms for _, ms in worst],
        color=colour, linewidth=width, label=line.strategy, solid_joinstyle="round", zorder=4 if width > 2 else 3,
    )  # fmt: skip


def stretches_for(timelines: Iterable[Timeline]) -> int:
    """Into how many stretches of time the picture is divided: fewer where there are few messages."""
    fewest = min(len(line.points) for line in timelines if line.points)
    return max(STRETCHES_MIN, min(STRETCHES_MAX, fewest // MESSAGES_PER_STRETCH))


def worst_of_stretches(
    points: Sequence[tuple[float, float | None]], stretch_s: float
) -> list[tuple[float, float]]:
    """For each stretch of so many seconds its middle and its slowest reply in ms; NaN: it has none.

    A stretch in which no message was due is left out, so that the line goes on across it.
    """
    found: dict[int, float] = {}
    for at_s, ms in points:
        number = max(0, int(at_s / stretch_s))
        known = found.get(number, math.nan)
        if ms is not None and ms > 0:
            found[number] = ms if math.isnan(known) else max(known, ms)
        else:
            found.setdefault(number, math.nan)
    return [((number + 0.5) * stretch_s, found[number]) for number in sorted(found)]


def _draw_frame(axes: Axes, low_ms: float, strip: _Strip, last_s: float, stretch_s: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(low_ms, strip.top_ms)
    axes.set_xlim(0, last_s)
    axes.set_xlabel("time, s", fontsize=13)
    axes.set_ylabel("reply latency", fontsize=13)
    axes.text(
        1.0, -0.085, f"dots: replies; line: the slowest within {stretch_s:.2g} s", transform=axes.transAxes,
        ha="right", va="top", fontsize=11, color="#555555",
    )  # fmt: skip
    decades = math.log10(strip.top_ms / low_ms)
    axes.set_yticks(list(_ticks_ms(low_ms, strip.bottom_ms, (1,) if decades > FEW_DECADES else (1, 3))))
    axes.yaxis.set_major_formatter(lambda value, _: duration_words(value))
    axes.yaxis.set_minor_formatter(lambda *_: "")
    axes.tick_params(labelsize=12)
    axes.grid(axis="y", which="major", color="#dddddd", linewidth=0.8, zorder=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if strip.top_ms > strip.bottom_ms:
        axes.axhline(strip.bottom_ms, color="#999999", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.text(
            # Below its line: above it a row of crosses would run through the words.
            0.995, strip.bottom_ms / 1.05, "above: not answered in time", transform=axes.get_yaxis_transform(), ha="right",
            va="top", fontsize=11, color="#555555", zorder=6,
        )  # fmt: skip


def _ticks_ms(low_ms: float, high_ms: float, heads: Sequence[int]) -> Iterator[float]:
    """The round latencies between two: these digits times the powers of ten."""
    for exponent in range(math.floor(math.log10(low_ms)), math.ceil(math.log10(high_ms)) + 1):
        yield from (value for head in heads if low_ms <= (value := float(f"{head}e{exponent}")) <= high_ms)


def duration_words(value_ms: float) -> str:
    """A latency on the axis: "0.1 ms", "10 ms", "1 s"."""
    return f"{value_ms / 1_000:g} s" if value_ms >= 1_000 else f"{value_ms:g} ms"
