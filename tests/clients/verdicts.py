"""What became of each client in each act, and how that is counted and shown; nothing here runs anything.

An act's outcome is "" when the client did well, else what went wrong. :func:`judge` holds it against what the client is known to get
wrong by itself. Only *failed* makes the whole fail. *own* is a known fault of the client with its known sign; *right after all*
is a known fault that did not show: it passes, and is reported so that the roster can be corrected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from tests.clients.roster import Client

Mark = Literal["passed", "failed", "own", "right after all", "skipped", "-"]

#: What stands in a cell of the table.
CELLS: Final = {
    "passed": "ok",
    "failed": "FAILED",
    "own": "own",
    "right after all": "ok!",
    "skipped": "skip",
    "-": "-",
}


@dataclass(frozen=True)
class Verdict:
    """One cell: ``why`` is what went wrong, the reason of an own fault, or why it was skipped."""

    client: str
    version: str
    act: str
    mark: Mark
    why: str = ""
    seconds: float = 0.0


def judge(client: Client, act: str, outcome: str, seconds: float) -> Verdict:
    """One act of one client; ``outcome`` "" means that it did well."""
    own = client.own.get(act)
    if own is None:
        mark: Mark = "failed" if outcome else "passed"
        why = outcome
    elif not outcome:
        mark, why = "right after all", own.reason
    elif own.sign in outcome:
        mark, why = "own", own.reason
    else:
        mark, why = "failed", f"{outcome} (its own known fault shows as: {own.sign})"
    return Verdict(client.name, client.version, act, mark, why, round(seconds, 1))


def skipped(client: Client, act: str, why: str) -> Verdict:
    """An act that could not be played."""
    return Verdict(client.name, client.version, act, "skipped", why)


def absent(client: Client, act: str) -> Verdict:
    """An act that this kind of client has no part in."""
    return Verdict(client.name, client.version, act, "-")


def table(verdicts: Sequence[Verdict]) -> str:
    """Clients down, acts across."""
    acts = list(dict.fromkeys(verdict.act for verdict in verdicts))
    rows: dict[str, dict[str, str]] = {}
    for verdict in verdicts:
        rows.setdefault(f"{verdict.client} {verdict.version}", {})[verdict.act] = CELLS[verdict.mark]
    name_chars = max(map(len, rows), default=0)
    widths = [max(len(act), *(len(row.get(act, "")) for row in rows.values())) for act in acts]
    lines = [
        "  ".join(["client".ljust(name_chars), *(a.ljust(w) for a, w in zip(acts, widths, strict=True))])
    ]
    for name, row in rows.items():
        cells = (row.get(act, "").ljust(width) for act, width in zip(acts, widths, strict=True))
        lines.append("  ".join([name.ljust(name_chars), *cells]).rstrip())
    return "\n".join(lines)


def remarks(verdicts: Sequence[Verdict]) -> str:
    """A line for everything that is not simply right: failures first, then surprises, own faults, and what was skipped."""
    titles: tuple[tuple[Mark, str], ...] = (
        ("failed", "Failed"),
        (
            "right after all",
            "Marked as the client's own fault, and right this time (correct tests/clients/roster.py)",
        ),
        ("own", "The client's own, not the fake's"),
        ("skipped", "Skipped"),
    )
    parts: list[str] = []
    for mark, title in titles:
        by_words: dict[tuple[str, str], list[str]] = {}
        for verdict in verdicts:
            if verdict.mark == mark:
                key = (verdict.why, verdict.act if mark != "skipped" else "")
                by_words.setdefault(key, []).append(f"{verdict.client} {verdict.version}")
        if by_words:
            parts.append(f"{title}:")
            for (why, act), names in by_words.items():
                who = ", ".join(dict.fromkeys(names))
                parts.append(f"  {who}{f', {act}' if act else ''}: {why}")
    return "\n".join(parts)


def counts(verdicts: Sequence[Verdict]) -> Counter[str]:
    """How many of each mark."""
    return Counter(verdict.mark for verdict in verdicts)


def last_line(verdicts: Sequence[Verdict]) -> str:
    """``N passed, N failed``; own faults are neither."""
    marks = counts(verdicts)
    skips = f", {marks['skipped']} skipped" if marks["skipped"] else ""
    return f"{marks['passed'] + marks['right after all']} passed, {marks['failed']} failed{skips}"


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 when nothing failed and something passed; a table without a single pass has shown nothing."""
    marks = counts(verdicts)
    return 1 if marks["failed"] or not marks["passed"] + marks["right after all"] else 0


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything, for ``--json``."""
    return {
        "counts": dict(counts(verdicts)),
        "verdicts": [asdict(verdict) for verdict in verdicts if verdict.mark != "-"],
    }
