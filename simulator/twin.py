"""Twin worlds: one night with faults of the database, the same night with a perfect one; the bot must not tell them apart (P1).

How it works. :func:`run_twins` plays both scenarios of a :class:`~simulator.twin_plan.Plan` with one seed: everything random comes
from named streams, so the two worlds differ in nothing but what the database does. Compared is what the bot said: text, channel,
order, and the virtual microsecond at which Twitch had it. :class:`Outcome` is a plain value, which travels between processes;
its text shows the first line that differs, one world above the other, with every fault of the plan and whether it acted then.

A night ends as every night of a world does: all is healed, the bot must catch up, the invariants judge. So a twin that says the
right things and loses a row fails too. The promise holds for channels in RAM before the first fault; whether they are is
looked at (:func:`ready`), and a plan where they are not was not tried.

A world that ends by an error that nobody expected (a defect of the bot, or of the simulator) costs its own pair only, and so
does a plan that cannot be drawn: the outcome has the error and where it came from. What happened in the night under faults is told with it (`witness.py`).

What it leaves out: what the bot thinks, and where a difference comes from (the events around it: the faulty night's trace).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

from byte_bot.app import Application
from simulator.calls import in_words, with_calls
from simulator.errors import SimulatorError
from simulator.faults import Fault, FaultBoard, TwitchPackets
from simulator.night_draws import described
from simulator.report import Line, Report, Violation
from simulator.scenario import Scenario, Script
from simulator.simulated_bot import ApplicationFactory
from simulator.sometimes import TWINS, Sometimes
from simulator.twin_plan import READY_S, Plan, draw_plan, over_eventsub
from simulator.twin_text import FAULTY, PERFECT, US_PER_S, WIDE, side_by_side
from simulator.witness import Witness
from simulator.world import Transport, World, simulate

#: Lines shown before and after a difference.
CONTEXT_LINES: Final = 3
#: Over EventSub one account can hear so many channels: three sockets with room for 300 subscriptions, six a channel.
EVENTSUB_CHANNELS_MAX: Final = 150
#: Where an error came from that is none of a world's.
DRAWING: Final = "the plan"


class NotReadyError(SimulatorError):
    """A channel was not in RAM when the first fault could begin: nothing is promised about such a night."""


@dataclass(frozen=True)
class Difference:
    """The first line in which two transcripts differ (None: that world said nothing more), and those just before it."""

    number: int
    faulty: Line | None
    perfect: Line | None
    before: tuple[Line, ...]
    #: What each world said next, the one with faults first.
    after: tuple[tuple[Line | None, Line | None], ...] = ()

    @property
    def from_us(self) -> int:
        """The instant of the earlier of the two, in virtual microseconds: until then the worlds were one."""
        return min(line.at_us for line in (self.faulty, self.perfect) if line is not None)

    @property
    def to_us(self) -> int:
        """The instant of the later of the two, in virtual microseconds."""
        return max(line.at_us for line in (self.faulty, self.perfect) if line is not None)


@dataclass(frozen=True)
class Undrawn:
    """In place of the plan of a seed from which none could be drawn."""

    seed: int
    faults: tuple[Fault, ...] = ()

    def summary(self) -> str:
        """One line for people."""
        return "no plan"


@dataclass(frozen=True)
class Outcome:
    """What came out of one seed; `broken` says which promise was not kept, or that a world failed, and in which world."""

    plan: Plan | Undrawn
    lines: int = 0
    difference: Difference | None = None
    broken: tuple[str, ...] = ()
    #: Why nothing could be compared, "" if it could.
    not_tried: str = ""
    #: The unexpected error that ended a world, and the calls that led to it; "" if none did.
    crashed: str = ""
    #: What happened in the night with faults.
    seen: tuple[Sometimes, ...] = ()
    #: Of the bot in both worlds.
    transport: Transport = "irc"

    @property
    def ok(self) -> bool:
        """True if the bot said the same things at the same instants and every promise was kept."""
        return not (self.difference or self.broken or self.not_tried or self.crashed)

    @property
    def replay(self) -> str:
        """The command that plays this pair again."""
        over = f" --transport {self.transport}" if self.transport != "irc" else ""
        return f"byte-sim twin --seed {self.plan.seed}{over}"

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain data; times in virtual microseconds."""
        return {
            "seed": self.plan.seed,
            "ok": self.ok,
            "lines": self.lines,
            "plan": self.plan.summary(),
            "difference": _difference_json(self.plan, self.difference) if self.difference else None,
            "broken": list(self.broken),
            "not_tried": self.not_tried or None,
            "crashed": self.crashed or None,
            "seen": list(self.seen),
            "replay": self.replay,
        }

    def to_text(self, width: int = WIDE) -> str:
        """The outcome as lines for a terminal of `width` characters."""
        state = (
            "same"
            if self.ok
            else "NOT TRIED"
            if self.not_tried
            else "CRASHED"
            if self.crashed
            else "DIFFERENT"
            if self.difference
            else "BROKEN"
        )
        shown = [f"seed {self.plan.seed}  {state}  {self.lines} lines, {self.plan.summary()}"]
        if self.not_tried:
            shown.append(f"  not tried  {self.not_tried}")
        if self.difference is not None:
            shown += explained(self.plan, self.difference, width)
        shown += [f"  BROKEN     {words}" for words in self.broken]
        if self.crashed:
            first, *calls = self.crashed.splitlines()
            shown += [f"  CRASHED    {first}", *(f"             {call}" for call in calls)]
        if not self.ok:
            shown.append(f"  again      {self.replay}")
        return "\n".join(shown)


