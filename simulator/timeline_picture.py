"""What the timeline page draws, as plain values in seconds: messages, latencies, faults, processes, states, broken promises.

How it works. :func:`picture_of` reads the events of a recorded night, to which every instant belongs, and what a
:class:`~simulator.timeline_samples.Watcher` has seen. A command is a line that begins with ``!``; its latency is that of the first reply to it, as
in the report. A fault's band ends with the heal; where it comes and goes (flapping), it has the phases in which it acts.
The samples know of a death only later, so the events decide: from the instant of a crash until the next process nothing
is known.

What it leaves out: lines beyond :data:`MESSAGES_MAX` (counted), and whatever drawing is: that is `timeline_page.py`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from simulator.conversation import spoken
from simulator.faults import KINDS, Fault, Flapping
from simulator.replay import Event, Recording, decoded
from simulator.timeline_samples import Sample, Watched, nobody

#: Lines of chat on a page; the page of so many has some 4 MB, and opens in a second or two.
MESSAGES_MAX = 20_000
#: Phases of one fault that comes and goes; an hour of the fastest that anybody has asked for.
PHASES_MAX = 2_000
_US_PER_S = 1_000_000
#: What is recorded of the bot's processes.
_PROCESS_KINDS = frozenset({"bot_started", "bot_crashed", "power_cut", "rival_started", "rivalry_over"})

Who: TypeAlias = Literal["viewer", "command", "bot"]


@dataclass(frozen=True)
class Message:
    """A line of chat; of a command, the latency of its reply in ms (None: nobody replied to it)."""

    at_s: float
    channel: str
    login: str
    text: str
    who: Who
    latency_ms: float | None = None


@dataclass(frozen=True)
class Band:
    """A fault from beginning to end, or at one instant; ``phases`` are those in which it acts."""

    family: str
    kind: str
    words: str
    start_s: float
    end_s: float
    instant: bool = False
    phases: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Life:
    """One process of the bot; ``end`` says how it ended, "" if it ran until the end of the night.

    Of two that run at the same time each has a ``row`` of its own.
    """

    incarnation: int
    start_s: float
    end_s: float
    end: Literal["", "killed", "power lost", "ended"] = ""
    row: int = 0


@dataclass(frozen=True)
class Span:
    """A state that lasted."""

    value: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Broken:
    """A promise that was broken, and when that was seen; or the error that ended the night (``invariant`` is its type)."""

    at_s: float
    invariant: str
    words: str


@dataclass(frozen=True)
class Picture:
    """See the module's docstring."""

    end_s: float
    channels: tuple[str, ...]
    messages: tuple[Message, ...]
    messages_left_out: int
    bands: tuple[Band, ...]
    heals_s: tuple[float, ...]
    lives: tuple[Life, ...]
    states: tuple[Sample, ...]
    circuits: tuple[Span, ...]
    degraded: tuple[Span, ...]
    connected: tuple[Span, ...]
    violations: tuple[Broken, ...]


@dataclass
class _Events:
    """What matters of a trace, sorted by what it is."""

    end_s: float = 0.0
    chat: list[Event] = field(default_factory=list)
    #: What the processes are known by, each with its time: starts, deaths, rivals.
    process: list[Event] = field(default_factory=list)
    deaths: list[tuple[float, Literal["killed", "power lost"]]] = field(default_factory=list)
    by_hand: list[tuple[float, str, str]] = field(default_factory=list)
    heals_s: list[float] = field(default_factory=list)
    violations: list[Broken] = field(default_factory=list)


