"""Twitch refuses what the bot says, or never answers its JOINs, for reasons that the bot cannot help."""

from __future__ import annotations

from simulator.audience import CommandStorm
from simulator.faults import Fault, TwitchJoinDropped, TwitchRefusals
from simulator.report import Report
from simulator.scenario import Scenario
from simulator.world import simulate
from tests.scenarios.places import Place


def night(place: Place, *faults: Fault) -> Report:
    """A night in two channels with these faults."""
    scenario = Scenario(
        "refused",
        "Twitch refuses",
        duration_s=45.0,
        channels=("lobby", "arcade"),
        crowds=(
            CommandStorm("lobby", 1.0, ("!count deaths +1", "!ping"), ("moderator",), 5.0, 35.0),
            CommandStorm("arcade", 0.5, ("!count wins +1", "!note add note {n}"), ("moderator",), 5.0, 35.0),
        ),
        faults=faults,
    )
    return simulate(scenario, seed=2, **place)


def test_a_refused_reply_costs_the_reply_and_nothing_else(place: Place) -> None:
    """What it confirmed is saved all the same, no other reply waits for it, and it is not said again."""
    report = night(place, TwitchRefusals(start_s=8.0, duration_s=20.0, probability=0.5))
    assert report.violations == ()
    assert 3 <= report.unanswered < 30
    assert len(report.transcript) > 20


def test_a_join_that_is_never_answered_is_sent_again() -> None:
    """The bot is in its channels when Twitch listens again, and answers from then on."""
    report = night({}, TwitchJoinDropped(duration_s=15.0))
    assert report.violations == ()
    assert report.counts["irc_joins_dropped"] >= 2
    assert report.unanswered == report.unanswered_away > 0
    assert {line.channel for line in report.transcript} == {"lobby", "arcade"}


def test_some_lost_joins_over_reconnects() -> None:
    """With a probability, while the bot comes and goes."""
    report = night({}, TwitchJoinDropped(probability=0.6, duration_s=30.0))
    assert report.violations == ()
    assert {line.channel for line in report.transcript} == {"lobby", "arcade"}