def run_twins(
    plan: Plan, application: ApplicationFactory = Application, *, transport: Transport = "irc"
) -> Outcome:
    """Play both worlds of a plan and compare them.

    Args:
        application: builds the bot; a test that switches a safeguard off passes its own.
        transport: of the bot in both worlds; over real sockets the kernel cuts packets as it likes, so that fault is left out.
    """
    return replace(_run_twins(plan, application, transport), transport=transport)


def _run_twins(plan: Plan, application: ApplicationFactory, transport: Transport) -> Outcome:
    if transport == "eventsub" and len(plan.scenario.channels) > EVENTSUB_CHANNELS_MAX:
        words = (
            f"EventSub carries {EVENTSUB_CHANNELS_MAX} channels, the plan has {len(plan.scenario.channels)}"
        )
        return Outcome(plan, not_tried=words)
    try:
        perfect = _night(plan.scenario, plan, application, ready, transport)
    except NotReadyError as error:
        return Outcome(plan, not_tried=str(error))
    except (SimulatorError, AssertionError) as error:
        return Outcome(plan, broken=(f"{PERFECT}: {in_words(error)}",))
    except (Exception, BaseExceptionGroup) as error:
        # Supervisor: a defect of any kind ends one world, not a search of thousands.
        return Outcome(plan, crashed=f"{PERFECT}: {with_calls(error)}")
    witness = Witness()

    async def watched(world: World) -> None:
        await ready(world)
        witness.watch(world)

    lines = len(perfect.transcript)
    try:
        faulty = _night(plan.faulty, plan, witness.beside(application), watched, transport)
    except (SimulatorError, AssertionError) as error:
        return Outcome(plan, lines, broken=(f"{FAULTY}: {in_words(error)}",))
    except (Exception, BaseExceptionGroup) as error:
        # Supervisor, as above.
        return Outcome(plan, lines, crashed=f"{FAULTY}: {with_calls(error)}")
    return Outcome(
        plan,
        lines,
        first_difference(_comparable(faulty, transport), _comparable(perfect, transport)),
        (*_broken(FAULTY, faulty.violations), *_broken(PERFECT, perfect.violations)),
        seen=tuple(seen for seen in witness.testimony() if seen in TWINS),
    )


def run_seed(seed: int, transport: Transport = "irc", draw: Callable[[int], Plan] = draw_plan) -> Outcome:
    """Draw a seed's plan and run it: what a process of its own is asked for.

    Over EventSub the plan has faults that only EventSub can have (`over_eventsub`).
    """
    try:
        plan = draw(seed) if transport == "irc" else over_eventsub(draw(seed))
    except Exception as error:
        # Supervisor: a seed of which no plan can be drawn is a bad one, and a search goes on with the next.
        return Outcome(Undrawn(seed), crashed=f"{DRAWING}: {with_calls(error)}", transport=transport)
    return run_twins(plan, transport=transport)


