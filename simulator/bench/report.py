"""What a benchmark measured, for people: a table for each load, and where each promise stands, one line each.

A table has one line for each strategy and condition. With a terminal it is a rich table, without one aligned text, so that
a log file can be read and cut into columns. A terminal too narrow for all columns gets two tables, latencies and costs.

Figures have three significant digits, and "-" stands for what was not measured: no figure is ever "nan" or a zero that
nobody counted. Two columns hold pairs, "after heal / after SIGKILL": counters whose increments viewers were told of and the
database does not have (`lost`), and counters whose stored value is older than what viewers were told (`stale`).

Promises are claimed by some strategies only (`claims`): the bots beside them are there to be compared with, and a promise
that they never made is not held against them. `P2` is judged for each condition by `results.judge`; `P3` (nothing lost) and
the requests for each 1,000 messages are counts over the same rows. Which of these decide the exit code is the caller's
choice (`status`).

Left out: the rounds behind a row (they are in the JSON, `round_p99_ms`), and the picture (`plot.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator.bench.results import (
    FLAT_RATIO,
    FLAT_SLACK_MS,
    HEALTHY,
    HEALTHY_AGAIN,
    Judgement,
    Row,
    judge,
)

NOT_MEASURED = "-"
SIGNIFICANT_DIGITS = 3

#: Requests to the database for each 1,000 messages, at `REQUESTS_RATE` messages a second or more: one save every 2 s, and
#: what a bot reads besides.
REQUESTS_PER_1000_MAX = 6.0
REQUESTS_RATE = 100.0

KEPT, BROKEN, UNMEASURED = 0, 1, 2


@dataclass(frozen=True)
class Column:
    """A column of the tables: its head (a second line says the unit), and the cell of a row."""

    head: str
    unit: str
    cell: Callable[[Row], str]
    is_name: bool = False


KILLED = "after a SIGKILL in the outage"


@dataclass(frozen=True)
class Finding:
    """How one promise stands: kept (True), broken (False), not measured (None), and the figures that say so.

    Findings with the same `under`, a sentence about the limits, are shown below it.
    """

    promise: str
    ok: bool | None
    words: str
    under: str = ""

    def __str__(self) -> str:
        mark = {True: "✓", False: "✗", None: "?"}[self.ok]
        return f"{'  ' if self.under else ''}{mark} {self.words}{': not measured' if self.ok is None else ''}"


def figure(value: float | None) -> str:
    """A number with three significant digits, without an exponent: 0.0123, 1.23, 12.3, 123, 12,345; "-" for none."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    if value == 0:
        return "0"
    # Rounded first: 9.996 has two digits before its point once it is 10.0.
    rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    decimals = max(0, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}" if abs(rounded) < 1_000 else f"{value:,.0f}"


def _pair(heal: int | None, kill: int | None) -> str:
    return NOT_MEASURED if heal is None and kill is None else f"{_count(heal)}/{_count(kill)}"


def _count(value: int | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,}"


def _signed(value: float | None) -> str:
    shown = figure(value)
    return shown if value is None or value <= 0 or shown == NOT_MEASURED else f"+{shown}"


NAMES = (
    Column("strategy", "", lambda row: row.strategy, is_name=True),
    Column("database", "", lambda row: row.condition, is_name=True),
)
LATENCIES = (
    Column("p50", "ms", lambda row: figure(row.p50_ms)),
    Column("p99", "ms", lambda row: figure(row.p99_ms)),
    Column("p99.9", "ms", lambda row: figure(row.p999_ms)),
    Column("max", "ms", lambda row: figure(row.max_ms)),
    Column("p99 /", "healthy", lambda row: figure(row.p99_over_healthy)),
    Column("p99 ms", "-floor", lambda row: _signed(row.p99_over_floor_ms)),
    Column("no", "reply", lambda row: _count(row.unanswered)),
)
COSTS = (
    Column("req.", "/1,000", lambda row: figure(row.requests_per_1000)),
    Column("RSS", "+MB", lambda row: figure(row.rss_growth_mb)),
    Column("loop", "lag ms", lambda row: figure(row.loop_lag_p99_ms)),
    Column("lost", "heal/kill", lambda row: _pair(row.lost, row.lost_after_kill)),
    Column("stale", "heal/kill", lambda row: _pair(row.stale, row.stale_after_kill)),
)


