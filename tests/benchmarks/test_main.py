"""`python -m benchmarks`: one of them, or all and where each promise stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, main, run_all


def codes(*each: int) -> tuple[list[tuple[str, Sequence[str]]], int]:
    """Run all, each with an exit code in turn; what was run with which arguments, and the exit code of the whole."""
    seen: list[tuple[str, Sequence[str]]] = []
    left = list(each)

    def run(name: str, arguments: Sequence[str]) -> int:
        assert list(arguments[-2:-1]) == ["--json"]
        seen.append((name, arguments[:-2]))
        return left.pop(0)

    return seen, run_all(["--quick"], run)


def test_every_benchmark_of_the_list_exists() -> None:
    """A name that cannot be imported would be noticed after an hour."""
    for name in BENCHMARKS:
        assert find_spec(f"benchmarks.{name}") is not None


def test_without_arguments_it_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its question."""
    assert main([]) == 0
    shown = capsys.readouterr().out
    for name, benchmark in BENCHMARKS.items():
        assert name in shown and benchmark.about in shown


def test_all_runs_each_and_says_where_each_promise_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, and the worst exit code: a broken promise is worse than one that was not measured."""
    seen, code = codes(2, 1, 0, 0)
    assert seen == [(name, ["--quick"]) for name in BENCHMARKS]
    assert code == 1
    shown = capsys.readouterr().out.partition("where each promise stands")[2]
    end = shown.partition("promise or target")[0].split("\n")
    assert [line.strip().partition(":")[0] for line in end if ":" in line] == [
        "not measured",
        "BROKEN",
        "kept",
        "kept",
    ]


@pytest.mark.parametrize(("each", "code"), [((0, 0, 0, 0), 0), ((0, 2, 0, 0), 2), ((0, 7, 0, 0), 7)])
def test_the_exit_code_is_the_worst(each: tuple[int, ...], code: int) -> None:
    """Also one that nobody agreed on."""
    assert codes(*each)[1] == code


def test_ctrl_c_ends_all_of_them() -> None:
    """What comes after the one that was broken off is not started."""
    seen, code = codes(0, 130, 0)
    assert (len(seen), code) == (2, 130)


def test_mistakes_are_told_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name, or an option that not all of them have."""
    assert main(["latency"]) == 2
    assert "there is no benchmark 'latency'" in capsys.readouterr().err
    assert main(["all", "--rounds"]) == 2
    assert "--quick only" in capsys.readouterr().err


def test_all_ends_with_one_table_of_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Each result is read from the file that its benchmark was told to write."""

    def run(name: str, arguments: Sequence[str]) -> int:
        if name == "scale":
            target = {
                "name": "a quiet channel",
                "value": 5_000.0,
                "bound": 4_096.0,
                "unit": "bytes",
                "met": False,
            }
            Path(arguments[-1]).write_text(json.dumps({"sizes": [], "targets": [target]}))
        return 0

    assert run_all([], run) == 0
    table = capsys.readouterr().out.partition("promise or target")[2]
    assert "✗ a quiet channel" in table
    assert "5,000 bytes" in table
    assert "? throughput" in table
