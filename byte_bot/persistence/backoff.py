"""Full-jitter exponential backoff, as a pure object.

The delay after the n-th failure in a row is drawn uniformly from ``[0, min(cap, base * 2**n)]``: of the schemes with
jitter the one that spreads a crowd of clients best (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
A server's own word (``Retry-After``) goes first, up to a limit, since waiting shorter only earns the next refusal.
"""

from __future__ import annotations

from typing import Protocol


class Uniform(Protocol):
    """The one draw that is needed of a ``random.Random``."""

    def uniform(self, a: float, b: float) -> float:
        """A float in ``[a, b]``."""
        ...


class Backoff:
    """Delays between tries.

    Args:
        rng: where the jitter comes from.
        base_s: upper bound of the first delay, seconds.
        cap_s: upper bound of every delay of our own, seconds (5: P6 wants a probe at least every 5 s).
        retry_after_max_s: the longest ``Retry-After`` that is honoured, seconds.
    """

    def __init__(
        self, rng: Uniform, *, base_s: float = 0.5, cap_s: float = 5.0, retry_after_max_s: float = 60.0
    ) -> None:
        if not 0 < base_s <= cap_s:
            raise ValueError(f"backoff needs 0 < base_s <= cap_s, got {base_s} and {cap_s}")
        self._rng = rng
        self._base_s = base_s
        self._cap_s = cap_s
        self._retry_after_max_s = retry_after_max_s
        self.failures = 0

    def next_delay_s(self, retry_after_s: float | None = None) -> float:
        """Seconds to wait after one more failure; ``retry_after_s`` is what the server asked for, or None."""
        # The exponent is bounded: 2**1100 overflows a float, and an outage may last that many tries.
        ceiling = min(self._cap_s, self._base_s * 2 ** min(self.failures, 30))
        self.failures += 1
        delay_s = self._rng.uniform(0.0, ceiling)
        if retry_after_s is not None:
            delay_s = max(delay_s, min(max(retry_after_s, 0.0), self._retry_after_max_s))
        return delay_s

    def reset(self) -> None:
        """A try has succeeded: start from the shortest delay again."""
        self.failures = 0
