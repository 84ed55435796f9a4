"""Carries out the faults that somebody must do: those of Twitch, of the bot's process and of its clock, at their instants.

Faults of the database need no driver: the fake's faces look at the board with every request, and so does the disk with every
commit. What Twitch's faults do to its faces is in `twitch_fault_hands`; a world and a stage of served fakes share both.

The driver waits for nobody. A restart takes as long as the bot's orderly stop, and a process that was killed stays down for a while;
meanwhile everything else strikes at its instant. So faults of the process meet:

* A crash or a power cut while the bot stops in order kills it in the middle of that, as a container's SIGKILL does. The restart whose
  stop it was is over then: the `down_s` of what has killed the process says when it starts again, as after any other death.
* What strikes a process that is down (a crash, a power cut, a restart, a second instance) does nothing, now or later; at the very
  instant at which the process comes back it counts as down. A restart of a bot that is being restarted does nothing either.
* Of several deaths the last one says when the bot comes back: not sooner because of an earlier one's `down_s`.
* A bot that is down comes back at its time although a heal took everything off the board; if it runs by then (the end of a night
  starts it, or a story), nothing happens. Faults of one instant strike in this order: of Twitch, of the clock, crash, power cut, restart,
  second instance.

Over real sockets the kernel decides how bytes are cut, and a bot on EventSub sends no JOIN. So `twitch_packets` and
`twitch_join_dropped` are refused there (`check_simulated`) rather than left out in silence, which would make the night an easier one
than its name says.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Protocol

from simulator.errors import NotSimulatedError
from simulator.faults import (
    ClockJump,
    ClockSkew,
    Crash,
    Fault,
    FaultBoard,
    PowerCut,
    Restart,
    SecondInstance,
    TwitchJoinDropped,
    TwitchPackets,
)
from simulator.machine_clock import MachineClock
from simulator.network import Chunking
from simulator.twitch.irc import IrcServer
from simulator.twitch_fault_hands import EventsUnderFault, TwitchFaultHands, WebUnderFault


def check_simulated(faults: Iterable[Fault], network: str, transport: str = "irc") -> None:
    """Raise `NotSimulatedError` if one of these faults cannot act on this network (``memory`` or ``tcp``) or transport of the bot."""
    faults = tuple(faults)
    if transport != "irc" and any(isinstance(fault, TwitchJoinDropped) for fault in faults):
        raise NotSimulatedError(
            f"the fault {TwitchJoinDropped.kind} needs the transport 'irc': a bot on {transport!r} sends no JOIN"
        )
    if network != "memory" and any(isinstance(fault, TwitchPackets) for fault in faults):
        raise NotSimulatedError(
            f"the fault {TwitchPackets.kind} needs the network 'memory': over real sockets (network {network!r}) "
            "the kernel cuts the bytes as it likes"
        )


class Patient(Protocol):
    """The bot's process, as far as faults can touch it."""

    @property
    def bot_runs(self) -> bool:
        """True while a bot process runs."""
        ...

    def start_bot(self) -> None:
        """Start it."""
        ...

    def crash_bot(self) -> None:
        """Kill it."""
        ...

    def cut_power(self) -> None:
        """Kill it, and the machine with it."""
        ...

    async def restart_bot(self) -> None:
        """Stop it in order and start it again, unless it is killed meanwhile, or being restarted."""
        ...

    def start_rival(self) -> None:
        """Start another one beside it, on another machine."""
        ...


class FaultDriver:
    """See the module's docstring.

    Args:
        board: which faults there are.
        irc: the chat of the fake Twitch they strike.
        patient: the bot's process; None: it is not ours, and faults of the process stay on the board.
        chunk: splits and merges packets of chat from now on, or stops that for None; None: this network cannot.
        eventsub, web: the other faces of the fake Twitch, where there are any.
        clock: the wall clock of the bot's machine; None: it is not ours, and faults of the clock stay on the board.
        start_s: the second of the loop's clock from which the board counts.
    """

    def __init__(
        self,
        board: FaultBoard,
        irc: IrcServer,
        patient: Patient | None,
        chunk: Callable[[Chunking | None], object] | None,
        *,
        eventsub: EventsUnderFault | None = None,
        web: WebUnderFault | None = None,
        clock: MachineClock | None = None,
        start_s: float = 0.0,
    ) -> None:
        self._board = board
        self._twitch = TwitchFaultHands(board, irc, eventsub=eventsub, web=web)
        self._patient = patient
        self._chunk = chunk
        self._clock = clock
        self._start_s = start_s
        self._changed = asyncio.Event()
        #: When the process that was killed last is to be started again, in the loop's seconds; infinity: none is.
        self._back_s = math.inf

    async def run(self) -> None:
        """Do what is due, whenever it is, until cancelled; an error that is alone comes out alone."""
        stop = self._board.subscribe(self._changed.set)
        try:
            async with asyncio.TaskGroup() as restarts:
                await self._keep_up(restarts)
        except BaseExceptionGroup as group:
            if len(group.exceptions) > 1:
                raise
            raise group.exceptions[0] from None
        finally:
            stop()

    async def _keep_up(self, restarts: asyncio.TaskGroup) -> None:
        while True:
            self._changed.clear()
            self._apply_due(restarts)
            change_s = self._board.next_change_s()
            due_s = self._back_s if change_s is None else min(self._start_s + change_s, self._back_s)
            try:
                async with asyncio.timeout_at(None if math.isinf(due_s) else due_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _apply_due(self, restarts: asyncio.TaskGroup) -> None:
        self._twitch.apply()
        self._apply_packets()
        if self._clock is not None:
            self._apply_to_clock(self._clock)
        if self._patient is not None:
            self._apply_to_process(self._patient, restarts)
            self._bring_back(self._patient)

    def _apply_to_process(self, patient: Patient, restarts: asyncio.TaskGroup) -> None:
        board = self._board
        for crash in board.take_due(Crash):
            if patient.bot_runs:
                patient.crash_bot()
                self._stay_down(crash.down_s)
        for cut in board.take_due(PowerCut):
            if patient.bot_runs:
                patient.cut_power()
                self._stay_down(cut.down_s)
        if board.take_due(Restart) and patient.bot_runs:
            restarts.create_task(patient.restart_bot(), name="restart")
        if board.take_due(SecondInstance):
            patient.start_rival()

    def _stay_down(self, down_s: float) -> None:
        self._back_s = asyncio.get_running_loop().time() + down_s

    def _bring_back(self, patient: Patient) -> None:
        if asyncio.get_running_loop().time() < self._back_s:
            return
        self._back_s = math.inf
        if (
            not patient.bot_runs
        ):  # the end of a night may have started it, and of two processes the other one runs
            patient.start_bot()

    def _apply_to_clock(self, clock: MachineClock) -> None:
        for jump in self._board.take_due(ClockJump):
            clock.jump(jump.jump_s)
        skews = (fault.rate for fault in self._board.clock_now() if isinstance(fault, ClockSkew))
        clock.run_at(math.prod(skews))

    def _apply_packets(self) -> None:
        packets = [fault for fault in self._board.twitch_now() if isinstance(fault, TwitchPackets)]
        if self._chunk is None:
            check_simulated(packets, "tcp")
            return
        self._chunk(Chunking(packets[0].split_probability, packets[0].merge_probability) if packets else None)
