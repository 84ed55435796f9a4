"""What can go wrong between a test and its night; all of them are a `SimulatorError`.

SimulatorError
├── NotYet            something was used before the test has begun, or after it has ended
├── CannotConnect     a bot that cannot be pointed at the fakes, or did not come up; the message says what to change
├── NotHere           a fault, or an address, that this night does not have; the message says where it is
└── PromiseBroken     invariants were broken; the message has their words

and one warning, `NothingJudged`: a test has passed, and its end could not be judged.
"""

from __future__ import annotations

from simulator.errors import SimulatorError


class NotYet(SimulatorError):
    """A fixture's object was used outside of its test."""


class CannotConnect(SimulatorError):
    """A bot cannot be pointed at the fake Twitch, or did not come up there."""


class NotHere(SimulatorError):
    """A fault or an address was asked for that this night does not have."""


class NothingJudged(UserWarning):
    """The bot has ended in order without having been asked to, so nobody knows whether it would have become well."""


class PromiseBroken(SimulatorError):
    """Invariants were broken during the night, or at its end."""
