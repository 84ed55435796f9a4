"""What a night under faults has seen is told; an uneventful night tells nothing, and a witness changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import replace

import pytest

from byte_bot.persistence.journal import WAITING_MAX, Handled
from byte_bot.persistence.ledger import BATCH_ROWS_MAX
from simulator.audience import CommandStorm
from simulator.faults import (
    Crash,
    Fault,
    Hang,
    HumanEdit,
    Latency,
    Refused,
    Restart,
    SlowSync,
    TwitchDisconnect,
    TwitchDuplicates,
    Unauthorized,
)
from simulator.scenario import DiskLatency, Scenario
from simulator.search.outcome import judge
from simulator.search.plan import SearchPlan
from simulator.sometimes import BURST_PER_S, Sometimes
from simulator.twin import run_twins
from simulator.twin_plan import Plan
from simulator.witness import Witness
from simulator.world import World

COUNTS = ("!count deaths +1",)
QUIET = Scenario(
    "quiet",
    "a minute",
    duration_s=45.0,
    crowds=(CommandStorm("lobby", 1.0, COUNTS, start_s=5.0, duration_s=20.0),),
    settings={"default_language": "en"},
)
LOUD = replace(QUIET, crowds=(CommandStorm("lobby", 600.0, COUNTS, start_s=5.0, duration_s=1.2),))


def seen(scenario: Scenario, *faults: Fault) -> set[Sometimes]:
    """What happens in this night under these faults of its database."""
    outcome = run_twins(Plan(1, scenario, faults, "fifo"))
    assert outcome.ok, outcome.to_text()
    return set(outcome.seen)


def seen_alone(scenario: Scenario) -> Set[Sometimes]:
    """What happens in this night, which has no twin."""
    outcome = judge(SearchPlan(1, scenario, "fifo"))
    assert outcome.ok, outcome.failure
    return outcome.seen


def test_an_uneventful_night_has_seen_nothing() -> None:
    """One message a second, no fault, a disk that takes no time."""
    assert seen(QUIET) == set()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            Refused(start_s=6.0, duration_s=15.0),
            {Sometimes.CALL_FAILED, Sometimes.SAVE_FAILED, Sometimes.CIRCUIT_OPEN},
        ),
        (
            Unauthorized(start_s=6.0, duration_s=15.0),
            {Sometimes.CALL_FAILED, Sometimes.SAVE_FAILED, Sometimes.CIRCUIT_PAUSED},
        ),
    ],
    ids=["out", "paused"],
)
def test_an_outage_is_seen(fault: Refused | Unauthorized, expected: set[Sometimes]) -> None:
    """The circuit counts if somebody speaks while it is not closed."""
    assert seen(QUIET, fault) == expected
    silent = replace(QUIET, crowds=())
    assert not seen(silent, fault) & {Sometimes.CIRCUIT_OPEN, Sometimes.CIRCUIT_PAUSED}


def test_the_gate_is_seen_where_the_disk_takes_time() -> None:
    """A reply that leaves in the instant of the acknowledgement was held by the gate; a stall degrades the journal."""
    assert seen(replace(QUIET, disk_latency=DiskLatency(median_ms=5.0))) == {Sometimes.GATE_WAITED}
    stalled = replace(QUIET, faults=(SlowSync(sync_s=2.0, start_s=10.0, duration_s=5.0),))
    assert seen(stalled) >= {Sometimes.JOURNAL_DEGRADED, Sometimes.LEFT_UNGATED}


@pytest.mark.parametrize(("writes", "expected"), [(0, set()), (1, {Sometimes.JOURNAL_FOLDED})])
def test_a_journal_at_its_bound_is_seen(writes: int, expected: set[Sometimes]) -> None:
    """When more wait than it keeps one by one, and not before."""

    async def many_at_once(world: World) -> None:
        await asyncio.sleep(5.0)
        assert world.app is not None
        world.app.layer.journal.append(Handled(f"message {number}") for number in range(WAITING_MAX + writes))

    assert seen_alone(replace(QUIET, duration_s=10.0, crowds=(), script=many_at_once)) == expected


def test_a_death_amid_a_commit_is_seen() -> None:
    """Of a process whose disk takes its time while people change something; nothing is under way on one that takes none."""
    busy = (CommandStorm("lobby", 4.0, COUNTS, start_s=5.0, duration_s=4.0),)
    dying = replace(QUIET, duration_s=20.0, crowds=busy, faults=(Crash(start_s=7.0),))
    slow = DiskLatency(median_ms=500.0, spread=0.0)
    assert Sometimes.DIED_UNCOMMITTED in seen_alone(replace(dying, disk_latency=slow))
    assert Sometimes.DIED_UNCOMMITTED not in seen_alone(dying)


def test_a_death_amid_an_orderly_stop_is_seen() -> None:
    """Of a process that waits for a database that hangs; not of one that has stopped long before, or was never asked to."""
    hanging = replace(
        QUIET, faults=(Hang(start_s=6.0, duration_s=10.0), Restart(start_s=8.0), Crash(start_s=9.0))
    )
    assert Sometimes.DIED_STOPPING in seen_alone(hanging)
    for faults in (hanging.faults[1:], (hanging.faults[0], hanging.faults[2])):
        assert Sometimes.DIED_STOPPING not in seen_alone(replace(hanging, faults=faults))


def test_a_save_that_a_newer_one_has_overtaken_is_seen() -> None:
    """It is carried out long after the bot gave it up, saved the same and then more; not if it is lost on its way."""
    late = Latency(ms=30_000.0, late_probability=1.0, start_s=6.0, duration_s=2.0)
    both = {Sometimes.SAVE_FAILED, Sometimes.OVERTAKEN}
    assert seen_alone(replace(QUIET, faults=(late,))) >= both
    lost = replace(late, late_probability=0.0)
    assert seen_alone(replace(QUIET, faults=(lost,))) & both == {Sometimes.SAVE_FAILED}


def test_a_merge_counts_if_something_of_a_humans_is_in_it() -> None:
    """Saved as it was, a row is refused and sent again all the same; then there was nothing to keep."""
    entered = HumanEdit("component_state", merge={"values": {"falls": 7}}, start_s=12.0)
    touched = replace(entered, merge={}, where={"key": "counters"}, values={"version": 1})
    assert Sometimes.MERGED in seen_alone(replace(QUIET, faults=(entered,)))
    assert Sometimes.MERGED not in seen_alone(replace(QUIET, faults=(touched,)))
    late = replace(entered, start_s=QUIET.duration_s - 1.0)
    assert Sometimes.MERGED not in seen_alone(replace(QUIET, faults=(late,))), (
        "the bot had nothing to save then"
    )


def test_a_loud_channel_meets_the_bounds() -> None:
    """Twitch's limit, a full outbox, replies that became too old, a full save of history; history that is dropped."""
    bounds = {Sometimes.LIMITER_HELD, Sometimes.OUTBOX_FULL, Sometimes.REPLY_TOO_OLD}
    assert seen(LOUD) == {*bounds, Sometimes.BURST, Sometimes.FULL_SAVE_OF_HISTORY}
    slower = (CommandStorm("lobby", BURST_PER_S - 20.0, COUNTS, start_s=5.0, duration_s=1.2),)
    forgetful = {**LOUD.settings, "history_rows_max": 100}
    assert seen(replace(LOUD, crowds=slower, settings=forgetful)) == {*bounds, Sometimes.HISTORY_DROPPED}


