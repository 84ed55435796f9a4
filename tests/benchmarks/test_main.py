"""`python -m benchmarks`: one of them, or all and where each promise stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, main, run_all

NAMES = tuple(BENCHMARKS)


def codes(*each: int | BaseException) -> tuple[list[tuple[str, Sequence[str]]], int]:
    """Run all, each with an exit code or an exception in turn, the rest with 0; what was run with which arguments, and the exit code of the whole."""
    seen: list[tuple[str, Sequence[str]]] = []
    left = [*each, *[0] * (len(BENCHMARKS) - len(each))]

    def run(name: str, arguments: Sequence[str]) -> int:
        assert list(arguments[-2:-1]) == ["--json"]
        seen.append((name, arguments[:-2]))
        end = left.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    # Nothing is written there.
    return seen, run_all(["--quick"], Path("nowhere"), run=run)


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
    """One line each, and the worst exit code: a broken promise is worse than one that was not judged."""
    seen, code = codes(2, 1, 0, 0)
    assert seen == [(name, ["--quick"]) for name in BENCHMARKS]
    assert code == 1
    shown = capsys.readouterr().out.partition("where each promise stands")[2]
    end = shown.partition("promise or target")[0].split("\n")
    assert [line.strip().partition(":")[0] for line in end if ":" in line] == [
        "not judged",
        "BROKEN",
        *["kept"] * (len(BENCHMARKS) - 2),
    ]


@pytest.mark.parametrize(("each", "code"), [((0, 0, 0, 0), 0), ((0, 2, 0, 0), 2), ((0, 7, 0, 0), 7)])
def test_the_exit_code_is_the_worst(each: tuple[int, ...], code: int) -> None:
    """Also one that nobody agreed on."""
    assert codes(*each)[1] == code


@pytest.mark.parametrize("end", [130, KeyboardInterrupt()])
def test_ctrl_c_ends_all_of_them(end: int | BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    """What comes after the one that was broken off is not started, and the table is there all the same."""
    seen, code = codes(0, end, 0)
    assert (len(seen), code) == (2, 130)
    shown = capsys.readouterr().out
    assert f"broken off: {BENCHMARKS[NAMES[1]].promise}" in shown
    assert "promise or target" in shown


def test_one_that_fails_does_not_lose_the_others(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its traceback is logged, nothing is judged of it, and the rest is run."""
    seen, code = codes(0, RuntimeError("no fork left"), 0, 0)
    assert ([name for name, _ in seen], code) == (list(NAMES), 2)
    assert "no fork left" in caplog.text and "Traceback" in caplog.text
    assert f"not judged: {BENCHMARKS[NAMES[1]].promise}" in capsys.readouterr().out


@pytest.mark.parametrize(("end", "code"), [(SystemExit(2), 2), (SystemExit("no"), 2), (SystemExit(7), 7)])
def test_one_that_ends_the_program_does_not_end_the_others(end: SystemExit, code: int) -> None:
    """argparse does so for an option that it refuses."""
    seen, found = codes(end, 0, 0, 0)
    assert (len(seen), found) == (len(BENCHMARKS), code)


def test_mistakes_are_told_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name, or an option that not all of them have."""
    assert main(["latency"]) == 2
    assert "there is no benchmark 'latency'" in capsys.readouterr().err
    for wrong in (
        ["--rounds", "3"],
        ["--plot", "nowhere/p.png"],
        ["--json", __file__],
        ["--json", f"{__file__}/a"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(["all", *wrong])
        assert ended.value.code == 2
        assert wrong[0] in (words := capsys.readouterr().err) or "'nowhere'" in words


def test_all_has_a_help_page(capsys: pytest.CaptureFixture[str]) -> None:
    """With every option."""
    with pytest.raises(SystemExit) as ended:
        main(["all", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--quick", "--json FOLDER", "--plot FILE.png"))


def test_only_the_one_that_draws_is_told_where_to(tmp_path: Path) -> None:
    """The others would refuse the option."""
    seen: dict[str, Sequence[str]] = {}

    def run(name: str, arguments: Sequence[str]) -> int:
        seen[name] = arguments
        return 0

    run_all([], tmp_path, tmp_path / "p.png", run)
    assert seen.pop("chat_latency")[:2] == ["--plot", str(tmp_path / "p.png")]
    assert all("--plot" not in arguments for arguments in seen.values())


def test_what_an_earlier_run_wrote_is_not_this_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark that fails before it writes would show the figures of last week."""
    old = {"name": "from last week", "value": 1.0, "bound": 2.0, "unit": "x", "met": True}
    (tmp_path / "scale.json").write_text(json.dumps({"targets": [old]}))
    run_all([], tmp_path, run=lambda name, arguments: 2)
    assert "from last week" not in capsys.readouterr().out


def test_a_result_that_ends_in_the_middle_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark that was killed while it wrote."""

    def run(name: str, arguments: Sequence[str]) -> int:
        Path(arguments[-1]).write_text('{"targets": [')
        return 2

    assert run_all([], tmp_path, run=run) == 2
    assert "? scale" in capsys.readouterr().out


def test_all_ends_with_one_table_of_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each result is read from the file that its benchmark was told to write, and stays there."""

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

    assert run_all([], tmp_path, run=run) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["scale.json"]
    table = capsys.readouterr().out.partition("promise or target")[2]
    assert "✗ a quiet channel" in table
    assert "5,000 bytes" in table
    assert "? throughput" in table
