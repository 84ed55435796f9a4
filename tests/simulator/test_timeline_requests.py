"""The watcher of requests: each save with its rows, epoch and try; what else is tried once more; and the night stays the same night."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from simulator.audience import Spoken, Utterance
from simulator.faults import Crash, Hang, MissingFunction, Refused, SecondInstance
from simulator.invariants.standard import night_invariants
from simulator.replay import Night, Recording, decoded, interleaved, record_night
from simulator.scenario import Scenario
from simulator.timeline_requests import RequestWatcher

OUTAGE = Scenario(
    "outage",
    "two counters change while the database hangs, and the process dies in an outage after it",
    duration_s=16.0,
    crowds=(
        Spoken(
            (
                Utterance(1.0, "lobby", "mod", "!count deaths +1", "moderator"),
                Utterance(3.5, "lobby", "mod", "!count wins +1", "moderator"),
                Utterance(9.0, "lobby", "mod", "!count deaths +1", "moderator"),
                Utterance(10.0, "lobby", "mod", "!count deaths +1", "moderator"),
            )
        ),
    ),
    faults=(
        Hang(start_s=3.0, duration_s=5.0),
        Refused(start_s=10.0, duration_s=1.5),
        Crash(start_s=11.0, down_s=1.0),
    ),
    settings={"database_timeout_s": 1.0, "flush_interval_s": 0.5},
)
COMPANY = Scenario(
    "company",
    "two at once, and no function that gives an epoch at first",
    duration_s=14.0,
    crowds=OUTAGE.crowds,
    faults=(MissingFunction(name="byte_bot_take_epoch", duration_s=3.0), SecondInstance(start_s=7.0)),
    settings={"flush_interval_s": 0.5},
)


@cache
def watched(name: str = "outage", notes_max: int = 1_000) -> tuple[Recording, RequestWatcher]:
    """A night that was played, and its watcher."""
    watcher = RequestWatcher(notes_max=notes_max)
    scenario = {"outage": OUTAGE, "company": COMPANY}[name]
    return record_night(scenario, Night(name, 1), invariants=(*night_invariants(), watcher)), watcher


def asked(name: str, kind: str) -> list[tuple[float, Mapping[str, Any]]]:
    """What was seen of one kind: seconds and fields."""
    recording, watcher = watched(name)
    seen = watcher.asked(len(recording.lines))
    return [(at_us / 1e6, fields) for _, (at_us, one, fields) in seen if one == kind]


def test_a_watched_night_is_the_same_night() -> None:
    """Its trace too."""
    recording, _ = watched()
    assert recording.trace_hash == record_night(OUTAGE, Night("outage", 1)).trace_hash


def test_a_save_says_what_is_in_it_and_which_try_it_is() -> None:
    """The tries of the outage are counted; the next process, with its own epoch, counts anew."""
    saves = asked("outage", "save")
    [(_, first)] = [one for one in saves if one[0] < 3]
    # The counters, and what belongs to the whole bot; the command's line in the history, two samples of telemetry.
    assert first == {"bot": 1, "epoch": 1, "try": 1, "rows": 2, "history": 1, "events": 2}
    failing = [fields["try"] for at_s, fields in saves if 3.5 <= at_s < 8]
    assert failing == list(range(1, len(failing) + 1)) and len(failing) >= 2
    gave_up = asked("outage", "gave_up")
    assert [fields["try"] for _, fields in gave_up] == failing, "the bot's own deadline ends each"
    assert all(fields["path"] == "/rest/v1/rpc/byte_bot_save" and at_s < 9 for at_s, fields in gave_up)
    after = [fields["try"] for at_s, fields in saves if 8 <= at_s < 10]
    assert after[0] == len(failing) + 1 and after[-1] == 1, "the first that succeeds, then all is well"
    assert next(fields["try"] for at_s, fields in saves if at_s >= 10 and fields["bot"] == 1) == 1
    second = [fields for _, fields in saves if fields["bot"] == 2]
    assert second and all((one["epoch"], one["try"]) == (2, 1) for one in second)


def test_other_requests_are_seen_when_they_are_tried_once_more() -> None:
    """The first of the bot's calls, refused for three seconds; of two processes each has its number."""
    retries = asked("company", "retry")
    epochs = [fields for _, fields in retries if fields["path"] == "/rest/v1/rpc/byte_bot_take_epoch"]
    assert [fields["try"] for fields in epochs] == list(range(2, len(epochs) + 2)) and epochs
    assert {(fields["bot"], fields["method"]) for fields in epochs} == {(1, "POST")}
    assert {fields["bot"] for _, fields in asked("company", "save")} == {1, 2}


def test_a_save_stands_before_its_answer() -> None:
    """Also where both are of one instant."""
    recording, watcher = watched()
    lines = interleaved(recording.lines, watcher.asked(len(recording.lines)))
    seen = [
        kind
        for _, kind, fields in map(decoded, lines)
        if kind == "save"
        or (kind in ("http", "gave_up") and fields["path"].endswith("byte_bot_save"))
        or (kind == "request_failed" and fields["target"].endswith("byte_bot_save"))
    ]
    assert len(seen) > 8 and seen[::2] == ["save"] * (len(seen) // 2)
    assert set(seen[1::2]) == {"http", "gave_up", "request_failed"}


def test_what_the_network_breaks_is_told_by_the_trace_alone() -> None:
    """A refused connection is an error with a name; nobody gave up waiting."""
    refused = dataclasses.replace(OUTAGE, duration_s=7.0, faults=(Refused(start_s=3.0, duration_s=2.0),))
    watcher = RequestWatcher()
    recording = record_night(refused, Night("refused", 1), invariants=(*night_invariants(), watcher))
    kinds = [kind for _, (_, kind, fields) in watcher.asked(len(recording.lines)) if fields["try"] > 1]
    assert "save" in kinds and "gave_up" not in kinds
    assert any(decoded(line)[1] == "request_failed" for line in recording.lines)


def test_what_is_too_much_or_too_late_is_left_out() -> None:
    """Counted beyond the bound; after the night nothing is asked."""
    recording, watcher = watched()
    assert watcher.asked(0) == []
    assert 0 < len(watcher.asked(100)) < len(watcher.asked(len(recording.lines)))
    _, bounded = watched(notes_max=2)
    assert len(bounded.asked(10**9)) == 2 and bounded.left_out > 2
