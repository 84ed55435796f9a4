"""Exit codes mean one thing each, and options win over what a night says itself."""

from __future__ import annotations

from simulator.cli_options import Exit, Order, TransportKind, night_as_asked
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile

NIGHT = NightFile(Scenario("night", "a night"), seed=7, ready_order="random", transport="eventsub")


def test_no_two_exit_codes_are_the_same() -> None:
    """An alias would be a name that never shows."""
    assert len(Exit.__members__) == len(set(Exit))
    assert sorted(Exit) == [0, 1, 2, 3, 4, 5, 130]


def test_what_the_options_leave_out_the_night_says_itself() -> None:
    """Each by itself."""
    assert night_as_asked(NIGHT, None, None, None) == NIGHT
    asked = night_as_asked(NIGHT, 0, TransportKind.IRC, Order.FIFO)
    assert (asked.seed, asked.transport, asked.ready_order) == (0, "irc", "fifo")
    assert asked.scenario is NIGHT.scenario
