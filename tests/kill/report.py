"""The kills as a table by condition, for people, and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.kill.killing import Outcome

HEAD = ("condition", "runs", "kills", "in folds", "confirmed", "found", "lost", "doubled", "slowest recovery")
BROKEN_SHOWN_MAX = 8


def table(outcomes: Sequence[Outcome]) -> str:
    """One line for each condition, and the sum."""
    conditions = dict.fromkeys(outcome.condition for outcome in outcomes)
    by_condition = [
        _row(condition, [one for one in outcomes if one.condition == condition]) for condition in conditions
    ]
    rows = [HEAD, *by_condition, _row("all", outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [_line(row, widths) for row in rows]
    rule = "─" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    recoveries_s = [one.recovery_s for one in outcomes if one.recovery_s is not None]
    slowest = f"{max(recoveries_s):.1f} s" if recoveries_s else "-"
    sums = (
        len(outcomes),
        sum(one.kills for one in outcomes),
        sum(one.in_folds for one in outcomes),
        sum(one.confirmed for one in outcomes),
        sum(one.found for one in outcomes),
        sum(one.lost for one in outcomes),
        sum(one.doubled for one in outcomes),
    )
    return (name, *(f"{number:,}" for number in sums), slowest)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells)


def failure(outcome: Outcome) -> str:
    """What is wrong with one kill, and the command that repeats it."""
    shown = outcome.broken[:BROKEN_SHOWN_MAX]
    if more := len(outcome.broken) - len(shown):
        shown.append(f"and {more} more")
    lines = "\n".join(f"  - {words}" for words in shown)
    return f"seed {outcome.seed} ({outcome.condition}) FAILED\n{lines}\n  again: {outcome.replay}"


def last_line(outcomes: Sequence[Outcome]) -> str:
    """The line that programs read."""
    passed = sum(outcome.passed for outcome in outcomes)
    return f"{passed} passed, {len(outcomes) - passed} failed"


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "passed": sum(outcome.passed for outcome in outcomes),
        "failed": sum(not outcome.passed for outcome in outcomes),
        "lost": sum(outcome.lost for outcome in outcomes),
        "doubled": sum(outcome.doubled for outcome in outcomes),
        "kills": [outcome.to_json() for outcome in outcomes],
    }
