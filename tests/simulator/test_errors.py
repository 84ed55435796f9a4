"""The errors of the simulator: one tree, and what an error carries beside its words."""

from __future__ import annotations

import inspect

from simulator import errors


def test_every_error_is_one_of_the_simulators() -> None:
    """Whoever catches the root catches all."""
    found = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    assert len(found) > 5 and all(issubclass(one, errors.SimulatorError) for one in found)


def test_a_failure_that_nobody_handled_says_when() -> None:
    """Its words are what it is told by; its time is where it stands in a timeline."""
    error = errors.UnhandledError("failures that nobody handled", 4.5)
    assert (str(error), error.at_s) == ("failures that nobody handled", 4.5)
