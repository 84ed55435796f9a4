"""The watcher of states: what changes in the bot stands in the timeline at its moment, and the night stays the same night."""

from __future__ import annotations

from functools import cache
from typing import Any

from simulator.faults import DiskFull, Restart, SecondInstance
from simulator.invariants.standard import night_invariants
from simulator.replay import Night, Recording, record_night
from simulator.scenario import Scenario
from simulator.timeline_states import StateWatcher
from tests.simulator.timeline_rig import EVENTFUL


@cache
def watched(scenario: str = "eventful", changes_max: int = 1_000) -> tuple[Recording, StateWatcher]:
    """A night that was played, and its watcher."""
    watcher = StateWatcher(changes_max=changes_max)
    night = NIGHTS[scenario]
    return record_night(night, Night(night.name, 1), invariants=(*night_invariants(), watcher)), watcher


NIGHTS = {
    "eventful": EVENTFUL,
    "company": Scenario(
        "company",
        "two at once, and a disk that is full",
        duration_s=14.0,
        channels=("arcade", "lobby"),
        crowds=EVENTFUL.crowds,
        faults=(SecondInstance(start_s=5.0), DiskFull(start_s=9.0, duration_s=2.0), Restart(start_s=12.0)),
        settings={"flush_interval_s": 0.5},
    ),
}


def changes(scenario: str = "eventful", **wanted: Any) -> list[float]:
    """When something changed to these values, in seconds."""
    recording, watcher = watched(scenario)
    return [
        at_us / 1e6
        for _, (at_us, _, fields) in watcher.changes(len(recording.lines))
        if all(fields.get(name) == value for name, value in wanted.items())
    ]


def test_a_watched_night_is_the_same_night() -> None:
    """Its trace too."""
    recording, _ = watched()
    assert recording.trace_hash == record_night(EVENTFUL, Night(EVENTFUL.name, 1)).trace_hash


def test_circuit_connection_channels_and_epoch_change_at_their_moments() -> None:
    """The outage begins at 3 s and ends at 8, the connection breaks at 6, the process dies at 9 and the next begins at 10.5."""
    (connected_s,) = changes(bot=1, chat="connected")[:1]
    assert connected_s < 1 and changes(bot=1, joined="lobby") and changes(bot=1, epoch=1)
    assert any(4 <= at_s <= 8 for at_s in changes(bot=1, circuit="open"))
    assert any(8 <= at_s < 9 for at_s in changes(bot=1, circuit="closed"))
    assert any(6 <= at_s < 6.5 for at_s in changes(bot=1, chat="away", parted="lobby"))
    assert any(6 < at_s < 9 for at_s in changes(bot=1, chat="connected"))
    assert changes(bot=2, epoch=2)
    assert changes(bot=1, process="ended") == [], "its death is an event of the trace"


def test_of_two_processes_each_has_its_number() -> None:
    """The first is turned away by the second, which goes on and is asked to stop; the journal's trouble has a beginning and an end."""
    (turned_away_s,) = changes("company", bot=1, process="ended")
    assert changes("company", bot=2, epoch=2)[0] < turned_away_s
    assert changes("company", bot=2, joined="arcade, lobby")
    assert changes("company", bot=2, process="ended"), "asked to stop"
    (degraded_s,) = changes("company", bot=2, journal="degraded")
    (works_s,) = changes("company", bot=2, journal="works")
    assert 9 <= degraded_s < works_s


def test_what_is_seen_after_the_night_is_left_out() -> None:
    """By how many events the trace had then; and what is beyond the bound is counted."""
    recording, watcher = watched()
    assert watcher.changes(0) == [] and 0 < len(watcher.changes(50)) < len(
        watcher.changes(len(recording.lines))
    )
    _, bounded = watched(changes_max=3)
    assert len(bounded.changes(10**9)) == 3 and bounded.left_out > 3
