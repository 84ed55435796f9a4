"""What nights are drawn from: what people type, how faults of each kind look, the disk; shared by twins and by the search.

How it works. Each function draws one thing from the generator it is given, and nothing else; who calls it decides how often and
when it acts. So two kinds of nights (`twin_plan.py`, `search/plan.py`) have the same vocabulary and each its own dice: a draw
more in one of them changes nothing in the other. The order of the draws within a function decides what a seed means, and so must
stay.

What it leaves out: times, numbers and probabilities, which differ between the two.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from simulator.audience import ROLES, Chatter, CommandStorm, Crowd, Role
from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Flapping,
    Hang,
    Html520,
    HtmlOk,
    Latency,
    MissingFunction,
    MissingGrant,
    OverQuota,
    ProjectPaused,
    ReadOnly,
    Refused,
    Reset,
    SlowRecovery,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.scenario import DiskLatency

SMALL_TALK_SHARE = 0.2
RATE_MIN_PER_S, RATE_MAX_PER_S = 0.01, 30.0

#: What people type, by the name of the built-in command; a custom command is one that ``!cmd`` has made.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "ping": ("!ping",),
    "help": ("!help", "!help count"),
    "game": ("!game", "!game Game {n}", "!game -"),
    "vibe": ("!vibe", "!vibe mood {n}"),
    "style": ("!style", "!style style {n}"),
    "scene": ("!scene", "!scene movie Film {n}", "!scene topic Topic {n}", "!scene movie -"),
    "note": ("!note add note {n}", "!note list", "!note del 1", "!note clear"),
    "count": ("!count deaths +1", "!count deaths", "!count wins -1", "!count wins =7", "!count wins del", "!count"),
    "cmd": ("!cmd add c{n} {user} was here {count} times", "!cmd add hug hugs {args}", "!cmd list", "!cmd del hug"),
    "quote": ("!quote add words {n}", "!quote", "!quote 1", "!quote del 1"),
    "pause": ("!pause",),
    "resume": ("!resume",),
}  # fmt: skip
CUSTOM_COMMANDS = ("!hug everybody", "!hug", "!c1", "!c2", "!c3")
#: Each changes another row of its channel: by moderators, hundreds of rows in a second.
CHANGES = (
    "!count deaths +1",
    "!vibe mood {n}",
    "!quote add words {n}",
    "!cmd add c{n} {user} was here {count} times",
)
#: Often enough that a paused channel does not stay silent for the rest of the night.
RESUMES = 4

TABLES = (
    "channels_config",
    "channel_state",
    "component_state",
    "channel_history",
    "bot_events",
    "bot_writer",
)
FUNCTIONS = ("byte_bot_save", "byte_bot_take_epoch")
#: The kinds without anything else to draw; any of them may also be what flaps.
PLAIN: tuple[type[Fault], ...] = (
    Refused, Hang, Reset, Status503, Html520, HtmlOk, CutBody, CommitThenDrop, Unauthorized, ReadOnly,
    OverQuota, ProjectPaused,
)  # fmt: skip


# --- audience
# ---------------------------------------------------------------------------------------------------


def talk_and_commands(
    channel: str,
    rate_per_s: float,
    commands: tuple[str, ...],
    roles: tuple[Role, ...],
    start_s: float,
    duration_s: float,
    people: int,
) -> tuple[Crowd, ...]:
    """Small talk and commands, together `rate_per_s` messages a second."""
    return (
        Chatter(channel, rate_per_s * SMALL_TALK_SHARE, start_s, duration_s),
        CommandStorm(
            channel, rate_per_s * (1.0 - SMALL_TALK_SHARE), commands, roles, start_s, duration_s, people
        ),
    )


def draw_rate_per_s(rng: random.Random) -> float:
    """Messages a second in one channel, each order of magnitude as likely as the others."""
    return RATE_MIN_PER_S * float((RATE_MAX_PER_S / RATE_MIN_PER_S) ** rng.random())


def draw_commands(rng: random.Random) -> tuple[str, ...]:
    """Some commands, or all: with few, rows are changed again and again; with all, handlers meet."""
    names = list(COMMANDS)
    chosen = names if rng.random() < 0.6 else sorted(rng.sample(names, rng.randint(1, 3)))
    lines = [line for name in chosen for line in COMMANDS[name]]
    lines += CUSTOM_COMMANDS if "cmd" in chosen else ()
    lines += COMMANDS["resume"] * RESUMES if "pause" in chosen else ()
    return tuple(lines)


def draw_roles(rng: random.Random) -> tuple[Role, ...]:
    """Who gives the commands of a crowd."""
    return rng.choice((ROLES, ("moderator",), ("moderator", "broadcaster", "viewer")))


# --- faults, and the disk
# ---------------------------------------------------------------------------------------


def draw_latency(rng: random.Random) -> Latency:
    """Slow, within the bot's patience."""
    return Latency(ms=rng.uniform(1.0, 900.0), jitter_ms=rng.choice((0.0, 300.0)))


