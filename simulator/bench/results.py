"""What a benchmark measured, and the figures made of it: samples, rounds, rows, the two judgements of flat latency.

A `Sample` is one message that asks for a reply. A `Round` is one strategy under one condition and one load, once. A `Row`
is all rounds of that, as one line of the report and one object of `--json`. A `Timeline` is one strategy's latency over an
outage, for the picture.

Three choices, each against a way to flatter oneself:

- An unanswered message is not left out: it counts as a latency of the whole patience of its round, so a bot that answers
  nothing has a p99 of at least that, and percentiles of two bots are over the same messages.
- The percentiles of a row are medians over its rounds, not percentiles of all samples together: one round in which the
  machine was busy with something else would otherwise be the whole tail. `max_ms` is the largest of all rounds.
- `p99_over_healthy` is a ratio of these medians, not the median of each round's own ratio: the reader can check it in the
  table, and since the conditions of one round follow each other both medians have seen the same states of the machine. What
  is left as noise is the row of the second healthy condition, whose ratio would be 1.00 on an ideal machine.

What this leaves out: confidence intervals. `round_p99_ms` has every round's p99 for those who want their own statistics.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec

HEALTHY = "healthy"
HEALTHY_AGAIN = "healthy again"
FLOOR = "floor"

# DESIGN's promise P2: under each condition at most this much of the same bot's healthy p99, and at most this much over the
# same bot without any persistence (durability `process`).
FLAT_RATIO = 1.15
FLAT_SLACK_MS = 0.5
FLOOR_SLACK_MS = 2.0


class Sample(msgspec.Struct, frozen=True):
    """One message that asks for a reply.

    `intended_s` is the moment at which the load's plan had it sent, in seconds from the round's first; `latency_ms` runs
    from that moment until the fake Twitch has accepted the reply, None: unanswered within the round's patience.
    """

    intended_s: float
    latency_ms: float | None


class Round(msgspec.Struct, kw_only=True):
    """One strategy under one condition and one load, once."""

    strategy: str
    condition: str
    channels: int
    rate: float  # messages per second, all channels together
    number: int = 0  # the strategies' rounds of one number stood beside each other in time
    patience_s: float = 5.0  # how long after its intended moment a message may be answered
    samples: list[Sample]
    requests: int  # HTTP requests that reached the fake Supabase, from the first message until it was quiet
    messages: int  # messages sent in the time that `requests` were counted
    rss_start_mb: float
    rss_end_mb: float
    loop_lag_p99_ms: float | None = None  # delay of PONG; None: not one came
    generator_late_p99_ms: float = 0.0  # how late the load itself was; it is in every latency
    stolen: float = (
        0.0  # part of the processors' time, 0 to 1, that the machine's host gave to others meanwhile
    )
    # The machine was not ours, and the round was made again: without samples, but what it cost and lost counts.
    repeated: bool = False
    settle_s: float = 0.0  # from healing until the database had everything, or nothing moved there any more
    lost: int | None = None  # increments told to viewers and not in the database after healing
    stale: int | None = None  # counters whose stored value is older than what viewers were told
    lost_after_kill: int | None = None  # the same with a SIGKILL at the end of the outage
    stale_after_kill: int | None = None


class Row(msgspec.Struct, kw_only=True):
    """All rounds of one strategy, condition and load: one line of the report, one object of `--json`."""

    strategy: str
    condition: str
    channels: int
    rate: float
    rounds: int
    samples: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    unanswered: int
    p99_over_healthy: float | None = None  # None: there is no healthy row of this strategy and load
    p99_over_floor_ms: float | None = None  # a difference; None: there is no floor of this load
    requests_per_1000: float
    rss_growth_mb: float
    loop_lag_p99_ms: float | None = None
    generator_late_p99_ms: float = 0.0
    settle_s: float = 0.0  # the longest of all rounds
    lost: int | None = None
    stale: int | None = None
    lost_after_kill: int | None = None
    stale_after_kill: int | None = None
    round_p99_ms: list[float] = []


class Timeline(msgspec.Struct, kw_only=True):
    """One strategy's latency over an outage: points (moment sent, latency or None for unanswered), the outage's bounds."""

    strategy: str
    points: list[tuple[float, float | None]]
    outage: tuple[float, float]


class Judgement(msgspec.Struct, kw_only=True):
    """P2 for one row: None where the row it is compared with was not measured."""

    strategy: str
    condition: str
    channels: int
    rate: float
    p99_ms: float
    flat: bool | None  # at most FLAT_RATIO x healthy + FLAT_SLACK_MS
    flat_limit_ms: float | None
    near_floor: bool | None  # at most floor + FLOOR_SLACK_MS
    near_floor_limit_ms: float | None
    floor_slack_ms: float = FLOOR_SLACK_MS

    @property
    def ok(self) -> bool | None:
        """False if one of the two is broken, None if one was not measured, else True."""
        both = (self.flat, self.near_floor)
        return False if False in both else None if None in both else True


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value of a sorted, non-empty sequence that at least `percent` (0 to 100) of the values do not exceed."""
    if not ordered:
        raise ValueError("there is no percentile of no values")
    if not 0 <= percent <= 100:
        raise ValueError(f"a percentile is between 0 and 100, got {percent}")
    # Rounded, because 99.9 / 100 * 1000 is a little more than 999 in floating point.
    rank = math.ceil(round(percent / 100 * len(ordered), 6))
    return ordered[max(rank, 1) - 1]