def test_what_twitch_does_is_seen() -> None:
    """A lost connection, if somebody speaks meanwhile, and messages that come twice."""
    busy = (CommandStorm("lobby", 50.0, COUNTS, start_s=10.0, duration_s=1.0),)
    faults = (TwitchDisconnect(start_s=10.5), TwitchDuplicates(start_s=10.0, duration_s=0.4, probability=0.9))
    assert seen(replace(QUIET, crowds=busy, faults=faults)) >= {Sometimes.CHAT_AWAY, Sometimes.REPEATED}


def test_what_leaves_memory_and_comes_back_is_seen() -> None:
    """A channel is spoken to again after the minute's look; during an outage it answers before it is loaded."""
    idle = Scenario(
        "idle",
        "one channel is spoken to while another has been idle for a minute",
        duration_s=92.0,
        channels=("lobby", "attic"),
        crowds=(
            CommandStorm("lobby", 20.0, COUNTS, start_s=58.0, duration_s=4.0),
            CommandStorm("attic", 1.0, COUNTS, start_s=5.0, duration_s=2.0),
            CommandStorm("attic", 1.0, COUNTS, start_s=70.0, duration_s=5.0),
        ),
        settings={"default_language": "en", "context_idle_s": 10.0},
    )
    returned = {Sometimes.EVICTED_AMID_CHAT, Sometimes.RELOADED}
    assert seen(idle) & {*returned, Sometimes.ANSWERED_BEFORE_LOAD} == returned
    assert Sometimes.ANSWERED_BEFORE_LOAD in seen(idle, Hang(start_s=65.0, duration_s=15.0))


def everywhere(channels: int, rate_per_s: float, duration_s: float) -> Scenario:
    """Two rows are changed in each of so many channels, as often as the rate says."""
    names = tuple(f"channel_{number}" for number in range(channels))
    crowds = (
        CommandStorm(name, rate_per_s, (command,), start_s=6.0, duration_s=duration_s)
        for name in names
        for command in ("!count deaths +1", "!vibe mood {n}")
    )
    return replace(QUIET, channels=names, crowds=tuple(crowds))


def test_a_full_save_is_seen() -> None:
    """Of hundreds of channels at once."""
    assert Sometimes.FULL_SAVE in seen(everywhere(BATCH_ROWS_MAX // 2 + 1, 1.0, 1.0))


def test_a_halved_save_is_seen() -> None:
    """When it is smaller than what waits, after a save without an answer."""
    assert Sometimes.SAVE_HALVED in seen(everywhere(20, 0.2, 15.0), Hang(start_s=6.0, duration_s=20.0))


def test_a_night_that_was_not_watched_tells_nothing() -> None:
    """It ended before anybody spoke."""
    assert Witness().testimony() == ()
