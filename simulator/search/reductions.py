"""How a night is made smaller: reductions, each a function that gets a failing night and gives a smaller one that fails too.

How it works. A reduction proposes nights that are simpler in one way and asks ``fails`` about each; what fails is what the next proposal starts
from. :func:`fewest` is delta debugging over a list (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002), its tests
of complements only: a night without some of its lines is a smaller night, one with only some of them is rarely a failing one. It takes from the
end first, since what came late seldom caused what was seen. :data:`REDUCTIONS` are in the order of what they save: a night that is shorter, in
fewer channels, in the simplest order and without a slow disk makes every later proposal cheaper to play.

No reduction ever makes a night larger in what another one counts, so that going through all of them again and again comes to an end.

What it leaves out: other seeds, under which the same night might fail with less; and what lies in settings with a value of their own
(durability, say), which are only ever left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

from simulator.audience import Spoken, Utterance, utterances
from simulator.faults import Fault, FaultError, Flapping, HumanEdit
from simulator.rng import SeedTree
from simulator.scenario import DEFAULT_CHANNELS, DiskLatency, Scenario
from simulator.search.plan import SearchPlan

#: Says whether a night fails as the first one did; raises when there is no time for more.
Fails = Callable[[SearchPlan], bool]
Reduction = Callable[[SearchPlan, Fails], SearchPlan]
ItemT = TypeVar("ItemT")

#: Which part of its time a night is cut to, smallest first.
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
#: Pauses between two things that happen are closed to one of these, seconds, or halved.
PAUSES_S = (0.5, 2.0, 5.0)
#: How long a fault may last instead, seconds.
LASTING_S = (0.5, 1.0, 2.0, 5.0, 10.0)
#: Digits after the point of a time that people would have chosen.
DIGITS = (0, 1, 2, 3)
#: Lines up to which each is made simpler by itself.
SINGLE_LINES_MAX = 12
#: What is said instead, if it fails all the same.
PLAIN_TEXTS = ("!ping", "!count deaths +1")
#: A disk that takes its time, and always about the same.
PLAIN_DISK = DiskLatency(median_ms=20.0)
#: Who exists in every world, as a moderator of every channel.
PLAIN_LOGIN = "mod"


def spoken(plan: SearchPlan) -> SearchPlan:
    """The same night, its crowds written down line by line, so that single lines can be left out."""
    scenario = plan.scenario
    crowd = utterances(scenario.crowds, SeedTree(plan.seed).child("audience"), scenario.duration_s)
    return _saying(plan, tuple(crowd))


def lines_of(plan: SearchPlan) -> tuple[Utterance, ...]:
    """What is said in a night whose crowds are written down; nothing of other crowds."""
    return tuple(line for crowd in plan.scenario.crowds if isinstance(crowd, Spoken) for line in crowd.lines)


def fewest(items: Sequence[ItemT], fails: Callable[[tuple[ItemT, ...]], bool]) -> tuple[ItemT, ...]:
    """As few of the items as still fail, none of which can be left out alone; ``fails`` is asked about each choice."""
    kept = tuple(items)
    if not kept or fails(()):
        return ()
    size = max(1, len(kept) // 2)
    while True:
        end = len(kept)
        while end > 0:
            rest = (*kept[: max(0, end - size)], *kept[end:])
            # Everything at once was asked about first.
            if rest and fails(rest):
                kept = rest
            end -= size
        if size == 1:
            return kept
        size = max(1, size // 2)


# --- the order
# -------------------------------------------------------------------------------------------------


def plainer(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """Tasks first-in-first-out, a disk that takes no time, settings as shipped, everything as a scenario has it by default."""
    plan = _first(plan, fails, [replace(plan, ready_order="fifo")])
    # All at once first: most failures need none of it.
    plain = {
        "settings": {},
        "disk_latency": None,
        "latency_ms": _default("latency_ms"),
        "moderated": True,
        "verified": True,
        "disk": "kept",
        "script": None,
        "renewable_token": False,
    }
    plan = _first(plan, fails, [_with(plan, **plain)])
    for name, value in plain.items():
        plan = _first(plan, fails, [_with(plan, **{name: value})])
    for name in list(plan.scenario.settings):
        rest = {other: value for other, value in plan.scenario.settings.items() if other != name}
        plan = _first(plan, fails, [_with(plan, settings=rest)])
    disks = _simpler_disks(plan.scenario.disk_latency)
    plan = _first(plan, fails, [_with(plan, disk_latency=disk) for disk in disks])
    return _first(plan, fails, [_with(plan, listed=None, fixed=())])


def shorter(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """The night ends earlier; what came after its new end is left out."""
    while True:
        duration_s = plan.scenario.duration_s
        digits = 0 if duration_s >= 4 else 1
        ends_s = [math.ceil(share * duration_s * 10**digits) / 10**digits for share in SHARES]
        found = _first(plan, fails, [_until(plan, end_s) for end_s in ends_s if 0 < end_s < duration_s])
        if found is plan:
            rounded_s = [float(math.floor(duration_s)), math.floor(duration_s * 10) / 10]
            return _first(plan, fails, [_until(plan, end_s) for end_s in rounded_s if 0 < end_s < duration_s])
        plan = found


def fewer_channels(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """Fewer channels, and nobody who speaks in the others."""
    if len(plan.scenario.channels) > 1:
        kept = fewest(plan.scenario.channels, lambda names: bool(names) and fails(_in(plan, names)))
        plan = _in(plan, kept) if kept != plan.scenario.channels else plan
    return plan


def fewer_faults(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """Fewer faults."""
    kept = fewest(plan.scenario.faults, lambda faults: fails(_with(plan, faults=faults)))
    return plan if kept == plan.scenario.faults else _with(plan, faults=kept)


def fewer_lines(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """Fewer lines of chat; fewer crowds, if they could not be written down."""
    crowds = fewest(plan.scenario.crowds, lambda crowds: fails(_with(plan, crowds=crowds)))
    plan = plan if crowds == plan.scenario.crowds else _with(plan, crowds=crowds)
    lines = lines_of(plan)
    if not lines or len(crowds) > 1:
        return plan
    kept = fewest(lines, lambda lines: bool(lines) and fails(_saying(plan, lines)))
    return plan if kept == lines else _saying(plan, kept)


def simpler_faults(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """Each fault shorter, certain, with the values it has by default and at round moments; one that comes and goes stays."""
    for number in range(len(plan.scenario.faults)):
        # Each proposal starts from what the one before has come to.
        for propose in (_lasting, _inner, _default_values, _rounded_fault):
            fault = plan.scenario.faults[number]
            plan = _first(plan, fails, [_exchange(plan, number, other) for other in propose(fault, plan)])
    return plan


def closer(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """Long pauses between two things that happen are closed, the longest first."""
    tried: set[float] = set()
    while True:
        moments = sorted({0.0, *_moments(plan)})
        pauses = sorted(
            ((later - earlier, later) for earlier, later in pairwise(moments)),
            key=lambda pause: (-pause[0], pause[1]),
        )
        pause = next(
            (pause for pause in pauses if pause[0] > PAUSES_S[0] + 1e-6 and pause[1] not in tried), None
        )
        if pause is None:
            return plan
        length_s, later_s = pause
        shorter_s = [other for other in (*PAUSES_S, length_s / 2) if other < length_s * 0.9]
        found = _first(
            plan, fails, [_moved(plan, later_s, _us(length_s - other)) for other in sorted(shorter_s)]
        )
        if found is plan:
            tried.add(later_s)
        plan = found


def simpler_lines(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """Lines at round moments, by one moderator, each saying something plain."""
    lines = lines_of(plan)
    if not lines or len(plan.scenario.crowds) > 1:
        return plan
    for digits in DIGITS:
        plan = _first(
            plan, fails, [_saying(plan, _sorted(_rounded_line(line, digits) for line in lines_of(plan)))]
        )
    everybody = [replace(line, login=PLAIN_LOGIN, role="moderator") for line in lines_of(plan)]
    plan = _first(plan, fails, [_saying(plan, tuple(everybody))])
    for number in range(len(lines)) if len(lines) <= SINGLE_LINES_MAX else ():
        for propose in (_plain_person, _plain_text, _rounded_times):
            line = lines_of(plan)[number]
            others = [_instead(lines_of(plan), number, other) for other in propose(line)]
            plan = _first(plan, fails, [_saying(plan, other) for other in others if other == _sorted(other)])
    return plan


def plain_channel(plan: SearchPlan, fails: Fails) -> SearchPlan:
    """The one channel that is left is called as a scenario calls it that names none."""
    channels, crowds = plan.scenario.channels, plan.scenario.crowds
    if len(channels) > 1 or not all(isinstance(crowd, Spoken) for crowd in crowds):
        return plan
    return _first(plan, fails, [_renamed(plan, channels[0], DEFAULT_CHANNELS[0])])


REDUCTIONS: tuple[Reduction, ...] = (
    shorter,
    fewer_channels,
    plainer,
    fewer_faults,
    fewer_lines,
    shorter,
    closer,
    simpler_faults,
    simpler_lines,
    plain_channel,
)


# --- proposals for one fault, one line
# -------------------------------------------------------------------------


def _simpler_disks(disk: DiskLatency | None) -> Iterator[DiskLatency]:
    if disk is not None and disk != (round_one := DiskLatency(float(math.ceil(disk.median_ms)))):
        yield PLAIN_DISK
        yield round_one
        yield replace(disk, stall_probability=0.0, stall_ms=0.0)


def _lasting(fault: Fault, plan: SearchPlan) -> Iterator[Fault]:
    if fault.instant:
        return
    if math.isfinite(fault.duration_s) and fault.start_s + fault.duration_s >= plan.scenario.duration_s:
        # The heal ends it anyway.
        yield from _changed(fault, duration_s=math.inf)
    lasts_s = min(fault.duration_s, plan.scenario.duration_s - fault.start_s)
    for duration_s in LASTING_S:
        if duration_s < lasts_s:
            yield from _changed(fault, duration_s=duration_s)


def _inner(fault: Fault, _plan: SearchPlan) -> Iterator[Fault]:
    if isinstance(fault, Flapping):
        yield replace(
            fault.inner, start_s=fault.start_s, duration_s=fault.duration_s, probability=fault.probability
        )


def _default_values(fault: Fault, _plan: SearchPlan) -> Iterator[Fault]:
    own = {
        item.name: item.default
        for item in dataclasses.fields(fault)
        if item.name not in ("start_s", "duration_s")
        and item.default is not dataclasses.MISSING
        and getattr(fault, item.name) != item.default
    }
    yield from _changed(fault, **own)
    for name, value in own.items():
        yield from _changed(fault, **{name: value})


def _rounded_fault(fault: Fault, _plan: SearchPlan) -> Iterator[Fault]:
    for digits in DIGITS:
        if digits < _digits(fault.start_s):
            yield from _changed(fault, start_s=_floored(fault.start_s, digits))
    for item in dataclasses.fields(fault):
        value = getattr(fault, item.name)
        if (
            item.type != "float"
            or item.name == "start_s"
            or value == item.default
            or not math.isfinite(value)
        ):
            continue
        for digits in range(_digits(value)):
            if round(value, digits) > 0:
                yield from _changed(fault, **{item.name: round(value, digits)})


def _changed(fault: Fault, **values: Any) -> Iterator[Fault]:
    """The fault with other values, if there can be such a one, and it is another."""
    try:
        other = replace(fault, **values)
    except FaultError:
        return
    if other != fault:
        yield other


def _plain_person(line: Utterance) -> Iterator[Utterance]:
    yield replace(line, login=PLAIN_LOGIN, role="moderator")


def _plain_text(line: Utterance) -> Iterator[Utterance]:
    if line.text not in PLAIN_TEXTS:
        yield from (replace(line, text=text) for text in PLAIN_TEXTS)


def _rounded_times(line: Utterance) -> Iterator[Utterance]:
    yield from (_rounded_line(line, digits) for digits in DIGITS if digits < _digits(line.at_s))


def _rounded_line(line: Utterance, digits: int) -> Utterance:
    return replace(line, at_s=_floored(line.at_s, digits))


def _digits(value: float) -> int:
    """How many digits after the point a number has, of the six that a time can have."""
    return next((digits for digits in range(6) if round(value, digits) == value), 6)


def _floored(value: float, digits: int) -> float:
    """Rounded down: moments only ever become earlier, here as elsewhere, so that no two reductions undo one another."""
    return float(math.floor(value * 10**digits + 1e-6) / 10**digits)


# --- nights made of nights
# -------------------------------------------------------------------------------------


def _first(plan: SearchPlan, fails: Fails, others: Sequence[SearchPlan]) -> SearchPlan:
    """The first of the others that is another night and fails, or the night itself."""
    return next((other for other in others if other != plan and fails(other)), plan)


def _with(plan: SearchPlan, **values: Any) -> SearchPlan:
    return replace(plan, scenario=replace(plan.scenario, **values))


def _default(name: str) -> Any:
    return next(item.default for item in dataclasses.fields(Scenario) if item.name == name)


def _saying(plan: SearchPlan, lines: tuple[Utterance, ...]) -> SearchPlan:
    return _with(plan, crowds=(Spoken(lines),) if lines else ())


def _exchange(plan: SearchPlan, number: int, fault: Fault) -> SearchPlan:
    return _with(plan, faults=_instead(plan.scenario.faults, number, fault))


def _instead(items: Sequence[ItemT], number: int, item: ItemT) -> tuple[ItemT, ...]:
    return (*items[:number], item, *items[number + 1 :])


def _until(plan: SearchPlan, end_s: float) -> SearchPlan:
    faults = tuple(fault for fault in plan.scenario.faults if fault.start_s < end_s)
    plan = _with(plan, duration_s=end_s, faults=faults)
    if not lines_of(plan):
        return plan
    return _saying(plan, tuple(line for line in lines_of(plan) if line.at_s < end_s))


def _in(plan: SearchPlan, names: Sequence[str]) -> SearchPlan:
    scenario = plan.scenario
    crowds = tuple(crowd for crowd in scenario.crowds if isinstance(crowd, Spoken) or crowd.channel in names)
    plan = _with(
        plan,
        channels=tuple(names),
        listed=None if scenario.listed is None else tuple(name for name in scenario.listed if name in names),
        fixed=tuple(name for name in scenario.fixed if name in names),
        crowds=crowds,
    )
    if not any(isinstance(crowd, Spoken) for crowd in crowds):
        return plan
    return _saying(plan, tuple(line for line in lines_of(plan) if line.channel in names))


def _renamed(plan: SearchPlan, old: str, new: str) -> SearchPlan:
    """The night with one channel called otherwise, also where a fault names it."""
    scenario = plan.scenario

    def call(name: Any) -> Any:
        return new if name == old else name

    def fault_about(fault: Fault) -> Fault:
        if not isinstance(fault, HumanEdit):
            return fault
        return replace(fault, where={column: call(value) for column, value in fault.where.items()})

    lines = [replace(line, channel=call(line.channel), login=call(line.login)) for line in lines_of(plan)]
    return _saying(
        _with(
            plan,
            channels=tuple(map(call, scenario.channels)),
            listed=None if scenario.listed is None else tuple(map(call, scenario.listed)),
            fixed=tuple(map(call, scenario.fixed)),
            faults=tuple(map(fault_about, scenario.faults)),
        ),
        tuple(lines),
    )


def _moments(plan: SearchPlan) -> list[float]:
    scenario = plan.scenario
    ends_s = [fault.start_s + fault.duration_s for fault in scenario.faults if not fault.instant]
    return [
        *(line.at_s for line in lines_of(plan)),
        *(fault.start_s for fault in scenario.faults),
        *(end_s for end_s in ends_s if end_s < scenario.duration_s),
        scenario.duration_s,
    ]


def _moved(plan: SearchPlan, from_s: float, by_s: float) -> SearchPlan:
    """The night in which everything from a moment on happens earlier."""
    scenario = plan.scenario

    def moved_s(at_s: float) -> float:
        return _us(at_s - by_s) if at_s >= from_s else at_s

    def moved(fault: Fault) -> Fault:
        start_s, end_s = fault.start_s, fault.start_s + fault.duration_s
        if fault.instant or math.isinf(end_s):
            return replace(fault, start_s=moved_s(start_s))
        # Never of no length, which some faults cannot have.
        duration_s = max(_us(moved_s(end_s) - moved_s(start_s)), min(fault.duration_s, 0.001))
        return replace(fault, start_s=moved_s(start_s), duration_s=duration_s)

    plan = _with(plan, faults=tuple(map(moved, scenario.faults)), duration_s=moved_s(scenario.duration_s))
    lines = lines_of(plan)
    return _saying(plan, tuple(replace(line, at_s=moved_s(line.at_s)) for line in lines)) if lines else plan


def _sorted(lines: Any) -> tuple[Utterance, ...]:
    return tuple(sorted(lines, key=lambda line: line.at_s))


def _us(at_s: float) -> float:
    return round(at_s, 6)
