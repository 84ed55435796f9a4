"""Safeguard: reconnect. A lost connection is no end."""

from __future__ import annotations

from byte_bot.app import Application
from simulator.audience import CommandStorm
from simulator.faults import TwitchDisconnect
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, simulate
from tests.safeguards.bot_variants import OneLifeTransport
from tests.safeguards.variants import application_with

LOST = Scenario(
    "lost",
    "Twitch closes the connection",
    duration_s=30,
    crowds=(CommandStorm("lobby", 1, ("!ping",)),),
    faults=(TwitchDisconnect(start_s=10),),
)


def test_it_brings_the_bot_back() -> None:
    """With it the bot is back in its channel and answers."""
    broken, replies = night(Application)
    assert broken == []
    assert replies >= 25


def test_without_it_the_bot_stays_away() -> None:
    """Without it the bot is in no channel at the end, and answered only what was said before."""
    broken, replies = night(application_with(lambda application: application.transport, OneLifeTransport))
    assert broken == ["present"]
    assert replies <= 11


def night(application: ApplicationFactory) -> tuple[list[str], int]:
    """What breaks in the night, and how often the bot answered."""
    report = simulate(LOST, seed=1, application=application)
    return [violation.invariant for violation in report.violations], len(report.transcript)