# ── what is found ────────────────────────────────────────────────────────────────────────────────────────────────────────


def findings(
    rows: Sequence[Row], claims: Sequence[str], floor_slack_ms: Mapping[str, float] | None = None
) -> list[Finding]:
    """How the promises of the strategies in `claims` stand: P2 for each condition and load, then P3 and the requests.

    `floor_slack_ms` as in `results.judge`.
    """
    claimed = [row for row in rows if row.strategy in claims]
    by_key = {_key(row): row for row in claimed}
    found = [_flat(one, by_key[_key(one)]) for one in judge(rows, floor_slack_ms) if _key(one) in by_key]
    if not claimed:
        return found
    counts = (
        ("after the database was back", [(row.lost, row.stale) for row in claimed]),
        (KILLED, [(row.lost_after_kill, row.stale_after_kill) for row in claimed]),
    )
    found += [lost_finding(when, pairs) for when, pairs in counts]
    # Healthy: what a broken database is asked again and again for depends on how long it is broken, not on the messages.
    busy = [row for row in claimed if row.rate >= REQUESTS_RATE and row.condition in (HEALTHY, HEALTHY_AGAIN)]
    if busy:
        most = max(busy, key=lambda row: row.requests_per_1000)
        words = (
            f"at most {figure(most.requests_per_1000)} requests per 1,000 messages at {REQUESTS_RATE:g}/s and more "
            f"(limit {REQUESTS_PER_1000_MAX:g}; the most: {most.condition}, {load_of(most)})"
        )
        found.append(Finding("requests", most.requests_per_1000 <= REQUESTS_PER_1000_MAX, words))
    return found


def status(found: Iterable[Finding], promises: Sequence[str] = ("P2",)) -> int:
    """The exit code that these findings deserve: 0 kept, 1 one is broken, 2 none is broken and one was not measured."""
    outcomes = [finding.ok for finding in found if finding.promise in promises]
    if False in outcomes:
        return BROKEN
    return UNMEASURED if None in outcomes or not outcomes else KEPT


def _key(one: Row | Judgement) -> tuple[str, str, int, float]:
    return one.strategy, one.condition, one.channels, one.rate


def _flat(judgement: Judgement, row: Row) -> Finding:
    load = _load(judgement.channels, judgement.rate)
    flat, floor = judgement.flat_limit_ms, judgement.near_floor_limit_ms
    under = (
        f"P2, {judgement.strategy}, {load}: p99 at most {figure(flat)} ms ({FLAT_RATIO:g} x healthy + {FLAT_SLACK_MS:g}), "
        f"and {figure(floor)} ms (floor + {judgement.floor_slack_ms:g})"
    )
    words = (
        f"{judgement.condition}: p99 {figure(judgement.p99_ms)} ms, {figure(row.p99_over_healthy)} x healthy, "
        f"{_signed(row.p99_over_floor_ms)} ms to the floor"
    )
    return Finding("P2", judgement.ok, words, under)


def lost_finding(when: str, pairs: Sequence[tuple[int | None, int | None]]) -> Finding:
    """How P3 stands by these counts of lost changes and stale counters; None: not counted."""
    lost = [lost for lost, _ in pairs if lost is not None]
    stale = [stale for _, stale in pairs if stale is not None]
    if not lost and not stale:
        return Finding("P3", None, f"P3, nothing lost {when}")
    words = f"P3: {sum(lost):,} changes lost and {sum(stale):,} counters stale {when}"
    return Finding("P3", sum(lost) + sum(stale) == 0, words)


def noise(rows: Iterable[Row]) -> list[str]:
    """The A/A ratios, one line for each load: how far two healthy measurements of one bot differ."""
    ratios: dict[str, list[str]] = {}
    for row in rows:
        if row.condition == HEALTHY_AGAIN and row.p99_over_healthy is not None:
            ratios.setdefault(load_of(row), []).append(f"{row.strategy} {figure(row.p99_over_healthy)}")
    return [
        f"A/A, the same bot healthy twice, p99 against p99, {load}: {', '.join(found)}"
        for load, found in ratios.items()
    ]


