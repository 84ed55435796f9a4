"""Which parts `chat_latency` measures, in which order, and about how long each takes. Pure.

A `Job` is one bot started once: its conditions run one after the other against the same process. Parts:

- *rounds*: floor and Byte Bot, every load, as often as `rounds` says. The order of loads, strategies and conditions is drawn
  from the seed for each batch, so that nothing always comes after the same thing.
- *small bots*: every condition at one load, each with a fresh process: a small bot that is stuck in one condition would
  carry it into the next.
- *kill*: a SIGKILL at the end of a short load, healthy and hanging.
- *soak*: a minute of a hanging database at 200/s, then a SIGKILL.
- *picture*: an outage in mid-stream, one job for each line of the picture.

Jobs of a low rate run side by side in *lanes*, each with a bot, fakes and a load of its own: a `Batch`. There are as many as keep
the rates together within `LANES_RATE_MAX`. In the rounds the lanes of a batch are several rounds of **one** strategy, which go
through the same conditions in step: healthy beside healthy, hang beside hang. What a bot with a broken database costs its
neighbours falls on bots with a broken database, never on the healthy ones and the floor that it is compared with. Rounds that run
side by side have one order and one moment in common, so a batch holds a third of the rounds at most: a bad minute of the
machine cannot decide the median over all of them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from benchmarks.strategies import POWER, SMALL_BOTS
from simulator.bench.plan import CONDITIONS, Condition, Load, UnknownChoice, shuffled
from simulator.bench.results import FLOOR, HEALTHY, HEALTHY_AGAIN

BYTE_BOT = "byte_bot"
ROUNDS_MIN = 9  # DESIGN's P2: with fewer it is not judged
STRATEGIES = (FLOOR, BYTE_BOT, POWER, *SMALL_BOTS)
HANG = "hang"
# Where Byte Bot with durability `power` is measured: waiting for the disk does not depend on how a database is broken.
POWER_CONDITIONS, POWER_RATE_MAX = (HEALTHY, HEALTHY_AGAIN, HANG), 100.0

# Messages a second of all lanes together. Chosen: at 20x100 each bot has its core to itself. With three of them on a core, one that
# saves took milliseconds from the others (healthy 4.8 to 7.5 ms, floor 1.9 to 2.7), which has nothing to do with chat waiting for a database.
LANES_RATE_MAX, LANES_MAX = 150.0, 8
# Batches that the rounds of one load are spread over, if there are as many rounds.
BATCHES_MIN = 3

# At least 1,000 samples each (DESIGN, P2).
LOADS = (Load(1, 50, 20), Load(20, 100, 10), Load(20, 1_000, 4))
# Nothing is judged of the small bots.
SMALL_LOAD = Load(20, 100, 5)
KILL_LOAD = Load(20, 100, 3)
SOAK_WARM, SOAK = Load(20, 200, 10), Load(20, 200, 60)
PICTURE_LOAD = Load(20, 100, 24)

# The quick run: enough to see that everything works and that nothing is badly wrong.
QUICK_LOADS = (Load(20, 100, 3), Load(20, 1_000, 2))
QUICK_CONDITIONS = (HEALTHY, "healthy again", "500 ms", "refused", HANG)
QUICK_SMALL_CONDITIONS = (HEALTHY, HANG)
# Three lanes of it fit beside one another; nothing is judged of the small bots here either.
QUICK_SMALL_LOAD = Load(20, 50, 3)
QUICK_PICTURE_LOAD, QUICK_PICTURE = Load(20, 100, 9), (FLOOR, BYTE_BOT, "inline")

# Seconds, as seen on two shared cores; only for the estimate. A second of each settling is that in which no request comes.
START_S, SETTLE_HEALTHY_S, SETTLE_S, SETTLE_SMALL_S = 3.0, 2.0, 3.5, 6.0

Part = Literal["rounds", "small bots", "kill", "soak", "picture"]


class Choices(msgspec.Struct, kw_only=True):
    """What the command line asked for."""

    quick: bool = False
    loads: tuple[Load, ...] = LOADS
    conditions: tuple[Condition, ...] = tuple(CONDITIONS)
    strategies: tuple[str, ...] = STRATEGIES
    rounds: int = ROUNDS_MIN
    small_rounds: int = 1
    seed: int = 1
    lanes: int | None = None  # None: as many as LANES_RATE_MAX allows
    parts: tuple[Part, ...] = ("rounds", "small bots", "kill", "soak", "picture")
    #: What the exit code answers for, whatever the parts leave out of it.
    promises: tuple[str, ...] = ("P2", "P5")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One bot started once, and what it goes through."""

    part: Part
    strategy: str
    conditions: tuple[Condition, ...]
    loads: tuple[Load, ...]  # one for each condition
    number: int = 0  # of the round

    @property
    def words(self) -> str:
        """For an error."""
        return f"{self.strategy}, {self.where}"

    @property
    def where(self) -> str:
        """For a progress line."""
        which = f"round {self.number + 1}" if self.part == "rounds" else self.part
        return f"{which}, {self.loads[-1].words}"

    def seconds(self) -> float:
        """About how long it takes."""
        small = self.strategy in SMALL_BOTS
        settling = 0.0
        for condition in self.conditions:
            if self.strategy != FLOOR:
                slow = SETTLE_SMALL_S if small else SETTLE_S
                settling += SETTLE_HEALTHY_S if condition.fault is None else slow
        leads = (max(1.0, condition.lead_s) for condition in self.conditions)
        return START_S + settling + sum(leads) + sum(load.seconds for load in self.loads)


