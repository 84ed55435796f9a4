"""One table of all promises, from what the benchmarks wrote."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins

from benchmarks.contenders import CASES
from benchmarks.rate_search import Found
from benchmarks.save_sql import BUSY_MS, Result
from benchmarks.sim_speed import Speed
from benchmarks.standing import SHOWN_BY_TESTS, table
from benchmarks.throughput import Outcome, rows_of
from simulator.bench.report import rows_json
from simulator.bench.results import Round, Sample
from simulator.bench.results import rows_of as latency_rows
from tests.benchmarks.test_rate_search import step_at


def latencies(*, count: int = 9, rate: float = 100.0, **p99_ms: float) -> Any:
    """What chat_latency writes of Byte Bot, in nine rounds."""
    rounds = [
        Round(
            strategy="floor" if condition == "floor" else "byte_bot",
            condition="healthy" if condition == "floor" else condition,
            channels=20,
            rate=rate,
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
        for number in range(count)
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
    assert any(line.startswith("? P5: memory in a 60 s hang: at most 10 MB not measured") for line in lines)


def test_a_target_of_scale_without_a_figure_is_a_question() -> None:
    """As its exit code says."""
    burst = {"name": "loop held by a burst", "value": None, "bound": 20.0, "unit": "ms", "met": None}
    lines = [" ".join(line.split()) for line in table({"scale": {"targets": [burst]}})]
    assert "? loop held by a burst not measured (at most 20)" in lines


def test_what_was_not_measured_is_a_line_too() -> None:
    """Nothing is missing from the table because a benchmark failed."""
    shown = table({"chat_latency": None, "throughput": None})
    measured = shown[2 : shown.index("")]
    assert [line for line in measured if not line.startswith("?")] == []
    assert len(measured) == 11


def test_every_promise_has_a_line() -> None:
    """P1 to P7: those that no benchmark measures stand below, with what shows them, and without a mark."""
    shown = table({})
    for number in range(1, 8):
        assert any(f" P{number}: " in line for line in shown), number
    below = shown[shown.index("") + 2 :]
    assert [line.split(":")[0] for line in below] == [f"· {name.split(':')[0]}" for name in SHOWN_BY_TESTS]
    assert any("byte-sim twin" in line and "300" in line for line in below)


def saves(save_ms: float, plain_ms: float = 10.0) -> Any:
    """What save_sql writes of 500 rows."""
    return to_builtins([Result(500, case, save_ms, plain_ms, 1.0) for case in ("new", "changed", "one bad")])


def test_the_save_function_has_a_line() -> None:
    """Kept, broken, or not judged on a machine that was busy; a bad row is not judged."""
    for written, mark, end in (
        (saves(30.0), "✓", "new 30.00 ms, changed 30.00 ms"),
        (saves(30.1), "✗", "new 30.10 ms, changed 30.10 ms"),
        (saves(30.1, BUSY_MS + 1), "?", ": not measured (the machine was busy)"),
        (None, "?", "not measured"),
    ):
        (line,) = [
            line for line in table({"save_sql": written}) if "saves: 500 rows in at most 30 ms" in line
        ]
        assert line.startswith(mark) and line.endswith(end)


def test_the_speed_of_the_simulator_has_a_line_for_each_figure() -> None:
    """Kept, broken, not judged on a machine that was busy, and not measured at all."""
    written = to_builtins(
        [Speed("idle", 12_000.0, 12_500.0), Speed("busy", 55.0, 59.0), Speed("worlds", 2.9, 3.1)]
    )
    lines = [" ".join(line.split()) for line in table({"sim_speed": written}) if " simulator, " in line]
    assert lines == [
        "✓ simulator, idle: at least 10,000 simulated s/s 12,000, 12,500 by the CPU's clock",
        "✗ simulator, busy: at least 60.00 x real time 55.00, 59.00 by the CPU's clock",
        "? simulator, worlds: at least 3.00 worlds/s 2.90, 3.10 by the CPU's clock: not measured (the machine was busy)",
    ]
    assert sum(line.endswith("not measured") for line in table({}) if " simulator, " in line) == 3


def flat_line(written: Any) -> str:
    """The line of P2."""
    (line,) = [line for line in table({"chat_latency": written}) if " P2, byte_bot, " in line]
    return " ".join(line.split())


def test_flat_latency_is_not_judged_by_few_rounds() -> None:
    """As many as P2 asks for judge, at any rate; one round does not, whichever way it ends."""
    for rate in (100.0, 50.0):
        assert flat_line(latencies(rate=rate, floor=2.0, healthy=2.5, hang=2.6)).startswith("✓")
    load = "? P2, byte_bot, 20 channels at 50/s"
    few = "(1 round of 9: not judged)"
    kept = flat_line(latencies(count=1, rate=50.0, floor=2.0, healthy=2.5, hang=2.6))
    assert kept == f"{load} 2 of 2 conditions kept {few}"
    broken = flat_line(latencies(count=1, rate=50.0, floor=2.0, healthy=2.5, hang=9.0))
    assert broken.startswith(f"{load} 1 of 2 conditions kept {few}; broken: hang")


def test_rounds_are_counted_for_each_load() -> None:
    """One load's single round takes nothing from the nine of the others."""
    written = [
        *latencies(floor=2.0, healthy=2.5, hang=2.6),
        *latencies(count=1, rate=50.0, floor=2.0, healthy=2.5, hang=2.6),
    ]
    marks = [line[0] for line in table({"chat_latency": written}) if " P2, byte_bot, " in line]
    assert marks == ["✓", "?"]