def load_of(row: Row) -> str:
    """A row's load in words: "20 channels at 100/s"."""
    return _load(row.channels, row.rate)


def _load(channels: int, rate: float) -> str:
    return f"{channels:,} channel{'s' * (channels != 1)} at {rate:,g}/s"


# ── how it is shown ──────────────────────────────────────────────────────────────────────────────────────────────────────


def rows_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as plain data, one object for each, under the names of `Row`'s fields; null: not measured."""
    return [msgspec.to_builtins(row) for row in rows]


def show(console: Console, rows: Sequence[Row], found: Sequence[Finding]) -> None:
    """Print tables, A/A ratios and findings: in colour on a terminal, as plain lines elsewhere."""
    if console.is_terminal:
        for table in tables(rows, console.width):
            console.print(table)
            console.print()
        for line in noise(rows):
            console.print(Text(line, style="dim"))
        for finding, under in zip(found, _headings(found), strict=True):
            if under:
                console.print(Text(under, style="bold"))
            style = {True: "green", False: "bold red", None: "yellow"}[finding.ok]
            console.print(Text(str(finding), style=style))
    else:
        for line in plain(rows, found):
            # Neither wrapped nor coloured: the reader may be grep.
            console.print(Text(line), soft_wrap=True)


def plain(rows: Sequence[Row], found: Sequence[Finding] = ()) -> list[str]:
    """The whole report as lines of text, columns aligned."""
    lines: list[str] = []
    columns = (*NAMES, *LATENCIES, *COSTS)
    for load, group in _by_load(rows):
        cells = [
            [column.head for column in columns],
            [column.unit for column in columns],
            *([column.cell(row) for column in columns] for row in group),
        ]
        widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
        lines.append(title_of(load, group))
        lines += ["  " + "  ".join(_aligned(line, columns, widths)).rstrip() for line in cells]
        lines.append("")
    lines += noise(rows)
    for finding, under in zip(found, _headings(found), strict=True):
        lines += [under, str(finding)] if under else [str(finding)]
    return lines


def _headings(found: Sequence[Finding]) -> Iterator[str]:
    """For each finding the sentence that stands over it, "" where it stands there already."""
    above = ""
    for finding in found:
        yield finding.under if finding.under != above else ""
        above = finding.under


def _aligned(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
    for cell, column, width in zip(cells, columns, widths, strict=True):
        yield cell.ljust(width) if column.is_name else cell.rjust(width)


def tables(rows: Sequence[Row], width: int) -> list[Table]:
    """The rich tables for a terminal of this many characters: one for each load, or two where one would not fit."""
    found: list[Table] = []
    for load, group in _by_load(rows):
        whole = _table(title_of(load, group), (*NAMES, *LATENCIES, *COSTS), group)
        if _natural_width(whole) <= width:
            found.append(whole)
        else:
            found.append(_table(title_of(load, group), (*NAMES, *LATENCIES), group))
            found.append(_table(f"{load}: what it costs", (*NAMES, *COSTS), group))
    return found


def title_of(load: str, group: Sequence[Row]) -> str:
    """What stands over a table: the load, and how much was measured."""
    rounds = {row.rounds for row in group}
    most = max(rounds)
    fewest = min(row.samples for row in group)
    return f"{load}: {most} round{'s' * (most != 1)}, at least {fewest:,} messages each"


def _table(title: str, columns: Sequence[Column], group: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            f"{column.head}\n{column.unit}", justify="left" if column.is_name else "right", overflow="fold"
        )
    above = ""
    for row in group:
        if above and row.strategy != above:
            table.add_row()
        name = row.strategy if row.strategy != above else ""
        above = row.strategy
        table.add_row(Text(name), *(Text(column.cell(row)) for column in columns[1:]))
    return table


def _natural_width(table: Table) -> int:
    console = Console(width=1_000, color_system=None)
    return table.__rich_measure__(console, console.options).maximum


def _by_load(rows: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Rows of one load together, strategies together within it, both in the order of their first appearance."""
    loads: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        loads.setdefault(load_of(row), {}).setdefault(row.strategy, []).append(row)
    for load, strategies in loads.items():
        yield load, [row for group in strategies.values() for row in group]
