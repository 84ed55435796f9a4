"""Processes share the work and change nothing about it; in the other one strings hash differently."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.workers import (
    COLLECT_EVERY,
    OTHER_HASH_SEED,
    SPARE_STARTS,
    OtherProcess,
    WorkerDiedError,
    WorkerLostError,
    WorkerStartError,
    end_of,
    outcomes,
)


class Ring:
    """Only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def nobody_collects() -> Iterator[None]:
    """As in a process that plays one world after the other."""
    gc.disable()
    yield
    gc.enable()


def no_log(level: str) -> None:
    """Logging as it is."""


def squared(seed: int) -> int:
    """Something to do."""
    return seed * seed


def surroundings(seed: int) -> tuple[int, str | None, bool]:
    """Who does it: the process, how its strings hash, and whether Ctrl-C would end it."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return os.getpid(), os.environ.get("PYTHONHASHSEED"), ignored


def test_the_order_is_that_of_the_seeds() -> None:
    """However many processes there are."""
    for jobs in (1, 2):
        with outcomes(range(3, 9), jobs, squared, no_log) as found:
            assert list(found) == [9, 16, 25, 36, 49, 64]


@pytest.mark.usefixtures("nobody_collects")
def test_what_worlds_leave_behind_is_collected() -> None:
    """A thousand seeds leave no more than a few do."""
    left: list[weakref.ref[Ring]] = []

    def play(seed: int) -> int:
        left.append(weakref.ref(Ring()))
        return seed

    with outcomes(range(1, 3 * COLLECT_EVERY), 1, play, no_log) as found:
        for _ in found:
            assert sum(one() is not None for one in left) <= COLLECT_EVERY


def test_the_other_process_hashes_strings_in_its_own_way() -> None:
    """And leaves Ctrl-C to the search; this process's variables are what they were."""
    before = os.environ.get("PYTHONHASHSEED")
    other = OtherProcess(no_log)
    try:
        pid, hash_seed, ignored = other.ask(surroundings, 1).get()
    finally:
        other.close()
    assert pid != os.getpid()
    assert hash_seed == OTHER_HASH_SEED != before
    assert ignored
    assert os.environ.get("PYTHONHASHSEED") == before


def test_one_that_was_never_asked_is_closed_all_the_same() -> None:
    """It was never started."""
    OtherProcess(no_log).close()


# ── processes that are lost ──────────────────────────────────────────────────────────────────────────────────────────


def killed_in_3(seed: int) -> str:
    """A night that takes its process with it."""
    if seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{seed} played"


def leaving_in_3(seed: int) -> str:
    """A night that ends its process."""
    if seed == 3:
        os._exit(7)
    return f"{seed} played"


def always_leaving(seed: int) -> str:
    """Every night ends its process."""
    os._exit(7)


def endless_in_3(seed: int) -> str:
    """A night that never ends."""
    while seed == 3:
        signal.pause()
    return f"{seed} played"


def told(seed: int, error: WorkerLostError) -> str:
    """In place of an outcome."""
    return f"{seed}: {error.name}: {error}"


#: The file in which processes count themselves.
COUNT = "BYTE_SIM_TEST_STARTS"
#: Of the processes that begin one after the other, the one that lives to play: as many die before it as may.
BEGINNING = 1 + SPARE_STARTS


def some_begin(level: str) -> None:
    """Each process counts itself; all but one end while they begin."""
    starts = Path(os.environ[COUNT])
    with starts.open("a", encoding="ascii") as file:
        file.write(".")
    if starts.stat().st_size != BEGINNING:
        os._exit(9)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (
            killed_in_3,
            "3: WorkerDied: the process that played the night was killed by SIGKILL (as the kernel does when memory is short)",
        ),
        (leaving_in_3, "3: WorkerDied: the process that played the night ended with exit code 7"),
        (
            endless_in_3,
            "3: NightLimit: did not end within 1 s of wall time: its process was killed",
        ),
    ],
)
def test_a_process_that_is_lost_costs_its_own_night(judge: Callable[[int], str], said: str) -> None:
    """The others are played, by another process in its place, and all come in their order."""
    with outcomes(range(1, 6), 1, judge, no_log, night_limit_s=1.0, lost=told) as found:
        assert list(found) == ["1 played", "2 played", said, "4 played", "5 played"]
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_a_second_run_that_is_lost_says_so_and_the_next_is_played() -> None:
    """Whoever waits for it learns what became of its process; the other hash is the new process's too."""
    other = OtherProcess(no_log)
    try:
        lost, kept = other.ask(killed_in_3, 3), other.ask(surroundings, 4)
        with pytest.raises(WorkerDiedError, match="killed by SIGKILL"):
            lost.get()
        assert kept.get()[1] == OTHER_HASH_SEED and lost.ready()
    finally:
        other.close()


def test_without_a_word_for_it_a_lost_process_ends_the_search() -> None:
    """With what became of it."""
    with (
        outcomes(range(3, 5), 2, leaving_in_3, no_log) as found,
        pytest.raises(WorkerDiedError, match="exit code 7"),
    ):
        list(found)


def test_a_process_that_ends_while_it_begins_is_replaced_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as often again once one has begun; the nights that were played until then are there."""
    starts = tmp_path / "starts"
    monkeypatch.setenv(COUNT, str(starts))
    played: list[str] = []
    with (
        outcomes(range(3, 6), 1, always_leaving, some_begin, night_limit_s=60.0, lost=told) as found,
        pytest.raises(WorkerStartError, match="ended with exit code 9 before it could play one"),
    ):
        played.extend(found)
    assert played == ["3: WorkerDied: the process that played the night ended with exit code 7"]
    assert starts.stat().st_size == BEGINNING + SPARE_STARTS + 1


@contextmanager
def no_file_left() -> Iterator[None]:
    """Meanwhile nothing more can be opened."""
    resource = pytest.importorskip("resource", reason="there are no such limits")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_that_the_machine_does_not_start_ends_the_search() -> None:
    """With the machine's words."""
    with (
        outcomes(range(3, 5), 1, squared, no_log, night_limit_s=60.0) as never,
        pytest.raises(WorkerStartError, match="cannot be started: Too many open files"),
        no_file_left(),
    ):
        list(never)


def test_the_end_of_a_process_is_named() -> None:
    """By its signal, by a number that has no name here, or by its exit code."""
    assert end_of(-15) == "was killed by SIGTERM"
    assert end_of(-63) == "was killed by signal 63" and end_of(3) == "ended with exit code 3"
