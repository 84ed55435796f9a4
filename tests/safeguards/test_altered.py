"""The transform behind the mutants: it changes one method of a subclass, and refuses what is not there."""

from __future__ import annotations

import traceback

import pytest

from byte_bot.persistence.breaker import Breaker, Circuit
from byte_bot.persistence.row import Row
from tests.safeguards.altered import Unalterable, altered
from tests.safeguards.variants import become


class Clerk:
    """Counts to a limit."""

    LIMIT = 3

    def __init__(self) -> None:
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return self.count >= self.LIMIT

    def take(self) -> int:
        """One more."""
        self.count += 1
        return fail() if self.full else self.count

    def twice(self) -> str:
        """A text that stands here twice: twice."""
        return "twice"

    def __repr__(self) -> str:
        return super().__repr__()


def fail() -> int:
    """What a full clerk does."""
    raise RuntimeError("full")


def test_only_the_named_method_of_the_subclass_changes() -> None:
    """The class itself stays as it is, and other methods are its own."""
    hasty = altered(Clerk, take=("+= 1", "+= 2"))
    assert (hasty().take(), Clerk().take()) == (2, 1)
    assert hasty.full is Clerk.full and issubclass(hasty, Clerk)


def test_a_property_stays_one() -> None:
    """Its text is changed like a method's."""
    late = altered(Clerk, full=(">=", ">"))
    clerk = late()
    assert [clerk.take() for _ in range(3)] == [1, 2, 3]


def test_names_mean_something_else_in_that_method_alone() -> None:
    """The module's own name is untouched."""
    calm = altered(Clerk, {"fail": lambda: -1}, take=None)
    clerk = calm()
    assert [clerk.take() for _ in range(3)] == [1, 2, -1]
    with pytest.raises(RuntimeError):
        fail()


def test_an_object_becomes_one_with_or_without_slots() -> None:
    """As variants do: a row has slots, a breaker has none."""
    assert altered(Row, refuse=None).__dictoffset__ == 0
    breaker = Breaker.__new__(Breaker)
    become(breaker, altered(Breaker, succeeded=("self.circuit = Circuit.CLOSED", "pass")))
    assert isinstance(breaker, Breaker) and Circuit.CLOSED == "closed"


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        ("take", ("+= 9", "+= 1"), "0 times"),
        ("twice", ("twice", "once"), "4 times"),
        ("__repr__", None, "super()"),
    ],
)
def test_what_is_not_there_once_is_refused(method: str, change: tuple[str, str] | None, words: str) -> None:
    """A mutant whose place has moved must not become the shipped bot."""
    with pytest.raises(Unalterable, match=words.replace("(", r"\(").replace(")", r"\)")):
        altered(Clerk, **{method: change})


def test_a_traceback_points_to_the_place_in_the_source() -> None:
    """The file and the line of the method."""
    clerk = altered(Clerk, full=(">= self.LIMIT", "> 0"), take=None)()
    with pytest.raises(RuntimeError) as failed:
        clerk.take()
    frames = traceback.extract_tb(failed.value.__traceback__)
    line = next(frame for frame in frames if frame.name == "take")
    assert line.filename == __file__ and line.line == "return fail() if self.full else self.count"
