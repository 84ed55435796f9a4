"""One step of the load: what was asked for, what is due, what came back, and the figures that follow from it.

How it works. A step knows when each message was due and keeps one latency for each, infinity until its reply arrives, so that
percentiles are exact and an unanswered message can only make them worse. Reading the clock is the caller's business, except
for the system's own account of how long a process had to wait for its core.

Left out: sending and receiving (``driver.py``).
"""

from __future__ import annotations

import math
import re
from array import array
from pathlib import Path
from typing import Final

import msgspec


class StepPlan(msgspec.Struct, frozen=True):
    """One step. ``text`` is what is said, with ``{n}`` for the serial number.

    ``rate`` is messages a second over all channels, ``seconds`` how long. ``matched_by`` tells where the reply has the number:
    ``number`` (its text begins with ``pong N``) or ``reply`` (its tag ``reply-parent-msg-id``). ``limit_ms`` is only for
    counting the late ones.
    """

    rate: float
    seconds: float
    text: str = "!echo {n}"
    matched_by: str = "number"


class StepResult(msgspec.Struct, frozen=True):
    """What a step gave. Latencies in ms over every message that was sent; infinity (JSON: null) where the reply is missing.

    ``sent_per_s`` and ``answered_per_s`` are what happened while speaking; ``driver_lag_p99_ms`` is how late messages were written,
    ``driver_cpu`` the part of a core the driver used (0 to 1), ``driver_queued`` the part of the time in which it had to wait for its
    core because others were on it (null where the system does not tell), ``cut_short`` why the step ended early.
    """

    rate: float
    sent: int
    answered: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    driver_lag_p99_ms: float
    driver_cpu: float
    driver_queued: float | None
    duplicates: int
    seconds: float
    cut_short: str = ""


PATTERNS: Final = {
    "number": re.compile(rb" :pong (\d+)"),
    "reply": re.compile(rb"reply-parent-msg-id=[0-9a-f]{8}-5eed-4000-8000-([0-9a-f]{12})"),
}
_BASES: Final = {"number": 10, "reply": 16}


class Step:
    """A step under way: what is due, what came back."""

    def __init__(self, plan: StepPlan, first: int, start_s: float) -> None:
        self.plan = plan
        self.first = first
        self.start_s = start_s
        self.total = max(1, round(plan.rate * plan.seconds))
        self.sent = 0
        self.answered = 0
        self.duplicates = 0
        self.latency_s = array("d", [math.inf]) * self.total
        self.lag_s = array("d", [0.0]) * self.total
        self.last_reply_s = start_s
        self.pattern = PATTERNS[plan.matched_by]
        self.base = _BASES[plan.matched_by]

    def due(self, now_s: float) -> int:
        """How many messages should have been written at ``now_s``."""
        return min(self.total, int((now_s - self.start_s) * self.plan.rate) + 1)

    def take_replies(self, data: bytes, now_s: float) -> None:
        """Count the replies in whole lines that arrived at ``now_s``; those to an earlier step are none of ours."""
        first, rate, base, latency = self.first, self.plan.rate, self.base, self.latency_s
        elapsed_s = now_s - self.start_s
        for number in self.pattern.findall(data):
            index = int(number, base) - first
            if 0 <= index < self.sent:
                if latency[index] != math.inf:
                    self.duplicates += 1
                    continue
                latency[index] = elapsed_s - index / rate
                self.answered += 1
        self.last_reply_s = now_s

    def result(self, seconds: float, cpu: float, queued: float | None, cut_short: str) -> StepResult:
        """The figures."""
        latencies = sorted(self.latency_s[: self.sent])
        return StepResult(
            rate=self.plan.rate,
            sent=self.sent,
            answered=self.answered,
            p50_ms=_ms(percentile(latencies, 0.50)),
            p99_ms=_ms(percentile(latencies, 0.99)),
            max_ms=_ms(latencies[-1] if latencies else math.inf),
            driver_lag_p99_ms=round(1e3 * percentile(sorted(self.lag_s[: self.sent]), 0.99), 3),
            driver_cpu=round(cpu, 3),
            driver_queued=queued,
            duplicates=self.duplicates,
            seconds=round(seconds, 3),
            cut_short=cut_short,
        )


def percentile(ordered: list[float], part: float) -> float:
    """The smallest of ``ordered`` values that at least ``part`` (0 to 1) of them do not exceed; infinity for none."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else math.inf


def queued_seconds(pid: int | str = "self") -> float | None:
    """How long a process's main thread was ready to run while others had the core; None where the system does not tell.

    Source: the second number of Linux's /proc/PID/schedstat, in ns.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def part_between(before: float | None, after: float | None, seconds: float) -> float | None:
    """The difference of two readings as a part of the time between them; None if there is a reading missing."""
    return None if before is None or after is None else round((after - before) / seconds, 3)


def _ms(seconds: float) -> float | None:
    return None if math.isinf(seconds) else round(seconds * 1e3, 3)