def picture_of(recording: Recording, watched: Watched, *, messages_max: int = MESSAGES_MAX) -> Picture:
    """Put a night together from its events and its samples."""
    events = _read(recording.lines)
    broken = list(events.violations)
    if recording.ended is not None:
        failure = recording.ended.failure
        # Where it came from is in the report; its type stands beside the words already.
        words = failure.words.partition("\n")[0].removeprefix(f"{failure.invariant}: ")
        broken.append(Broken(recording.ended.at_s, failure.invariant, words))
    states = _with_deaths(watched.samples, [at_s for at_s, _ in events.deaths])
    said = events.chat[:messages_max]
    return Picture(
        end_s=events.end_s,
        channels=watched.scenario.channels,
        messages=tuple(_messages(said, watched.bot_login)),
        messages_left_out=len(events.chat) - len(said),
        bands=(*_planned(watched.scenario.faults, events), *_set_by_hand(events)),
        heals_s=tuple(events.heals_s),
        lives=tuple(_lives(events, watched.samples)),
        states=states,
        circuits=_spans(states, lambda sample: sample.circuit, events.end_s),
        degraded=_spans(states, lambda sample: "degraded" if sample.degraded else "", events.end_s),
        connected=_spans(states, lambda sample: "connected" if sample.connected else "", events.end_s),
        violations=tuple(sorted(broken, key=lambda one: one.at_s)),
    )


def _read(lines: Sequence[str]) -> _Events:
    found = _Events()
    for event in map(decoded, lines):
        at_us, kind, fields = event
        at_s = at_us / _US_PER_S
        found.end_s = max(found.end_s, at_s)
        if kind in _PROCESS_KINDS:
            found.process.append(event)
        match kind:
            case "chat":
                found.chat.append(event)
            case "bot_crashed":
                found.deaths.append((at_s, "killed"))
            case "power_cut":
                found.deaths.append((at_s, "power lost"))
            case "fault":
                found.by_hand.append((at_s, fields["name"], fields["fault"]))
            case "heal":
                found.heals_s.append(at_s)
            case "violation":
                found.violations.append(Broken(at_s, fields["invariant"], fields["words"]))
    return found


# --- chat
# -------------------------------------------------------------------------------------------------------


def _messages(chat: Sequence[Event], bot_login: str) -> Iterator[Message]:
    replied_us: dict[str, int] = {}
    for at_us, _, fields in chat:
        if fields["login"] == bot_login and fields["reply_to"]:
            replied_us.setdefault(fields["reply_to"], at_us)
    for at_us, _, fields in chat:
        who: Who = "viewer"
        latency_ms = None
        if fields["login"] == bot_login:
            who = "bot"
        elif fields["text"].startswith("!"):
            who = "command"
            if fields["id"] in replied_us:
                latency_ms = (replied_us[fields["id"]] - at_us) / 1000
        yield Message(
            at_us / _US_PER_S, fields["channel"], fields["login"], spoken(fields["text"]), who, latency_ms
        )


# --- faults
# -----------------------------------------------------------------------------------------------------


def planned_bands(lines: Sequence[str], faults: Sequence[Fault]) -> tuple[Band, ...]:
    """Those of the plan that acted in the night with this trace: a heal ends them all, what is still to come included."""
    events = _read(lines)
    last_s = min([events.end_s, *events.heals_s])
    return tuple(band for band in _planned(faults, events) if band.start_s <= last_s)


def _planned(faults: Sequence[Fault], events: _Events) -> Iterator[Band]:
    """The faults of the plan, each until the next heal at the latest."""
    for fault in faults:
        end_s = min(fault.start_s + fault.duration_s, _healed_s(fault.start_s, events))
        if fault.instant:
            yield Band(fault.family, fault.kind, words_of(fault), fault.start_s, fault.start_s, instant=True)
        else:
            phases = tuple(_phases(fault, end_s))
            yield Band(fault.family, fault.kind, words_of(fault), fault.start_s, end_s, phases=phases)


def _set_by_hand(events: _Events) -> Iterator[Band]:
    """Those that a story set, each until the next heal at the latest."""
    for number, (at_s, name, kind) in enumerate(events.by_hand):
        # A fault of the same name takes the place of the one before.
        replaced_s = (other_s for other_s, other, _ in events.by_hand[number + 1 :] if other == name)
        end_s = min(_healed_s(at_s, events), *replaced_s, events.end_s)
        yield Band(KINDS[kind].family, kind, f"{kind}, set by hand", at_s, end_s, phases=((at_s, end_s),))


def _healed_s(after_s: float, events: _Events) -> float:
    return next((heal_s for heal_s in events.heals_s if heal_s >= after_s), events.end_s)


