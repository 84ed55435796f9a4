"""The search for the highest rate that a bot holds. Pure: the measuring is a function that is passed in.

A step *holds* if every message was answered and p99 is within the limit. From the start rate the search goes up by a factor
until a step fails (or down until one holds), and then halves the gap between the two, on a logarithmic scale. A step that
fails is measured once more, and counts as held if the second time holds: on a shared machine one pause of 60 ms fails a
step of a few seconds, and a bot that is too slow fails both times.

Left out: judging whether a held rate could be held for an hour.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from benchmarks.step import StepResult

#: The limit of the issue: a reply later than this feels late, and more than 1 in 100 of them is a bot that is too slow.
P99_MS_MAX: Final = 50.0
#: A driver that writes this late, or uses this much of its core, is what was measured. Chosen: a fifth of the limit.
DRIVER_LAG_MS_MAX: Final = 10.0
DRIVER_CPU_MAX: Final = 0.95
DRIVER_LIMIT: Final = "the driver"
MACHINE_LIMIT: Final = "the machine"
#: From here on a bot's core counts as full.
CPU_FULL: Final = 0.9
#: Other programs on the bot's or the driver's core for so much of the time: the machine is what was measured.
QUEUED_MAX: Final = 0.1

#: Below this the search gives up: such a bot answers nothing.
RATE_MIN: Final = 5.0
RATE_MAX: Final = 1_000_000.0

Measure = Callable[[float], Awaitable[StepResult]]


class Found(msgspec.Struct, frozen=True):
    """What a search found: the best step that held (None: not even the slowest), the slowest that failed, all in order."""

    held: StepResult | None
    failed: StepResult | None
    steps: tuple[StepResult, ...]


def holds(step: StepResult) -> bool:
    """Whether a step met the limit."""
    return (
        not step.cut_short
        and step.answered == step.sent
        and step.p99_ms is not None
        and step.p99_ms <= P99_MS_MAX
    )


def limit_of(failed: StepResult | None, bot_cpu: float | None, bot_queued: float | None) -> str:
    """What kept a bot from more, in a few words, judged by the step that failed.

    Args:
        failed: that step; None if there was none.
        bot_cpu: the part of a core the bot used in it (0 to 1, more with threads); None if unknown.
        bot_queued: the part of the time in which the bot waited for its core; None if unknown.
    """
    if failed is None:
        return "not reached"
    if bot_cpu is not None and bot_cpu >= CPU_FULL:
        return "CPU"
    if failed.driver_cpu >= DRIVER_CPU_MAX:
        return DRIVER_LIMIT
    queued = max(bot_queued or 0.0, failed.driver_queued or 0.0)
    if queued >= QUEUED_MAX:
        return f"{MACHINE_LIMIT} (busy {queued:.0%})"
    if failed.driver_lag_p99_ms > DRIVER_LAG_MS_MAX:
        return DRIVER_LIMIT
    return "unknown" if bot_cpu is None else f"pauses (CPU {bot_cpu:.0%})"


async def highest_rate(measure: Measure, start: float, *, growth: float = 1.5, halvings: int = 3) -> Found:
    """Search as the module's docstring says.

    Args:
        measure: carries out a step at a rate (messages a second).
        start: the first rate.
        growth: the factor, above 1.
        halvings: how often the gap is halved in the end; the result is exact to ``growth ** (1 / 2 ** halvings)``.
    """
    assert growth > 1 and start > 0 and halvings >= 0
    steps: list[StepResult] = []
    held: StepResult | None = None
    failed: StepResult | None = None

    async def attempt(rate: float) -> bool:
        nonlocal held, failed
        for _ in range(2):
            step = await measure(rate)
            steps.append(step)
            if holds(step):
                held = step
                return True
        failed = steps[-1]
        return False

    rate = start
    if await attempt(rate):
        while rate * growth <= RATE_MAX and await attempt(rate * growth):
            rate *= growth
    else:
        rate /= growth
        while rate >= RATE_MIN and not await attempt(rate):
            rate /= growth
    for _ in range(halvings):
        if held is None or failed is None:
            break
        await attempt((held.rate * failed.rate) ** 0.5)
    return Found(held, failed, tuple(steps))
