"""Safeguard: message deduplication. Twitch repeats messages; each counts once."""

from __future__ import annotations

from byte_bot.app import Application
from simulator.audience import CommandStorm
from simulator.faults import TwitchDuplicates
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, simulate
from tests.safeguards.bot_variants import CredulousBot
from tests.safeguards.variants import application_with, names

REPEATED = Scenario(
    "repeated",
    "every message comes twice",
    duration_s=20,
    crowds=(CommandStorm("lobby", 1, ("!count deaths +1", "!ping")),),
    faults=(TwitchDuplicates(),),
)


def test_it_answers_and_counts_once() -> None:
    """With the safeguard a message that comes twice is answered once and counted once."""
    assert broken_invariants(Application) == []


def test_without_it_everything_counts_twice() -> None:
    """Without it a command is answered twice, and counts twice against what viewers were told."""
    credulous = application_with(lambda application: application.bot, CredulousBot)
    assert broken_invariants(credulous) == ["agreement", "answered_once", "remembers"]


def broken_invariants(application: ApplicationFactory) -> list[str]:
    """What breaks when every message comes twice."""
    report = simulate(REPEATED, seed=1, application=application)
    return names(violation.invariant for violation in report.violations)
