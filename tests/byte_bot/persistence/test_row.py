"""Rows: what a commit records, what a save carries, and what any interleaving with the database amounts to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from byte_bot.errors import StateError
from byte_bot.persistence.operations import ABSENT, Base, Kind, Operation, RowKey, Stamp
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.state import ChannelState, StateSpec
from tests.byte_bot.persistence.row_world import KEY, SPEC, Sample, World

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
        self.world.take_epoch()
        self.world.ask()
        self.world.read(-1)
        self.world.deliver(-1)

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
    def a_loaded_row_shows_what_was_done(self) -> None:
        """Whatever the database has been told so far, RAM shows every intention."""
        if not self.world.process.row.loaded:
            return
        shown = msgspec.to_builtins(self.world.state())
        expected = self.world.expected()
        for field in ("total", "last", "counts", "lines"):
            assert shown[field] == expected[field], field

    @invariant()
    def pending_operations_stay_few(self) -> None:
        """However long it takes, what is pending is bounded by the row's contents, not by what was done."""
        assert len(self.world.process.row.pending) <= 60

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.converge()
        assert self.world.database.row is not None or not self.world.intents
        shown = msgspec.to_builtins(self.world.state())
        assert shown == self.world.expected()
        if self.world.database.row is not None:
            defaults = SPEC.complete(ABSENT)
            assert defaults | self.world.database.row.data == shown
        assert not self.world.process.row.dirty


RowMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestAnyInterleaving = RowMachine.TestCase