def quick(choices: Choices) -> Choices:
    """The quick run of the same choices: one round, fewer conditions and loads where the command line named none."""
    changed = msgspec.structs.replace(choices, quick=True, rounds=1, small_rounds=1)
    if changed.loads == LOADS:
        changed.loads = QUICK_LOADS
    if changed.conditions == tuple(CONDITIONS):
        changed.conditions = tuple(one for one in CONDITIONS if one.name in QUICK_CONDITIONS)
    changed.parts = tuple(part for part in changed.parts if part != "soak")
    return changed


# The jobs of each lane, one after the other.
Batch: TypeAlias = tuple[tuple[Job, ...], ...]


def batches(choices: Choices) -> list[Batch]:
    """Everything that the choices ask for, in order; the same seed, the same order."""
    rng = random.Random(choices.seed)
    found: list[Batch] = []
    if "rounds" in choices.parts:
        found += _rounds(choices, rng)
    if "small bots" in choices.parts:
        for number in range(choices.small_rounds):
            found += _side_by_side(_small_bots(choices, number, rng), choices)
    measured = [name for name in choices.strategies if name != FLOOR]
    if "kill" in choices.parts:
        found += _side_by_side(_kills(choices, measured), choices)
    if "soak" in choices.parts:
        found += _side_by_side(_soak(choices), choices)
    if "picture" in choices.parts:
        load = QUICK_PICTURE_LOAD if choices.quick else PICTURE_LOAD
        pictures = [
            _job("picture", name, (_condition(HANG),), load, 0)
            # The floor too: that it has no outage shows what the machine does by itself.
            for name in choices.strategies
            if not choices.quick or name in QUICK_PICTURE
        ]
        # One after the other: a line of the picture is a bot by itself.
        found += [((job,),) for job in pictures]
    return found


