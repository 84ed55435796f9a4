"""Nights and outcomes made by hand, for tests of what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from simulator.scenario import Scenario
from simulator.search.outcome import Failure, Outcome, Verdict
from simulator.search.plan import SearchPlan
from simulator.sometimes import Sometimes

T = TypeVar("T")


def plan(seed: int, **changes: object) -> SearchPlan:
    """A night in which nothing happens."""
    return SearchPlan(seed, Scenario(str(seed), "a night", **changes), "fifo")  # type: ignore[arg-type]


def good(seed: int) -> Outcome:
    """Nothing failed in it."""
    return Outcome(plan(seed), None, f"hash-{seed}", frozenset({Sometimes.SAVE_FAILED}), 50.0, 10)


def bad(
    seed: int, verdict: Verdict = Verdict.SAFETY, invariant: str = "agreement", place: str = "N lost"
) -> Outcome:
    """Something did."""
    failure = Failure(verdict, invariant, place, f"{invariant} at {seed} s: {seed} lost")
    return Outcome(plan(seed), failure, f"hash-{seed}", frozenset(), 50.0, 10)


class Answered(Generic[T]):
    """An answer that is there, or will be as soon as somebody wants it."""

    def __init__(self, answer: Callable[[], T]) -> None:
        self._answer = answer

    def ready(self) -> bool:
        """It is."""
        return True

    def get(self) -> T:
        """Here."""
        return self._answer()


class SameProcess:
    """In place of the other process: this one.

    Args:
        instead: what it plays a seed by, for functions by which it is asked to.
    """

    def __init__(self, instead: Mapping[Callable[[int], Any], Callable[[int], Any]] | None = None) -> None:
        self._instead = instead or {}
        self.asked: list[int] = []
        self.closed = False

    def ask(self, play: Callable[[int], T], seed: int) -> Answered[T]:
        """At once."""
        self.asked.append(seed)
        return Answered(partial(self._instead.get(play, play), seed))

    def close(self) -> None:
        """It ends nothing."""
        self.closed = True
