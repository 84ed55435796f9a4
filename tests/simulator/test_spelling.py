"""Unknown names: the nearest one is offered, and all that there are."""

from __future__ import annotations

from simulator.spelling import did_you_mean, unknown


def test_a_name_that_is_nearly_right_is_recognised() -> None:
    """The nearest is offered before the whole list."""
    assert unknown("key", "durations", ("start_s", "duration_s")) == (
        "unknown key 'durations'; did you mean 'duration_s'? allowed: start_s, duration_s"
    )


def test_the_beginning_of_a_name_is_recognised() -> None:
    """A unit that was left out, say, also where it is most of the name."""
    assert did_you_mean("rate", ("channel", "rate_per_s")) == " did you mean 'rate_per_s'?"
    assert did_you_mean("", ("channel",)) == ""


def test_nothing_is_offered_for_what_resembles_nothing() -> None:
    """Neither for a value that is no name at all."""
    assert unknown("key", "xyz", ("start_s",)) == "unknown key 'xyz'; allowed: start_s"
    assert did_you_mean(None, ("none",)) == did_you_mean(["hang"], ("hang",)) == ""
