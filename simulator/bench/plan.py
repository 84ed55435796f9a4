"""What is measured in which order: loads, conditions of the database, and the plan of interleaved rounds. Pure.

A `Load` is a rate spread evenly over channels, and how long it lasts. A `Condition` is a name and the fault that makes it. The
conditions of a round are shuffled by the seed (rounds that run side by side share one order): a machine that slows down for a minute, or a bot that
slows down with age, then hits every condition alike in the long run instead of always the last one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from simulator.bench.results import HEALTHY, HEALTHY_AGAIN

SAMPLES_MIN = 1_000  # of a round; with fewer, a p99 is the tenth-largest value of too few


class Load(msgspec.Struct, frozen=True):
    """`rate` messages per second, all channels together, for `seconds`; message i is due at i / rate."""

    channels: int
    rate: float
    seconds: float

    @property
    def name(self) -> str:
        """Short and without blanks, as `--loads` takes it."""
        return f"{self.channels}x{self.rate:g}"

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.channels} channel{'s' if self.channels > 1 else ''}, {self.rate:,g} messages/s"

    def count(self) -> int:
        """How many messages there are."""
        return max(1, round(self.rate * self.seconds))


class Condition(msgspec.Struct, frozen=True):
    """A state of the database: the fault that is set before the first sample and cleared after the last, or none.

    `lead_s` is how long the fault acts before the first sample, in seconds, if that is more than the usual second: where a call has no
    quick end, what a bot does about one that was given up would else lie behind the samples of a short load. With `heals` the
    fault is cleared at the first sample already: what is sampled is how the bot brings home what piled up.
    """

    name: str
    fault: Mapping[str, Any] | None = None  # as the control address takes it
    lead_s: float = 0.0
    heals: bool = False

    @property
    def is_outage(self) -> bool:
        """True if the database is broken while samples are taken."""
        return self.fault is not None and not self.heals


# Byte Bot saves after 2 s and gives a call up after 5 (chosen; what other bots do is theirs).
_GIVEN_UP_S = 7.5
# Its second call, made 7.0 to 7.5 s after the first message, hangs as the first did until 12.0 to 12.5 s; the third follows within a
# second. Healed at 12 s, the database is saved to from 0 to 1.5 s after the first sample on: inside the shortest load, of 4 s.
_HUNG_TWICE_S = 12.0


CONDITIONS: Sequence[Condition] = (
    Condition(HEALTHY),
    # The same again: what differs between these two is the noise of machine and method.
    Condition(HEALTHY_AGAIN),
    Condition("50 ms", {"kind": "latency", "ms": 50}),
    Condition("500 ms", {"kind": "latency", "ms": 500}),
    Condition("2 s", {"kind": "latency", "ms": 2_000}, lead_s=4.5),
    Condition("refused", {"kind": "refused"}),
    Condition("hang", {"kind": "hang"}, lead_s=_GIVEN_UP_S),
    Condition("503", {"kind": "status_503"}),
    Condition("429", {"kind": "too_many_requests"}),
    Condition("drip", {"kind": "drip"}, lead_s=_GIVEN_UP_S),
    Condition("flapping", {"kind": "flapping"}),
    # After an outage, not in one: save follows save without a pause until all is stored, while people go on talking.
    Condition("back again", {"kind": "hang"}, lead_s=_HUNG_TWICE_S, heals=True),
)


class UnknownChoice(ValueError):
    """A name on a command line that is none of those there are; the message lists them."""


def chosen_conditions(names: Iterable[str] | None) -> tuple[Condition, ...]:
    """The conditions of these names in the order of `CONDITIONS`, all for None. Raises `UnknownChoice`."""
    known = {condition.name: condition for condition in CONDITIONS}
    wanted = tuple(known) if names is None else tuple(names)
    for name in wanted:
        if name not in known:
            raise UnknownChoice(f"there is no condition {name!r}; there are: {', '.join(known)}")
    return tuple(condition for condition in CONDITIONS if condition.name in wanted)


def shuffled(conditions: Sequence[Condition], rng: random.Random) -> tuple[Condition, ...]:
    """The conditions in an order of their own."""
    order = list(conditions)
    rng.shuffle(order)
    return tuple(order)
