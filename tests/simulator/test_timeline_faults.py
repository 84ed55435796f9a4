"""Planned faults as events: each where it begins and ends, with what the plan says of it, and nothing that never acted."""

from __future__ import annotations

from simulator.faults import Crash, Flapping, Hang, Latency, Status503
from simulator.replay import decoded, interleaved, readable
from simulator.timeline_faults import fault_events
from tests.simulator.timeline_rig import written


def told(*faults: object, heal_s: float = 20.0, end_s: float = 25.0) -> list[str]:
    """The events as people read them."""
    lines = written((0.0, "planned", {}), (heal_s, "heal", {}), (end_s, "http", {})).lines
    events = fault_events(lines, faults)  # type: ignore[arg-type]
    return [" ".join(readable(event).split()) for _, event in events]


def test_a_fault_begins_and_ends() -> None:
    """With its parameters, its family, and until when; in order of time, one that lasts until the heal with it."""
    assert told(Status503(start_s=6.0), Latency(ms=300.0, start_s=2.0, duration_s=5.0, probability=0.25)) == [
        "2.000000 fault_begins latency probability=0.25 ms=300 (database, until 7 s)",
        "6.000000 fault_begins status_503 (database, until 20 s)",
        "7.000000 fault_ends latency probability=0.25 ms=300 (database)",
        "20.000000 fault_ends status_503 (database)",
    ]


def test_a_heal_in_the_last_instant_is_an_end() -> None:
    """A healthy bot needs no time to catch up and to stop."""
    assert told(Status503(start_s=6.0), heal_s=20.0, end_s=20.0) == [
        "6.000000 fault_begins status_503 (database, until 20 s)",
        "20.000000 fault_ends status_503 (database)",
    ]


def test_one_that_flaps_begins_with_each_phase() -> None:
    """And says what flaps, and how."""
    flapping = Flapping(up_s=2.0, down_s=1.5, inner=Hang(), start_s=4.0, duration_s=6.0)
    begins = [line for line in told(flapping) if "fault_begins" in line]
    assert [line.split()[0] for line in begins] == ["4.000000", "7.500000"]
    assert all("flapping" in line and "of hang" in line and "down_s=1.5" in line for line in begins)


def test_an_instant_one_strikes() -> None:
    """Nothing of it ends."""
    assert told(Crash(start_s=3.0, down_s=1.5)) == ["3.000000 fault_strikes crash down_s=1.5 (process)"]


def test_what_never_acted_is_not_told() -> None:
    """A heal ends what is still to come, and an error the whole night."""
    assert told(Crash(start_s=21.0), Hang(start_s=22.0)) == []
    ended = written((0.0, "planned", {}), (5.0, "error", {})).lines
    events = fault_events(ended, (Hang(start_s=9.0), Hang(start_s=1.0)))
    assert [readable(event).split()[:2] for _, event in events] == [["1.000000", "fault_begins"]], (
        "nor does what acts at such an end have one"
    )


def test_events_stand_before_what_happens_at_their_moment() -> None:
    """Behind the plan, which is the beginning of everything."""
    lines = written((0.0, "planned", {}), (0.0, "bot_started", {}), (3.0, "bot_crashed", {})).lines
    shown = interleaved(lines, fault_events(lines, (Crash(start_s=3.0),)))
    assert [kind for _, kind, _ in map(decoded, shown)] == [
        "planned", "bot_started", "fault_strikes", "bot_crashed",
    ]  # fmt: skip
    early = interleaved(lines, fault_events(lines, (Hang(),)))
    assert [kind for _, kind, _ in map(decoded, early)][:3] == ["planned", "fault_begins", "bot_started"]
