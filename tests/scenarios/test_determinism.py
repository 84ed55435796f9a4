"""P7: one hundred runs of one seed are one run, wherever and beside whatever they run.

The night is short and has much in it: three channels, two of them busy, both ways in which a database comes and goes, late
answers, Twitch's disconnects and duplicates and cut packets, a crash and a restart. Its trace holds every line and request at its
virtual microsecond. Fifty-six of the runs are made here, eight of them with the collector forced at odd moments; forty-four in
three processes with other hashes of strings, one of which has four busy processes beside it.

Three more nights are played less often, since what is new in them is one thing each: on a slow disk, whose latency is drawn for each
record, a stall among them; over loopback TCP; and over EventSub with TwitchIO's own code. The last two are without cut packets, since
there the kernel cuts. They are replayed too: all ends of their sockets are in one loop, and bytes have arrived before time moves
(`simulator/virtual_loop.py`). What cannot be replayed are sockets with a peer in another process, which no world has.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.audience import Chatter, CommandStorm
from simulator.faults import (
    CommitThenDrop,
    Crash,
    Flapping,
    Latency,
    Refused,
    Reset,
    Restart,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchPackets,
)
from simulator.loop import ReadyOrder
from simulator.replay import Night, compare, explain, record_night
from simulator.scenario import DiskLatency, Scenario
from simulator.world import Network, simulate
from tests.scenarios.places import PLACES, Place, over_sockets

pytestmark = pytest.mark.usefixtures("no_log")

ROOT = Path(__file__).parents[2]
ORDERS: tuple[ReadyOrder, ...] = ("fifo", "random")
SEED = 7
MIXED = (
    "!count deaths +1",
    "!game Game {n}",
    "!note add {n}",
    "!quote add quote {n}",
    "!quote random",
    "!ping",
)
CROWDED = Scenario(
    "crowded",
    "four seconds with everything in them",
    duration_s=4,
    channels=("lobby", "arcade", "attic"),
    crowds=(Chatter("lobby", 1), CommandStorm("lobby", 3, MIXED), CommandStorm("arcade", 3, MIXED)),
    # All but what Twitch does to packets begins when the bot is in its channels: before, it answers nobody.
    faults=(
        Flapping(up_s=0.4, down_s=0.3, inner=Refused(), start_s=0.5, duration_s=1.4),
        Flapping(up_s=0.4, down_s=0.3, inner=Reset(), start_s=1.9, duration_s=1.4),
        Latency(ms=150, jitter_ms=140, start_s=0.8),
        CommitThenDrop(probability=0.3, start_s=0.8),
        TwitchDuplicates(probability=0.3),
        TwitchPackets(split_probability=0.5, merge_probability=0.3),
        TwitchDisconnect(start_s=1.2),
        Crash(start_s=2.0, down_s=0.3),
        Restart(start_s=3.2),
    ),
    # So that much is saved in little time.
    settings={"flush_interval_s": 0.5},
)  # fmt: skip
SLOW_DISK = replace(
    CROWDED,
    name="slow disk",
    disk_latency=DiskLatency(median_ms=20.0, spread=1.0, stall_probability=0.2, stall_ms=1_500.0),
)
OVER_TCP = replace(CROWDED, name="over TCP", faults=over_sockets(CROWDED.faults))
NIGHTS: Mapping[str, tuple[Scenario, Place]] = {
    "crowded": (CROWDED, PLACES["memory"]),
    "slow disk": (SLOW_DISK, PLACES["memory"]),
    "over TCP": (OVER_TCP, PLACES["tcp"]),
    "over EventSub": (replace(OVER_TCP, name="over EventSub"), PLACES["eventsub"]),
}
#: Plays nights (names, each with how often in each order), and prints the hash of each run.
PRINT_HASHES = """
import sys
import structlog
from simulator.world import simulate
from tests.scenarios.test_determinism import NIGHTS, ORDERS, SEED
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
for name, runs in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    night, place = NIGHTS[name]
    for _ in range(int(runs)):
        for order in ORDERS:
            print(name, order, simulate(night, SEED, **place, ready_order=order).trace_hash, sep="|")
"""
#: Busy for a few seconds at most, should nobody end it; not so important that others must wait.
BURN = """
import os, time
os.nice(5)
until = time.monotonic() + 20
while time.monotonic() < until:
    sum(range(1000))
