"""The scale benchmark: what it judges, what it prints, and that a small size can be measured."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scale

STAGES = ("boot", "talk", "refresh", "eviction", "burst")


def figures(channels: int, **changes: float) -> dict[str, Any]:
    """What one size measures, all targets met."""
    held = {f"{stage}_{kind}_ms": 1.0 for stage in STAGES for kind in ("held", "stall", "stall_cpu", "gc")}
    return {
        "channels": channels,
        "boot_s": 1.0,
        "boot_requests": 7,
        "rss_grown_mb": channels * 4_000 / 1e6,
        "p50_us": 100.0,
        "p99_us": 200.0,
        "first_p50_us": 150.0,
        "save_500_cpu_ms": 40.0,
        "waits_seen": True,
        **held,
        **changes,
    }


def small(channels: int) -> dict[str, Any]:
    """The same of a size that has fewer channels than the burst has rows."""
    return {
        name: value for name, value in figures(channels).items() if not name.startswith(("burst", "save"))
    }


def missed(*sizes: dict[str, Any]) -> list[str]:
    """The names of the targets that are missed."""
    return [verdict.name for verdict in scale.verdicts(sizes) if verdict.met is False]


def test_sizes_within_every_bound_meet_the_targets() -> None:
    """Exactly at a bound is within it."""
    assert missed(figures(1), figures(100_000, p50_us=130.0, burst_held_ms=20.0, rss_grown_mb=409.6)) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"rss_grown_mb": 410.0}, "a quiet channel at 100,000"),
        ({"p50_us": 131.0}, "p50 at 100,000 over p50 at 1"),
        ({"burst_held_ms": 20.1}, "loop held by saving 10,000 rows at 100,000"),
        ({"refresh_held_ms": 20.1}, "loop held by refresh at 100,000"),
        ({"eviction_held_ms": 20.1}, "loop held by eviction at 100,000"),
    ],
)
def test_each_target_can_be_missed(changes: dict[str, float], name: str) -> None:
    """A figure over its bound is found, and only that one."""
    assert missed(figures(1), figures(100_000, **changes)) == [name]


def test_memory_is_not_judged_where_the_program_outweighs_the_channels() -> None:
    """A hundred channels' memory says nothing about a channel."""
    assert scale.channel_bytes(figures(100)) is None
    assert missed(figures(1), figures(100, rss_grown_mb=50.0)) == []


@pytest.mark.parametrize(
    ("sizes", "left_out"),
    [
        ((figures(1), figures(100_000)), []),
        ((figures(1), figures(100)), ["? a quiet channel (from 1,000 on): not measured (at most 4,096)"]),
        (
            (figures(100_000),),
            ["? p50 of the larger of two sizes over that of the smaller: not measured (at most 1.3)"],
        ),
        (
            (small(1), small(5_000)),
            ["? loop held by saving 10,000 rows (from 10,000 channels on): not measured (at most 20)"],
        ),
    ],
)
def test_what_no_size_could_tell_is_not_met(sizes: tuple[dict[str, Any], ...], left_out: list[str]) -> None:
    """A target without a figure has a line with a question mark, and is exit code 2; one that is missed is 1 all the same."""
    found = list(scale.verdicts(sizes))
    assert [line for line in scale.lines(found) if line.startswith("?")] == left_out
    assert scale.status(found) == (scale.FAILED if left_out else scale.MET)
    assert scale.status([*found, scale.Verdict("slow", 2.0, 1.0, "x")]) == scale.MISSED


def test_the_table_has_a_line_for_every_size_and_stage() -> None:
    """What was not measured at a size is a dash."""
    table = "\n".join(scale.table([small(1), figures(100_000)]))
    assert all(stage in table for stage in STAGES)
    assert "100,000" in table
    assert " - " in table
    assert next(scale.lines(list(scale.verdicts([figures(1), figures(1_000)])))).startswith(
        "✓ a quiet channel"
    )


def test_a_stall_is_judged_by_what_the_bot_did_to_the_loop() -> None:
    """Neither by the wall's time, in which the machine may have had other things to do, nor by the CPU's alone."""
    busy_machine = figures(100_000, burst_stall_ms=90.0, burst_stall_cpu_ms=15.0, burst_held_ms=15.0)
    assert missed(figures(1), busy_machine) == []
    waited = figures(100_000, burst_stall_ms=45.0, burst_stall_cpu_ms=2.0, burst_held_ms=40.0)
    assert missed(figures(1), waited) == ["loop held by saving 10,000 rows at 100,000"]
    assert "40.0 (2.0; 45.0; 1.0)" in "\n".join(scale.table([waited]))


def test_where_waits_are_not_seen_the_table_says_so() -> None:
    """On a system whose threads do not tell how long they queued."""
    assert "without waits" not in "\n".join(scale.table([figures(1)]))
    assert "without waits" in "\n".join(scale.table([figures(1), figures(100, waits_seen=False)]))


@pytest.mark.parametrize("size", ["0", "-1", "many", "900001"])
def test_a_number_of_channels_that_cannot_be_is_refused(
    size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the bounds."""
    with pytest.raises(SystemExit):
        scale.main(["--sizes", size])
    assert "1 to 900000" in capsys.readouterr().err


def test_a_small_size_is_measured_from_boot_to_reply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole bot boots, answers and stops in a process of its own; the figures are in the file."""
    report = tmp_path / "scale.json"
    code = scale.main(["--sizes", "3", "--messages", "5", "--quick", "--json", str(report)])
    # Three channels tell nothing of memory: that is never "all met".
    assert code in (scale.FAILED, scale.MISSED)
    written = json.loads(report.read_text(encoding="utf-8"))
    assert [one["met"] for one in written["targets"] if one["value"] is None] == [None] * 3
    (size,) = written["sizes"]
    assert size["channels"] == 3
    assert size["boot_requests"] >= 4  # the epoch, the list with its end, two tables
    assert 0 < size["p50_us"] <= size["p99_us"]
    assert "eviction" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_refused_before_a_size_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not after four minutes."""
    assert scale.main(["--sizes", "3", "--json", str(tmp_path / "nowhere" / "a.json")]) == scale.FAILED
    shown = capsys.readouterr()
    assert "scale: there is no folder" in shown.err
    assert "channels ..." not in shown.err


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_ends_it_with_130_and_shows_what_was_measured() -> None:
    """Sent while the second size is measured: no traceback."""
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "scale",
        "--sizes",
        "2",
        "900000",
        "--messages",
        "5",
        "--quick",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith("2 of 2"):
            assert line
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "broken off at 900,000 channels\n")
    assert "B/channel" in shown and "✓" not in shown
