"""One kill, drawn from its seed: how the database is, when the process dies, and what happens then. Pure.

The load starts with the bot in its channels. Within it the database breaks (or not), then the process is killed. The next process
starts at once or a moment later; the database is well again before that (`heals_before`), or only when viewers have asked the new
process for everything: a cold start in the same outage. What is rarer:

* a process before the first dies while it makes the journal;
* the first is asked to stop, and killed while it does so;
* later ones are killed too, at any moment of their start or shortly after it;
* the database is broken from the beginning.

In half of the stories the bot's journal folds its log every few commits, and the first process, or a later one, may die in a fold, at
any point of it, before its time has come (`folding_bot.py`).

A seed decides all that is drawn here, and what is said. It does not decide what operating system and sockets make of it, so the
replay of a kill is the same story, not the same microseconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from simulator.faults import (
    CommitThenDrop,
    Fault,
    Flapping,
    Hang,
    Latency,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
)
from tests.kill.folding_bot import Folding

#: Messages a second, all channels together.
RATE_MIN, RATE_MAX = 20.0, 200.0
CHANNELS_MAX = 8
#: Seconds of the load after which the first process is killed.
KILL_MIN_S, KILL_MAX_S = 0.1, 2.0
#: Seconds from a later process's start to its end; it is in its channels after one or two.
AGAIN_MAX_S = 2.5
#: The same for a process that dies while it makes the journal, before anybody was told anything.
FALSE_START_MAX_S = 1.2
#: A stop in order takes up to 8 s, most of it only while the database is away.
MERCY_MAX_S = 0.6
#: Lines of the log and rows of a fold where the journal folds often; and the last fold in which the first process dies.
LOG_SLOTS, FOLD_ROWS, FOLDS_LIVED_MAX = (2, 5, 20, 100), (1, 2, 5, 256), 40
#: A later process has at once what the one before left in the log.
FOLDS_LIVED_AGAIN_MAX = 3

Draw = Callable[[random.Random], Fault | None]


def _flapping(rng: random.Random) -> Fault:
    inner = rng.choice((Refused(), Hang(), Reset(), Status503(), CommitThenDrop()))
    return Flapping(up_s=rng.uniform(0.1, 0.8), down_s=rng.uniform(0.1, 0.8), inner=inner)


CONDITIONS: Mapping[str, Draw] = {
    "up": lambda rng: None,
    "refused": lambda rng: Refused(),
    "hanging": lambda rng: Hang(),
    "flapping": _flapping,
    "503": lambda rng: Status503(probability=rng.choice((0.5, 1.0))),
    "slow": lambda rng: Latency(ms=rng.uniform(50, 900), jitter_ms=100, distribution="lognormal"),
    "429": lambda rng: TooManyRequests(retry_after_s=rng.choice((1.0, 2.0))),
    "lost answers": lambda rng: CommitThenDrop(probability=rng.choice((0.5, 1.0))),
}


@dataclass(frozen=True)
class Plan:
    """See the module's docstring; times in seconds.

    `breaks_at_s` counts from the start of the load (None: the database is broken when the bot starts), `kill_at_s` too;
    `kills_again_s` count from the start of each later process, and so does `false_start_s`, the death of one before the first
    (None: there is none). `mercy_s` is the time between SIGTERM and SIGKILL of the first, None without a SIGTERM. `folding` is how the
    first process's journal folds, and in which fold it dies; `folding_again` the same for those in `kills_again_s`; None: as shipped.
    """

    seed: int
    condition: str
    fault: Fault | None
    channels: int
    rate: float
    breaks_at_s: float | None
    false_start_s: float | None
    kill_at_s: float
    away_s: float
    kills_again_s: tuple[float, ...]
    heals_before: bool
    durability: str
    flush_interval_s: float
    mercy_s: float | None
    folding: Folding | None
    folding_again: tuple[Folding | None, ...]

    @property
    def folding_afterwards(self) -> Folding | None:
        """How the journal of the last process folds, which is not killed; and of one before the first."""
        return None if self.folding is None else self.folding.dying(0, 0.0)


def planned(seed: int) -> Plan:
    """The kill of this seed."""
    rng = random.Random(f"kill {seed}")
    # By turns, so that every condition is met as often as the others, whatever the number of kills.
    condition = tuple(CONDITIONS)[seed % len(CONDITIONS)]
    kill_at_s = rng.uniform(KILL_MIN_S, KILL_MAX_S)
    broken_from_start = rng.random() < 0.1
    plan = Plan(
        seed=seed,
        condition=condition,
        fault=CONDITIONS[condition](rng),
        channels=rng.randint(1, CHANNELS_MAX),
        rate=rng.uniform(RATE_MIN, RATE_MAX),
        breaks_at_s=None if broken_from_start else rng.uniform(0, kill_at_s),
        false_start_s=rng.uniform(0, FALSE_START_MAX_S) if rng.random() < 0.15 else None,
        kill_at_s=kill_at_s,
        away_s=rng.choice((0.0, rng.uniform(0, 0.3))),
        kills_again_s=tuple(rng.uniform(0, AGAIN_MAX_S) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))),
        heals_before=rng.random() < 0.5,
        durability=rng.choice(("process", "process", "power")),
        flush_interval_s=rng.choice((0.1, 0.3, 1.0)),
        mercy_s=rng.uniform(0, MERCY_MAX_S) if rng.random() < 0.2 else None,
        folding=None,
        folding_again=(),
    )
    # A stream of its own: which stories these are has no part in the others.
    return _folded(plan, random.Random(f"folds of kill {seed}"))


def _folded(plan: Plan, rng: random.Random) -> Plan:
    if rng.random() < 0.5:
        return replace(plan, folding_again=(None,) * len(plan.kills_again_s))
    folding = Folding(rng.choice(LOG_SLOTS), rng.choice(FOLD_ROWS))

    def dying(lives_max: int) -> Folding:
        # Most folds end with COMMIT, so their ends are drawn as often as all the rest.
        in_fold = rng.randint(1, rng.randint(1, lives_max))
        return folding.dying(in_fold, rng.choice((rng.random(), rng.uniform(0.8, 1.2))))

    return replace(
        plan,
        folding=dying(FOLDS_LIVED_MAX) if rng.random() < 0.75 else folding,
        folding_again=tuple(
            dying(FOLDS_LIVED_AGAIN_MAX) if rng.random() < 0.5 else folding for _ in plan.kills_again_s
        ),
    )
