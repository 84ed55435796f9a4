"""A bot that knows nothing of this program, measured on real sockets for a second or two."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from simulator.bench.child import BenchError
from simulator.bench.load import run_precisely
from simulator.bench.results import HEALTHY
from simulator.bench.target import HEALED, NoAnswer, Outcome, Progress, TargetBench, TargetOptions
from simulator.bench.target_options import expectation_of, outage_of

PING_BOT = Path(__file__).with_name("ping_bot.py")
SILENT = "import threading; threading.Event().wait()"
COMMAND = (sys.executable, str(PING_BOT), "{irc_host}", "{irc_port}")


def measure(directory: Path, *words: str, command: tuple[str, ...] = COMMAND, **options: object) -> Outcome:
    """Measure the small bot, told these words."""
    progress: list[Progress] = []
    chosen: dict[str, object] = {
        "name": "ping_bot",
        "command": (*command, *words),
        "send": "!ping",
        "expectation": expectation_of("pong"),
        "unix_start_s": 1_790_000_000.0,
        "variables": {"DB_URL": "{supabase_url}", "DB_KEY": "{supabase_key}"},
        "inherited": dict(os.environ),
        "channels": 2,
        "rate": 40.0,
        "seconds": 0.5,
        "uses_database": False,
        "wait_s": 20.0,
        "directory": directory,
    }

    async def main() -> Outcome:
        async with TargetBench(TargetOptions(**{**chosen, **options}), progress.append) as bench:  # type: ignore[arg-type]
            return await bench.run()

    outcome = run_precisely(main())
    assert progress[-1].sent == len(outcome.timeline.points)
    return outcome


def test_a_bot_without_a_database_is_measured(tmp_path: Path) -> None:
    """Every message of the load is answered, in one healthy phase, with figures for its process."""
    outcome = measure(tmp_path)
    (row,) = outcome.rows
    assert (row.strategy, row.condition, row.samples, row.unanswered) == ("ping_bot", HEALTHY, 20, 0)
    assert 0 < row.p50_ms <= row.max_ms
    # Zero would be a clock that was not read: no PONG takes no time.
    assert row.loop_lag_p99_ms is not None and row.loop_lag_p99_ms > 0
    assert not any("lost and stale" in remark for remark in outcome.remarks), "it has nothing to store in"
    assert [finding.ok for finding in outcome.findings] == [True]
    assert len(outcome.timeline.points) == 20


def test_an_outage_is_told_from_health(tmp_path: Path) -> None:
    """A bot that asks its database for each answer leaves answers out while that refuses, and only then."""
    outcome = measure(
        tmp_path, "asking", uses_database=True, outage=outage_of("503"), seconds=1.5, patience_s=0.5
    )
    healthy, broken, healed = outcome.rows
    assert [row.condition for row in outcome.rows] == [HEALTHY, "503", HEALED]
    assert [row.samples for row in outcome.rows] == [20, 20, 20]
    assert healthy.unanswered == 0
    assert broken.unanswered > 0
    assert healed.unanswered < broken.unanswered
    assert sum(row.requests_per_1000 for row in outcome.rows) == pytest.approx(3_000.0, rel=0.05)
    assert outcome.timeline.outage == (0.5, 1.0)
    assert not any("never sent a request" in remark for remark in outcome.remarks)


def test_a_bot_whose_loop_stands_still_has_a_lag(tmp_path: Path) -> None:
    """It waits 200 ms for a database that hangs, and answers no PING meanwhile.

    That it answers one at once while all is well is not asked here: a busy machine can keep it from that.
    """
    outcome = measure(
        tmp_path,
        "asking",
        uses_database=True,
        outage=outage_of("hang"),
        seconds=3.0,
        rate=4.0,
        patience_s=1.0,
    )
    healthy, broken, _ = (row.loop_lag_p99_ms for row in outcome.rows)
    assert healthy is not None and broken is not None
    assert healthy > 0
    assert broken > 100, "a PING that comes at the beginning of such a wait is answered at its end"
    assert any("lost and stale are -" in remark for remark in outcome.remarks)
    assert {(row.lost, row.stale, row.lost_after_kill, row.stale_after_kill) for row in outcome.rows} == {
        (None,) * 4
    }


def test_a_bot_that_ends_at_once_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """The exit code and what it printed are what its owner needs."""
    with pytest.raises(BenchError, match=r"(?s)exit code 3\..*I have no idea what to do"):
        measure(tmp_path, "dies")


def test_a_bot_that_never_joins_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    """It logged in, so what is missing are the channels; a program that never connects is told where to."""
    with pytest.raises(BenchError, match=r"did not join within 1 s.*in 0 of 2 channels.*\{channels\}"):
        measure(tmp_path, "away", wait_s=1.0)
    with pytest.raises(BenchError, match=r"never connected.*\{irc_host\}.*\{irc_port\}"):
        measure(tmp_path, command=(sys.executable, "-c", SILENT), wait_s=0.1)


def test_a_bot_that_says_something_else_has_not_answered(tmp_path: Path) -> None:
    """It is told what it said instead of what was expected."""
    with pytest.raises(NoAnswer, match=r"did not answer '!ping'.*It said 'Pong!'"):
        measure(tmp_path, expectation=expectation_of("hello"), warm_s=0.3)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names it and says that no shell is involved."""
    with pytest.raises(BenchError, match=r"cannot start 'no-such-program'.*without a shell"):
        measure(tmp_path, command=("no-such-program",))


def test_a_bot_that_ends_under_load_is_a_finding(tmp_path: Path) -> None:
    """What was measured until then is shown, and the end with its exit code is a broken finding."""
    outcome = measure(
        tmp_path,
        "asking",
        "fragile",
        uses_database=True,
        outage=outage_of("503"),
        seconds=1.5,
        patience_s=0.5,
    )
    answers, alive = outcome.findings
    assert answers.ok is True
    assert alive.ok is False and "exit code 4" in alive.words
    assert outcome.rows[0].rss_growth_mb >= 0