def latencies_ms(round_: Round) -> list[float]:
    """The latencies of a round, sorted, with the unanswered as its patience."""
    patience_ms = round_.patience_s * 1_000
    return sorted(patience_ms if s.latency_ms is None else s.latency_ms for s in round_.samples)


def rows_of(rounds: Iterable[Round]) -> list[Row]:
    """One row for each strategy, condition and load, in the order of first appearance; one without samples is left out.

    A round without samples adds only what was lost and stale (the kill does not wait for answers, so it measures none), one
    that was made again also what it cost: requests, memory, time to settle.
    """
    groups: dict[tuple[str, str, int, float], list[Round]] = {}
    for one in rounds:
        groups.setdefault((one.strategy, one.condition, one.channels, one.rate), []).append(one)
    rows = {key: _row(group) for key, group in groups.items() if any(one.samples for one in group)}
    for row in rows.values():
        healthy = rows.get((row.strategy, HEALTHY, row.channels, row.rate))
        floor = rows.get((FLOOR, HEALTHY, row.channels, row.rate))
        if healthy is not None and healthy.p99_ms > 0:
            row.p99_over_healthy = round(row.p99_ms / healthy.p99_ms, 3)
        if floor is not None:
            row.p99_over_floor_ms = round(row.p99_ms - floor.p99_ms, 3)
    return list(rows.values())


def _row(all_rounds: Sequence[Round]) -> Row:
    rounds = [one for one in all_rounds if one.samples]
    # Only latencies suffer from a machine that was busy. Not those of a kill: the requests of a new process that boots are in them.
    costs = [one for one in all_rounds if one.samples or one.repeated]
    first = rounds[0]
    ordered = [latencies_ms(one) for one in rounds]
    each_p99 = [round(percentile(values, 99), 3) for values in ordered]
    lags = [one.loop_lag_p99_ms for one in rounds if one.loop_lag_p99_ms is not None]
    messages = sum(one.messages for one in costs)

    def median_of(percent: float) -> float:
        return round(statistics.median(percentile(values, percent) for values in ordered), 3)

    return Row(
        strategy=first.strategy,
        condition=first.condition,
        channels=first.channels,
        rate=first.rate,
        rounds=len(rounds),
        samples=sum(len(values) for values in ordered),
        p50_ms=median_of(50),
        p99_ms=median_of(99),
        p999_ms=median_of(99.9),
        max_ms=round(max(values[-1] for values in ordered), 3),
        unanswered=sum(sample.latency_ms is None for one in rounds for sample in one.samples),
        requests_per_1000=round(1_000 * sum(one.requests for one in costs) / messages, 2)
        if messages
        else 0.0,
        rss_growth_mb=round(max(one.rss_end_mb - one.rss_start_mb for one in costs), 2),
        loop_lag_p99_ms=round(statistics.median(lags), 3) if lags else None,
        generator_late_p99_ms=round(statistics.median(one.generator_late_p99_ms for one in rounds), 3),
        settle_s=max(one.settle_s for one in costs),
        lost=_sum(one.lost for one in all_rounds),
        stale=_sum(one.stale for one in all_rounds),
        lost_after_kill=_sum(one.lost_after_kill for one in all_rounds),
        stale_after_kill=_sum(one.stale_after_kill for one in all_rounds),
        round_p99_ms=each_p99,
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum of what was counted, None if nothing was."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def judge(rows: Iterable[Row], floor_slack_ms: Mapping[str, float] | None = None) -> list[Judgement]:
    """P2 for each row of a bot that claims it (all but the floor), in the order of the rows.

    `floor_slack_ms` has the strategies that may be further above the floor than `FLOOR_SLACK_MS`.
    """
    known = {(row.strategy, row.condition, row.channels, row.rate): row for row in rows}
    slacks = floor_slack_ms or {}
    return [
        _judgement(row, known, slacks.get(row.strategy, FLOOR_SLACK_MS))
        for row in known.values()
        if row.strategy != FLOOR
    ]


def _judgement(row: Row, known: dict[tuple[str, str, int, float], Row], slack_ms: float) -> Judgement:
    healthy = known.get((row.strategy, HEALTHY, row.channels, row.rate))
    floor = known.get((FLOOR, HEALTHY, row.channels, row.rate))
    flat_limit = None if healthy is None else round(FLAT_RATIO * healthy.p99_ms + FLAT_SLACK_MS, 3)
    floor_limit = None if floor is None else round(floor.p99_ms + slack_ms, 3)
    return Judgement(
        strategy=row.strategy,
        condition=row.condition,
        channels=row.channels,
        rate=row.rate,
        p99_ms=row.p99_ms,
        flat=None if flat_limit is None else row.p99_ms <= flat_limit,
        flat_limit_ms=flat_limit,
        near_floor=None if floor_limit is None else row.p99_ms <= floor_limit,
        near_floor_limit_ms=floor_limit,
        floor_slack_ms=slack_ms,
    )