def lanes_of(load: Load, choices: Choices) -> int:
    """How many bots are measured side by side at this load."""
    within_rate = max(1, int(LANES_RATE_MAX // load.rate))
    return min(choices.lanes or within_rate, LANES_MAX) if within_rate > 1 else 1


def _side_by_side(found: Sequence[Job], choices: Choices) -> list[Batch]:
    """Jobs of one load, in one batch."""
    if not found:
        return []
    lanes = lanes_of(found[0].loads[-1], choices)
    return [tuple(tuple(found[lane::lanes]) for lane in range(min(lanes, len(found))))]


def _condition(name: str) -> Condition:
    return next(condition for condition in CONDITIONS if condition.name == name)


def _rounds(choices: Choices, rng: random.Random) -> list[Batch]:
    """Floor and Byte Bot under every load. The lanes of a batch are rounds of one strategy: see the module's docstring."""
    placed: list[tuple[float, Batch]] = []
    for load in choices.loads:
        lanes = min(lanes_of(load, choices), math.ceil(choices.rounds / BATCHES_MIN))
        parts = math.ceil(choices.rounds / lanes)
        for part in range(parts):
            numbers = range(choices.rounds)[part::parts]
            wanted: list[tuple[str, Sequence[Condition]]] = []
            if FLOOR in choices.strategies:
                wanted.append((FLOOR, (_condition(HEALTHY),)))
            if BYTE_BOT in choices.strategies:
                wanted.append((BYTE_BOT, shuffled(choices.conditions, rng)))
            if POWER in choices.strategies and load.rate <= POWER_RATE_MAX:
                fewer = [one for one in choices.conditions if one.name in POWER_CONDITIONS]
                wanted.append((POWER, shuffled(fewer, rng)))
            rng.shuffle(wanted)
            # All loads go evenly through the whole time; those that are compared stand side by side.
            place = (part + rng.random()) / parts
            placed += [
                (place, tuple((_job("rounds", strategy, conditions, load, number),) for number in numbers))
                for strategy, conditions in wanted
                if conditions
            ]
    placed.sort(key=lambda one: one[0])
    return [batch for _, batch in placed]


def _small_bots(choices: Choices, number: int, rng: random.Random) -> list[Job]:
    """Each small bot under each condition, alone in a process of its own."""
    wanted = [condition for condition in choices.conditions if condition.name != "healthy again"]
    load = SMALL_LOAD
    if choices.quick:
        wanted = [condition for condition in wanted if condition.name in QUICK_SMALL_CONDITIONS]
        load = QUICK_SMALL_LOAD
    found = [
        _job("small bots", strategy, (condition,), load, number)
        for strategy in SMALL_BOTS
        if strategy in choices.strategies
        for condition in wanted
    ]
    rng.shuffle(found)
    return found


def _kills(choices: Choices, strategies: Iterable[str]) -> list[Job]:
    names = {condition.name for condition in choices.conditions}
    conditions = tuple(_condition(name) for name in (HEALTHY, HANG) if name in names)
    if choices.quick:
        strategies = [name for name in strategies if name == BYTE_BOT]
    # Each with a process of its own: what one kill lost must not be in the next one's figures.
    return [
        _job("kill", strategy, (condition,), KILL_LOAD, 0)
        for strategy in strategies
        for condition in conditions
    ]


def _soak(choices: Choices) -> list[Job]:
    """A healthy stretch first: buffers that grow with the rate alone (windows of 30 s and the like) are not the hang's."""
    healthy, hang = _condition(HEALTHY), _condition(HANG)
    found = []
    if FLOOR in choices.strategies:
        found.append(_job("soak", FLOOR, (healthy,), SOAK_WARM, 0))
    if BYTE_BOT in choices.strategies:
        found.append(
            Job(
                part="soak",
                strategy=BYTE_BOT,
                conditions=(healthy, hang),
                loads=(msgspec.structs.replace(SOAK_WARM, seconds=30), SOAK),
            )
        )
    return found


def _job(part: Part, strategy: str, conditions: Sequence[Condition], load: Load, number: int) -> Job:
    return Job(
        part=part,
        strategy=strategy,
        conditions=tuple(conditions),
        loads=(load,) * len(conditions),
        number=number,
    )


def chosen_loads(names: Iterable[str] | None) -> tuple[Load, ...]:
    """The loads of names such as "20x100" (channels x messages a second); all for None. Raises `UnknownChoice`."""
    if names is None:
        return LOADS
    known = {load.name: load for load in LOADS}
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise UnknownChoice(f"there is no load {name!r}; there are: {', '.join(known)}")
    return tuple(load for load in LOADS if load.name in wanted)


def chosen_strategies(names: Iterable[str] | None) -> tuple[str, ...]:
    """The strategies of these names in the order of the tables, all for None. Raises `UnknownChoice`."""
    wanted = STRATEGIES if names is None else tuple(names)
    for name in wanted:
        if name not in STRATEGIES:
            raise UnknownChoice(f"there is no strategy {name!r}; there are: {', '.join(STRATEGIES)}")
    return tuple(name for name in STRATEGIES if name in wanted)


def outage_of(load: Load) -> tuple[float, float]:
    """The outage of a picture: the middle third of the load, in seconds from its start."""
    return load.seconds / 3, load.seconds * 2 / 3


def total_seconds(planned: Iterable[Batch]) -> float:
    """About how long these batches take together: each as long as its longest lane."""
    return sum(max(sum(job.seconds() for job in lane) for lane in batch) for batch in planned)
