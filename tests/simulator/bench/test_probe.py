"""Memory, cores and the delay of PONG, as seen from outside."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.bench.probe import Cores, LagProbe, Theft, cpu_seconds, process_tree, rss_mb
from simulator.bench.stage import TwitchStage
from simulator.loop import START_UNIX_S, in_virtual_time
from tests.simulator.twitch.rig import Client


def proc(folder: Path, pid: int, kb: int, *children: int) -> None:
    """A process as /proc shows it."""
    (folder / str(pid) / "task" / str(pid)).mkdir(parents=True)
    (folder / str(pid) / "status").write_text(f"Name:\tbot\nVmRSS:\t{kb} kB\n")
    (folder / str(pid) / "task" / str(pid) / "children").write_text(" ".join(map(str, children)))


def test_memory_is_that_of_the_process_and_its_descendants(tmp_path: Path) -> None:
    """A bot in a shell, or with workers, is measured whole; one that is gone has none."""
    proc(tmp_path, 10, 1_024, 11, 12)
    proc(tmp_path, 11, 2_048, 13)
    proc(tmp_path, 12, 512)
    (tmp_path / "unrelated").mkdir()
    assert process_tree(10, tmp_path) == [10, 11, 12, 13]
    assert rss_mb(10, tmp_path) == 3.5
    assert rss_mb(99, tmp_path) == 0


def test_cores_are_left_alone_when_switched_off() -> None:
    """And the report says so."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cores = Cores(enabled=False)
    cores.keep_rest()
    cores.keep_bot(os.getpid())
    assert cores.words == "processes are not pinned to cores"
    assert before is None or os.sched_getaffinity(0) == before


THREADS = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint(1, flush=True)\ntime.sleep(60)"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux lets one choose")
async def test_a_process_is_moved_with_the_threads_that_it_has_started_already() -> None:
    """Node has some before anybody can ask for its number."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", THREADS, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        cores = Cores()
        if not cores.bot:
            pytest.skip("this machine has one core")
        cores.keep_bot(process.pid)
        threads = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
        assert len(threads) == 2
        assert [os.sched_getaffinity(thread) for thread in threads] == [set(cores.bot)] * 2
    finally:
        process.kill()
        await process.wait()


def test_a_process_that_is_pinned_itself_is_told_which_cores_there_are() -> None:
    """The last one is the bot's; of one core nobody is given any."""
    cores = Cores((4, 2, 3))
    assert (list(cores.bot), list(cores.rest)) == ([4], [2, 3])
    assert (list(Cores((2,)).bot), list(Cores(()).rest)) == ([], [])


def test_what_the_host_gave_to_others_is_a_part_of_all_the_time(tmp_path: Path) -> None:
    """Of all cores together; where the system does not tell, nothing."""
    (tmp_path / "stat").write_text("cpu  100 0 50 800 0 0 0 50 0 0\ncpu0 1 1\n")
    theft = Theft(tmp_path)
    assert theft.share() == 0
    (tmp_path / "stat").write_text("cpu  150 10 70 900 5 2 3 60 9 9\ncpu0 1 1\n")
    assert theft.share() == 10 / 200
    assert Theft(tmp_path / "nowhere").share() == 0


def test_the_load_goes_first_only_where_the_bot_has_a_core_of_its_own() -> None:
    """Real time ends with the context; what cannot be had is said in the report and changes nothing."""
    if not hasattr(os, "SCHED_FIFO"):
        pytest.skip("this system has no real time")
    before = os.sched_getscheduler(0)
    with Cores((2,)).going_first() as first:
        assert not first and os.sched_getscheduler(0) == before
    cores = Cores((2, 3))
    with cores.going_first() as first:
        policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        assert policy == (os.SCHED_FIFO if first else before)
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"],
            capture_output=True,
            check=True,
        )
        assert int(child.stdout) == before
    assert os.sched_getscheduler(0) == before
    assert ("goes first" in cores.words) == first


def test_processor_time_is_that_of_all_threads(tmp_path: Path) -> None:
    """Of a name with blanks and brackets too; None for a process that is gone."""
    (tmp_path / "7").mkdir()
    ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    numbers = " ".join(["0"] * 10 + [str(3 * ticks), str(ticks)] + ["0"] * 10)
    (tmp_path / "7" / "stat").write_text(f"7 (a ) bot) S {numbers}")
    assert cpu_seconds(7, tmp_path) == 4
    assert cpu_seconds(8, tmp_path) is None


@in_virtual_time(hybrid=True)
async def test_the_lag_is_how_long_a_pong_takes() -> None:
    """A client that answers after 30 ms has a lag of 30 ms, one that never answers has none."""
    async with TwitchStage(1, lambda *_: None, unix_start_s=START_UNIX_S, seed=1) as stage:
        addresses = stage.addresses(None)
        client = Client(*await asyncio.open_connection(addresses.irc_host, addresses.irc_port))
        client.send(f"PASS {addresses.token}", f"NICK {addresses.login}")
        await client.until("001")
        probe = LagProbe(stage.irc)
        async with asyncio.TaskGroup() as tasks:
            probing = tasks.create_task(probe.run())
            await client.until("PING")
            assert probe.p99_ms() is None
            await asyncio.sleep(0.03)
            client.send("PONG :tmi.twitch.tv")
            await asyncio.sleep(0.01)
            probing.cancel()
        lag_ms = probe.p99_ms()
        assert lag_ms is not None
        assert 30 <= lag_ms < 40
        await client.close()
