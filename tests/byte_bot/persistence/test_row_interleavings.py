"""Rows under any interleaving of chat, disk, network, database and human: the world is in ``row_world.py``.

Hypothesis walks over the shipped journal on the shipped SQLite core, commit by commit and fold by fold, and shrinks what it
finds; many more walks go over a plain list. Here a save leaves only when everything is committed: the rows that may be saved
while the journal is degraded, and which may not, are in ``tests/safeguards/test_held_back.py``.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Write
from byte_bot.persistence.row import Row
from tests.byte_bot.persistence.row_disk import FileDisk, Trouble
from tests.byte_bot.persistence.row_walks import random_walk, take_step
from tests.byte_bot.persistence.row_world import World
from tests.safeguards.row_variants import StamplessRow

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
    st.tuples(st.just("clear"), st.just(""), st.none()),
    st.tuples(st.just("line"), st.just(""), WORDS),
)


def troubles(at: st.SearchStrategy[int]) -> st.SearchStrategy[Trouble]:
    """Room or an I/O error, at one of these statements."""
    codes = st.sampled_from([sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR])
    return st.builds(Trouble, codes, at, lasts=st.booleans(), ends=st.booleans(), done=st.booleans())


#: A commit is one statement, unless it has to fold first; a fold of two rows has about ten.
IN_COMMIT = troubles(st.just(0) | st.integers(0, 10))
IN_FOLD = troubles(st.integers(0, 10))
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

    journal_class: type[SqliteJournal] = SqliteJournal

    @initialize(stored=STORED)
    def start(self, stored: dict[str, object] | None) -> None:
        self.disk = FileDisk(self.journal_class)
        self.world = World(stored, self.disk)

    @rule(intent=INTENTS)
    def change(self, intent: tuple[str, str, object]) -> None:
        self.world.change(intent)

    @rule(index=INDEX)
    def repeat(self, index: int) -> None:
        self.world.repeat(index)

    @rule()
    def sync(self) -> None:
        self.world.sync()

    @rule()
    def disk_writes(self) -> None:
        self.disk.write()

    @rule()
    def disk_acknowledges(self) -> None:
        self.disk.acknowledge()

    @rule()
    def disk_fails(self) -> None:
        self.disk.fail()

    @rule(written=st.booleans())
    def disk_leaves_in_doubt(self, written: bool) -> None:
        self.disk.leave_in_doubt(written=written)

    @rule(trouble=IN_COMMIT)
    def disk_writes_in_trouble(self, trouble: Trouble) -> None:
        self.disk.write_in_trouble(trouble)

    @rule()
    def disk_folds(self) -> None:
        self.disk.fold()

    @rule(trouble=IN_FOLD)
    def disk_folds_in_trouble(self, trouble: Trouble) -> None:
        self.disk.fold_in_trouble(trouble)

    @rule(trouble=IN_FOLD)
    def crash_in_the_midst_of_a_fold(self, trouble: Trouble) -> None:
        # SQLite rolls back what was not committed, whether it is told to or opens the file anew.
        self.disk.fold_in_trouble(trouble._replace(lasts=True))
        self.world.crash()

    @rule(index=INDEX)
    def neighbour_changes(self, index: int) -> None:
        self.disk.add_to_neighbour(index)

    @rule()
    def disk_stalls(self) -> None:
        self.disk.stall()

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
            try:
                self.world.converge()
                self.world.check_end()
            finally:
                self.disk.close()


RowMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)


class TestAnyInterleaving(RowMachine.TestCase):
    """Hypothesis' own search: it shrinks what it finds to a few steps."""

    def runTest(self) -> None:  # noqa: N802  # unittest's name
        """Whatever the order of steps, every change counts once and a human's edit of another field is kept."""
        super().runTest()


class MarkerlessJournal(SqliteJournal):
    """Takes every line of the log for one that is not folded yet."""

    def _log(self, commits_max: int = -1) -> Iterator[tuple[int, list[Write]]]:
        lines = self._connection.execute("SELECT number, writes FROM log ORDER BY number").fetchall()
        for number, writes in lines:
            yield number, self._decode_writes(writes)


class MarkerlessMachine(RowMachine):
    """The same over a file whose folded lines are folded again."""

    journal_class = MarkerlessJournal


def test_the_search_finds_what_adds_twice() -> None:
    """A machine that finds nothing anywhere would prove nothing."""
    searched = settings(max_examples=300, stateful_step_count=40, derandomize=True, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(MarkerlessMachine, settings=searched)  # type: ignore[no-untyped-call]


def walk_through(seeds: Iterable[int], row_class: type[Row]) -> None:
    """Walks, healed at their ends; raises AssertionError where something was lost or doubled."""
    for seed in seeds:
        rng = random.Random(seed)
        world = World(
            rng.choice([None, {"total": 3, "counts": {"a": 2}, "lines": ["x"]}]), row_class=row_class
        )
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


@pytest.mark.parametrize("first", range(0, 2000, 250))
def test_random_walks_end_with_database_and_ram_agreeing(first: int) -> None:
    """Of many walks through crashes, lost answers and late executions none loses or doubles a change."""
    walk_through(range(first, first + 250), Row)


def test_random_walks_find_what_adds_twice() -> None:
    """Rows that take what is replayed for something that no base can have, a planted bug, are noticed by one of a few walks."""
    with pytest.raises(AssertionError):
        walk_through(range(250), StamplessRow)