def _phases(fault: Fault, end_s: float) -> Iterator[tuple[float, float]]:
    if not isinstance(fault, Flapping):
        yield fault.start_s, end_s
        return
    for number in range(PHASES_MAX):
        start_s = fault.start_s + number * (fault.down_s + fault.up_s)
        if start_s >= end_s:
            return
        yield start_s, min(start_s + fault.down_s, end_s)


def words_of(fault: Fault) -> str:
    """A fault as people read it: its kind, and what is not as it is by default, without its times."""
    said = []
    for item in dataclasses.fields(fault):
        value = getattr(fault, item.name)
        if item.name in ("start_s", "duration_s") or value in (_default_of(item), {}):
            continue
        said.append(f"of {words_of(value)}" if isinstance(value, Fault) else f"{item.name}={_short(value)}")
    return " ".join([fault.kind, *said])


def _default_of(item: dataclasses.Field[object]) -> object:
    # A factory's value is never left out: what flaps is the point of a fault that flaps.
    return item.default


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)


# --- the process, and what was sampled of it
# ---------------------------------------------------------------------


def _with_deaths(samples: Sequence[Sample], deaths_s: Sequence[float]) -> tuple[Sample, ...]:
    """The samples, and at the instant of every death one of nobody."""
    # At one instant what was seen comes before the death: nobody looks between a death and the next start.
    return tuple(sorted([*samples, *map(nobody, deaths_s)], key=lambda sample: sample.at_s))


def _lives(events: _Events, samples: Sequence[Sample]) -> list[Life]:
    """The processes in the order of their starts, from what was recorded of them; an end in order is known from the samples.

    What is killed is the bot, which of two is the one that ran first; when one of two ends, the other is the bot from then on.
    """
    lives: list[Life] = []
    bot = rival = -1  # where they stand among the lives; -1: there is none

    def end(which: int, at_s: float, how: Literal["killed", "power lost", "ended"]) -> None:
        if which >= 0 and not lives[which].end:
            lives[which] = dataclasses.replace(lives[which], end_s=at_s, end=how)

    for at_us, kind, fields in events.process:
        at_s = at_us / _US_PER_S
        match kind:
            case "bot_started":
                if bot >= 0:
                    end(bot, min(at_s, _gone_s(lives[bot].start_s, samples)), "ended")
                bot = len(lives)
                lives.append(Life(fields["incarnation"], at_s, events.end_s))
            case "rival_started":
                rival = len(lives)
                row = 1 - lives[bot].row if bot >= 0 else 0
                lives.append(Life(fields["incarnation"], at_s, events.end_s, row=row))
            case "bot_crashed":
                end(bot, at_s, "killed")
            case "power_cut":
                end(bot, at_s, "power lost")
            case "rivalry_over":
                ended = rival if rival >= 0 and lives[rival].incarnation == fields["ended"] else bot
                end(ended, at_s, "ended")
                bot, rival = rival if ended == bot else bot, -1
    if bot >= 0:
        gone_s = _gone_s(lives[bot].start_s, samples)
        if gone_s < events.end_s:
            end(bot, gone_s, "ended")
    return lives


def _gone_s(start_s: float, samples: Sequence[Sample]) -> float:
    """When the bot that was started then was first seen not to run."""
    # At the instant of a start its process has not had its first turn yet.
    gone = (sample.at_s for sample in samples if sample.at_s > start_s and not sample.incarnation)
    return next(gone, math.inf)


def _spans(states: Sequence[Sample], value_of: Callable[[Sample], str], end_s: float) -> tuple[Span, ...]:
    """How long each value lasted; "" is no value. What lasted no time is left out."""
    spans: list[Span] = []
    for number, sample in enumerate(states):
        until_s = states[number + 1].at_s if number + 1 < len(states) else end_s
        value = value_of(sample)
        if not value or until_s <= sample.at_s:
            continue
        if spans and spans[-1].value == value and spans[-1].end_s == sample.at_s:
            spans[-1] = dataclasses.replace(spans[-1], end_s=until_s)
        else:
            spans.append(Span(value, sample.at_s, until_s))
    return tuple(spans)
