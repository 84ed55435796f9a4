"""How the search draws faults: one function for each kind, and which kinds act in a night at all.

How it works. :data:`DRAWN` has a function for each kind by its name in :data:`~simulator.faults.KINDS`; it draws what makes the
kind, and when it acts is drawn for all alike. A night does not have a little of everything: :func:`draw_faults` first draws which
families take part, then a few kinds of each, then with what probabilities faults of this night act, then how many there are (so
called swarm testing: bugs that need much of one thing are found where nothing else disturbs it). In most nights most faults
begin within :data:`FOCUS_S` of one moment: what breaks a bot is seldom one thing. All begin before the heal, by
:data:`BEFORE_HEAL_S` at least: one that begins with it never strikes.

Tokens end only in nights in which the bot can renew its own: :func:`draw_token_faults` draws those of :data:`TOKEN_DRAWN`, from a stream of
its own, beside the others. A connection of IRC outlives its token, so most of them come with something after which the bot must log in again.

A human's edits of :data:`DRAWN` change columns of the configuration, or save a row as it was: chat has the last word on most of what
stands in state. What is a human's alone, and must outlast everything, is entered in some nights by :func:`draw_entries`, from a stream of
its own too.

What it leaves out stands in :data:`NOT_DRAWN`, with the reason: kinds that strike nothing of a bot over IRC; other tests have them. A test sees
to it that every kind stands in one of the three.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simulator.faults import (
    KINDS,
    ClockJump,
    ClockSkew,
    ConsentEnded,
    Crash,
    DiskFull,
    DiskReadOnly,
    EmptyList,
    Fault,
    HumanEdit,
    Latency,
    PowerCut,
    Restart,
    SecondInstance,
    SlowSync,
    TokenExpires,
    TokenRevoked,
    TooLarge,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchJoinDropped,
    TwitchPackets,
    TwitchReconnect,
    TwitchRefusals,
    TwitchReordering,
)
from simulator.night_draws import (
    PLAIN,
    draw_drip,
    draw_flapping,
    draw_latency,
    draw_missing_function,
    draw_missing_grant,
    draw_slow_recovery,
    draw_too_many_requests,
    microseconds,
    spiky_latency,
)

#: Of one night; a night with more of one kind than of all others is as likely as any.
FAULTS_MAX = 8
#: Kinds of one family that take part in a night.
KINDS_MAX = 4
#: With which probability each family takes part.
FAMILY_SHARE: Mapping[str, float] = {
    "database": 0.6,
    "twitch": 0.35,
    "process": 0.5,
    "disk": 0.3,
    "human": 0.2,
    "clock": 0.15,
}
#: Faults that begin while the bot starts; seconds, and how many of them.
BOOT_S, BOOT_SHARE = 4.0, 0.15
LASTS_MIN_S, LASTS_MAX_S = 0.3, 25.0
#: No fault begins later than so many seconds before the heal, which ends it: each has as long to strike as the shortest.
BEFORE_HEAL_S = LASTS_MIN_S
#: How often a token ends in a night in which it may, with which probability the connection ends too, and how many seconds later at most.
TOKENS_MAX, LOST_SHARE, LOST_MAX_S = 3, 0.8, 3.0
#: After these the bot needs its token: it has to log in again.
_LOST = ("twitch_disconnect", "twitch_half_open", "twitch_reconnect", "crash", "restart")
#: In nights that have a focus: with which probability a fault begins within so many seconds before or after it.
FOCUS_NIGHTS_SHARE, FOCUS_SHARE, FOCUS_S = 0.6, 0.7, 2.5
#: As long as it takes: the heal ends it.
ENDLESS_SHARE = 0.1
#: The language, pauses and prefixes that humans choose in the table editor; who sets a prefix has a silent bot.
_EDITS = (
    ("channels_config", {"language": "pt-br"}),
    ("channels_config", {"language": "en"}),
    ("channels_config", {"paused": True}),
    ("channels_config", {"paused": False}),
    ("channels_config", {"prefix": "?"}),
    ("channels_config", {"prefix": "!"}),
    ("channels_config", {"enabled": False}),
    ("channels_config", {"enabled": True}),
)
#: Saved unchanged, as by somebody who only looked: the row's edit number moves, and nothing of what viewers were told.
_TOUCHED = (
    ("channel_state", {"version": 1}, {"version": 1}),
    ("component_state", {"version": 1}, {"version": 1}),
    ("component_state", {"key": "counters"}, {"version": 1}),
)
#: How often a human enters something in state in a night in which one does, and the first second of it.
ENTRIES_MAX, ENTRIES_FROM_S = 4, 2.0
#: What they enter where: in every row of that sort, a new value each time (`n`), under names that nobody in chat says.
_ENTRIES: tuple[tuple[str, Mapping[str, Any], Callable[[int], Mapping[str, Any]]], ...] = (
    ("component_state", {"key": "counters"}, lambda n: {"values": {"falls": n}}),
    (
        "component_state",
        {"key": "custom_commands"},
        lambda n: {"commands": {"rules": {"text": f"be kind, version {n}"}}},
    ),
    ("channel_state", {"version": 1}, lambda n: {"observability": {"series": f"episode {n}"}}),
)


@dataclass(frozen=True)
class Stage:
    """Where faults act: the channels, and for how many seconds."""

    channels: Sequence[str]
    duration_s: float


Draw = Callable[[random.Random, Stage], Fault]


def _plain(kind: type[Fault]) -> Draw:
    return lambda rng, stage: kind()


def _latency(rng: random.Random, stage: Stage) -> Fault:
    match rng.randrange(3):
        case 0:
            return draw_latency(rng)
        case 1:
            return spiky_latency()
        case _:
            # Saves that arrive long after the bot gave them up, some after newer ones.
            return Latency(
                ms=100.0, jitter_ms=90.0, spike_ms=12_000.0, spike_probability=0.4, late_probability=1.0
            )


def _human_edit(rng: random.Random, stage: Stage) -> Fault:
    if rng.random() < 0.5:
        table, where, values = rng.choice(_TOUCHED)
        return HumanEdit(table=table, where=where, values=values)
    config, changed = rng.choice(_EDITS)
    return HumanEdit(table=config, where={"login": rng.choice(stage.channels)}, values=changed)


#: How each kind is drawn, by its name.
DRAWN: Mapping[str, Draw] = {
    **{kind.kind: _plain(kind) for kind in PLAIN},
    "latency": _latency,
    "slow_recovery": lambda rng, stage: draw_slow_recovery(rng),
    "drip": lambda rng, stage: draw_drip(rng),
    "too_many_requests": lambda rng, stage: draw_too_many_requests(rng),
    "missing_grant": lambda rng, stage: draw_missing_grant(rng),
    "missing_function": lambda rng, stage: draw_missing_function(rng),
    # Any single row of such a night fits: one that does not is a dead letter, and waits for a human.
    "too_large": lambda rng, stage: TooLarge(bytes_max=rng.choice((5_000, 8_000, 12_000))),
    "empty_list": _plain(EmptyList),
    "flapping": lambda rng, stage: draw_flapping(rng),
    "human_edit": _human_edit,
    "twitch_disconnect": _plain(TwitchDisconnect),
    "twitch_half_open": _plain(TwitchHalfOpen),
    "twitch_reconnect": lambda rng, stage: TwitchReconnect(grace_s=rng.choice((0.5, 3.0, 15.0))),
    "twitch_packets": lambda rng, stage: TwitchPackets(
        split_probability=rng.uniform(0.1, 0.9), merge_probability=rng.uniform(0.0, 0.6)
    ),
    "twitch_duplicates": _plain(TwitchDuplicates),
    "twitch_reordering": lambda rng, stage: TwitchReordering(delay_s=rng.uniform(0.05, 2.0)),
    "twitch_refusals": _plain(TwitchRefusals),
    "twitch_join_dropped": _plain(TwitchJoinDropped),
    "crash": lambda rng, stage: Crash(down_s=rng.uniform(0.1, 4.0)),
    "restart": _plain(Restart),
    "power_cut": lambda rng, stage: PowerCut(down_s=rng.uniform(0.1, 4.0)),
    "second_instance": _plain(SecondInstance),
    "disk_full": _plain(DiskFull),
    "disk_read_only": _plain(DiskReadOnly),
    "slow_sync": lambda rng, stage: SlowSync(sync_s=rng.choice((0.05, 0.4, 0.9, 1.5, 3.0))),
    "clock_jump": lambda rng, stage: ClockJump(jump_s=rng.choice((-7_200.0, -30.0, 5.0, 3_600.0))),
    "clock_skew": lambda rng, stage: ClockSkew(rate=rng.choice((0.5, 0.99, 1.01, 2.0))),
}

#: What ends a token; a bot with a bare one then ends, as it should, and the rest of the night would show nothing.
TOKEN_DRAWN: Mapping[str, Draw] = {
    kind.kind: _plain(kind) for kind in (TokenExpires, TokenRevoked, ConsentEnded)
}

_NOT_USED = "strikes a face that a bot over IRC does not use: twins over EventSub draw it"
#: The kinds that no night of the search has, and why.
NOT_DRAWN: Mapping[str, str] = {
    "eventsub_mute": _NOT_USED,
    "eventsub_close": _NOT_USED,
    "eventsub_revoke": _NOT_USED,
    "helix_429": _NOT_USED,
    "helix_503": _NOT_USED,
    "helix_401": _NOT_USED,
    "helix_slow": _NOT_USED,
}


def family_of(kind: str) -> str:
    """The family of a kind as the search groups them: a human is one by itself."""
    return "human" if kind == HumanEdit.kind else KINDS[kind].family


def draw_faults(
    rng: random.Random, stage: Stage, *, without: Sequence[str] = (), at_least: int = 1
) -> tuple[Fault, ...]:
    """The faults of one night, in no order.

    Args:
        without: kinds that this night cannot have.
        at_least: how many; 0 lets one night in some be peaceful.
    """
    chosen = _draw_kinds(rng, without)
    chances = rng.choice((_certain, _mixed, _rare))
    focus_s = rng.uniform(0.0, stage.duration_s) if rng.random() < FOCUS_NIGHTS_SHARE else None
    count = rng.randint(at_least, FAULTS_MAX)
    return tuple(_draw_fault(rng, stage, chosen, chances, focus_s) for _ in range(count))


def draw_token_faults(rng: random.Random, stage: Stage, *, without: Sequence[str] = ()) -> tuple[Fault, ...]:
    """How the token ends in one night, and what makes the bot need it; ``without`` as in :func:`draw_faults`."""
    lost = [kind for kind in _LOST if kind not in without]
    faults: list[Fault] = []
    for _ in range(rng.randint(1, TOKENS_MAX)):
        latest_s = stage.duration_s - BEFORE_HEAL_S
        ends_s = rng.uniform(0.0, latest_s)
        faults.append(_beginning(TOKEN_DRAWN[rng.choice(list(TOKEN_DRAWN))](rng, stage), ends_s))
        after_s = 0.0 if rng.random() < 0.3 else rng.uniform(0.0, LOST_MAX_S)
        companion = DRAWN[rng.choice(lost)](rng, stage)
        if rng.random() < LOST_SHARE:
            faults.append(_beginning(companion, min(ends_s + after_s, latest_s)))
    return tuple(faults)


def draw_entries(rng: random.Random, stage: Stage) -> tuple[Fault, ...]:
    """What a human enters in rows of state in one night: mostly more than once, and so over values of their own too."""
    entries: list[Fault] = []
    for number in range(1, rng.randint(1, ENTRIES_MAX) + 1):
        table, where, merge = rng.choice(_ENTRIES)
        start_s = microseconds(rng.uniform(ENTRIES_FROM_S, stage.duration_s - BEFORE_HEAL_S))
        entries.append(HumanEdit(table=table, where=where, merge=merge(number), start_s=start_s))
    return tuple(entries)


def _beginning(fault: Fault, start_s: float) -> Fault:
    return replace(fault, start_s=microseconds(start_s))


def _draw_kinds(rng: random.Random, without: Sequence[str]) -> list[str]:
    by_family: dict[str, list[str]] = {}
    for kind in DRAWN:
        if kind not in without:
            by_family.setdefault(family_of(kind), []).append(kind)
    # Every family is asked, so that a draw more for one leaves the others as they were.
    taking_part = [family for family in by_family if rng.random() < FAMILY_SHARE[family]]
    families = taking_part or [rng.choice(list(by_family))]
    kinds: list[str] = []
    for family in families:
        own = by_family[family]
        kinds += rng.sample(own, min(len(own), rng.randint(1, KINDS_MAX)))
    return kinds


def _draw_fault(
    rng: random.Random,
    stage: Stage,
    kinds: Sequence[str],
    chances: Callable[[random.Random], float],
    focus_s: float | None,
) -> Fault:
    fault = DRAWN[rng.choice(kinds)](rng, stage)
    if focus_s is not None and rng.random() < FOCUS_SHARE:
        start_s = max(0.0, focus_s + rng.uniform(-FOCUS_S, FOCUS_S))
    elif rng.random() < BOOT_SHARE:
        start_s = rng.uniform(0.0, BOOT_S)
    else:
        start_s = rng.uniform(BOOT_S, stage.duration_s)
    start_s = microseconds(min(start_s, stage.duration_s - BEFORE_HEAL_S))
    if fault.instant:
        return replace(fault, start_s=start_s)
    lasts_s = rng.uniform(LASTS_MIN_S, LASTS_MAX_S)
    # The time of a recovery is its duration, so it cannot be endless.
    if rng.random() < ENDLESS_SHARE and fault.kind != "slow_recovery":
        lasts_s = math.inf
    return replace(
        fault,
        start_s=start_s,
        duration_s=microseconds(lasts_s),
        probability=chances(rng),
    )


def _certain(rng: random.Random) -> float:
    return 1.0


def _mixed(rng: random.Random) -> float:
    return 1.0 if rng.random() < 0.5 else round(rng.uniform(0.1, 1.0), 3)


def _rare(rng: random.Random) -> float:
    return round(rng.uniform(0.02, 0.3), 3)
