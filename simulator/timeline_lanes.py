"""The chart of the timeline page, as SVG: lanes for faults, process, connection, circuit, journal, backlog, latency and chat.

How it works. :func:`draw` stacks the lanes from top to bottom; each knows only its own height. What belongs to a time is drawn in seconds into one
group that is stretched to pixels, its strokes are not: so a dot is a line of no length with round ends. Words are pixels; those beside a
fault need room, so faults are packed into as few rows as their words allow. Latency is on a logarithmic axis, since a reply that waited
for a dead database is a thousand times later than the others; commands that nobody replied to stand above it.

What it leaves out: rows for more than :data:`CHAT_ROWS_MAX` channels; all others share the last one.
"""

from __future__ import annotations

import html
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.timeline_picture import Band, Picture, Span, Who

WIDTH_PX, LEFT_PX, RIGHT_PX = 1200, 118, 14
PLOT_PX = WIDTH_PX - LEFT_PX - RIGHT_PX
#: Channels with a row of their own: more would not fit on a screen.
CHAT_ROWS_MAX = 12
#: Rows of faults: what finds no place shares the last row. A night with hundreds of faults is still a page.
FAULT_ROWS_MAX = 14
#: A letter of the labels, about: they are 11 px high, in the reader's own font.
LETTER_PX = 6.1
LANE_GAP_PX = 12
CHAT_ROW_PX = 22.0
#: A second row where two processes run at the same time.
PROCESS_ROW_PX = 18.0
#: In a row of chat, people speak above and the bot below: a reply comes too soon to stand beside its command.
BESIDE_PX: Mapping[Who, float] = {"viewer": -4.5, "command": -4.5, "bot": 4.5}
# What neither HTML nor a reader can do anything with.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
TICKS = 10


@dataclass(frozen=True)
class LatencyScale:
    """The logarithmic axis of the latencies: which pixels stand for which milliseconds."""

    top_px: float
    bottom_px: float
    low_ms: float
    high_ms: float

    def y_of(self, ms: float) -> float:
        """Where a latency stands."""
        share = math.log(min(max(ms, self.low_ms), self.high_ms) / self.low_ms) / math.log(
            self.high_ms / self.low_ms
        )
        return self.bottom_px - share * (self.bottom_px - self.top_px)


@dataclass(frozen=True)
class Drawing:
    """The chart, and where the script finds on it what it must know."""

    svg: str
    #: The height of each channel's row of chat.
    row_y_of: Mapping[str, float]
    latency: LatencyScale


def draw(picture: Picture) -> Drawing:
    """The chart of a night."""
    sheet = _Sheet(picture)
    _draw_flags(sheet)
    _draw_faults(sheet)
    _draw_process(sheet)
    _draw_spans(sheet, "connection", picture.connected, 12, words=False)
    _draw_spans(sheet, "circuit", picture.circuits, 16, words=True)
    _draw_spans(sheet, "journal", picture.degraded, 12, words=True)
    _draw_backlog(sheet)
    latency = _draw_latency(sheet)
    rows = _draw_chat(sheet)
    return Drawing(sheet.svg(), rows, latency)


