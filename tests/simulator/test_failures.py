"""Failures that nobody handled are kept, and those of the dead and the cancelled are not."""

from __future__ import annotations

import asyncio

import pytest

from simulator.errors import UnhandledError
from simulator.failures import Failures


def test_all_failures_are_raised_at_once_and_forgotten() -> None:
    """Each with its instant, its message and its error; the first is the cause."""
    failures = Failures()
    first = ValueError("one")
    failures.note(1.0, {"message": "callback", "exception": first})
    failures.note(2.5, {"message": "Task was destroyed but it is pending!"})
    with pytest.raises(
        UnhandledError, match=r"t=1\.000000 s: callback: ValueError\('one'\)\n  t=2\.5"
    ) as caught:
        failures.raise_all()
    assert caught.value.__cause__ is first
    failures.raise_all()


def test_cancellation_is_no_failure() -> None:
    """Python 3.11's start_server reports it when its handlers are cancelled."""
    failures = Failures()
    failures.note(0.0, {"message": "handler", "exception": asyncio.CancelledError()})
    failures.note_death(0.0, None)
    failures.raise_all()