"""


@pytest.fixture(autouse=True)
def components_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finds the component by a name of its own: as one of ``tests`` it would be judged with every test's state classes."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "simulator" / "bad_components")


def hashes_here(runs: int, name: str = "crowded") -> set[str]:
    """The hashes of so many runs of a night in each order, in this process."""
    night, place = NIGHTS[name]
    return {
        f"{order}|{simulate(night, SEED, **place, ready_order=order).trace_hash}"
        for _ in range(runs)
        for order in ORDERS
    }


@contextmanager
def collected_at_odd_moments(rng: random.Random) -> Iterator[None]:
    """The collector runs before every so many calls of Python functions, now more, now fewer."""
    left = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal left
        if event != "call":
            return
        left -= 1
        if left < 0:
            left = rng.randrange(2_000, 20_000)
            gc.collect(rng.randrange(3))

    sys.setprofile(called)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that compute, beside whatever runs within."""
    busy = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def hashes_elsewhere(hash_seed: str, runs: Mapping[str, int]) -> dict[str, set[str]]:
    """The hashes of so many runs of each night in each order, all in one process of its own, by the name of the night."""
    arguments = [word for name, count in runs.items() for word in (name, str(count))]
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HASHES, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.partition("|") for line in done.stdout.split("\n")[:-1]]
    assert len(lines) == sum(runs.values()) * len(ORDERS)
    return {name: {hashed for played, _, hashed in lines if played == name} for name in runs}


@pytest.fixture(scope="module")
def beside_four() -> Mapping[str, set[str]]:
    """Every night in a process with four busy ones beside it, once for all tests here: it costs each of the five."""
    with busy_processes(4):
        return hashes_elsewhere("random", {"crowded": 2, "slow disk": 1, "over TCP": 1, "over EventSub": 1})


# Seconds of real time: a hundred nights took more than the usual 120 on two cores with ten other jobs.
@pytest.mark.timeout(300)
def test_a_hundred_runs_of_one_seed_are_one_run(beside_four: Mapping[str, set[str]]) -> None:
    """One trace hash for each order of ready tasks: here, with collections, in other processes, on a busy machine."""
    wanted = hashes_here(24)
    assert len(wanted) == len(ORDERS)
    # Fewer where each costs most: with the collector, and where the machine is shared with four others.
    with collected_at_odd_moments(random.Random(1)):
        assert hashes_here(4) == wanted
    for hash_seed in ("0", "1"):
        assert hashes_elsewhere(hash_seed, {"crowded": 10}) == {"crowded": wanted}
    assert beside_four["crowded"] == wanted


@pytest.mark.parametrize("name", ["slow disk", "over TCP", "over EventSub"])
def test_a_slow_disk_and_real_sockets_are_replayed_too(
    name: str, beside_four: Mapping[str, set[str]]
) -> None:
    """One trace hash for each order: here, with collections, and on a busy machine with other hashes of strings."""
    wanted = hashes_here(1, name)
    assert len(wanted) == len(ORDERS)
    assert not wanted & beside_four["crowded"], "it is another night"
    with collected_at_odd_moments(random.Random(1)):
        assert hashes_here(1, name) == wanted
    assert beside_four[name] == wanted


@pytest.mark.parametrize("name", NIGHTS)
def test_people_are_answered_in_every_night(name: str) -> None:
    """And all promises are kept; a disk that stalls shows in how long a reply took."""
    night, place = NIGHTS[name]
    report = simulate(night, SEED, **place)
    assert report.ok, report.to_text()
    assert len(report.transcript) >= 10
    assert (max(report.latencies_ms) > 500) == (name == "slow disk")


def test_the_night_has_something_to_differ_in() -> None:
    """The night is no empty one: lines both ways, every fault struck, and all promises were kept."""
    recording = record_night(CROWDED, Night("crowded", SEED))
    assert recording.report is not None
    assert recording.report.ok, recording.report.to_text()
    kinds = {kind: sum(f'"{kind}"' in line for line in recording.lines) for kind in (
        "chat", "irc_in", "irc_out", "request", "request_failed", "bot_started", "bot_crashed", "irc_closed",
    )}  # fmt: skip
    assert all(kinds.values()), kinds
    assert kinds["bot_started"] == 3
    assert compare(recording, record_night(CROWDED, Night("crowded", SEED))) is None


@pytest.mark.parametrize("network", ["memory", "tcp"])
def test_a_planted_address_is_found(network: Network) -> None:
    """The alarm works: a component that says an address makes two runs differ, and the first differing event says it."""
    planted = Scenario(
        "planted",
        "a component that says an address",
        duration_s=5,
        crowds=(CommandStorm("lobby", 1, ("!address",)),),
        settings={"components": ("planted",)},
    )
    night = Night("planted", SEED, network)
    left, right = record_night(planted, night), record_night(planted, night)
    difference = compare(left, right)
    assert left.trace_hash != right.trace_hash and difference is not None
    words = explain(difference, "first", "second")
    assert words.count("it lies at") == 2
    assert "!address" in words, "what led to it stands just before"
