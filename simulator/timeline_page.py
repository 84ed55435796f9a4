"""A night as one page: what was said, how fast the bot replied, what waited, what was broken, and when a promise was.

How it works. :func:`page` draws a :class:`~simulator.timeline_picture.Picture` as SVG, lane under lane over one axis of time, and puts style and
script (``timeline_page.css``, ``timeline_page.js``) and the night's data into the same text: one file, which asks no network for anything. A content
security policy with the hashes of both says so to the browser too, and lets nothing else run. All that belongs to a time is drawn in seconds, inside
a group whose transform makes pixels of them, so that zooming changes one attribute; labels and symbols, which must not be stretched, say their time
in ``data-t``. Without the script the whole night is there, only nothing moves.

What people said is hostile: in HTML it is escaped, in the script's data every ``<``, ``>`` and ``&`` is written as an escape of JSON, and the script
puts it on the page as text.

What it leaves out: charts beside the lanes, and comparing two nights (``byte-sim replay --compare``).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.errors import SimulatorError
from simulator.replay import Recording
from simulator.report import percentile
from simulator.timeline_lanes import BESIDE_PX, LEFT_PX, PLOT_PX, WIDTH_PX, Drawing, draw, shown
from simulator.timeline_picture import Picture, picture_of
from simulator.timeline_samples import Watched

#: Broken promises that are listed one by one; all of them are drawn.
LISTED_MAX = 12
_HERE = Path(__file__).parent
_FAMILIES: Mapping[str, str] = {
    "database": "database",
    "twitch": "Twitch",
    "process": "process",
    "disk": "disk",
    "clock": "clock",
}


class TimelineError(SimulatorError):
    """The page cannot be written; the message says why."""


def write_page(file: Path, recording: Recording, watched: Watched, title: str) -> None:
    """Write the page of a night; raises `TimelineError` if the file cannot be written."""
    try:
        file.write_text(page(recording, watched, title), encoding="utf-8")
    except OSError as error:
        raise TimelineError(f"cannot write {str(file)!r}: {error.strerror or error}") from None


def page(recording: Recording, watched: Watched, title: str) -> str:
    """The page of a night, as HTML that needs nothing else.

    Args:
        recording: the events, and the report if there is one.
        watched: what a `Watcher` saw in the same run.
        title: what the night is called.
    """
    picture = picture_of(recording, watched)
    drawing = draw(picture)
    style, script = _resource("css"), _resource("js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{shown(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            *_header(recording, watched, picture, title),
            *_violations(picture),
            *_chart(picture, drawing),
            *_panels(),
            *_footer(recording, watched, picture),
            f'<script type="application/json" id="night">{_data(picture, drawing)}</script>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _resource(kind: str) -> str:
    return (_HERE / f"timeline_page.{kind}").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The source expression under which a policy lets exactly this text pass."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


# --- above and below the chart
# ----------------------------------------------------------------------------------


def _header(recording: Recording, watched: Watched, picture: Picture, title: str) -> Iterator[str]:
    broken = len(picture.violations) - (recording.ended is not None)
    verdict = "every promise kept" if not broken else f"{broken} broken promise{'s' if broken > 1 else ''}"
    if recording.ended is not None:
        told = f"ended by {recording.ended.failure.invariant}"
        verdict = f"{told}, {verdict}" if broken else told
    yield "<header>"
    yield f'<h1>{shown(title)} <span class="verdict {"bad" if picture.violations else "good"}">{verdict}</span></h1>'
    yield f'<p class="summary">{shown(watched.scenario.summary)}</p>'
    yield '<dl class="facts">'
    for name, value in _facts(recording, picture):
        yield f"<div><dt>{shown(name)}</dt><dd>{shown(value)}</dd></div>"
    yield "</dl>"
    yield "</header>"


def _facts(recording: Recording, picture: Picture) -> Iterator[tuple[str, str]]:
    latencies_ms = [message.latency_ms for message in picture.messages if message.latency_ms is not None]
    who = Counter(message.who for message in picture.messages)
    yield "virtual time", f"{picture.end_s:.1f} s"
    yield "channels", f"{len(picture.channels)}"
    yield "lines of chat", f"{sum(who.values())}"
    yield "commands", f"{who['command']}"
    if latencies_ms:
        yield "reply latency p50", f"{percentile(latencies_ms, 50):.1f} ms"
        yield "p99", f"{percentile(latencies_ms, 99):.1f} ms"
    yield "most rows waiting", f"{max((sample.rows_waiting for sample in picture.states), default=0)}"
    yield "processes", f"{len(picture.lives)}"
    if recording.report is not None and recording.report.recovered_after_s is not None:
        yield "recovered", f"{recording.report.recovered_after_s:.2f} s after the heal"


def _violations(picture: Picture) -> Iterator[str]:
    if not picture.violations:
        return
    yield '<ol class="violations" aria-label="broken promises">'
    for number, broken in enumerate(picture.violations[:LISTED_MAX], 1):
        yield (
            f'<li><button type="button" data-go="{broken.at_s:.6f}"><b class="flag">{number}</b> '
            f"<strong>{shown(broken.invariant)}</strong> <time>{broken.at_s:.3f} s</time> "
            f"<span>{shown(broken.words)}</span></button></li>"
        )
    yield "</ol>"
    more = len(picture.violations) - LISTED_MAX
    if more > 0:
        yield f'<p class="more">and {more} more, each a line in the chart</p>'


def _chart(picture: Picture, drawing: Drawing) -> Iterator[str]:
    # Not those that were planned for a time which an error has kept from coming.
    present = dict.fromkeys(band.family for band in picture.bands if band.start_s <= picture.end_s)
    families = [
        *(name for name in _FAMILIES if name in present),
        *(name for name in present if name not in _FAMILIES),
    ]
    yield '<section class="chart">'
    yield '<div class="tools">'
    yield '<ul class="legend">'
    for kind, words in (("viewer", "small talk"), ("command", "command"), ("bot", "the bot")):
        yield f'<li><i class="dot {kind}"></i>{words}</li>'
    for family in families:
        yield f'<li><i class="box {shown(family)}"></i>fault: {shown(_FAMILIES.get(family, family))}</li>'
    yield "</ul>"
    yield '<div class="zoom" role="group" aria-label="zoom">'
    for name, sign, words in (
        ("left", "←", "earlier"),
        ("right", "→", "later"),
        ("out", "−", "zoom out"),
        ("in", "+", "zoom in"),
        ("all", "all", "the whole night"),
    ):
        yield f'<button type="button" data-zoom="{name}" title="{words}" aria-label="{words}">{sign}</button>'
    yield "</div>"
    yield "</div>"
    yield '<div class="frame" tabindex="0" aria-label="timeline; arrow keys move, plus and minus zoom">'
    yield drawing.svg
    yield '<div class="tip" hidden></div>'
    yield "</div>"
    yield (
        '<p class="hint">Move over the chart to read it; click to hold the cursor. Drag to zoom in, double-click for the whole night; '
        "keys: ← → + − 0, Shift and the wheel.</p>"
    )
    yield "<noscript><p>Without JavaScript the picture stands still.</p></noscript>"
    yield "</section>"


def _panels() -> Iterator[str]:
    yield '<section class="panels">'
    yield '<div class="card"><h2>At <output id="moment"></output></h2><dl id="state"></dl></div>'
    yield '<div class="card"><h2>Chat</h2><ol id="said"></ol></div>'
    yield "</section>"


def _footer(recording: Recording, watched: Watched, picture: Picture) -> Iterator[str]:
    yield "<footer>"
    if outcome := recording.to_text():
        # The calls that led to an error stand there and nowhere else.
        opened = "" if recording.ended is None else " open"
        yield f"<details{opened}><summary>Report</summary><pre>{shown(outcome)}</pre></details>"
    yield f"<p>trace <code>{shown(recording.trace_hash)}</code></p>"
    yield f"<p>again <code>{shown(' '.join(('byte-sim replay', *recording.night.arguments)))}</code></p>"
    if picture.messages_left_out:
        yield f"<p>{picture.messages_left_out} later lines of chat are not on this page.</p>"
    if watched.looks_left_out:
        yield f"<p>The bot was looked at every second only, after the first {len(watched.samples)} changes.</p>"
    yield "</footer>"


# --- what the script reads
# --------------------------------------------------------------------------------------


def _data(picture: Picture, drawing: Drawing) -> str:
    """The night as JSON that can stand inside a script element."""
    names = list(dict.fromkeys([*picture.channels, *(message.channel for message in picture.messages)]))
    number_of = {name: number for number, name in enumerate(names)}
    value: dict[str, Any] = {
        "end": picture.end_s,
        "left": LEFT_PX,
        "plot": PLOT_PX,
        "width": WIDTH_PX,
        "channels": names,
        "messages": [
            [
                message.at_s,
                number_of[message.channel],
                message.login,
                message.text,
                message.who,
                message.latency_ms,
            ]
            for message in picture.messages
        ],
        "states": [list(sample) for sample in picture.states],
        "bands": [
            [
                band.start_s,
                band.end_s,
                _FAMILIES.get(band.family, band.family),
                band.words,
                band.instant,
                band.phases,
            ]
            for band in picture.bands
        ],
        "lives": [[life.incarnation, life.start_s, life.end_s, life.end] for life in picture.lives],
        "heals": list(picture.heals_s),
        "violations": [[broken.at_s, broken.invariant, broken.words] for broken in picture.violations],
        "rows": [drawing.row_y_of[name] for name in names],
        "beside": dict(BESIDE_PX),
        "latency": {
            "top": drawing.latency.top_px,
            "bottom": drawing.latency.bottom_px,
            "low": drawing.latency.low_ms,
            "high": drawing.latency.high_ms,
        },
    }
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Nothing that could end the element, open a comment in it, or end a line of JavaScript.
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
