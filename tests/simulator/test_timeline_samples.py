"""The watcher: it sees what the bot is like from inside, and the night stays the same night."""

from __future__ import annotations

from simulator.audience import Spoken, Utterance
from simulator.invariants.standard import night_invariants
from simulator.replay import Night, record_night
from simulator.scenario import Scenario
from simulator.timeline_samples import Watcher
from simulator.world import simulate
from tests.simulator.timeline_rig import EVENTFUL, watched_night


def test_a_watched_night_is_the_same_night() -> None:
    """Also where the order of ready tasks is drawn, and many are ready at one instant."""
    channels = ("arcade", "cinema", "lobby")
    lines = tuple(
        Utterance(float(second), channel, "mod", "!ping", "moderator")
        for second in range(2, 8)
        for channel in channels
    )
    crowd = Scenario("crowd", "all at once", duration_s=9.0, channels=channels, crowds=(Spoken(lines),))
    recording, watched = watched_night(crowd, Night("crowd", 3, order="random"))
    assert len(watched.samples) > 3
    assert recording.trace_hash == simulate(crowd, 3, ready_order="random").trace_hash


def test_it_sees_backlog_circuit_connection_and_process() -> None:
    """Rows wait during the outage, the circuit opens, the connection is lost, and nothing is known of a dead process."""
    _, watched = watched_night()
    assert max(sample.rows_waiting for sample in watched.samples) > 0
    assert {"closed", "open"} <= {sample.circuit for sample in watched.samples if 3 < sample.at_s < 8.5}
    assert any(not sample.connected and sample.incarnation for sample in watched.samples if sample.at_s >= 6)
    assert {sample.incarnation for sample in watched.samples} == {0, 1, 2}
    assert all(sample[2:] == (0, "", False, False) for sample in watched.samples if not sample.incarnation)


def test_only_changes_are_kept() -> None:
    """Two samples that follow one another differ in more than their time."""
    _, watched = watched_night()
    pairs = zip(watched.samples, watched.samples[1:], strict=False)
    assert all(before[1:] != after[1:] for before, after in pairs)


def test_beyond_its_bound_it_looks_every_second_only() -> None:
    """The looks that were left out are counted; what lasts is still seen."""
    watcher = Watcher(samples_max=3)
    record_night(EVENTFUL, Night(EVENTFUL.name, 1), invariants=(*night_invariants(), watcher))
    watched = watcher.watched()
    assert watched.looks_left_out > 0
    assert all(sample.at_s == int(sample.at_s) for sample in watched.samples[3:-1])
    assert "open" in {sample.circuit for sample in watched.samples}
