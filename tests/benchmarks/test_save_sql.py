"""The benchmark of the save function: its batches, its verdict, and one small run on a real PostgreSQL."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.save_sql import (
    BUSY_MS,
    CASES,
    LIMIT_MS,
    SIZES,
    Result,
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
