"""What the tests of the timeline share: a short night with something of everything, and recordings written by hand."""

from __future__ import annotations

import json
from typing import Any

from simulator.audience import Chatter, CommandStorm
from simulator.faults import Crash, Flapping, Hang, TwitchDisconnect
from simulator.invariants.standard import night_invariants
from simulator.replay import Night, Recording, record_night
from simulator.scenario import Scenario
from simulator.timeline_samples import Sample, Watched, Watcher

EVENTFUL = Scenario(
    "eventful",
    "an outage, a lost connection and a crash",
    duration_s=14.0,
    crowds=(Chatter("lobby", 1.0), CommandStorm("lobby", 1.0, ("!count deaths +1",))),
    faults=(
        Hang(start_s=3.0, duration_s=5.0),
        TwitchDisconnect(start_s=6.0),
        Crash(start_s=9.0, down_s=1.5),
        Flapping(up_s=0.5, down_s=0.5, start_s=11.0),
    ),
    settings={"database_timeout_s": 1.0, "flush_interval_s": 0.5},
)


def watched_night(scenario: Scenario = EVENTFUL, night: Night | None = None) -> tuple[Recording, Watched]:
    """A night played here, and what a watcher saw in it."""
    watcher = Watcher()
    chosen = night or Night(scenario.name, 1)
    recording = record_night(scenario, chosen, invariants=(*night_invariants(), watcher))
    return recording, watcher.watched()


def written(*events: tuple[float, str, dict[str, Any]], name: str = "by_hand") -> Recording:
    """A recording of these events: seconds, kind, fields."""
    lines = tuple(json.dumps([round(at_s * 1_000_000), kind, fields]) for at_s, kind, fields in events)
    return Recording(Night(name, 1), "0123", lines)


def chat(at_s: float, login: str, text: str, **fields: str) -> tuple[float, str, dict[str, Any]]:
    """An event of chat; its id is its time."""
    given = {"channel": "lobby", "id": f"{at_s:g}", "reply_to": "", **fields}
    return at_s, "chat", {"login": login, "text": text, **given}


def seen(*samples: Sample, scenario: Scenario = EVENTFUL) -> Watched:
    """What a watcher would have seen."""
    return Watched(scenario, "byte_bot", samples)
