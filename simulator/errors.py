"""The errors of the simulator, split by what the caller can do.

SimulatorError
├── WorldStuckError            the simulated program is at fault: read the stacks in the message
│   ├── DeadlockError          nothing can ever happen again, and the main task is not done
│   └── RunawayError           a limit on virtual time or on loop iterations was reached
├── UnhandledError             a callback or a task nobody waits for failed
├── NotSimulatedError          something was asked for that this kind of world cannot give (threads, sockets, cut packets)
├── NotReplayableError         a clock, chance or a thread was reached that no seed governs: read the stack in the message
├── ProcessError               a simulated process was started or killed in the wrong state
└── TraceError                 a value that has no canonical form, or traces that cannot be compared
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Root of every error that the simulator raises on its own account."""


class WorldStuckError(SimulatorError):
    """The simulated program will never finish."""


class DeadlockError(WorldStuckError):
    """Nothing is ready, nothing is scheduled, and the main task is not done."""


class RunawayError(WorldStuckError):
    """A limit on virtual time or loop iterations was reached."""


class UnhandledError(SimulatorError):
    """A callback failed, or a task failed that nobody awaited; `at_s` is the virtual time at which the first one did."""

    def __init__(self, words: str, at_s: float = 0.0) -> None:
        super().__init__(words)
        self.at_s = at_s


class NotSimulatedError(SimulatorError):
    """A thread, a socket, a resolver or a fault was asked for that this mode of the loop, or this network, cannot give."""


class NotReplayableError(SimulatorError):
    """Code in a world reached for a wall clock, unseeded randomness or a thread; the message has the stack."""


class ProcessError(SimulatorError):
    """A simulated process was started or killed in a state that does not allow it."""


class TraceError(SimulatorError):
    """A value has no canonical form, or two traces cannot be compared."""
