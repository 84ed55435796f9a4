"""The search after one planted bug: seed after seed, until a night notices it.

How it works. :func:`hunt` plays the night of each seed with the mutant as its bot and stops at the first that fails, and that the
shipped bot passes. Nights that could not notice it (:attr:`Mutant.needs`: a replay without a death, say) are drawn and passed over.
Noticed by another invariant than the mutant names, it counts as a failure of the list: either the mutant does something else than it
says, or the list does not know its own invariants.

The night is exactly the one that `byte-sim search` plays at that seed: what is shown is when the search notices the bug.

The *canary* is a mutant that is none (:data:`CANARY`): the shipped bot. It must not be found, in the very nights in which the
others were; else an alarm says nothing. :func:`shipped_passes` is the same for one night.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from simulator.search.outcome import Outcome, judge
from simulator.search.plan import draw_night
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

#: The name of the mutant that is none.
CANARY = "no_change"
SHIPPED = Mutant("the shipped bot: nothing is wrong with it", frozenset())


@dataclass(frozen=True)
class Hunted:
    """What came of one hunt; ``seed`` is the first whose night failed, None if none did."""

    name: str
    #: How many nights were played.
    tries: int
    seconds: float
    seed: int | None = None
    #: What noticed it: an invariant, or the type of an error.
    invariant: str = ""
    words: str = ""
    #: Seeds before it whose nights the shipped bot does not pass either: they show nothing about the mutant.
    false_alarms: tuple[int, ...] = ()

    @property
    def is_canary(self) -> bool:
        """True for the mutant that is none."""
        return self.name == CANARY

    @property
    def passed(self) -> bool:
        """True if it is as it should be: a mutant is found, by an invariant that it names; the canary is not."""
        if self.is_canary:
            return self.seed is None
        return self.seed is not None and self.invariant in MUTANTS[self.name].invariants


def named(name: str) -> Mutant:
    """The mutant of that name; the canary has one too."""
    return SHIPPED if name == CANARY else MUTANTS[name]


def night_with(name: str, seed: int) -> Outcome:
    """The night of a seed, with a mutant as its bot."""
    mutant = named(name)
    return judge(draw_night(seed), mutant.application, mutant.judges)


def hunt(name: str, seeds: Iterable[int]) -> Hunted:
    """Play the nights of these seeds with a mutant until one fails."""
    began_s, tries, needs, alarms = time.perf_counter(), 0, named(name).needs, list[int]()
    for seed in seeds:
        if not needs(draw_night(seed)):
            continue
        tries += 1
        failure = night_with(name, seed).failure
        if failure is None:
            continue
        if name != CANARY and night_with(CANARY, seed).failure is not None:
            alarms.append(seed)
            continue
        seconds = time.perf_counter() - began_s
        return Hunted(name, tries, seconds, seed, failure.invariant, failure.words, tuple(alarms))
    return Hunted(name, tries, time.perf_counter() - began_s, false_alarms=tuple(alarms))


def hunter(seeds: Iterable[int]) -> partial[Hunted]:
    """:func:`hunt` with its seeds, for other processes."""
    return partial(hunt, seeds=seeds)
