"""What is staged in some nights of the search: faults in an order that chance alone brings too seldom, and people who meet them.

How it works. Most bugs need a few things close to one another, and what :mod:`simulator.search.fault_draws` draws gives them that. Some
need three or four in one order: a lost answer, then an outage, then a change of the same row, then the death of the process. Each
function here draws one such order from the generator that it is given; how long each thing lasts, which kind of trouble it is, and what
ends it are drawn, so that no two of these nights are the same, and what else the night has goes on beside it. How often a night has one
of them stands in `plan.py`; none of them knows a bug, only what the bot has to get right:

* :func:`draw_doubted`: a save is carried out without an answer; then nothing reaches the database for a while, and the row changes
  again; then the process ends, or a human has saved the row. Whoever forgets that the first save may be there counts it twice.
* :func:`draw_inherited`: a process dies in an outage; the next one, whose disk takes nothing any more, finds the database well, and dies
  too. What it saved of its heritage no disk knows, and the third finds the first one's journal.
* :func:`draw_halved`: the gateway takes no large save up to the heal, the bot saves seldom and people change every row of several
  channels to the end: large saves are refused and halved, and nothing comes after that would make good what a half has lost.
* :func:`draw_typo`, :func:`draw_cold_start`, :func:`draw_cut_short`, :func:`draw_flood`: what `plan.py` says of them.
* :func:`draw_loud` and :func:`draw_talk_at_the_look` are people only: more replies than a bot may say, and small talk while idle
  channels leave memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from simulator.audience import Chatter, CommandStorm, Crowd
from simulator.faults import (
    CommitThenDrop,
    Crash,
    CutBody,
    DiskFull,
    DiskReadOnly,
    Fault,
    Hang,
    HumanEdit,
    Latency,
    OverQuota,
    PowerCut,
    ReadOnly,
    Refused,
    Restart,
    SlowSync,
    Status503,
    TooLarge,
    Unauthorized,
)
from simulator.night_draws import CHANGES, microseconds
from simulator.search.fault_draws import BEFORE_HEAL_S

#: Half of the floods go over so many channels, and fill a save with rows.
FLOOD_CHANNELS: Final = 150
#: More than the journal queues one by one (2,000 writes) before the first commit of a stalled disk is through.
FLOOD_RATE_PER_S, FLOOD_LASTS_S = 1_000.0, 2.4
TYPED_VERSION: Final = 99
#: For how long people count first, when all of it is saved even by a bot that saves every four seconds, and how long the outage lasts.
COUNTING_LASTS_S, COUNTED_S, COLD_LASTS_S = 3.0, 8.0, 9.0
#: A stop takes up to seven seconds; who is killed later than this has mostly ended.
CUT_SHORT_MAX_S: Final = 4.0
#: Any single row of such a night fits; and between how many channels have rows to save.
HALVED_BYTES: Final = (5_000, 6_000, 8_000)
STAGED_CHANNELS_MIN, STAGED_CHANNELS_MAX = 3, 6
#: What shows that a change was made twice; under a name that nobody else says, so that it can be told what it must come to.
COUNTS: Final = ("!count tries +1", "!count tries +2")
#: How often a bot of a doubted night saves, seconds.
DOUBTED_FLUSH_S: Final = (0.5, 1.0)
#: In how many nights of those with an order of events that something else can spoil nothing else happens.
ALONE_SHARE: Final = 0.6
#: After these nobody knows whether the database has the save: it has, or it gets it when the bot does not wait any more.
_UNANSWERED: Final[tuple[Fault, ...]] = (
    CommitThenDrop(),
    CommitThenDrop(),
    CutBody(),
    Latency(ms=6_000.0, jitter_ms=500.0, late_probability=1.0),
)
#: While these last the database surely has nothing of what it is sent.
_NOT_EXECUTED: Final[tuple[Fault, ...]] = (Refused(), Refused(), Refused(), ReadOnly(), OverQuota())
#: What a bot waits for that has something to save.
_AWAY: Final[tuple[Fault, ...]] = (Refused(), Refused(), Status503(), ReadOnly(), Unauthorized())
#: How many messages a second for how long: more than 60 replies wait although one of them leaves in each second.
LOUD_PER_S, LOUD_LASTS_S = (7.0, 14.0), 10.0
LOUD_COMMANDS: Final = ("!count", "!count deaths +1", "!vibe mood {n}", "!game Game {n}")
#: Small talk with less than a tenth of a second between most messages, while the bot looks for idle channels.
TALK_PER_S, TALK_LASTS_S = 25.0, 4.0


@dataclass(frozen=True)
class Staging:
    """What one function here adds to a night: who speaks, what goes wrong, and settings of the bot.

    ``alone``: nobody else speaks, and nothing else goes wrong.
    """

    crowds: tuple[Crowd, ...] = ()
    faults: tuple[Fault, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False


@dataclass(frozen=True)
class Hours:
    """When people of a night begin to speak, when they end, and when everything is healed; seconds."""

    begin_s: float
    until_s: float
    heal_s: float


def changes(channel: str, begin_s: float, until_s: float) -> tuple[Crowd, ...]:
    """Somebody for each row of the channel, who changes it every two seconds to the end."""
    return tuple(
        CommandStorm(channel, 0.5, (command,), ("moderator",), begin_s, until_s - begin_s, people=1)
        for command in CHANGES
    )


def counting(
    rng: random.Random, channels: Sequence[str], begin_s: float, until_s: float
) -> tuple[Crowd, ...]:
    """Somebody in each channel who counts: of a counter it shows whether a change was made twice.

    It shows best when nobody counts any more while the process is away or its disk fails: what is said then may have been
    made or not.
    """
    rate_per_s = rng.choice((0.5, 1.0))
    return tuple(
        CommandStorm(channel, rate_per_s, COUNTS, ("moderator",), begin_s, until_s - begin_s, people=1)
        for channel in channels
    )


def draw_doubted(rng: random.Random, channels: Sequence[str], hours: Hours) -> Staging:
    """A save without an answer that was carried out, an outage in which the rows change, and somebody who reads them."""
    flush_s = rng.choice(DOUBTED_FLUSH_S)
    lost_s = hours.begin_s + rng.uniform(1.5, 4.0)
    # As long as it takes until something is saved; with each try that fails the pause before the next one grows.
    away_s = lost_s + flush_s * rng.uniform(1.0, 1.5) + 0.3
    back_s = away_s + rng.uniform(8.0, 13.0)
    # Late in the outage: the next try must have failed, and the row must have changed after it.
    ends_s = min(back_s - rng.uniform(0.0, 3.0), hours.heal_s - BEFORE_HEAL_S)
    end = rng.choice((_death, _death, _saved_as_it_was))(rng)
    silent_s = rng.choice((ends_s - rng.uniform(0.0, 1.0), hours.until_s))
    return Staging(
        counting(rng, channels, hours.begin_s, silent_s),
        (
            _lasting(rng.choice(_UNANSWERED), lost_s, away_s),
            _lasting(rng.choice(_NOT_EXECUTED), away_s, back_s),
            replace(end, start_s=microseconds(ends_s)),
        ),
        {"flush_interval_s": flush_s},
        alone=rng.random() < ALONE_SHARE,
    )


def draw_inherited(rng: random.Random, channels: Sequence[str], hours: Hours) -> Staging:
    """Two processes die: the first in an outage, the second after it, while its disk took nothing."""
    away_s = hours.begin_s + rng.uniform(2.0, 4.0)
    first_s, down_s = away_s + rng.uniform(2.0, 4.0), rng.uniform(0.1, 1.0)
    # The next process must have opened its journal, and have had no epoch yet.
    disk_s = first_s + down_s + rng.uniform(0.2, 1.0)
    back_s = disk_s + rng.uniform(0.2, 1.5)
    second_s = min(back_s + rng.uniform(3.0, 9.0), hours.heal_s - BEFORE_HEAL_S)
    silent_s = rng.choice((first_s, hours.until_s))
    return Staging(
        counting(rng, channels, hours.begin_s, silent_s),
        (
            _lasting(rng.choice(_AWAY), away_s, back_s),
            rng.choice((Crash, Crash, PowerCut))(start_s=microseconds(first_s), down_s=microseconds(down_s)),
            _lasting(rng.choice((DiskReadOnly(), DiskFull())), disk_s, second_s + rng.uniform(0.0, 3.0)),
            replace(_death(rng), start_s=microseconds(second_s)),
        ),
        alone=rng.random() < ALONE_SHARE,
    )


def draw_halved(rng: random.Random, channels: Sequence[str], hours: Hours) -> Staging:
    """A gateway that takes no large save up to the heal, a bot that saves seldom, and changes of every row of every channel."""
    narrow_s = rng.choice((0.0, hours.begin_s, rng.uniform(hours.begin_s, hours.until_s - 5.0)))
    return Staging(
        tuple(crowd for channel in channels for crowd in changes(channel, hours.begin_s, hours.until_s)),
        (TooLarge(bytes_max=rng.choice(HALVED_BYTES), start_s=microseconds(narrow_s)),),
        {"flush_interval_s": 4.0},
        # Also since what else people say could make a row that does not fit.
        alone=True,
    )


Draw = Callable[[random.Random, Sequence[str], Hours], Staging]
#: One of these is staged where `plan.py` stages one.
STAGED: Final[Mapping[str, Draw]] = {
    "doubted": draw_doubted,
    "inherited": draw_inherited,
    "halved": draw_halved,
}


def draw_typo(rng: random.Random, begin_s: float, until_s: float) -> tuple[Fault, ...]:
    """A human types a version into the counters that no program knows, corrects it later, and starts the bot anew."""
    typed_s = rng.uniform(begin_s + 6.0, until_s - 6.0)
    corrected_s = rng.uniform(typed_s + 1.0, until_s - 1.0)
    counters = {"key": "counters"}
    return (
        HumanEdit(
            table="component_state",
            where=counters,
            values={"version": TYPED_VERSION},
            start_s=microseconds(typed_s),
        ),
        HumanEdit(
            table="component_state", where=counters, values={"version": 1}, start_s=microseconds(corrected_s)
        ),
        Restart(start_s=microseconds(corrected_s + 0.5)),
    )


def draw_cold_start(
    rng: random.Random, channel: str, begin_s: float
) -> tuple[tuple[Crowd, ...], tuple[Fault, ...]]:
    """The process ends amid an outage; the next one is asked for what was counted, and saved, before it."""
    start_s = begin_s + COUNTED_S + rng.random()
    end_s = microseconds(start_s + rng.uniform(0.1, 2.0))
    count = CommandStorm(
        channel, 1.0, ("!count deaths +1",), ("moderator",), begin_s, COUNTING_LASTS_S, people=1
    )
    asked_s = microseconds(start_s + COLD_LASTS_S - 5.0)
    ask = CommandStorm(channel, 1.0, ("!count deaths",), ("moderator",), asked_s, 4.0, people=1)
    outage = rng.choice((Refused, Hang))(start_s=microseconds(start_s), duration_s=COLD_LASTS_S)
    return (count, ask), (outage, rng.choice((Crash, PowerCut, Restart))(start_s=end_s))


def draw_cut_short(
    rng: random.Random, begin_s: float, until_s: float, duration_s: float
) -> tuple[Fault, ...]:
    """The bot is told to stop while the database is slow or away, and killed before it has."""
    asked_s = rng.uniform(begin_s + 3.0, until_s)
    kill_s = min(asked_s + rng.uniform(0.0, CUT_SHORT_MAX_S) * rng.random(), duration_s - BEFORE_HEAL_S)
    trouble = rng.choice((Hang(), Refused(), Latency(ms=1_500.0, late_probability=1.0), CommitThenDrop()))
    return (
        replace(trouble, start_s=microseconds(asked_s - rng.uniform(0.0, 3.0)), duration_s=8.0),
        Restart(start_s=microseconds(asked_s)),
        rng.choice((Crash, PowerCut))(start_s=microseconds(kill_s), down_s=rng.choice((0.0, 0.5, 3.0))),
    )


def draw_flood(
    rng: random.Random, channels: tuple[str, ...], begin_s: float
) -> tuple[tuple[Crowd, ...], SlowSync]:
    """More changes than the journal queues, while its disk stalls."""
    start_s = microseconds(begin_s + rng.uniform(0.0, 3.0))
    rate_per_s = FLOOD_RATE_PER_S / len(channels)
    storms = tuple(
        CommandStorm(channel, rate_per_s, CHANGES, ("moderator",), start_s, FLOOD_LASTS_S, people=4)
        for channel in channels
    )
    stall = SlowSync(
        sync_s=FLOOD_LASTS_S + 2.0,
        start_s=microseconds(max(0.0, start_s - 0.2)),
        duration_s=FLOOD_LASTS_S + 1.0,
    )
    return storms, stall


def draw_loud(rng: random.Random, channel: str, begin_s: float) -> Crowd:
    """Many moderators in a channel in which the bot may say one thing a second."""
    start_s = microseconds(begin_s + rng.uniform(0.0, 2.0))
    rate_per_s = round(rng.uniform(*LOUD_PER_S), 3)
    return CommandStorm(channel, rate_per_s, LOUD_COMMANDS, ("moderator",), start_s, LOUD_LASTS_S, people=4)


def draw_talk_at_the_look(rng: random.Random, channels: Sequence[str], look_s: float) -> Crowd:
    """Small talk in one channel while the others, idle for long, leave memory."""
    start_s = microseconds(look_s - rng.uniform(0.0, 1.0))
    return Chatter(rng.choice(channels), TALK_PER_S, start_s, TALK_LASTS_S)


def _lasting(fault: Fault, start_s: float, end_s: float) -> Fault:
    return replace(fault, start_s=microseconds(start_s), duration_s=microseconds(end_s - start_s))


def _death(rng: random.Random) -> Fault:
    return rng.choice((Crash, PowerCut))(down_s=rng.choice((0.1, 1.0, 3.0)))


def _saved_as_it_was(rng: random.Random) -> Fault:
    return HumanEdit(table="component_state", where={"version": 1}, values={"version": 1})
