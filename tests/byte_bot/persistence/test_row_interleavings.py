"""Rows under any interleaving of chat, disk, network, database and human: the world is in ``row_world.py``."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.byte_bot.persistence.row_world import World, random_walk, take_step

INDEX = st.integers(0, 3)
KEYS = st.sampled_from(["a", "b"])
NUMBERS = st.integers(-3, 5)
WORDS = st.sampled_from(["x", "y", "z"])
INTENTS = st.one_of(
    st.tuples(st.just("add"), st.just(""), NUMBERS),
    st.tuples(st.just("assign"), st.just(""), NUMBERS),
    st.tuples(st.just("set"), st.just(""), WORDS),
    st.tuples(st.just("count"), KEYS, NUMBERS),
    st.tuples(st.just("put"), KEYS, WORDS),
    st.tuples(st.just("uncount"), KEYS, st.none()),
    st.tuples(st.just("unname"), KEYS, st.none()),
    st.tuples(st.just("line"), st.just(""), WORDS),
)
STORED = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "total": NUMBERS,
        "last": WORDS,
        "counts": st.dictionaries(KEYS, NUMBERS),
        "names": st.dictionaries(KEYS, WORDS),
        "lines": st.lists(WORDS, max_size=3),
        "note": WORDS,
    },
)


class RowMachine(RuleBasedStateMachine):
    """Chat, disk, network, database and human take their steps in any order."""

    @initialize(stored=STORED)
    def start(self, stored: dict[str, object] | None) -> None:
        self.world = World(stored)

    @rule(intent=INTENTS)
    def change(self, intent: tuple[str, str, object]) -> None:
        self.world.change(intent)

    @rule()
    def sync(self) -> None:
        self.world.sync()

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def take_epoch(self) -> None:
        self.world.take_epoch()

    @rule()
    def load_at_once(self) -> None:
        self.world.load_at_once()

    @rule()
    def send(self) -> None:
        self.world.send()

    @rule()
    def connection_refused(self) -> None:
        self.world.connection_refused()

    @rule(index=INDEX)
    def execute(self, index: int) -> None:
        self.world.execute(index)

    @rule()
    def lose_answer(self) -> None:
        self.world.lose_answer()

    @rule()
    def answer(self) -> None:
        self.world.answer()

    @rule()
    def ask(self) -> None:
        self.world.ask()

    @rule(index=INDEX)
    def read(self, index: int) -> None:
        self.world.read(index)

    @rule(index=INDEX)
    def deliver(self, index: int) -> None:
        self.world.deliver(index)

    @rule()
    def evict(self) -> None:
        self.world.evict()

    @rule(note=WORDS)
    def human_edit(self, note: str) -> None:
        self.world.human_edit(note)

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.converge()
            self.world.check_end()


RowMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)


class TestAnyInterleaving(RowMachine.TestCase):
    """Hypothesis' own search: it shrinks what it finds to a few steps."""

    def runTest(self) -> None:  # noqa: N802  # unittest's name
        """Whatever the order of steps, every change counts once and a human's edit of another field is kept."""
        super().runTest()


@pytest.mark.parametrize("first", range(0, 2000, 250))
def test_random_walks_end_with_database_and_ram_agreeing(first: int) -> None:
    """Of many walks through crashes, lost answers and late executions none loses or doubles a change."""
    for seed in range(first, first + 250):
        rng = random.Random(seed)
        world = World(rng.choice([None, {"total": 3, "counts": {"a": 2}, "lines": ["x"]}]))
        walk = random_walk(rng, 40)
        for number, (step, argument) in enumerate(walk):
            take_step(world, step, argument)
            try:
                world.check()
            except AssertionError as error:
                error.add_note(f"seed {seed}: {walk[: number + 1]}")
                raise
        world.converge()
        try:
            world.check_end()
        except AssertionError as error:
            error.add_note(f"seed {seed}: {walk}, then healed")
            raise
