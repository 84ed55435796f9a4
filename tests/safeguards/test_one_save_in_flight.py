"""Safeguard: one save in flight. Two could arrive in the wrong order, and a slow database would be asked ever more."""

from __future__ import annotations

from byte_bot.app import Application
from simulator.audience import CommandStorm
from simulator.faults import Latency
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, simulate
from tests.safeguards.bot_variants import ImpatientWriter
from tests.safeguards.variants import application_with, names

SLOW = Scenario(
    "slow",
    "a request takes longer than the flush interval",
    duration_s=30,
    crowds=(CommandStorm("lobby", 2, ("!count deaths +1", "!count wins +1")),),
    faults=(Latency(ms=4000, start_s=5),),
)


def test_it_holds_over_a_slow_database() -> None:
    """With the safeguard no two saves are ever under way at once."""
    assert broken_invariants(Application) == []


def test_without_it_saves_overlap() -> None:
    """A writer that does not wait for the answer has two saves under way, and the invariant sees it."""
    impatient = application_with(lambda application: application.layer.writer, ImpatientWriter)
    assert "single_save" in broken_invariants(impatient)


def broken_invariants(application: ApplicationFactory) -> list[str]:
    """What breaks in the slow night."""
    report = simulate(SLOW, seed=1, application=application)
    return names(violation.invariant for violation in report.violations)
