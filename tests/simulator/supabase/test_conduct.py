"""What the active faults make of one request."""

from __future__ import annotations

import json
import random

import pytest

from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Hang,
    Html520,
    HtmlOk,
    Latency,
    OverQuota,
    ProjectPaused,
    ReadOnly,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.supabase.conduct import FACE_FAULTS, PLAIN, decide, drip


def test_without_faults_nothing_is_drawn() -> None:
    """The healthy path costs nothing."""
    rng = random.Random(1)
    state = rng.getstate()
    assert decide((), rng) is PLAIN
    assert rng.getstate() == state


def test_delays_add_up_around_the_execution() -> None:
    """Half before and half after, for each."""
    conduct = decide((Latency(100), Latency(300)), random.Random(1))
    assert conduct.before_s == pytest.approx(0.2)
    assert conduct.delay_s == pytest.approx(0.4)


@pytest.mark.parametrize(("probability", "late"), [(0.0, False), (1.0, True)])
def test_whether_an_abandoned_request_arrives_late_is_drawn(probability: float, late: bool) -> None:
    """From the latency's own probability."""
    assert decide((Latency(100, late_probability=probability),), random.Random(1)).late is late


def test_the_first_fault_of_each_kind_wins() -> None:
    """A delay goes together with any of them."""
    conduct = decide(
        (Hang(), Refused(), Drip(1), CutBody(), Status503(), HtmlOk(), Latency(10)), random.Random(1)
    )
    assert conduct.connection == Hang()
    assert conduct.ending == Drip(1)
    assert conduct.canned is not None
    assert conduct.canned.status == 503
    assert conduct.delay_s == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("fault", "status", "code", "words"),
    [
        (Status503(), 503, "PGRST002", "Could not query the database for the schema cache. Retrying."),
        (TooManyRequests(7), 429, None, "API rate limit exceeded"),
        (Unauthorized(), 401, None, "Invalid API key"),
        (
            OverQuota(),
            402,
            None,
            (
                "Service for this project is restricted due to the following violations: exceed_db_size_quota. "
                "The project owner must upgrade their plan or remove spend caps to restore service."
            ),
        ),
        (ProjectPaused(), 540, None, "Project paused"),
    ],
)
def test_canned_json(fault: Fault, status: int, code: str | None, words: str) -> None:
    """The words of PostgREST and of the gateway."""
    canned = decide((fault,), random.Random(1)).canned
    assert canned is not None
    body = json.loads(canned.body)
    assert (canned.status, body.get("code"), body["message"]) == (status, code, words)
    if isinstance(fault, TooManyRequests):
        assert ("retry-after", "7") in canned.headers


@pytest.mark.parametrize(("fault", "status"), [(Html520(), 520), (HtmlOk(), 200)])
def test_canned_html(fault: Fault, status: int) -> None:
    """Not JSON, and it says so."""
    canned = decide((fault,), random.Random(1)).canned
    assert canned is not None
    assert canned.status == status
    assert canned.body.startswith(b"<!DOCTYPE html>")
    assert canned.headers[0] == ("content-type", "text/html; charset=UTF-8")


@pytest.mark.parametrize("fault", [CutBody(), CommitThenDrop(), Drip()])
def test_a_spoilt_answer_is_still_executed(fault: Fault) -> None:
    """Nothing stands in its way to the database."""
    conduct = decide((fault,), random.Random(1))
    assert (conduct.connection, conduct.canned, conduct.ending) == (None, None, fault)


def test_faults_inside_the_database_are_not_the_faces_business() -> None:
    """They act at the execution."""
    assert ReadOnly not in FACE_FAULTS
    assert Reset in FACE_FAULTS
    assert decide((ReadOnly(),), random.Random(1)) == PLAIN


@pytest.mark.parametrize(
    ("rate", "interval_s", "size"), [(20.0, 0.1, 2), (1.0, 1.0, 1), (0.5, 2.0, 1), (5000.0, 0.1, 500)]
)
def test_a_drip_keeps_its_rate(rate: float, interval_s: float, size: int) -> None:
    """Ten portions a second, or single bytes when that is slower."""
    pause_s, portions = drip(b"x" * 1001, rate)
    assert (pause_s, len(portions[0])) == (interval_s, size)
    assert b"".join(portions) == b"x" * 1001
