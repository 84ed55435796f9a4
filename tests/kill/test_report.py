"""What `make kill` prints: the table, what failed with the command that repeats it, and the last line."""

from __future__ import annotations

from tests.kill.killing import Outcome
from tests.kill.report import as_json, failure, last_line, table

GOOD = Outcome(1, "refused", kills=2, folds=40, in_folds=1, confirmed=1_000, found=1_000, recovery_s=2.25)
BAD = Outcome(
    2,
    "hanging",
    kills=1,
    confirmed=10,
    found=7,
    lost=3,
    broken=["#lobby tally deaths: 7 is stored, and 10 is right"],
)


def test_the_table_adds_up_by_condition() -> None:
    """One line a condition, and the sum below; the slowest recovery is the largest."""
    lines = table([GOOD, BAD]).splitlines()
    assert lines[0].split()[:3] == ["condition", "runs", "kills"]
    assert lines[2].split() == ["refused", "1", "2", "1", "1,000", "1,000", "0", "0", "2.2", "s"]
    assert lines[3].split() == ["hanging", "1", "1", "0", "10", "7", "3", "0", "-"]
    assert lines[5].split() == ["all", "2", "3", "1", "1,010", "1,007", "3", "0", "2.2", "s"]


def test_a_failure_says_how_to_repeat_it() -> None:
    """The command stands below what is wrong."""
    words = failure(BAD)
    assert "7 is stored, and 10 is right" in words
    assert words.endswith('make kill KILLS=1 ARGS="--seed 2"')


def test_the_last_line_is_for_programs() -> None:
    """Exactly this form; the JSON counts the same."""
    assert last_line([GOOD, BAD, GOOD]) == "2 passed, 1 failed"
    found = as_json([GOOD, BAD])
    assert (found["passed"], found["failed"], found["lost"]) == (1, 1, 3)
    assert [one["passed"] for one in found["kills"]] == [True, False]
