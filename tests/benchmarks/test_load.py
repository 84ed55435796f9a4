"""Driver and bot as processes of their own, over loopback."""

from __future__ import annotations

import sys

import pytest

from benchmarks.contenders import command_of
from benchmarks.load import BotFailed, Driver, running
from benchmarks.step import StepPlan
from simulator.bench.child import BenchError
from simulator.bench.probe import Cores

CHANNELS = 2
#: A bot that joins and says nothing.
MUTE = """
import os, socket, sys
chat = socket.create_connection((os.environ["CHAT_HOST"], int(os.environ["CHAT_PORT"])))
joins = "".join(f"JOIN #{name}\\r\\n" for name in os.environ["CHAT_CHANNELS"].split(","))
chat.sendall(("NICK bot\\r\\n" + joins).encode())
print("I am here", file=sys.stderr, flush=True)
while chat.recv(65536):
    pass
"""


async def test_a_bot_is_warmed_up_and_measured() -> None:
    """Every message is answered, and the processor time of a process of its own is read."""
    cores = Cores(enabled=False)
    async with (
        Driver(CHANNELS, cores) as driver,
        running(driver, "bare_loop", command_of("bare_loop"), {}, cores) as arena,
    ):
        await arena.warm_up("!echo {n}", "number")
        assert arena.measured == []
        step = await arena.measure(StepPlan(rate=200, seconds=0.3))
        (measured,) = arena.measured
    assert (step.sent, step.answered, step.cut_short) == (60, 60, "")
    assert measured.step is step
    assert measured.bot_cpu is None or 0 <= measured.bot_cpu <= 1.5


async def test_byte_bot_gets_its_component_and_its_database() -> None:
    """As shipped: it answers, and says at its end that nothing is left to save."""
    cores = Cores()
    try:
        async with (
            Driver(CHANNELS, cores) as driver,
            running(driver, "byte_bot", command_of("byte_bot"), {}, cores) as arena,
        ):
            await arena.warm_up("!echo {n}", "number")
            await arena.warm_up("!count deaths +1", "reply")
    finally:
        cores.release()
    assert any(event.get("event") == "stopped" for event in arena.events)
    assert not any(event.get("event") == "stopped_with_unsaved_rows" for event in arena.events)


async def test_a_bot_that_answers_nothing_cannot_be_warmed_up() -> None:
    """The error has the end of its log."""
    cores = Cores(enabled=False)
    async with (
        Driver(CHANNELS, cores) as driver,
        running(driver, "mute", (sys.executable, "-c", MUTE), {}, cores) as arena,
    ):
        with pytest.raises(BotFailed, match=r"answers 0 of[\s\S]*I am here"):
            await arena.warm_up("!echo {n}", "number", attempts=1)


async def test_a_bot_that_does_not_come_is_an_error_with_its_words() -> None:
    """It is waited for no longer than it may take."""
    cores = Cores(enabled=False)
    command = (sys.executable, "-c", "import sys; sys.exit('no token')")
    async with Driver(CHANNELS, cores) as driver:
        with pytest.raises(BotFailed, match=r"broken did not join within 0\.5 s[\s\S]*no token"):
            async with running(driver, "broken", command, {}, cores, present_s=0.5):
                pass


async def test_a_driver_that_ends_by_itself_says_why() -> None:
    """Its own words are in the error."""
    async with Driver(CHANNELS, Cores(enabled=False)) as driver:
        with pytest.raises(BenchError, match=r"the driver ended by itself[\s\S]*KeyError: 'no such way'"):
            await driver.step(StepPlan(rate=10, seconds=1, text="!count", matched_by="no such way"))
