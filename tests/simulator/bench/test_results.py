"""Rows made of rounds, and the judgement of flat latency."""

from __future__ import annotations

import pytest

from simulator.bench.results import (
    FLOOR,
    HEALTHY,
    Round,
    Sample,
    judge,
    latencies_ms,
    percentile,
    rows_of,
)


def round_of(
    latencies: list[float | None], strategy: str = "bot", condition: str = HEALTHY, **fields: object
) -> Round:
    """A round with these latencies (ms), 10 messages a second."""
    samples = [Sample(number / 10, latency) for number, latency in enumerate(latencies)]
    values: dict[str, object] = {
        "requests": 5,
        "messages": len(latencies),
        "rss_start_mb": 50.0,
        "rss_end_mb": 51.0,
    }
    return Round(
        strategy=strategy,
        condition=condition,
        channels=1,
        rate=10.0,
        samples=samples,
        **(values | fields),  # type: ignore[arg-type]
    )


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """Nearest rank: no value is made up between two, and 99.9 % of 1,000 is the 999th in spite of floating point."""
    values = [float(number) for number in range(1, 1_001)]
    assert percentile(values, 50) == 500
    assert percentile(values, 99) == 990
    assert percentile(values, 99.9) == 999
    assert percentile(values, 100) == 1_000
    assert percentile([7.0], 0) == percentile([7.0], 99) == 7


def test_there_is_no_percentile_of_nothing() -> None:
    """An empty round is a mistake of the caller, never a zero."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
    with pytest.raises(ValueError, match="between 0 and 100"):
        percentile([1.0], 101)


def test_the_unanswered_count_as_the_whole_patience() -> None:
    """A bot that answers one message in two has the patience as its p99, not its one good answer."""
    one = round_of([1.0, None], patience_s=3.0)
    assert latencies_ms(one) == [1.0, 3_000.0]
    (row,) = rows_of([one])
    assert (row.p99_ms, row.max_ms, row.unanswered) == (3_000.0, 3_000.0, 1)


def test_a_row_has_medians_of_its_rounds() -> None:
    """One bad round of three moves the maximum, not the percentiles."""
    rounds = [round_of([value] * 10, number=number) for number, value in enumerate((1.0, 90.0, 2.0))]
    (row,) = rows_of(rounds)
    assert (row.p50_ms, row.p99_ms, row.max_ms) == (2.0, 2.0, 90.0)
    assert (row.rounds, row.samples, row.round_p99_ms) == (3, 30, [1.0, 90.0, 2.0])


def test_rows_are_compared_with_healthy_and_floor_of_their_own_load() -> None:
    """The ratio is to the same bot's healthy p99, the difference to the floor's."""
    rows = rows_of(
        [
            round_of([1.0], FLOOR),
            round_of([2.0]),
            round_of([3.0], condition="hang"),
            round_of([9.0], "other", "hang"),
        ]
    )
    assert [(row.p99_over_healthy, row.p99_over_floor_ms) for row in rows] == [
        (1, 0),
        (1, 1),
        (1.5, 2),
        (None, 8),
    ]


def test_counts_add_up_and_unknown_stays_unknown() -> None:
    """Lost rows of all rounds are summed; requests are per 1,000 messages; None is not 0."""
    (row,) = rows_of([round_of([1.0] * 10, lost=2, stale=1), round_of([1.0] * 10, lost=3, stale=0)])
    assert (row.lost, row.stale, row.lost_after_kill, row.requests_per_1000) == (5, 1, None, 500.0)


def test_a_round_without_samples_adds_only_what_was_lost() -> None:
    """The kill measures no latency, and alone makes no row."""
    killed = round_of([], lost_after_kill=7, stale_after_kill=2, messages=50)
    (row,) = rows_of([round_of([1.0] * 10), killed])
    assert (row.rounds, row.lost_after_kill, row.stale_after_kill, row.requests_per_1000) == (1, 7, 2, 500.0)
    assert rows_of([killed]) == []


def test_a_round_that_was_made_again_adds_what_it_cost() -> None:
    """Its latencies are the machine's; its memory, its requests and the time until all was stored are the bot's."""
    dropped = round_of(
        [], repeated=True, requests=15, messages=10, rss_start_mb=50.0, rss_end_mb=90.0, settle_s=9.0
    )
    (row,) = rows_of([dropped, round_of([1.0] * 10)])
    assert (row.rounds, row.samples, row.p99_ms, row.round_p99_ms) == (1, 10, 1.0, [1.0])
    assert (row.rss_growth_mb, row.settle_s, row.requests_per_1000) == (40.0, 9.0, 1_000.0)


@pytest.mark.parametrize(
    ("healthy_ms", "floor_ms", "p99_ms", "flat", "near_floor"),
    [
        (2.0, 1.0, 2.8, True, True),  # 1.15 x 2 + 0.5 = 2.8
        (2.0, 1.0, 2.9, False, True),
        (4.0, 1.0, 3.1, True, False),
        (2.0, 1.0, 900.0, False, False),
    ],
)
def test_p2_is_judged_at_its_limits(
    healthy_ms: float, floor_ms: float, p99_ms: float, flat: bool, near_floor: bool
) -> None:
    """At most 1.15 x healthy + 0.5 ms, and at most the floor + 2 ms."""
    rounds = [round_of([floor_ms], FLOOR), round_of([healthy_ms]), round_of([p99_ms], condition="hang")]
    judged = judge(rows_of(rounds))[-1]
    assert (judged.condition, judged.flat, judged.near_floor, judged.ok) == (
        "hang",
        flat,
        near_floor,
        flat and near_floor,
    )


def test_p2_is_not_judged_without_what_it_is_compared_with() -> None:
    """Without a floor one of the two is unknown, and so is the whole, unless the other is broken."""
    rounds = [round_of([1.0]), round_of([1.0], condition="503"), round_of([50.0], condition="hang")]
    assert [one.ok for one in judge(rows_of(rounds))] == [None, None, False]


def test_a_strategy_may_be_given_more_room_above_the_floor() -> None:
    """One that waits for the disk has 5 ms where another has 2."""
    rounds = [round_of([1.0], FLOOR), round_of([5.5], "power"), round_of([5.5], "bot")]
    judged = {one.strategy: one for one in judge(rows_of(rounds), {"power": 5.0})}
    assert (judged["power"].near_floor, judged["power"].near_floor_limit_ms) == (True, 6.0)
    assert (judged["bot"].near_floor, judged["bot"].near_floor_limit_ms) == (False, 3.0)


def test_the_longest_time_to_settle_is_kept() -> None:
    """Of all rounds."""
    (row,) = rows_of([round_of([1.0], settle_s=1.5), round_of([1.0], settle_s=4.25)])
    assert row.settle_s == 4.25
