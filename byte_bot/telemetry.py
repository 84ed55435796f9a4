"""What the bot counts about itself, in one place.

Components of the bot record here; the command line, the status lines in the log, the ``bot_events`` table and later a
metrics endpoint and a dashboard read here. Everything is bounded: the names of counters are fixed in the code, the
latencies are an HdrHistogram, recent events are in a bounded queue that rides along with the next save.

The histogram is in Python, and slow. So latencies are counted by their first eight binary digits, which are all that it keeps, and
put into it when somebody looks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from hdrh.histogram import HdrHistogram

from byte_bot.clock import Clock, iso_utc
from byte_bot.persistence.storable import storable_data

#: Reply latency is recorded in microseconds up to one minute, with two significant digits (1 % error).
_LATENCY_US_MAX = 60_000_000
#: Binary digits of a latency that a histogram with two significant decimal digits tells apart.
_LATENCY_DIGITS = 8


class Telemetry:
    """Counters, reply latencies, and events for the database.

    Args:
        clock: wall time for the events.
        boot_id: distinguishes this process's event ids from every other's.
    """

    def __init__(self, clock: Clock, boot_id: str) -> None:
        self._clock = clock
        self.boot_id = boot_id
        self._events = 0
        self._sink: Callable[[dict[str, Any]], None] | None = None
        self.counters: Counter[str] = Counter()
        self._reply_latency = HdrHistogram(1, _LATENCY_US_MAX, 2)
        #: Latencies (µs) that are not in the histogram yet, and how often there was each: at most 128 for each power of two.
        self._latencies: Counter[int] = Counter()

    def bind_events(self, sink: Callable[[dict[str, Any]], None]) -> None:
        """Where rows for ``bot_events`` go from now on."""
        self._sink = sink

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter; ``name`` is a constant of the code (``replies_sent``, ``dropped_inbox_full`` …)."""
        self.counters[name] += amount

    def reply_left(self, latency_s: float) -> None:
        """A reply was written to Twitch ``latency_s`` seconds after its message had been received."""
        self.counters["replies_sent"] += 1
        latency_us = min(max(1, round(latency_s * 1e6)), _LATENCY_US_MAX)
        rest = max(0, latency_us.bit_length() - _LATENCY_DIGITS)
        self._latencies[latency_us >> rest << rest] += 1

    @property
    def reply_latency(self) -> HdrHistogram:
        """All reply latencies, in microseconds."""
        for latency_us, count in self._latencies.items():
            self._reply_latency.record_value(latency_us, count)
        self._latencies.clear()
        return self._reply_latency

    def event(self, kind: str, **data: Any) -> None:
        """Something worth a row in ``bot_events``: the circuit opened, a row was refused, the bot started."""
        self._events += 1
        self.counters[f"event_{kind}"] += 1
        if self._sink is not None:
            self._sink(
                {
                    "id": f"{self.boot_id}-{self._events}",
                    "at": iso_utc(self._clock.unix()),
                    "kind": kind,
                    # Servers' words are in it, and one event that cannot be stored would spoil a batch.
                    "data": storable_data(data),
                }
            )

    def reply_ms(self) -> Mapping[str, float]:
        """p50, p99 and max of the reply latency in milliseconds; zeros before the first reply."""
        latencies = self.reply_latency
        if not latencies.get_total_count():
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        return {
            "p50": latencies.get_value_at_percentile(50) / 1000,
            "p99": latencies.get_value_at_percentile(99) / 1000,
            "max": latencies.get_max_value() / 1000,
        }