@dataclass
class _Sheet:
    """Paper: what is drawn where, and how far down it is full."""

    picture: Picture
    y: float = 4.0
    #: Behind everything, in pixels.
    paper: list[str] = field(default_factory=list)
    #: In seconds across.
    timed: list[str] = field(default_factory=list)
    #: Words and symbols over it, in pixels, each with its time.
    over: list[str] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        return max(self.picture.end_s, 0.001)

    def x_of(self, at_s: float) -> float:
        """Where a moment stands while the whole night is shown."""
        return LEFT_PX + at_s / self.end_s * PLOT_PX

    def lane(self, name: str, height_px: float, *, floor: bool = True) -> float:
        """Begin a lane; its top."""
        top = self.y
        self.paper.append(
            f'<text class="lane-name" x="2" y="{top + min(height_px, 18) / 2:.1f}">{shown(name)}</text>'
        )
        if floor:
            self.paper.append(
                f'<rect class="lane" x="{LEFT_PX}" y="{top:.1f}" width="{PLOT_PX}" height="{height_px:.1f}"/>'
            )
        self.y += height_px + LANE_GAP_PX
        return top

    def rule(self, y: float, words: str) -> None:
        """A line across, with what it stands for."""
        self.paper.append(f'<path class="rule" d="M{LEFT_PX} {y:.1f}h{PLOT_PX}"/>')
        self.paper.append(f'<text class="scale" x="{LEFT_PX - 10}" y="{y:.1f}">{shown(words)}</text>')

    def box(
        self, kind: str, start_s: float, end_s: float, y: float, height_px: float, more: str = ""
    ) -> None:
        """A box over a stretch of time."""
        self.timed.append(
            f'<rect class="{kind}" x="{start_s:.6f}" y="{y:.1f}" width="{max(0.0, end_s - start_s):.6f}" height="{height_px:.1f}"{more}/>'
        )

    def dots(self, kind: str, places: Iterable[tuple[float, float]]) -> None:
        """Dots of one kind, at moments and heights."""
        path = "".join(f"M{at_s:.6f} {y:.1f}h0" for at_s, y in places)
        if path:
            self.timed.append(f'<path class="dots {kind}" d="{path}"/>')

    def words(self, kind: str, text: str, start_s: float, end_s: float | None, y: float) -> None:
        """A label at a moment; with an end it is shown only where it has room up to there."""
        width_px = len(text) * LETTER_PX + 8
        room = "" if end_s is None else f' data-u="{end_s:.6f}" data-w="{width_px:.0f}"'
        hidden = end_s is not None and (end_s - start_s) / self.end_s * PLOT_PX < width_px
        self.over.append(
            f'<text class="{kind}" data-t="{start_s:.6f}" data-y="{y:.1f}"{room} '
            f'transform="translate({self.x_of(start_s):.1f} {y:.1f})"{" visibility=" + _quoted("hidden") if hidden else ""} '
            f'dx="4">{shown(text)}</text>'
        )

    def sign_words(self, kind: str, text: str, at_s: float, y: float) -> None:
        """A label that stands before its moment, at whatever zoom."""
        self.over.append(
            f'<text class="{kind}" data-t="{at_s:.6f}" data-y="{y:.1f}" dx="-5" '
            f'transform="translate({self.x_of(at_s):.1f} {y:.1f})">{shown(text)}</text>'
        )

    def sign(self, kind: str, shape: str, at_s: float, y: float, more: str = "") -> None:
        """A symbol at a moment."""
        self.over.append(
            f'<path class="{kind}" data-t="{at_s:.6f}" data-y="{y:.1f}" transform="translate({self.x_of(at_s):.1f} {y:.1f})" '
            f'd="{shape}"{more}/>'
        )

    def svg(self) -> str:
        """Everything drawn so far, with the axis under it."""
        bottom = self.y - LANE_GAP_PX
        height = bottom + 30
        broken = self.picture.violations
        lines = [
            *(f'<path class="heal" data-t="{at_s:.6f}" data-y="0" d="M0 20V{bottom:.0f}" transform="translate({self.x_of(at_s):.1f} 0)"/>'
              for at_s in self.picture.heals_s),
            *(f'<path class="violation" data-t="{item.at_s:.6f}" data-y="0" data-invariant="{shown(item.invariant)}" '
              f'd="M0 18V{bottom:.0f}" transform="translate({self.x_of(item.at_s):.1f} 0)"/>' for item in broken),
        ]  # fmt: skip
        ticks = [
            f'<g class="tick" transform="translate({self.x_of(at_s):.1f} 0)"><path d="M0 20V{bottom + 5:.0f}"/>'
            f'<text y="{bottom + 18:.0f}">{at_s:g} s</text></g>'
            for at_s in moments(self.end_s)
        ]
        parts = [
            f'<svg viewBox="0 0 {WIDTH_PX} {height:.0f}" data-bottom="{bottom:.0f}" role="img" aria-label="what happened when">',
            f'<defs><clipPath id="plot"><rect x="{LEFT_PX}" y="0" width="{PLOT_PX}" height="{height:.0f}"/></clipPath>',
            f'<clipPath id="edge"><rect x="{LEFT_PX - RIGHT_PX}" y="0" width="{PLOT_PX + 2 * RIGHT_PX}" height="{height:.0f}"/></clipPath></defs>',
            *self.paper,
            f'<g id="ticks">{"".join(ticks)}</g>',
            '<g clip-path="url(#plot)">',
            f'<g id="timed" transform="translate({LEFT_PX} 0) scale({PLOT_PX / self.end_s:.6f} 1)">',
            *self.timed,
            "</g></g>",
            '<g clip-path="url(#edge)">',
            *lines,
            *self.over,
            f'<rect id="chosen" y="18" height="{bottom - 18:.0f}" width="0" visibility="hidden"/>',
            f'<path id="cursor" d="M0 18V{bottom + 5:.0f}" visibility="hidden"/>',
            '<circle id="near" r="6" visibility="hidden"/>',
            "</g>",
            "</svg>",
        ]
        return "\n".join(parts)


