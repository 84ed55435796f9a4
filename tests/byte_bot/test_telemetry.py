"""What the bot counts about itself: counters, reply latencies, events for the database."""

from __future__ import annotations

from typing import Any

import pytest

from byte_bot.telemetry import Telemetry


class StandingClock:
    """Wall time that stands where it is put."""

    def __init__(self, now_s: float = 1_767_225_600.0) -> None:
        self.now_s = now_s

    def unix(self) -> float:
        """Unix seconds."""
        return self.now_s


def telemetry_with_sink() -> tuple[Telemetry, list[dict[str, Any]]]:
    """A telemetry, and the rows it gives away."""
    rows: list[dict[str, Any]] = []
    telemetry = Telemetry(StandingClock(), "boot7")
    telemetry.bind_events(rows.append)
    return telemetry, rows


def test_counters_start_at_zero_and_add_up() -> None:
    """A name never counted reads as 0, so that a status line needs no exceptions."""
    telemetry = Telemetry(StandingClock(), "boot")
    telemetry.count("duplicates")
    telemetry.count("duplicates", 4)
    assert telemetry.counters["duplicates"] == 5
    assert telemetry.counters["never_happened"] == 0


def test_before_the_first_reply_all_latencies_are_zero() -> None:
    """A quiet bot reports zeros instead of failing on an empty histogram."""
    telemetry = Telemetry(StandingClock(), "boot")
    assert telemetry.reply_ms() == {"p50": 0.0, "p99": 0.0, "max": 0.0}


def test_percentiles_are_milliseconds_within_one_percent() -> None:
    """99 replies of 2 ms and one of 80 ms give p50 = p99 = 2 ms and max = 80 ms."""
    telemetry = Telemetry(StandingClock(), "boot")
    for _ in range(99):
        telemetry.reply_left(0.002)
    telemetry.reply_left(0.080)
    shown = telemetry.reply_ms()
    assert shown["p50"] == pytest.approx(2.0, rel=0.01)
    assert shown["p99"] == pytest.approx(2.0, rel=0.01)
    assert shown["max"] == pytest.approx(80.0, rel=0.01)
    assert telemetry.counters["replies_sent"] == 100


@pytest.mark.parametrize("latency_s", [0.0, -0.5, 1e-9])
def test_a_latency_below_a_microsecond_counts_as_one(latency_s: float) -> None:
    """Rounding must not lose a reply from the histogram, which starts at 1 us."""
    telemetry = Telemetry(StandingClock(), "boot")
    telemetry.reply_left(latency_s)
    assert telemetry.reply_latency.get_total_count() == 1
    assert telemetry.reply_ms()["max"] == pytest.approx(0.001)


def test_a_latency_above_a_minute_counts_as_a_minute() -> None:
    """The histogram's memory is bounded; what lies beyond its end is recorded at its end."""
    telemetry = Telemetry(StandingClock(), "boot")
    telemetry.reply_left(7200.0)
    assert telemetry.reply_latency.get_total_count() == 1
    assert telemetry.reply_ms()["max"] == pytest.approx(60_000.0, rel=0.01)


def test_an_event_is_a_row_with_id_time_kind_and_data() -> None:
    """The row is what the save function takes as it is: an id of this boot, ISO time, kind, JSON data."""
    telemetry, rows = telemetry_with_sink()
    telemetry.event("circuit", state="open", why="refused")
    assert rows == [
        {
            "id": "boot7-1",
            "at": "2026-01-01T00:00:00.000000+00:00",
            "kind": "circuit",
            "data": {"state": "open", "why": "refused"},
        }
    ]
    assert telemetry.counters["event_circuit"] == 1


def test_event_ids_never_repeat_within_a_boot() -> None:
    """The database keeps the first row of an id, so two events with one id would be one."""
    telemetry, rows = telemetry_with_sink()
    for _ in range(3):
        telemetry.event("start")
    assert [row["id"] for row in rows] == ["boot7-1", "boot7-2", "boot7-3"]


def test_events_before_anybody_listens_are_counted_only() -> None:
    """Nothing waits for a sink, so nothing can pile up; the counter and the numbering go on."""
    telemetry = Telemetry(StandingClock(), "boot")
    telemetry.event("start")
    rows: list[dict[str, Any]] = []
    telemetry.bind_events(rows.append)
    telemetry.event("start")
    assert telemetry.counters["event_start"] == 2
    assert [row["id"] for row in rows] == ["boot-2"]


def test_an_event_can_always_be_stored() -> None:
    """Whatever a server said."""
    telemetry, rows = telemetry_with_sink()
    telemetry.event("circuit", why="nul \x00", more=["\ud800"])
    assert rows[0]["data"] == {"why": "nul ", "more": ["\ufffd"]}
