"""Processes share the work and change nothing about it; in the other one strings hash differently."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from collections.abc import Iterator

import pytest

from simulator.workers import COLLECT_EVERY, OTHER_HASH_SEED, OtherProcess, outcomes


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
