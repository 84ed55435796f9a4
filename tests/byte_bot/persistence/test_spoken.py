"""What the account said, over the end of a process: ages on two clocks, and what follows what."""

from __future__ import annotations

import pytest

from byte_bot.persistence.spoken import NOTHING_SPOKEN, SAID_MAX, Moment, Spoken, age_s


@pytest.mark.parametrize(
    ("then", "age"),
    [
        pytest.param(Moment(990.0, 90.0), 10.0, id="both clocks went on"),
        pytest.param(Moment(-2610.0, 90.0), 10.0, id="the wall clock was put forward an hour"),
        pytest.param(Moment(4590.0, 90.0), 10.0, id="the wall clock was put back an hour"),
        pytest.param(Moment(990.0, 5000.0), 10.0, id="the machine was started anew"),
        pytest.param(Moment(990.0, 7.0), 10.0, id="another machine's clock"),
        pytest.param(Moment(4590.0, 5000.0), 0.0, id="neither clock can be believed"),
    ],
)
def test_an_age_is_told_by_the_clock_that_makes_sense(then: Moment, age: float) -> None:
    """Nothing becomes older than it is, and what is still to come counts as said now."""
    assert age_s(then, Moment(1000.0, 100.0)) == age


def test_what_was_said_adds_up_and_what_waits_is_what_waited_last() -> None:
    """A message behind which nothing waits ends the waiting; of what was said the newest stay."""
    first = Spoken(Moment(1.0, 1.0), [Moment(0.5, 0.5)], waiting=2, waiting_privileged=1)
    second = Spoken(Moment(2.0, 2.0), [Moment(1.5, 1.5)], waiting=1)
    assert NOTHING_SPOKEN.followed_by(None) is NOTHING_SPOKEN
    assert NOTHING_SPOKEN.followed_by(first) == first
    both = first.followed_by(second)
    assert both == Spoken(Moment(2.0, 2.0), [Moment(0.5, 0.5), Moment(1.5, 1.5)], waiting=1)
    assert both.followed_by(None) == Spoken(Moment(2.0, 2.0), both.said)
    many = Spoken(Moment(3.0, 3.0), [Moment(3.0, 3.0)] * SAID_MAX)
    assert both.followed_by(many).said == many.said
