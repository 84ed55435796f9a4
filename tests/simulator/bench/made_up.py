"""Made-up rounds and timelines, in the shapes that benchmarks really give: a flat bot, and one that waits for its database."""

from __future__ import annotations

import random

from simulator.bench.results import FLOOR, HEALTHY, HEALTHY_AGAIN, Round, Row, Sample, Timeline, rows_of

SAMPLES = 200


def round_of(
    strategy: str,
    condition: str = HEALTHY,
    p99_ms: float = 1.0,
    *,
    unanswered: int = 0,
    channels: int = 1,
    rate: float = 50.0,
    requests: int = 5,
    **fields: int | float | None,
) -> Round:
    """One round whose every answer took `p99_ms`; the first `unanswered` messages never got one."""
    samples = [Sample(number / rate, None if number < unanswered else p99_ms) for number in range(SAMPLES)]
    return Round(
        strategy=strategy,
        condition=condition,
        channels=channels,
        rate=rate,
        samples=samples,
        requests=requests,
        messages=1_000,
        rss_start_mb=50.0,
        rss_end_mb=51.5,
        **fields,  # type: ignore[arg-type]
    )


def rows(*, outage_ms: float = 1.3, **fields: int | float | None) -> list[Row]:
    """A floor and a bot with three conditions; `outage_ms` is the bot's p99 while the database hangs."""
    return rows_of(
        [
            round_of(FLOOR, p99_ms=0.8),
            round_of("byte_bot", p99_ms=1.0, **fields),
            round_of("byte_bot", HEALTHY_AGAIN, 1.05),
            round_of("byte_bot", "hang", outage_ms, **fields),
            round_of("inline", p99_ms=4.5),
            round_of("inline", "hang", 4_000.0, unanswered=20),
        ]
    )


def timeline(
    strategy: str,
    usual_ms: float,
    outage_ms: float | None,
    *,
    seconds: float = 30.0,
    rate: float = 20.0,
    outage: tuple[float, float] = (10.0, 20.0),
    unanswered: float = 0.0,
) -> Timeline:
    """Latencies around `usual_ms`, and around `outage_ms` (None: no answer) in the outage, `unanswered` of them without."""
    rng = random.Random(f"{strategy} {seconds}")
    points: list[tuple[float, float | None]] = []
    for number in range(int(seconds * rate)):
        at_s = number / rate
        around_ms = outage_ms if outage[0] <= at_s < outage[1] else usual_ms
        if around_ms is None or (around_ms == outage_ms and rng.random() < unanswered):
            points.append((at_s, None))
        else:
            points.append((at_s, around_ms * rng.lognormvariate(0.0, 0.25)))
    return Timeline(strategy=strategy, points=points, outage=outage)
