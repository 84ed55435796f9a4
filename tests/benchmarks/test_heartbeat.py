"""The heartbeat: what its own program does to a loop counts, and what the machine does to it does not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.heartbeat import BEAT_S, Heartbeat, Reading, held_s

TOLD = Path("/proc/self/schedstat").exists()
NEIGHBOURS = 3


def passed(
    wall_s: float, cpu_s: float = 0.0, queued_s: float | None = 0.0, **others_s: tuple[float, float]
) -> float:
    """What counts as held of a time in which so much passed; ``others_s``: what other threads had queued before and after."""
    ids = {name: number for number, name in enumerate(others_s)}
    before = Reading(
        100.0, 5.0, None if queued_s is None else 7.0, {ids[name]: told[0] for name, told in others_s.items()}
    )
    after = Reading(
        100.0 + wall_s,
        5.0 + cpu_s,
        None if queued_s is None else 7.0 + queued_s,
        {ids[name]: told[1] for name, told in others_s.items()},
    )
    return round(held_s(before, after), 6)


def test_the_pause_between_two_beats_is_not_held() -> None:
    """Nor is one that ended a little late, for more than that little."""
    assert passed(BEAT_S) == 0.0
    assert passed(BEAT_S + 0.0005, cpu_s=0.0002) == 0.0005


def test_work_and_waits_count_and_the_queue_for_a_core_does_not() -> None:
    """30 ms of work beside a busy neighbour are 30 ms; a lock waited for is held as long as that took."""
    assert passed(0.030 + BEAT_S, cpu_s=0.030) == 0.030
    assert passed(0.090 + BEAT_S, cpu_s=0.030, queued_s=0.060) == 0.030
    assert passed(0.060 + BEAT_S) == 0.060
    assert passed(0.100 + BEAT_S, cpu_s=0.010, queued_s=0.060) == 0.040


def test_a_thread_that_queues_with_the_lock_is_the_machines_doing() -> None:
    """As much of a wait is excused as another thread queued meanwhile, the longest of them and no work of the loop's."""
    assert passed(0.060 + BEAT_S, journal=(3.0, 3.050), wal=(1.0, 1.020)) == 0.010
    assert passed(0.060 + BEAT_S, cpu_s=0.055, journal=(3.0, 3.050)) == 0.055


def test_a_thread_that_has_just_been_found_excuses_nothing() -> None:
    """How long it had queued before is not known."""
    before = Reading(0.0, 0.0, 0.0, {})
    assert held_s(before, Reading(0.060 + BEAT_S, 0.0, 0.0, {9: 5.0})) == pytest.approx(0.060)


def test_where_the_system_does_not_tell_held_is_the_time_on_the_cpu() -> None:
    """Then a wait cannot be told from a busy machine."""
    assert passed(0.090, cpu_s=0.030, queued_s=None) == 0.030


async def beating(work: Callable[[], object]) -> Heartbeat:
    """What a heartbeat saw of a loop in which something was done at once."""
    heartbeat = Heartbeat()
    service = asyncio.create_task(heartbeat.run())
    await turns(3)
    heartbeat.reset()
    work()
    await turns(3)
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
    return heartbeat


async def turns(beats: int) -> None:
    """Let so many beats pass."""
    loop = asyncio.get_running_loop()
    for _ in range(beats):
        beat: Awaitable[None] = (due := loop.create_future())
        loop.call_later(2 * BEAT_S, due.set_result, None)
        await beat


@contextlib.contextmanager
def busy_neighbours() -> Iterator[None]:
    """Other programs that never rest, on the one core that this thread has meanwhile."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    neighbours = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(NEIGHBOURS)]
    try:
        for neighbour in neighbours:
            assert neighbour.stdout is not None
            neighbour.stdout.readline()
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.communicate()
        os.sched_setaffinity(0, allowed)


def work_60_ms() -> None:
    """On the CPU, however long that takes."""
    done_s = time.thread_time() + 0.060
    while time.thread_time() < done_s:
        pass


def wait_60_ms_for_a_lock() -> None:
    """Another thread has it so long."""
    lock = threading.Lock()
    lock.acquire()
    release = threading.Timer(0.06, lock.release)
    release.start()
    lock.acquire()
    release.join()


def wait_as_if_stopped() -> None:
    """The process is told that it goes on."""
    wait_60_ms_for_a_lock()
    os.kill(os.getpid(), signal.SIGCONT)


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="no process can be stopped on Windows")
def test_the_time_in_which_the_process_was_stopped_does_not_count() -> None:
    """Ctrl-Z is not the bot's doing; behind it beats count again, and whoever heard the signal before hears it again."""
    before = signal.getsignal(signal.SIGCONT)
    heartbeat = asyncio.run(beating(wait_as_if_stopped))
    assert heartbeat.held_ms < 50.0
    assert signal.getsignal(signal.SIGCONT) == before


@pytest.mark.skipif(not TOLD, reason="this system does not tell how long threads queue for a core")
def test_a_lock_that_another_thread_holds_is_seen() -> None:
    """Nothing is computed in a loop that sleeps in a lock, and nobody is answered either."""
    heartbeat = asyncio.run(beating(wait_60_ms_for_a_lock))
    assert heartbeat.held_ms > 50.0
    assert heartbeat.cpu_ms < heartbeat.held_ms / 2


@pytest.mark.skipif(not TOLD, reason="this system does not tell how long threads queue for a core")
def test_a_busy_neighbour_is_not_seen() -> None:
    """Beside programs that never rest work takes several times as long, and counts once."""
    with busy_neighbours():
        heartbeat = asyncio.run(beating(work_60_ms))
    waited_ms = heartbeat.wall_ms - heartbeat.cpu_ms
    assert waited_ms > 50.0, "the neighbours were not busy"
    assert 60.0 <= heartbeat.held_ms < heartbeat.cpu_ms + waited_ms / 4
