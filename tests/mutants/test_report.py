"""What `make mutants` prints and writes."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.hunt import CANARY, Hunted
from tests.mutants.report import as_json, failure, last_line, record, recorded, table

GOOD = Hunted("gate_does_not_wait", 3, 1.25, 3, "gated", "gated at 5.000 s: …")
LOST = Hunted("late_load_wins", 2_000, 480.0)
ODD = Hunted("breaker_never_closes", 7, 2.0, 7, "answered", "answered at 9.000 s: …")
QUIET = Hunted(CANARY, 12, 3.0)
FALSE = Hunted(CANARY, 2, 1.0, 2, "present", "present at 60.000 s: …")


def test_a_hunt_passes_only_as_it_should() -> None:
    """A mutant must be found, by an invariant that it names; the canary must not."""
    assert [one.passed for one in (GOOD, LOST, ODD, QUIET, FALSE)] == [True, False, False, True, False]


def test_the_table_has_a_line_for_each() -> None:
    """With what noticed it, the first seed and the seconds; what is wrong stands out."""
    lines = [" ".join(line.split()) for line in table([GOOD, LOST, ODD, QUIET]).splitlines()]
    assert lines[0] == "mutant noticed by first seed seconds what is wrong"
    assert lines[2].startswith("gate_does_not_wait gated 3 1.2 a reply leaves before")
    assert lines[3].startswith("late_load_wins NOT FOUND - (2000 nights) 480.0")
    assert lines[4].startswith("breaker_never_closes answered, NOT recovers 7")
    assert lines[5] == "no_change nothing, as it should be - (12 nights) 3.0 the shipped bot"
    assert "present: a false alarm" in table([FALSE])


def test_what_is_wrong_is_told() -> None:
    """And how to see it again, where it is the shipped bot that fails."""
    assert "the search draws too little, or an invariant is missing" in failure(LOST)
    assert "noticed by answered at seed 7, which its list does not name" in failure(ODD)
    assert failure(FALSE).endswith("again: byte-sim replay 2")


def test_the_last_line_is_for_programs() -> None:
    """Exactly this form; the JSON counts the same."""
    assert last_line([GOOD, LOST, QUIET]) == "2 passed, 1 failed"
    found = as_json([GOOD, LOST, QUIET])
    assert (found["passed"], found["failed"]) == (2, 1)
    assert [one["first_seed"] for one in found["mutants"]] == [3, None, None]


def test_seeds_are_written_down_in_the_order_of_the_list(tmp_path: Path) -> None:
    """Only of what was found as it should be; what was not hunted this time stays."""
    file = tmp_path / "seeds.json"
    record([GOOD, ODD, QUIET], file)
    assert recorded(file) == {"gate_does_not_wait": (3, "gated")}
    late = Hunted("late_load_wins", 9, 1.0, 9, "agreement")
    record([late, LOST], file)
    assert list(recorded(file).items()) == [
        ("late_load_wins", (9, "agreement")),
        ("gate_does_not_wait", (3, "gated")),
    ]
