"""The command `byte-sim bench`: a stranger's bot end to end, exit codes, files, and what is said about mistakes."""

from __future__ import annotations

import json
import math
import shlex
import sys
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from simulator.bench.bench_cli import add_bench, help_text, name_of, threshold, told, variables_of
from simulator.bench.report import plain
from simulator.bench.results import Round, Sample, rows_of
from simulator.bench.target_options import PLACEHOLDERS, BadTarget, outage_names
from simulator.cli_options import Exit
from tests.simulator.bench.made_up import round_of

PING_BOT = Path(__file__).with_name("ping_bot.py")
TARGET = shlex.join((sys.executable, str(PING_BOT))) + " {irc_host} {irc_port}"
QUICK = ("--seconds", "1", "--rate", "30", "--no-database")


def call(*arguments: str) -> Result:
    """Run `byte-sim bench` with these arguments."""
    cli = typer.Typer(rich_markup_mode=None)
    add_bench(cli, lambda: 1_790_000_000.0)
    return CliRunner().invoke(cli, list(arguments))


def test_a_bot_is_measured_with_report_json_and_picture(tmp_path: Path) -> None:
    """The figures are on the screen and in the files, and the exit code says measured."""
    rows, picture = tmp_path / "rows.json", tmp_path / "latency.png"
    result = call("--target", TARGET, *QUICK, "--json", str(rows), "--plot", str(picture))
    assert result.exit_code == Exit.OK, result.output
    assert "1 channel at 30/s" in result.output and "30 of 30 messages were answered" in result.output
    shown = next(line for line in result.output.splitlines() if " ping_bot.py " in line).split()
    assert shown[3:5] == ["-", "-"]  # p99 and p99.9 of thirty messages
    (row,) = json.loads(rows.read_text(encoding="utf-8"))
    assert row["p99_ms"] > 0
    assert (row["strategy"], row["condition"], row["samples"]) == ("ping_bot.py", "healthy", 30)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_threshold_that_is_broken_is_exit_code_1() -> None:
    """No bot answers within a millionth of a millisecond."""
    result = call("--target", TARGET, *QUICK, "--p99-max-ms", "0.000001")
    assert result.exit_code == Exit.BROKEN
    assert "✗ healthy: too few for a p99 (30), the slowest took" in result.output


def test_a_bot_that_dies_is_exit_code_2() -> None:
    """It could not be measured, and its last words are there."""
    result = call("--target", f"{TARGET} dies", *QUICK)
    assert result.exit_code == Exit.NOT_TRIED
    assert "exit code 3" in result.output and "I have no idea what to do" in result.output


def test_a_bot_that_does_not_answer_is_exit_code_1() -> None:
    """It was there, so this is a result: what it said is not what was expected."""
    result = call("--target", TARGET, *QUICK, "--expect", "hello", "--wait", "1.5")
    assert result.exit_code == Exit.BROKEN
    assert "It said 'Pong!'" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "'"), "--target"),
        (("--expect", "/(/"), "--expect"),
        (("--send", ""), "--send is empty"),
        (("--env", "NOTHING"), "--env 'NOTHING' is not NAME=VALUE"),
        (("--outage", "earthquake"), "hang"),
        (("--json", "nowhere/rows.json"), "there is no folder 'nowhere'"),
        (("--plot", "nowhere/p.png"), "there is no folder 'nowhere'"),
        (("--env", "A={irc_prot}"), "did you mean {irc_port}"),
        (("--seconds", "0"), "--seconds"),
    ],
)
def test_mistakes_are_named_before_anything_is_measured(arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2, and a sentence with the option."""
    without_database = () if "--outage" in arguments else ("--no-database",)
    result = call("--target", TARGET, *without_database, *arguments)
    assert result.exit_code == Exit.NOT_TRIED
    assert words in result.output


def test_the_help_lists_placeholders_and_outages() -> None:
    """What can be written is on the help page, all of it."""
    for name in (*(f"{{{name}}}" for name in PLACEHOLDERS), *outage_names()):
        assert name in help_text()
    result = call("--help")
    assert result.exit_code == 0 and "{irc_host}" in result.output


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("python3.11", "-u", "/srv/my_bot.py", "x"), "my_bot.py"),
        (("node", "bot.js"), "bot.js"),
        (("./bot",), "bot"),
        (("python", "-m", "my_bot"), "my_bot"),
        (("node",), "node"),
    ],
)
def test_a_bot_is_called_by_its_file(command: tuple[str, ...], name: str) -> None:
    """Not by its interpreter, and not by its folder."""
    assert name_of(command) == name


def test_variables_keep_what_follows_the_first_equals_sign() -> None:
    """Values may contain anything; names may not."""
    assert variables_of(["A=b=c", "_X="]) == {"A": "b=c", "_X": ""}
    with pytest.raises(BadTarget):
        variables_of(["1A=b"])


def test_the_threshold_is_judged_for_each_phase() -> None:
    """At the limit it holds; without one there is nothing to find."""
    rows = rows_of([round_of("a", p99_ms=5.0), round_of("a", "hang", 5.1)])
    assert [finding.ok for finding in threshold(rows, 5.0)] == [True, False]
    assert threshold(rows, None) == []


def rounds_of(samples: int, condition: str = "healthy") -> Round:
    """One phase of so many messages."""
    found = round_of("a", condition)
    found.samples = [Sample(0.0, 1.0)] * samples
    return found


@pytest.mark.parametrize(
    ("samples", "p99", "p999"),
    [(99, False, False), (100, True, False), (999, True, False), (1_000, True, True)],
)
def test_a_percentile_of_too_few_samples_is_a_dash(samples: int, p99: bool, p999: bool) -> None:
    """It would be the largest of all, under a name that promises more."""
    (row,) = told(rows_of([rounds_of(samples)]))
    assert (math.isfinite(row.p99_ms), math.isfinite(row.p999_ms)) == (p99, p999)
    cells = plain([row])[3].split()
    assert cells[2:7] == [
        "1.00",
        "1.00" if p99 else "-",
        "1.00" if p999 else "-",
        "1.00",
        "1.00" if p99 else "-",
    ]


def test_a_ratio_to_too_few_samples_is_none() -> None:
    """The phase has enough, the healthy one it is compared with has not."""
    healthy, hang = told(rows_of([rounds_of(50), rounds_of(200, "hang")]))
    assert healthy.p99_over_healthy is None
    assert (hang.p99_ms, hang.p99_over_healthy) == (1.0, None)
    assert told(rows_of([rounds_of(100), rounds_of(200, "hang")]))[1].p99_over_healthy == 1.0


def test_the_threshold_says_when_it_judged_the_slowest() -> None:
    """A p99 of so few is just that, and the table shows none."""
    (few,) = threshold(rows_of([rounds_of(99)]), 5.0)
    assert (
        few.words
        == "healthy: too few for a p99 (99), the slowest took 1.00 ms, at most 5.00 asked for (--p99-max-ms)"
    )
    (enough,) = threshold(rows_of([rounds_of(100)]), 5.0)
    assert enough.words == "healthy: p99 1.00 ms, at most 5.00 asked for (--p99-max-ms)"
