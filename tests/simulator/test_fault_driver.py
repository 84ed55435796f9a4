"""Faults of Twitch and of the process are carried out at their instants, each once."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from byte_bot.errors import ExitCode
from simulator.audience import CommandStorm
from simulator.errors import NotSimulatedError
from simulator.fault_driver import FaultDriver
from simulator.faults import (
    ClockJump,
    ClockSkew,
    Crash,
    Fault,
    FaultBoard,
    Hang,
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
from simulator.world import World, play, simulate

Log = list[tuple[float, str]]
STOP_TAKES_S = 7.0


class Patient:
    """A bot's process that notes what is done to it."""

    def __init__(self, note: object) -> None:
        self.bot_runs = True
        self._deaths = 0
        self._note = note

    def start_bot(self) -> None:
        """It runs."""
        self.bot_runs = True
        self._note("start")  # type: ignore[operator]

    def crash_bot(self) -> None:
        """It is dead."""
        self.bot_runs = False
        self._deaths += 1
        self._note("crash")  # type: ignore[operator]

    def cut_power(self) -> None:
        """It is dead, and the machine with it."""
        self.bot_runs = False
        self._deaths += 1
        self._note("power cut")  # type: ignore[operator]

    def start_rival(self) -> None:
        """There are two."""
        self._note("rival")  # type: ignore[operator]

    async def restart_bot(self) -> None:
        """Its orderly stop takes seven seconds, if nobody kills it meanwhile."""
        self._note("stop")  # type: ignore[operator]
        deaths = self._deaths
        await asyncio.sleep(STOP_TAKES_S)
        if self._deaths == deaths:
            self._note("restarted")  # type: ignore[operator]


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
    """A crash and a power cut have their pauses, and what strikes a process that is down does nothing, then or later."""
    assert driven(
        Crash(start_s=5, down_s=2),
        Crash(start_s=6, down_s=2),
        PowerCut(start_s=6.5, down_s=2),
        Restart(start_s=6.5),
        Restart(start_s=20),
        SecondInstance(start_s=29),
        PowerCut(start_s=30, down_s=4),
        Crash(start_s=34, down_s=4),  # at the very instant of its return it counts as down
        until_s=50.0,
    ) == [
        (5.0, "crash"),
        (7.0, "start"),
        (20.0, "stop"),
        (27.0, "restarted"),
        (29.0, "rival"),
        (30.0, "power cut"),
        (34.0, "start"),
    ]


def test_a_restart_and_a_pause_hold_nothing_up() -> None:
    """While the bot stops, and while it is down, connections end, packets are cut, and another process starts, at their instants."""
    assert driven(
        Restart(start_s=10),
        TwitchDisconnect(start_s=11),
        TwitchPackets(start_s=12, duration_s=2),
        SecondInstance(start_s=15),
        Crash(start_s=20, down_s=10),
        TwitchHalfOpen(start_s=21),
        TwitchPackets(start_s=22, duration_s=3.5),
    ) == [
        (10.0, "stop"),
        (11.0, "disconnect"),
        (12.0, "chunks"),
        (14.0, "whole"),
        (15.0, "rival"),
        (17.0, "restarted"),
        (20.0, "crash"),
        (21.0, "half open"),
        (22.0, "chunks"),
        (25.5, "whole"),
        (30.0, "start"),
    ]


@pytest.mark.parametrize(("fault", "words"), [(Crash, "crash"), (PowerCut, "power cut")])
def test_a_process_is_killed_while_it_stops(fault: type[Crash | PowerCut], words: str) -> None:
    """In the middle of the stop of a restart, and then that death says when it comes back."""
    assert driven(Restart(start_s=10), fault(start_s=11, down_s=2.5)) == [
        (10.0, "stop"),
        (11.0, words),
        (13.5, "start"),
    ]


def test_of_several_deaths_the_last_one_says_when_the_process_comes_back() -> None:
    """Somebody else has started it in between: the pause of an earlier death does not end that of a later one."""

    async def body() -> Log:
        loop = current_loop()
        log: Log = []
        patient = Patient(lambda what: log.append((loop.time(), what)))
        faults = (
            Crash(start_s=5, down_s=10),
            Crash(start_s=12, down_s=10),
            Crash(start_s=30, down_s=math.inf),
        )
        board = FaultBoard(loop.time, random.Random(3), faults)
        twitch = Twitch(
            TwitchState(loop.time, random.Random(1), START_UNIX_S), TwitchLimits(), random.Random(2)
        )
        driver = asyncio.create_task(FaultDriver(board, twitch, patient, None).run())
        await asyncio.sleep(8)
        patient.start_bot()
        await asyncio.sleep(10_000)
        driver.cancel()
        await asyncio.wait([driver])
        return log

    assert run(body()) == [
        (5.0, "crash"),
        (8.0, "start"),
        (12.0, "crash"),
        (22.0, "start"),
        (30.0, "crash"),
    ]


