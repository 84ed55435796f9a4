"""The report of a benchmark: figures, tables, and how the promises stand."""

from __future__ import annotations

import io
import math

import msgspec
import pytest
from rich.console import Console

from simulator.bench.report import (
    BROKEN,
    KEPT,
    UNMEASURED,
    Finding,
    figure,
    findings,
    load_of,
    noise,
    plain,
    rows_json,
    show,
    status,
    tables,
)
from simulator.bench.results import FLOOR, Row, rows_of
from tests.simulator.bench.made_up import round_of, rows

CLAIMS = ("byte_bot",)
ISSUE_FIELDS = {
    "strategy", "condition", "channels", "rate", "rounds", "samples", "p50_ms", "p99_ms", "max_ms", "p99_over_healthy",
    "p99_over_floor_ms", "requests_per_1000", "rss_growth_mb", "lost", "stale",
}  # fmt: skip


def verdict(found: list[Finding], promise: str = "P2") -> dict[str, bool | None]:
    """The findings of one promise by the condition that their words begin with."""
    return {finding.words.partition(":")[0]: finding.ok for finding in found if finding.promise == promise}


def shown(found: list[Row], width: int | None = None) -> str:
    """What a terminal of that width shows, or a file (None)."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=width is not None, color_system=None)
    show(console, found, findings(found, CLAIMS))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "-"), (math.nan, "-"), (math.inf, "-"), (0.0, "0"), (0.01234, "0.0123"), (0.1, "0.100"), (1.234, "1.23"),
        (9.996, "10.0"), (12.34, "12.3"), (123.4, "123"), (999.6, "1,000"), (12_345.6, "12,346"), (-0.5, "-0.500"),
    ],
)  # fmt: skip
def test_figures_have_three_significant_digits(value: float | None, words: str) -> None:
    """Every number can be read without an exponent, and what is not a number is a dash."""
    assert figure(value) == words


def test_a_flat_bot_keeps_p2_in_every_condition() -> None:
    """A p99 within both limits under each condition is a tick, and the exit code is 0."""
    found = findings(rows(outage_ms=1.6), CLAIMS)
    assert verdict(found) == {"healthy": True, "healthy again": True, "hang": True}
    assert status(found) == KEPT


@pytest.mark.parametrize(
    ("outage_ms", "kept"), [(1.65, True), (1.66, False)], ids=["at the limit", "beyond it"]
)
def test_the_flat_limit_is_that_of_the_promise(outage_ms: float, kept: bool) -> None:
    """1.15 x 1.0 ms + 0.5 ms is 1.65 ms: just there it holds, a hundredth above it is broken, and so is the exit code."""
    found = findings(rows(outage_ms=outage_ms), CLAIMS)
    assert verdict(found)["hang"] is kept
    assert status(found) == (KEPT if kept else BROKEN)


def test_a_bot_far_above_the_floor_breaks_p2() -> None:
    """A bot as slow healthy as in an outage is flat, and still 2 ms over the bot without persistence is too much."""
    found = findings(rows_of([round_of(FLOOR, p99_ms=0.8), round_of("byte_bot", p99_ms=2.9)]), CLAIMS)
    assert verdict(found) == {"healthy": False}


def test_without_a_floor_the_verdict_is_not_kept() -> None:
    """What was not compared is a question mark and exit code 2, not a tick."""
    found = findings(rows_of([round_of("byte_bot")]), CLAIMS)
    assert verdict(found) == {"healthy": None}
    assert str(found[0]).strip().startswith("?")
    assert status(found) == UNMEASURED
    assert status([]) == UNMEASURED


def test_only_who_claims_a_promise_is_judged() -> None:
    """The bot that waits for its database is in the tables, and nobody holds a promise against it."""
    assert not any("inline" in str(finding) + finding.under for finding in findings(rows(), CLAIMS))
    assert status(findings(rows(), ("inline",))) == BROKEN


def test_losses_are_counted_over_all_rows() -> None:
    """Nothing lost after the heal is kept; one change lost to a SIGKILL is not; who counted neither was not measured."""
    found = findings(rows(lost=0, stale=0, lost_after_kill=1, stale_after_kill=0), CLAIMS)
    healed, killed = (finding for finding in found if finding.promise == "P3")
    assert healed.ok is True
    assert killed.ok is False and "2 changes lost" in killed.words
    assert [finding.ok for finding in findings(rows(), CLAIMS) if finding.promise == "P3"] == [None, None]


def test_requests_are_judged_at_high_rates_only() -> None:
    """Above 6 requests for 1,000 messages at 100/s the promise is broken; at 50/s it is none."""

    def judged(rate: float, requests: int) -> dict[str, bool | None]:
        return verdict(
            findings(rows_of([round_of("byte_bot", rate=rate, requests=requests)]), CLAIMS), "requests"
        )

    assert list(judged(100.0, 6).values()) == [True]
    assert list(judged(100.0, 7).values()) == [False]
    assert judged(50.0, 100) == {}


def test_the_noise_is_the_second_healthy_condition() -> None:
    """The A/A line has each strategy's ratio of two healthy measurements."""
    assert noise(rows()) == [
        "A/A, the same bot healthy twice, p99 against p99, 1 channel at 50/s: byte_bot 1.05"
    ]
    assert noise(rows_of([round_of("byte_bot")])) == []


