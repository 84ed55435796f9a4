"""`python -m tests.mutants`: its options, its exit codes, and one real hunt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.search.plan import draw_night
from tests.mutants.__main__ import main, options
from tests.mutants.catalogue import MUTANTS
from tests.mutants.report import recorded

QUICK = "gate_does_not_wait"


def as_it_is(level: str) -> None:
    """Leave the logging of the tests alone."""


def test_without_options_everything_is_hunted() -> None:
    """Two thousand nights each."""
    given = options([])
    assert (given.only, given.seeds, given.jobs, given.start) == (tuple(MUTANTS), 2_000, 2, 1)


@pytest.mark.parametrize("wrong", [["--only", "nobody"], ["--only", ""], ["--seeds", "0"], ["--jobs", "-1"]])
def test_a_mistake_is_told_with_the_way_out(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A name that there is not shows those that there are."""
    with pytest.raises(SystemExit) as ended:
        options(wrong)
    assert ended.value.code == 2
    words = capsys.readouterr().err
    assert wrong[0] in words
    assert ("late_load_wins" in words) is (wrong[0] == "--only")


def test_a_mutant_is_hunted_and_then_the_canary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From its recorded seed on: found at once, and the shipped bot passes that night."""
    seed = recorded()[QUICK][0]
    file = tmp_path / "mutants.json"
    code = main(
        ["--only", QUICK, "--start", str(seed), "--seeds", "1", "--jobs", "1", "--json", str(file)], as_it_is
    )
    shown = capsys.readouterr()
    assert code == 0
    assert shown.out.splitlines()[-1] == "2 passed, 0 failed"
    assert f"{QUICK}: seed {seed}" in shown.err
    assert [one["nights"] for one in json.loads(file.read_text())["mutants"]] == [1, 1]


def test_one_that_is_not_found_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a night in which no old save arrives late."""
    name = "stale_save_accepted"
    # Before the seed at which it was found; one that it needs, or no night would be played.
    calm = next(seed for seed in range(1, recorded()[name][0]) if MUTANTS[name].needs(draw_night(seed)))
    file = tmp_path / "mutants.json"
    nights = ["--start", str(calm), "--seeds", "1", "--jobs", "1"]
    code = main(["--only", name, *nights, "--json", str(file)], as_it_is)
    shown = capsys.readouterr().out
    assert (code, shown.splitlines()[-1]) == (1, "1 passed, 1 failed")
    assert "NOT FOUND" in shown
    # A hunt that has played no night has shown nothing.
    assert all(one["nights"] >= 1 for one in json.loads(file.read_text())["mutants"])