def spiky_latency() -> Latency:
    """One request in five takes longer than the bot waits; half of those are carried out late."""
    return Latency(
        ms=100.0, jitter_ms=200.0, distribution="lognormal", spike_ms=6_000.0, spike_probability=0.2
    )


def draw_slow_recovery(rng: random.Random) -> SlowRecovery:
    """From slow or too slow back to normal."""
    return SlowRecovery(ms=rng.uniform(200.0, 8_000.0), duration_s=10.0)


def draw_drip(rng: random.Random) -> Drip:
    """From far too slow to nearly bearable."""
    return Drip(bytes_per_s=rng.uniform(5.0, 500.0))


def draw_too_many_requests(rng: random.Random) -> TooManyRequests:
    """With a pause that the bot is asked for."""
    return TooManyRequests(retry_after_s=rng.choice((0.5, 2.0, 5.0)))


def draw_missing_grant(rng: random.Random) -> MissingGrant:
    """One table of the schema."""
    return MissingGrant(table=rng.choice(TABLES))


def draw_missing_function(rng: random.Random) -> MissingFunction:
    """One function of the schema."""
    return MissingFunction(name=rng.choice(FUNCTIONS))


def draw_flapping(rng: random.Random) -> Flapping:
    """What is plain, slow, dripping or refused by the gateway comes and goes."""
    inner = rng.choice((*(kind() for kind in PLAIN), Latency(ms=700.0), Drip(), TooManyRequests()))
    return Flapping(up_s=rng.uniform(0.2, 4.0), down_s=rng.uniform(0.2, 6.0), inner=inner)


def draw_disk(rng: random.Random) -> DiskLatency | None:
    """A disk that takes no time, one that takes some, one that stalls now and then."""
    match rng.randrange(4):
        case 0 | 1:
            return None
        case 2:
            return DiskLatency(median_ms=rng.uniform(0.05, 5.0))
        case _:
            return DiskLatency(
                median_ms=rng.uniform(5.0, 80.0), spread=1.0, stall_probability=0.02, stall_ms=2_500.0
            )


def described(fault: Fault) -> str:
    """A fault with its times, for people."""
    kind = f"{fault.kind} of {fault.inner.kind}" if isinstance(fault, Flapping) else fault.kind
    if fault.instant:
        return f"{kind} at {fault.start_s:.3f} s"
    end = "to the heal" if math.isinf(fault.duration_s) else f"to {fault.start_s + fault.duration_s:.3f} s"
    chance = f" with probability {fault.probability:.2f}" if fault.probability < 1 else ""
    return f"{kind} from {fault.start_s:.3f} s {end}{chance}"


# --- numbers
# -----------------------------------------------------------------------------------------------------


def spread(rng: random.Random, low: int, high: int) -> int:
    """A whole number between the two, each order of magnitude as likely as the others."""
    return min(high, int(low * ((high + 1) / low) ** rng.random()))


def microseconds(at_s: float) -> float:
    """An instant as the trace has it."""
    return round(at_s, 6)
