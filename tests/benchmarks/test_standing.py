"""One table of all promises, from what the benchmarks wrote."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins

from benchmarks.contenders import CASES
from benchmarks.rate_search import Found
from benchmarks.standing import table
from benchmarks.throughput import Outcome, rows_of
from simulator.bench.report import rows_json
from simulator.bench.results import Round, Sample
from simulator.bench.results import rows_of as latency_rows
from tests.benchmarks.test_rate_search import step_at


def latencies(**p99_ms: float) -> Any:
    """What chat_latency writes of Byte Bot, in nine rounds."""
    rounds = [
        Round(
            strategy="floor" if condition == "floor" else "byte_bot",
            condition="healthy" if condition == "floor" else condition,
            channels=20,
            rate=100.0,
            number=number,
            samples=[Sample(0.0, p99)] * 10,
            requests=50,
            messages=10_000,
            rss_start_mb=50.0,
            rss_end_mb=51.0,
            lost=0,
            stale=0,
        )
        for condition, p99 in p99_ms.items()
        for number in range(9)
    ]
    return rows_json(latency_rows(rounds))


def throughput(bot_rate: float) -> Any:
    """What throughput writes, beside a bare loop of 40,000/s."""
    cases = [case for case in CASES if case.name in ("bare_loop", "byte_bot")]
    rates = {"bare_loop": 40_000.0, "byte_bot": bot_rate}
    outcomes = [Outcome(name, Found(step_at(rate), step_at(rate), ()), "CPU") for name, rate in rates.items()]
    return {"rows": to_builtins(rows_of(cases, outcomes))}


def test_a_promise_that_is_kept_and_one_that_is_broken_have_their_figures() -> None:
    """P2 is one line a load, with the conditions that break it."""
    scale = {"targets": [{"name": "p50", "value": 1.04, "bound": 1.3, "unit": "x", "met": True}]}
    shown = table(
        {
            "chat_latency": latencies(floor=2.0, healthy=2.5, hang=9.0, drip=2.6),
            "throughput": throughput(20_000.0),
            "scale": scale,
        }
    )
    lines = [" ".join(line.split()) for line in shown]
    assert (
        "✗ P2, byte_bot, 20 channels at 100/s 2 of 3 conditions kept; broken: hang (p99 9.00 ms, 3.60 x healthy, "
        "+7.00 ms to the floor)"
    ) in lines
    assert "✓ throughput, byte_bot 0.500 of bare_loop, target 0.5 (20,000/s)" in lines
    assert "✓ p50 1.04 x (at most 1.3)" in lines
    assert any(line.startswith("✓ requests per 1,000 messages at most 5.00") for line in lines)
    assert any(line.startswith("? memory in a 60 s hang: at most 10 MB not measured") for line in lines)


def test_what_was_not_measured_is_a_line_too() -> None:
    """Nothing is missing from the table because a benchmark failed."""
    shown = table({"chat_latency": None, "throughput": None})
    assert [line for line in shown[2:] if not line.startswith("?")] == []
    assert len(shown) == 2 + 6
