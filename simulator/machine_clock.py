"""The wall clock of the bot's machine: the world's, as far as no fault has put it wrong.

How it works. The clock is so many seconds *ahead* of the world (behind, if negative). A jump changes that at once, a skew little by little:
what it has gained is worked out when somebody looks, so nothing ticks. Whoever carries out faults (`fault_driver`) says what is wrong, a
heal sets the clock right, and each change is written into the trace.
"""

from __future__ import annotations

from simulator.loop import VirtualLoop
from simulator.trace import Trace


class MachineClock:
    """See the module's docstring; a `byte_bot.clock.Clock`.

    Args:
        loop: its time is right.
        trace: gets a `clock` event with every change.
    """

    def __init__(self, loop: VirtualLoop, trace: Trace) -> None:
        self._loop = loop
        self._trace = trace
        self._rate = 1.0
        #: How far ahead it was at this second of the loop.
        self._ahead_s = 0.0
        self._since_s = loop.time()

    def unix(self) -> float:
        """Seconds since 1970, as the machine believes."""
        return self._loop.unix_time() + self.ahead_s

    @property
    def ahead_s(self) -> float:
        """By how many seconds it is ahead of the world now."""
        return self._ahead_s + (self._rate - 1.0) * (self._loop.time() - self._since_s)

    def jump(self, by_s: float) -> None:
        """Go forwards by so many seconds, or back."""
        self._change(self.ahead_s + by_s, self._rate)

    def run_at(self, rate: float) -> None:
        """Run so many times as fast as time does from now on."""
        if rate != self._rate:
            self._change(self.ahead_s, rate)

    def set_right(self) -> None:
        """Show the world's time again, as after a synchronisation."""
        if self.ahead_s or self._rate != 1.0:
            self._change(0.0, 1.0)

    def _change(self, ahead_s: float, rate: float) -> None:
        self._ahead_s, self._rate, self._since_s = ahead_s, rate, self._loop.time()
        self._trace.record("clock", ahead_s=ahead_s, rate=rate)
