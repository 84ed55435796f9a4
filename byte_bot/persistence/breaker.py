"""The circuit between the bot and its database, as a pure state machine with the time passed in.

::

    CLOSED ──failure×threshold──▶ OPEN ──retry_at reached──▶ HALF_OPEN ──success──▶ CLOSED
       ▲ │                          ▲                            │
       │ └─failure (below it): wait │                            └──failure──▶ OPEN
       │                            │
       └────────success──────── PAUSED ◀── "a human must act" from any state; probed every ``pause_probe_s``

In every state but CLOSED exactly one call at a time may try. In CLOSED after a failure, the next call waits out the
backoff too, so a database that answers one call in three does not get three times the load. All users of the
database (epoch, loads, saves, refresh) share one breaker: what one learns, all know.

Written here rather than taken from a library: pybreaker, aiobreaker and purgatory read the wall clock, so they stay
open for ever under virtual time.
"""

from __future__ import annotations

import enum

from byte_bot.persistence.backoff import Backoff

#: Failures in a row that open the circuit; chosen: one may be a blip, three are an outage.
FAILURE_THRESHOLD = 3
#: Seconds between probes of a paused database (missing schema, wrong key…); a human is slower than that.
PAUSE_PROBE_S = 5.0


class Circuit(enum.StrEnum):
    """The breaker's state, as it is shown to people."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    PAUSED = "paused"


class Breaker:
    """See the module's docstring. All times are loop seconds."""

    def __init__(
        self,
        backoff: Backoff,
        *,
        failure_threshold: int = FAILURE_THRESHOLD,
        pause_probe_s: float = PAUSE_PROBE_S,
    ) -> None:
        self._backoff = backoff
        self._failure_threshold = failure_threshold
        self._pause_probe_s = pause_probe_s
        self._failures = 0
        self._trying = 0
        self.circuit = Circuit.CLOSED
        self.retry_at_s = 0.0
        self.pause_advice = ""

    def wait_s(self, now_s: float) -> float:
        """Seconds until a call may try: 0 = now; infinite while the one allowed probe is under way."""
        if self._failures == 0 and self.circuit is Circuit.CLOSED:
            return 0.0
        if self._trying:
            return float("inf")
        return max(0.0, self.retry_at_s - now_s)

    def trying(self, now_s: float) -> None:
        """A call starts."""
        assert self.wait_s(now_s) == 0.0, "a call was started while the circuit forbids it"
        self._trying += 1
        if self.circuit is Circuit.OPEN:
            self.circuit = Circuit.HALF_OPEN

    def succeeded(self) -> None:
        """The call was answered as it should be."""
        self._trying = max(0, self._trying - 1)
        self._failures = 0
        self._backoff.reset()
        self.circuit = Circuit.CLOSED
        self.pause_advice = ""

    def failed(self, now_s: float, retry_after_s: float | None = None) -> None:
        """The call failed in a way that time may heal."""
        self._trying = max(0, self._trying - 1)
        self._failures += 1
        self.retry_at_s = now_s + self._backoff.next_delay_s(retry_after_s)
        if self._failures >= self._failure_threshold or self.circuit is not Circuit.CLOSED:
            self.circuit = Circuit.OPEN
            self.pause_advice = ""

    def paused(self, now_s: float, advice: str) -> None:
        """The call was refused in a way that only a human can heal; ``advice`` says what to do."""
        self._trying = max(0, self._trying - 1)
        self._failures += 1
        self.circuit = Circuit.PAUSED
        self.pause_advice = advice
        self.retry_at_s = now_s + self._pause_probe_s

    def abandoned(self) -> None:
        """The call was cancelled: nothing was learnt."""
        self._trying = max(0, self._trying - 1)
        if self.circuit is Circuit.HALF_OPEN:
            self.circuit = Circuit.OPEN
