"""What options say of a night, and what they leave to its file; exit codes mean one thing each."""

from __future__ import annotations

from simulator.cli_options import Exit, Order, TransportKind, night_as_asked
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile

NIGHT = NightFile(Scenario("calm", "nothing happens"), 7, "random", "eventsub")


def test_what_no_option_says_the_night_says() -> None:
    """Seed, transport and order."""
    assert night_as_asked(NIGHT, None, None, None) == NIGHT


def test_an_option_wins() -> None:
    """Also the one that says a default, and seed 0."""
    asked = night_as_asked(NIGHT, 0, TransportKind.IRC, Order.FIFO)
    assert asked == NightFile(NIGHT.scenario, 0, "fifo", "irc")
    assert night_as_asked(NIGHT, 3, None, None) == NightFile(NIGHT.scenario, 3, "random", "eventsub")


def test_no_two_exit_codes_are_the_same() -> None:
    """An alias would be a name that never shows."""
    assert len(Exit.__members__) == len(set(Exit))
    assert sorted(Exit) == [0, 1, 2, 3, 4, 5, 130]