def test_json_rows_have_the_promised_names() -> None:
    """Each row is one object that can be read back, with every field which the documentation names."""
    made = rows(lost=1)
    data = rows_json(made)
    assert len(data) == len(made)
    assert all(data[0].keys() >= ISSUE_FIELDS for _ in data)
    assert msgspec.convert(data, list[Row]) == made


def test_plain_lines_are_aligned_columns() -> None:
    """Without a terminal each figure stands under its head, whole, and nothing is coloured."""
    text = shown(rows())
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0] == "1 channel at 50/s: 1 round, at least 200 messages each"
    assert lines[4].split()[:4] == ["byte_bot", "healthy", "1.00", "1.00"]
    column = lines[1].index("p99") + len("p99")
    assert [line[:column].split()[-1] for line in lines[3:5]] == ["0.800", "1.00"]
    assert "nan" not in text and "None" not in text


@pytest.mark.parametrize("width", [80, 160])
def test_no_figure_is_cut_off_by_a_narrow_terminal(width: int) -> None:
    """Where one table would be too wide there are two, and every figure of the plain report is in them."""
    made = rows(lost=12, stale=3)
    text = shown(made, width)
    assert "…" not in text
    assert len(tables(made, width)) == (2 if width == 80 else 1)
    for line in plain(made)[3:-2]:
        assert all(word in text for word in line.split()), line


def test_loads_have_tables_of_their_own() -> None:
    """Two loads are two tables, and each row is under its own."""
    made = rows_of([round_of("a"), round_of("a", channels=20, rate=1_000.0), round_of("b")])
    lines = plain(made)
    titles = [number for number, line in enumerate(lines) if "messages each" in line]
    assert [lines[number].partition(":")[0] for number in titles] == [
        "1 channel at 50/s",
        "20 channels at 1,000/s",
    ]
    assert [line.split()[0] for line in lines[titles[0] + 3 : titles[1] - 1]] == ["a", "b"]
    assert load_of(made[0]) == "1 channel at 50/s"


def test_limits_stand_once_over_the_conditions() -> None:
    """The sentence with the limits of P2 is printed once for a load, its conditions below it."""
    lines = plain(rows(), findings(rows(), CLAIMS))
    heads = [number for number, line in enumerate(lines) if line.startswith("P2, byte_bot")]
    assert len(heads) == 1
    assert [line.strip()[0] for line in lines[heads[0] + 1 : heads[0] + 4]] == ["✓", "✓", "✓"]
