"""What `make mutants` prints, the file of first seeds, and the same as JSON. Pure but for the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.mutants.catalogue import MUTANTS
from tests.mutants.hunt import Hunted

HEAD: Final = ("mutant", "noticed by", "first seed", "seconds", "what is wrong")
#: By mutant, the first seed whose night notices it, and by what; `make mutants ARGS=--record` writes it anew.
FIRST_SEEDS: Final = Path(__file__).with_name("first_seeds.json")


def table(hunted: Sequence[Hunted]) -> str:
    """One line for each mutant, in the order given."""
    rows = [HEAD, *(_row(one) for one in hunted)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def _row(one: Hunted) -> tuple[str, ...]:
    seconds = f"{one.seconds:.1f}"
    if one.is_canary:
        found = "nothing, as it should be" if one.passed else f"{one.invariant}: a false alarm"
        return (
            one.name,
            found,
            f"- ({one.tries} nights)" if one.passed else str(one.seed),
            seconds,
            "the shipped bot",
        )
    summary = MUTANTS[one.name].summary
    if one.seed is None:
        return one.name, "NOT FOUND", f"- ({one.tries} nights)", seconds, summary
    noticed = (
        one.invariant
        if one.passed
        else f"{one.invariant}, NOT {' or '.join(sorted(MUTANTS[one.name].invariants))}"
    )
    return one.name, noticed, str(one.seed), seconds, summary


def failure(one: Hunted) -> str:
    """What is wrong with a hunt that did not end as it should, for people."""
    if one.seed is None:
        return f"{one.name} was not found in {one.tries} nights: the search draws too little, or an invariant is missing"
    if one.is_canary:
        return f"the shipped bot fails in the night of seed {one.seed}: {one.words}\n  again: byte-sim replay {one.seed}"
    return f"{one.name} was noticed by {one.invariant} at seed {one.seed}, which its list does not name: {one.words}"


def last_line(hunted: Sequence[Hunted]) -> str:
    """The line that programs read."""
    passed = sum(one.passed for one in hunted)
    return f"{passed} passed, {len(hunted) - passed} failed"


def as_json(hunted: Sequence[Hunted]) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "passed": sum(one.passed for one in hunted),
        "failed": sum(not one.passed for one in hunted),
        "mutants": [
            {
                "name": one.name,
                "passed": one.passed,
                "invariant": one.invariant or None,
                "first_seed": one.seed,
                "nights": one.tries,
                "seconds": round(one.seconds, 3),
            }
            for one in hunted
        ],
    }


def record(hunted: Sequence[Hunted], file: Path = FIRST_SEEDS) -> None:
    """Write down where each mutant was found; of mutants that were not hunted this time, what is there stays."""
    known = dict(recorded(file)) if file.exists() else {}
    known |= {one.name: (one.seed, one.invariant) for one in hunted if one.passed and one.seed is not None}
    entries = {
        name: {"seed": known[name][0], "noticed_by": known[name][1]} for name in MUTANTS if name in known
    }
    file.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def recorded(file: Path = FIRST_SEEDS) -> Mapping[str, tuple[int, str]]:
    """By mutant, the seed at which it was found when somebody last looked, and what noticed it."""
    entries = json.loads(file.read_text(encoding="utf-8"))
    return {name: (entry["seed"], entry["noticed_by"]) for name, entry in entries.items()}