def _comparable(report: Report, transport: Transport) -> tuple[Line, ...]:
    """The transcript in the order that is promised.

    Over EventSub every line is a request of its own: of those that leave for *several* channels at one instant, the kernel
    decides which connection's bytes are seen first. The order within a channel, and every instant, is the bot's.
    """
    if transport == "irc":
        return report.transcript
    return tuple(sorted(report.transcript, key=lambda line: (line.at_us, line.channel)))


def first_difference(faulty: Sequence[Line], perfect: Sequence[Line]) -> Difference | None:
    """Where two transcripts part, or None if they are equal; lines are numbered from 1."""
    for index, (ours, theirs) in enumerate(zip_longest(faulty, perfect)):
        if ours != theirs:
            before = tuple(perfect[max(0, index - CONTEXT_LINES) : index])
            beyond = slice(index + 1, index + 1 + CONTEXT_LINES)
            after = tuple(zip_longest(faulty[beyond], perfect[beyond]))
            return Difference(index + 1, ours, theirs, before, after)
    return None


def explained(plan: Plan | Undrawn, difference: Difference, width: int = WIDE) -> list[str]:
    """A difference as lines for people: what both said before, what each said then, and what every fault did meanwhile."""
    number = difference.number
    first = number - len(difference.before)
    return side_by_side(
        [(first + at, line, line) for at, line in enumerate(difference.before)],
        (number, difference.faulty, difference.perfect),
        [(number + 1 + at, *lines) for at, lines in enumerate(difference.after)],
        faults_then(plan, difference),
        width,
    )


def faults_then(plan: Plan | Undrawn, difference: Difference) -> list[tuple[Fault, str]]:
    """Every fault of the plan and whether it acted between the two instants of a difference, those that did first."""
    from_s, to_s = difference.from_us / US_PER_S, difference.to_us / US_PER_S
    states = [(fault, _state(fault, from_s, to_s)) for fault in plan.faults]
    return sorted(states, key=lambda item: _STATES.index(item[1]))


_STATES: Final = ("ACTING", "pausing", "over", "to come")


def _state(fault: Fault, from_s: float, to_s: float) -> str:
    if fault.start_s > to_s:
        return "to come"
    if fault.start_s + fault.duration_s <= from_s:
        return "over"
    # Flapping comes and goes: looked at at both instants and at every change in between.
    now_s = max(from_s, fault.start_s)
    board = FaultBoard(lambda: now_s, random.Random(0), (replace(fault, probability=1.0),))
    while not board.database_now():
        next_s = board.next_change_s()
        if next_s is None or next_s > to_s:
            return "pausing"
        now_s = next_s
    return "ACTING"


async def ready(world: World) -> None:
    """Wait until people begin to speak; raises `NotReadyError` if a channel is not loaded by then."""
    await asyncio.sleep(READY_S - world.loop.time())
    assert world.app is not None, "the bot has ended before anybody spoke"
    manager = world.app.manager
    here = frozenset(manager.get_active_channels())
    missing = [
        login
        for login, channel_id in world.channels.items()
        if channel_id not in here or not manager.obtain(channel_id, login).is_loaded
    ]
    if missing:
        raise NotReadyError(
            f"{READY_S:g} s after the start these channels are not in RAM: {', '.join(missing)}"
        )


def _night(
    scenario: Scenario, plan: Plan, application: ApplicationFactory, script: Script, transport: Transport
) -> Report:
    faults = scenario.faults
    if transport != "irc":
        faults = tuple(fault for fault in faults if not isinstance(fault, TwitchPackets))
    return simulate(
        replace(scenario, script=script, faults=faults),
        plan.seed,
        transport=transport,
        ready_order=plan.ready_order,
        application=application,
    )


def _broken(world: str, violations: Iterable[Violation]) -> tuple[str, ...]:
    return tuple(f"{world}: {violation}" for violation in violations)


def _difference_json(plan: Plan | Undrawn, difference: Difference) -> dict[str, Any]:
    return {
        "line": difference.number,
        "faulty": _line_json(difference.faulty),
        "perfect": _line_json(difference.perfect),
        "faults": [
            {"fault": described(fault), "state": state.lower()}
            for fault, state in faults_then(plan, difference)
        ],
    }


def _line_json(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {"at_us": line.at_us, "channel": line.channel, "text": line.text, "reply_to": line.reply_to}