def night_of(*faults: Fault, until_s: float) -> tuple[Log, list[ExitCode]]:
    """What became of the processes of a real bot whose database hangs from 8 s to 30 s, and with which exit codes they ended."""

    async def story(world: World) -> tuple[Log, list[ExitCode]]:
        log: Log = []

        def note(kind: str) -> Callable[[Mapping[str, Any]], None]:
            return lambda fields: log.append((world.loop.time(), f"{kind} {fields['incarnation']}"))

        for kind in ("bot_started", "bot_crashed", "power_cut"):
            world.trace.observe(note(kind), kind)
        world.start_bot()
        await world.joined()
        await asyncio.sleep(9.0 - world.loop.time())
        await world.ask("mod", "!count deaths +1")
        await asyncio.sleep(until_s - world.loop.time())
        world.heal()
        assert not world.bot.restarting and not world.bot.stopping
        await world.joined()
        await world.converge()
        assert world.counter("lobby", "deaths") == 1
        world.judge()
        return list(log), list(world.exit_codes)

    hang = Hang(start_s=8, duration_s=22)
    settings = {"durability": "power"}  # else a power cut may take the commit
    return play(story, Scenario("night", "a database that hangs", faults=(hang, *faults), settings=settings))


def test_a_bot_is_killed_in_the_middle_of_its_last_save() -> None:
    """A restart at 10 s waits for the database; a crash at 11 s kills that very process, and says when the next one starts."""
    log, codes = night_of(Restart(start_s=10), Crash(start_s=11, down_s=2), until_s=40.0)
    assert log == [(0.0, "bot_started 1"), (11.0, "bot_crashed 1"), (13.0, "bot_started 2")]
    assert codes == []


def test_restarts_over_one_another_are_one() -> None:
    """Who is being restarted is not restarted; a crash while the second process is down is no crash of the third."""
    log, codes = night_of(
        Restart(start_s=10),
        Restart(start_s=11),
        Restart(start_s=11.5),
        PowerCut(start_s=12, down_s=3),
        Crash(start_s=13, down_s=1),
        Restart(start_s=14),
        until_s=40.0,
    )
    assert log == [(0.0, "bot_started 1"), (12.0, "power_cut 1"), (15.0, "bot_started 2")]
    assert codes == []


@pytest.mark.parametrize("killed", [False, True])
def test_a_night_may_end_while_the_bot_stops(killed: bool) -> None:
    """The restart is over before anybody judges; a process that is down at the heal is started by it, once."""
    faults = (Hang(start_s=8), Restart(start_s=18), *([Crash(start_s=19, down_s=60)] if killed else []))
    crowd = CommandStorm("lobby", 1.0, ("!count deaths +1",), ("moderator",), 9.0, 8.0)
    scenario = Scenario("late", "a restart at the end", duration_s=20.0, faults=faults, crowds=(crowd,))
    report = simulate(scenario, seed=5)
    assert report.violations == ()
    assert report.counts["incarnations"] == 2


def test_the_clock_is_wrong_while_the_bot_is_down() -> None:
    """A skew that begins and ends while nothing runs has put it wrong all the same."""

    async def story(world: World) -> float:
        world.start_bot()
        await asyncio.sleep(20)
        return round(world.bot.clock.ahead_s, 6)

    faults = (
        Crash(start_s=5, down_s=10),
        ClockSkew(1.5, start_s=6, duration_s=4),
        ClockJump(60.0, start_s=7),
    )
    assert play(story, Scenario("clock", "a clock that is wrong", faults=faults), judge=False) == 62.0


def test_an_error_in_a_restart_ends_the_world() -> None:
    """As every error of the driver does, and alone."""

    class Broken(Patient):
        async def restart_bot(self) -> None:
            raise ZeroDivisionError

    async def body() -> None:
        loop = current_loop()
        twitch = Twitch(
            TwitchState(loop.time, random.Random(1), START_UNIX_S), TwitchLimits(), random.Random(2)
        )
        board = FaultBoard(loop.time, random.Random(3), (Restart(start_s=5),))
        await FaultDriver(board, twitch, Broken(print), None).run()

    with pytest.raises(ZeroDivisionError):
        run(body())


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