def moments(end_s: float) -> Iterator[float]:
    """Round moments for the axis of a night: about :data:`TICKS` of them."""
    least = end_s / TICKS
    power = 10 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
    yield from (round(number * step, 6) for number in range(int(end_s / step) + 1))


# --- lanes
# ------------------------------------------------------------------------------------------------------


def _draw_flags(sheet: _Sheet) -> None:
    """Room for the numbers of broken promises and the word of the heal."""
    top = sheet.y
    sheet.y += 18
    for at_s in sheet.picture.heals_s[:1]:
        sheet.sign_words("heal-word", "healed", at_s, top + 9)
    numbers: dict[float, list[int]] = {}
    for number, broken in enumerate(sheet.picture.violations, 1):
        numbers.setdefault(broken.at_s, []).append(number)
    for at_s, here in numbers.items():
        # Of several at one moment the first, and that there are more.
        words = f"{here[0]}{'+' if len(here) > 1 else ''}"
        sheet.sign("flag", "M-11 -8h22v12l-11 6l-11 -6z", at_s, top + 9)
        sheet.over.append(
            f'<text class="flag-word" data-t="{at_s:.6f}" data-y="{top + 8:.1f}" '
            f'transform="translate({sheet.x_of(at_s):.1f} {top + 8:.1f})">{words}</text>'
        )


def _draw_faults(sheet: _Sheet) -> None:
    bands = sheet.picture.bands
    rows = list(_packed(sheet, bands))
    height = 19.0 * (max(rows, default=0) + 1)
    top = sheet.lane("faults", height, floor=False)
    for band, row in zip(bands, rows, strict=True):
        y = top + 19.0 * row
        family = shown(band.family)
        data = f' data-fault="{shown(band.kind)}" data-start="{band.start_s:.6f}" data-end="{band.end_s:.6f}"'
        if band.instant:
            sheet.sign(f"instant {family}", "M0 -6 6 0 0 6 -6 0z", band.start_s, y + 8, data)
            sheet.over.append(
                f'<text class="fault-word" data-t="{band.start_s:.6f}" data-y="{y + 8:.1f}" '
                f'transform="translate({sheet.x_of(band.start_s):.1f} {y + 8:.1f})" dx="10">{shown(band.words)}</text>'
            )
            continue
        sheet.box(f"band {family}", band.start_s, band.end_s, y, 16, data)
        for start_s, end_s in band.phases:
            sheet.box(f"phase {family}", start_s, end_s, y, 16)
        sheet.over.append(
            f'<text class="fault-word" data-t="{band.start_s:.6f}" data-y="{y + 8:.1f}" data-stay="{band.end_s:.6f}" '
            f'transform="translate({sheet.x_of(band.start_s):.1f} {y + 8:.1f})" dx="5">{shown(band.words)}</text>'
        )


def _packed(sheet: _Sheet, bands: Sequence[Band]) -> Iterator[int]:
    """A row for each fault, so that neither boxes nor words meet."""
    full_px: list[float] = []
    for band in bands:
        start_px = sheet.x_of(band.start_s) - 6
        end_px = max(sheet.x_of(band.end_s), start_px + len(band.words) * LETTER_PX + 14)
        row = next((number for number, full in enumerate(full_px) if full <= start_px), len(full_px))
        row = min(row, FAULT_ROWS_MAX - 1)
        if row == len(full_px):
            full_px.append(end_px)
        full_px[row] = max(full_px[row], end_px)
        yield row


def _draw_process(sheet: _Sheet) -> None:
    lives = sheet.picture.lives
    top = sheet.lane("process", PROCESS_ROW_PX * (1 + max((life.row for life in lives), default=0)))
    for life in lives:
        y = top + PROCESS_ROW_PX * life.row
        data = f' data-start="{life.start_s:.6f}" data-end="{life.end_s:.6f}"'
        sheet.box("life", life.start_s, life.end_s, y, PROCESS_ROW_PX, data)
        sheet.words("span-word", f"#{life.incarnation}", life.start_s, life.end_s, y + PROCESS_ROW_PX / 2)
        if life.end in ("killed", "power lost"):
            sheet.sign("death", "M-5 -5L5 5M5 -5L-5 5", life.end_s, y + PROCESS_ROW_PX / 2)


