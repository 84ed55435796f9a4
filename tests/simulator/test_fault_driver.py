"""Faults of Twitch and of the process are carried out at their instants, each once."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulator.errors import NotSimulatedError
from simulator.fault_driver import FaultDriver
from simulator.faults import (
    ClockJump,
    ClockSkew,
    Crash,
    Fault,
    FaultBoard,
    PowerCut,
    Restart,
    SecondInstance,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchJoinDropped,
    TwitchPackets,
    TwitchReconnect,
)
from simulator.loop import START_UNIX_S, current_loop, run
from simulator.network import Chunking
from simulator.scenario import Scenario
from simulator.twitch.irc import IrcServer
from simulator.twitch.limits import TwitchLimits
from simulator.twitch.state import TwitchState
from simulator.world import World, play

Log = list[tuple[float, str]]


class Patient:
    """A bot's process that notes what is done to it."""

    def __init__(self, note: object) -> None:
        self.bot_runs = True
        self._note = note

    def start_bot(self) -> None:
        """It runs."""
        self.bot_runs = True
        self._note("start")  # type: ignore[operator]

    def crash_bot(self) -> None:
        """It is dead."""
        self.bot_runs = False
        self._note("crash")  # type: ignore[operator]

    def cut_power(self) -> None:
        """It is dead, and the machine with it."""
        self.bot_runs = False
        self._note("power cut")  # type: ignore[operator]

    def start_rival(self) -> None:
        """There are two."""
        self._note("rival")  # type: ignore[operator]

    async def restart_bot(self) -> None:
        """It takes a second."""
        self._note("restart")  # type: ignore[operator]
        await asyncio.sleep(1)


class Twitch(IrcServer):
    """A fake Twitch that notes what is done to its connections."""

    log: Log

    def disconnect_all(self, *, abort: bool = False) -> None:
        """Note it."""
        self.log.append((current_loop().time(), "disconnect"))

    def half_open_all(self) -> None:
        """Note it."""
        self.log.append((current_loop().time(), "half open"))

    def send_reconnect(self, grace_s: float = 0.0) -> None:
        """Note it."""
        self.log.append((current_loop().time(), f"reconnect {grace_s:g}"))


@pytest.mark.parametrize("late", [False, True])
def test_packets_cannot_be_cut_over_sockets(late: bool) -> None:
    """A world over sockets with such a fault is refused before its night, and when a story sets one; others may act."""

    async def story(world: World) -> None:
        assert late, "the world was not refused"
        world.break_database(TwitchPackets())

    planned: tuple[Fault, ...] = (TwitchDuplicates(), *(() if late else (TwitchPackets(start_s=5),)))
    with pytest.raises(NotSimulatedError, match="twitch_packets needs the network 'memory'"):
        play(story, Scenario("cut", "packets are cut", faults=planned), network="tcp")


def test_no_join_is_lost_where_none_is_sent() -> None:
    """A bot on EventSub subscribes: a night with lost JOINs would be easier than its name says."""

    async def story(world: World) -> None:
        raise AssertionError("the world was not refused")

    scenario = Scenario("joins", "JOINs are lost", faults=(TwitchJoinDropped(),))
    with pytest.raises(NotSimulatedError, match="twitch_join_dropped needs the transport 'irc'"):
        play(story, scenario, transport="eventsub")


def test_a_driver_without_packets_refuses_them() -> None:
    """A fault that reaches the board past the world's checks is not left out in silence either."""

    async def body() -> None:
        loop = current_loop()
        twitch = Twitch(
            TwitchState(loop.time, random.Random(1), START_UNIX_S), TwitchLimits(), random.Random(2)
        )
        board = FaultBoard(loop.time, random.Random(3), (TwitchPackets(start_s=5),))
        await FaultDriver(board, twitch, Patient(print), None).run()

    with pytest.raises(NotSimulatedError):
        run(body())


