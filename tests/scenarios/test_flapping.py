"""The database comes and goes every few seconds."""

from __future__ import annotations

import pytest

from simulator.audience import Chatter, CommandStorm
from simulator.faults import Flapping, Hang, Refused
from simulator.scenario import Scenario
from simulator.world import simulate
from tests.scenarios.places import PLACES


@pytest.mark.parametrize(
    ("where", "seed"), [("memory", 0), ("memory", 1), ("memory", 2), ("tcp", 3), ("eventsub", 4)]
)
@pytest.mark.parametrize("inner", [Refused(), Hang()], ids=lambda fault: fault.kind)
def test_a_flapping_database_loses_nothing(where: str, seed: int, inner: Refused | Hang) -> None:
    """Three seconds up, four down, five times: everything confirmed is stored and the bot recovers in time."""
    scenario = Scenario(
        "flapping",
        "up 3 s, down 4 s",
        duration_s=36,
        channels=("lobby", "arcade"),
        crowds=(
            Chatter("lobby", rate_per_s=2),
            CommandStorm("arcade", rate_per_s=3, commands=("!count deaths +1", "!ping")),
            CommandStorm("lobby", rate_per_s=3, commands=("!count wins +3", "!count wins -1")),
        ),
        faults=(Flapping(up_s=3, down_s=4, inner=inner),),
    )
    report = simulate(scenario, seed, **PLACES[where])
    assert report.ok, report.to_text()
    assert report.counts["confirmed_counter_changes"] > 50
