"""The benchmark of the save function: its batches, its verdict, and one small run on a real PostgreSQL."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.save_sql import (
    BUSY_MS,
    CASES,
    LIMIT_MS,
    SIZES,
    Result,
    main,
    measure,
    rows_of,
    server,
    table,
    verdict,
)


def test_a_batch_has_one_key_a_row_and_one_bad_row_at_most() -> None:
    """New rows believe that there is none, changed ones know their base."""
    for case in CASES:
        rows = rows_of(100, case, 1)
        assert len({(row["channel_id"], row["key"]) for row in rows}) == 100
        assert {row["edit_no"] for row in rows} == {None if case == "new" else 0}
        assert sum(row["version"] != 1 for row in rows) == (case == "one bad")


@pytest.mark.parametrize(
    ("save_ms", "plain_ms", "rows", "code"),
    [
        (LIMIT_MS, 10, 500, 0),
        (LIMIT_MS + 0.1, 10, 500, 1),
        (1, 1, 100, 2),
        (LIMIT_MS + 0.1, BUSY_MS + 0.1, 500, 2),
        (LIMIT_MS, BUSY_MS + 0.1, 500, 0),
    ],
)
def test_the_largest_save_is_judged(save_ms: float, plain_ms: float, rows: int, code: int) -> None:
    """Small ones are not; nothing is said without the largest, nor when a busy machine made it slow."""
    assert verdict([Result(rows, "changed", save_ms, plain_ms, 1.0)]) == code
    assert max(SIZES) == 500


def test_a_bad_row_is_shown_and_not_judged() -> None:
    """It may cost more than a good save."""
    results = [Result(500, "new", 1.0, 1.0, 1.0), Result(500, "one bad", 99.0, 1.0, 99.0)]
    assert verdict(results) == 0
    assert "99.00 ms" in table(results)


def test_every_case_is_measured_on_a_real_server() -> None:
    """Two rounds of three rows: each case has its line, by the clock that was given."""
    ticks = itertools.count()
    with server() as connection:
        results = measure(connection, [3], 2, lambda: float(next(ticks)))
        (left,) = connection.execute("select count(*) from public.component_state").fetchone()
    assert [(one.rows, one.case) for one in results] == [(3, case) for case in CASES]
    assert {(one.save_ms, one.plain_ms, one.ratio) for one in results} == {(1000.0, 1000.0, 1.0)}
    assert left == 3


def test_a_file_that_cannot_be_written_is_refused_before_a_server_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured for it."""
    assert main(["--json", str(tmp_path / "nowhere" / "saves.json")]) == 2
    shown = capsys.readouterr()
    assert "save_sql: there is no folder" in shown.err
    assert shown.out == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no such locales")
def test_a_server_that_does_not_start_is_told_in_words(tmp_path: Path) -> None:
    """initdb refuses a locale that does not exist: exit code 2, the way out, no traceback, and nothing is left behind."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "save_sql", "--quick"],
        env={**os.environ, "LC_ALL": "xx_nowhere", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    assert "save_sql: PostgreSQL did not start: initdb ended with exit code 1" in ended.stderr
    assert "LC_ALL" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.glob("byte-pg-*")) == []
