"""Processes of our own: started, spoken to, ended, and their last words in the error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from simulator.bench.child import BenchError, Child
from simulator.bench.probe import Cores

ECHO = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if order == {"do": "fail"}:
        sys.exit("it was told to")
    print(json.dumps({"heard": order}), flush=True)
open(sys.argv[1], "w").write("ended in order")
"""


def child(script: str, *arguments: str, takes_orders: bool = False) -> Child:
    """A process of this Python."""
    return Child("a test", ("-c", script, *arguments), takes_orders=takes_orders)


async def test_orders_are_answered_and_the_end_of_its_input_ends_it(tmp_path: Path) -> None:
    """It has time to end in order."""
    note = tmp_path / "note"
    async with child(ECHO, str(note), takes_orders=True) as one:
        assert one.hello == {"ready": True}
        assert await one.ask({"do": "this", "step": 2}) == {"heard": {"do": "this", "step": 2}}
        assert await one.ask({"do": "that"}) == {"heard": {"do": "that"}}
    assert note.read_text() == "ended in order"


async def test_one_that_ends_by_itself_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """While it is asked, or before it is ready."""
    async with child(ECHO, str(tmp_path / "note"), takes_orders=True) as one:
        with pytest.raises(BenchError, match=r"a test ended by itself[\s\S]*it was told to"):
            await one.ask({"do": "fail"})
        with pytest.raises(BenchError, match="a test ended by itself"):
            await one.ask({"do": "this"})
    with pytest.raises(BenchError, match=r"a test ended at once[\s\S]*no such thing"):
        async with child("import sys; sys.exit('no such thing')"):
            pass


NORMAL = (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) if hasattr(os, "SCHED_IDLE") else ()
TELLER = """
import json, os, time
print(json.dumps([os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)]), flush=True)
time.sleep(60)
"""
SLEEPER = "import os, time; print(os.getpgid(0), flush=True); time.sleep(60)"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
async def test_it_has_a_process_group_of_its_own() -> None:
    """Ctrl-C reaches the benchmark alone, which ends its children in order."""
    async with child(SLEEPER) as one:
        assert one.hello == one.pid


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="a policy of Linux")
async def test_in_the_background_of_a_given_core_everybody_else_goes_first() -> None:
    """Without a core of its own it would starve on a busy machine, and so it would while it starts."""
    ours = Cores()
    idle = (os.SCHED_IDLE, 19) if ours.rest else NORMAL
    for cores, background, priority in (
        (ours, True, idle),
        (ours, False, NORMAL),
        (Cores(enabled=False), True, NORMAL),
    ):
        async with Child("a test", ("-c", TELLER), cores=cores, background=background) as one:
            assert (os.sched_getscheduler(one.pid), os.getpriority(os.PRIO_PROCESS, one.pid)) == priority
            assert one.hello == list(NORMAL), "it started as anybody"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux lets one choose")
async def test_it_stays_off_the_bots_core() -> None:
    """Where there is more than one."""
    cores = Cores()
    sleeper = ("-c", "import time; print(1, flush=True); time.sleep(60)")
    async with Child("a test", sleeper, cores=cores) as one:
        assert os.sched_getaffinity(one.pid) == set(cores.rest or os.sched_getaffinity(0))
