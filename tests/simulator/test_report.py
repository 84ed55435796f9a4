"""A report says what happened, to people and to programs."""

from __future__ import annotations

import dataclasses
import json

import pytest

from simulator.report import Line, Report, Violation, names_a_seed, percentile

REPORT = Report(
    scenario="outage",
    seed=7,
    violations=(),
    transcript=(Line(1_500_000, "lobby", "Pong!"),),
    trace_hash="ab12",
    latencies_ms=(20.0, 30.0, 10.0),
    unanswered=2,
    recovered_after_s=1.25,
    virtual_s=61.0,
    counts={"saves": 3, "http_requests": 9},
)


def test_a_report_for_programs_is_plain_json() -> None:
    """It survives JSON, counts in a fixed order, and leaves the transcript out."""
    data = json.loads(json.dumps(REPORT.to_json()))
    assert data["ok"] is True and data["violations"] == []
    assert (data["p50_ms"], data["p99_ms"], data["max_ms"]) == (20.0, 30.0, 30.0)
    assert (data["replies"], data["unanswered"], data["recovered_after_s"]) == (1, 2, 1.25)
    assert list(data["counts"]) == ["http_requests", "saves"]
    assert "transcript" not in data


def test_a_report_for_people_names_seed_hash_and_replay() -> None:
    """What is needed to see the same night again stands in the text."""
    text = REPORT.to_text()
    assert "outage  seed 7  ok" in text
    assert "ab12" in text and "1.25 s after the heal" in text
    assert text.endswith("byte-sim run outage --seed 7")


def test_a_broken_promise_shows() -> None:
    """Every violation has its line, with the invariant and the instant."""
    broken = Report(**{**vars(REPORT), "violations": (Violation("newest_wins", 3.5, "a row went back"),)})
    assert not broken.ok
    assert "BROKEN" in broken.to_text().splitlines()[0]
    assert "newest_wins at 3.500000 s: a row went back" in broken.to_text()
    assert broken.to_json()["violations"] == [
        {"invariant": "newest_wins", "at_s": 3.5, "words": "a row went back"}
    ]


def test_options_are_part_of_the_replay() -> None:
    """A night over another network is replayed over it."""
    report = Report(**{**vars(REPORT), "options": ("--network", "tcp")})
    assert report.replay == "byte-sim run outage --seed 7 --network tcp"


def test_a_night_from_a_file_is_replayed_from_it() -> None:
    """By its path, quoted for the shell; its name alone would find nothing."""
    report = Report(**{**vars(REPORT), "source": "my nights/outage.toml"})
    assert report.replay == "byte-sim run 'my nights/outage.toml' --seed 7"


def test_a_night_without_replies_has_no_latency() -> None:
    """For programs nothing measured is zero; for people it is a dash, as where nothing drained."""
    silent = Report(**{**vars(REPORT), "latencies_ms": (), "recovered_after_s": None})
    assert silent.to_json()["p99_ms"] == 0.0
    assert "recovered      -" in silent.to_text()


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1.0), (50, 50.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_a_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    """Nearest rank: no value is made up between two."""
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == expected


def test_a_night_of_the_search_is_replayed_by_its_seed_alone() -> None:
    """Unless it was played with another seed, or not as it was drawn: that is another night."""
    report = Report("41", 41, (), (), "ab12", (), 0, None, 60.0)
    assert report.replay == "byte-sim replay 41"
    assert dataclasses.replace(report, seed=42).replay == "byte-sim replay 41 --seed 42"
    unordered = dataclasses.replace(report, options=("--order", "fifo"))
    assert unordered.replay == "byte-sim replay 41 --order fifo"
    assert dataclasses.replace(report, source="0041").replay == "byte-sim replay 0041"


def test_whoever_plays_a_night_without_byte_sim_says_how() -> None:
    """A script is no scenario of that name."""
    assert REPORT.to_text("python night.py").endswith("  again          python night.py")


def test_numbers_are_seeds() -> None:
    """Names and files are not."""
    assert names_a_seed("41") and names_a_seed("0")
    assert not any(map(names_a_seed, ("outage", "41.toml", "", "-", "-3", "٣", "1.5")))


def test_one_is_not_many_and_nothing_is_no_zero() -> None:
    """In the text for people: one reply is one, and without any there is no latency of 0 ms."""
    assert "  1 reply in 61.0 virtual s" in REPORT.to_text()
    silent = Report(**{**vars(REPORT), "transcript": (), "latencies_ms": ()}).to_text()
    assert "  0 replies in 61.0 virtual s" in silent and "  reply latency  -\n" in silent