def test_a_stages_board_counts_from_its_own_zero() -> None:
    """Without a process of ours, on a clock that began earlier: at the board's second, faults of the process left alone."""

    async def body() -> Log:
        loop = current_loop()
        await asyncio.sleep(100)
        twitch = Twitch(
            TwitchState(loop.time, random.Random(1), START_UNIX_S), TwitchLimits(), random.Random(2)
        )
        twitch.log = []
        faults = (TwitchDisconnect(start_s=5), Crash(start_s=6))
        board = FaultBoard(lambda: loop.time() - 100, random.Random(3), faults)
        driver = asyncio.create_task(FaultDriver(board, twitch, None, None, start_s=100.0).run())
        await asyncio.sleep(20)
        driver.cancel()
        await asyncio.wait([driver])
        return twitch.log

    assert run(body()) == [(105.0, "disconnect")]


def driven(*faults: Fault, until_s: float = 60.0) -> Log:
    """What happens, and when, with these faults on the timeline."""

    async def body() -> Log:
        loop = current_loop()
        log: Log = []
        twitch = Twitch(
            TwitchState(loop.time, random.Random(1), START_UNIX_S), TwitchLimits(), random.Random(2)
        )
        twitch.log = log
        packets: list[Chunking | None] = [None]

        def chunk(chunking: Chunking | None) -> None:
            if chunking != packets[-1]:
                log.append((loop.time(), "whole" if chunking is None else "chunks"))
            packets.append(chunking)

        board = FaultBoard(loop.time, random.Random(3), faults)
        patient = Patient(lambda what: log.append((loop.time(), what)))
        driver = asyncio.create_task(FaultDriver(board, twitch, patient, chunk).run())
        repeated = twitch.duplicate_probability
        while loop.time() < until_s:
            await asyncio.sleep(0.5)
            if twitch.duplicate_probability != repeated:
                repeated = twitch.duplicate_probability
                log.append((loop.time(), f"duplicates {repeated:g}"))
        driver.cancel()
        await asyncio.wait([driver])
        return log

    return run(body())


def test_twitchs_faults_strike_once_at_their_instants() -> None:
    """Disconnect, half-open and RECONNECT, with its grace."""
    assert driven(
        TwitchDisconnect(start_s=5),
        TwitchDisconnect(start_s=7.25),
        TwitchHalfOpen(start_s=20),
        TwitchReconnect(start_s=30, grace_s=5),
    ) == [(5.0, "disconnect"), (7.25, "disconnect"), (20.0, "half open"), (30.0, "reconnect 5")]


def test_lasting_faults_begin_and_end() -> None:
    """Cut packets and repeated messages last as long as their faults."""
    assert driven(
        TwitchPackets(start_s=5, duration_s=10, split_probability=1.0),
        TwitchDuplicates(start_s=20.25, duration_s=10, probability=0.5),
    ) == [(5.0, "chunks"), (15.0, "whole"), (20.5, "duplicates 0.5"), (30.5, "duplicates 0")]


def test_the_process_is_killed_and_comes_back() -> None:
    """A crash and a power cut have their pauses, a restart is one; a crash of a process that is down does nothing."""
    assert driven(
        Crash(start_s=5, down_s=2),
        Crash(start_s=6, down_s=2),
        Restart(start_s=20),
        SecondInstance(start_s=25),
        PowerCut(start_s=30, down_s=4),
    ) == [
        (5.0, "crash"),
        (7.0, "start"),
        (7.0, "crash"),
        (9.0, "start"),
        (20.0, "restart"),
        (25.0, "rival"),
        (30.0, "power cut"),
        (34.0, "start"),
    ]


def test_the_clock_is_put_wrong_at_its_instants() -> None:
    """By jumps and by how fast it runs, of skews together; a heal sets it right."""

    async def story(world: World) -> list[float]:
        seen = []
        for _ in range(5):
            await asyncio.sleep(10)
            seen.append(round(world.bot.clock.ahead_s, 6))
        world.heal()
        await asyncio.sleep(10)
        return [*seen, world.bot.clock.ahead_s]

    faults = (
        ClockJump(-60.0, start_s=5),
        ClockSkew(1.5, start_s=12, duration_s=20),
        ClockSkew(2.0, start_s=22, duration_s=5),
    )
    seen = play(story, Scenario("clock", "a clock that is wrong", faults=faults))
    # Alone 1.5 gains half a second a second; together with 2.0 the clock runs three times as fast.
    assert seen == [-60.0, -56.0, -43.5, -42.5, -42.5, 0.0]
