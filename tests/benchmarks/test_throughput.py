"""The table and the target of the throughput benchmark, from outcomes made by hand."""

from __future__ import annotations

import pytest

from benchmarks.contenders import CASES
from benchmarks.peers import environments
from benchmarks.rate_search import Found
from benchmarks.throughput import Outcome, main, options_from, parse, rows_of, verdicts
from tests.benchmarks.test_rate_search import step_at

BY_NAME = {case.name: case for case in CASES}


def outcome(case: str, rate: float, limit: str = "CPU") -> Outcome:
    """A round in which a case held a rate."""
    return Outcome(case, Found(step_at(rate), step_at(rate * 1.1, 500.0), ()), limit)


def judged(bot_rate: float, loop_limit: str = "CPU") -> tuple[bool | None, str]:
    """The verdict on byte_bot beside a bare loop of 40,000/s."""
    cases = (BY_NAME["bare_loop"], BY_NAME["byte_bot"])
    rows = rows_of(cases, [outcome("bare_loop", 40_000, loop_limit), outcome("byte_bot", bot_rate)])
    (verdict,) = verdicts(rows)
    return verdict


def test_half_of_the_bare_loop_is_the_target() -> None:
    """20,000 of 40,000 keeps it, a little less breaks it."""
    assert judged(20_000)[0] is True
    assert judged(19_000)[0] is False


def test_a_ratio_to_a_loop_that_waited_for_the_driver_says_so() -> None:
    """Then the loop could do more, and the ratio is an upper bound."""
    assert "at most" in judged(20_000, "the driver")[1]
    assert "at most" not in judged(20_000)[1]


def test_a_busy_machine_is_no_verdict() -> None:
    """Rates that other programs held down neither keep the target nor break it."""
    assert judged(20_000, "the machine (busy 40%)")[0] is None
    assert judged(100, "the machine (busy 40%)")[0] is None


def test_the_median_round_counts() -> None:
    """One lucky and one unlucky round change nothing."""
    case = BY_NAME["byte_bot"]
    (row,) = rows_of([case], [outcome("byte_bot", rate) for rate in (900.0, 100.0, 500.0)])

    assert row.rate == 500.0
    assert row.rates == (900.0, 100.0, 500.0)


def test_without_the_reference_nothing_is_judged() -> None:
    """A target that was not measured is neither kept nor broken."""
    rows = rows_of([BY_NAME["byte_bot"]], [outcome("byte_bot", 500.0)])

    assert [kept for kept, _ in verdicts(rows)] == [None]


def test_a_peer_that_is_not_there_is_a_line_of_the_table() -> None:
    """The reason stands where its figures would be."""
    (row,) = rows_of([BY_NAME["tmi.js"]], [Outcome("tmi.js", problem="Node is not installed")])

    assert (row.rate, row.problem) == (None, "Node is not installed")


async def test_without_node_the_peer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Node is told apart from a library that cannot be installed."""
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(environments.Unavailable, match="Node is not installed"):
        await environments.prepare("tmi.js")


def test_an_unknown_case_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The way out stands in the error."""
    assert main(["--only", "byte_bod"]) == 2
    assert "'byte_bod'" in (words := capsys.readouterr().err)
    assert "bare_loop" in words


def test_quick_is_one_short_round() -> None:
    """What --quick means can be overridden one by one."""
    options = options_from(parse(["--quick", "--step-seconds", "0.5"]))

    assert (options.rounds, options.step_s) == (1, 0.5)
    assert options_from(parse([])).rounds == 3