def _draw_spans(sheet: _Sheet, name: str, spans: Sequence[Span], height_px: float, *, words: bool) -> None:
    top = sheet.lane(name, height_px)
    for span in spans:
        data = f' data-start="{span.start_s:.6f}" data-end="{span.end_s:.6f}"'
        sheet.box(f"state {shown(span.value)}", span.start_s, span.end_s, top, height_px, data)
        if words:
            sheet.words("span-word", span.value, span.start_s, span.end_s, top + height_px / 2)


def _draw_backlog(sheet: _Sheet) -> None:
    height = 84.0
    top = sheet.lane("rows waiting", height)
    states = sheet.picture.states
    most = max((sample.rows_waiting for sample in states), default=0)
    step = _round_up(max(most, 4) / 2)
    high = 2 * step
    for value in (step, high):
        sheet.rule(top + height - value / high * (height - 22), f"{value:g}")
    path = [f"M0 {top + height:.1f}"]
    path += [
        f"H{sample.at_s:.6f}V{top + height - sample.rows_waiting / high * (height - 22):.1f}"
        for sample in states
    ]
    path.append(f"H{sheet.end_s:.6f}")
    line = "".join(path)
    sheet.timed.append(f'<path class="backlog-area" d="{line}V{top + height:.1f}z"/>')
    sheet.timed.append(f'<path class="backlog" d="{line}"/>')


def _round_up(value: float) -> float:
    power: float = 10 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 3, 5, 10) if factor * power >= value)


def _draw_latency(sheet: _Sheet) -> LatencyScale:
    height, strip = 150.0, 22.0
    top = sheet.lane("latency", height + strip)
    messages = sheet.picture.messages
    known = [message.latency_ms for message in messages if message.latency_ms]
    low = 10.0 ** math.floor(math.log10(min(known, default=10.0)))
    high = 10.0 ** math.ceil(math.log10(max(known, default=100.0) * 1.2))
    scale = LatencyScale(top + strip, top + strip + height, low, max(high, low * 100))
    for exponent in itertools.count(round(math.log10(low))):
        value = 10.0**exponent
        if value > scale.high_ms:
            break
        sheet.rule(scale.y_of(value), f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms")
    sheet.paper.append(
        f'<text class="scale" x="{LEFT_PX - 10}" y="{top + strip / 2 - 2:.1f}">no reply</text>'
    )
    missed = [message.at_s for message in messages if message.who == "command" and message.latency_ms is None]
    sheet.dots("missed", ((at_s, top + strip / 2) for at_s in missed))
    sheet.dots(
        "reply",
        (
            (message.at_s, scale.y_of(message.latency_ms))
            for message in messages
            if message.latency_ms is not None
        ),
    )
    return scale


def _draw_chat(sheet: _Sheet) -> dict[str, float]:
    """A row for each channel; the height of each."""
    messages = sheet.picture.messages
    names = list(dict.fromkeys([*sheet.picture.channels, *(message.channel for message in messages)]))
    shown = names
    if len(names) > CHAT_ROWS_MAX:
        lines = Counter(message.channel for message in messages)
        loudest = [name for name, _ in lines.most_common(CHAT_ROWS_MAX - 1)]
        shown = [name for name in names if name in loudest]
    row_y_of: dict[str, float] = {}
    for name in shown:
        row_y_of[name] = sheet.lane(_cut(f"#{name}"), CHAT_ROW_PX) + CHAT_ROW_PX / 2
        sheet.y -= LANE_GAP_PX - 4
    others = [name for name in names if name not in row_y_of]
    if others:
        y = sheet.lane(f"{len(others)} others", CHAT_ROW_PX) + CHAT_ROW_PX / 2
        sheet.y -= LANE_GAP_PX - 4
        row_y_of.update(dict.fromkeys(others, y))
    sheet.y += LANE_GAP_PX - 4
    for who, aside in BESIDE_PX.items():
        said = [message for message in messages if message.who == who]
        sheet.dots(who, ((message.at_s, row_y_of[message.channel] + aside) for message in said))
    return row_y_of


def _cut(name: str) -> str:
    most = int((LEFT_PX - 14) / LETTER_PX)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def shown(value: object) -> str:
    """A value as text of HTML, in an element or an attribute."""
    return html.escape(_CONTROL.sub("\ufffd", str(value)))


def _quoted(value: str) -> str:
    return f'"{value}"'
