"""Layer, writer, journal and database under any interleaving of chat, disk, network, humans and crashes: ``layer_world.py``.

``test_row_interleavings.py`` walks over one row and a writer of its own, fast and in depth; here the shipped layer and writer take
their steps, with several rows on their way at once. Whatever the walk, in the end the database has every change that a viewer
was told of exactly once.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from simulator.faults import CommitThenDrop, CutBody, Fault, Hang, Latency, Refused, Status503
from simulator.garbage import garbage_held
from tests.byte_bot.persistence.layer_disk import COMMIT_S
from tests.byte_bot.persistence.layer_world import LayerWorld
from tests.safeguards.test_journal_before_save import HastyJournal

INDEX = st.integers(0, 3)
#: No time but the turns of the loop; within a save; between two of them; longer than the journal waits; than a request.
PAUSES_S = st.sampled_from([0.0, 0.003, 0.3, 2.0, 12.0])
#: Quick, slow, slower than the journal waits; None: each commit waits for a step of the walk.
COMMITS_S = st.sampled_from([COMMIT_S, 0.3, 1.5, None, None])
FAULTS = st.sampled_from(
    [
        None,
        None,
        Refused(),
        Hang(),
        Status503(),
        CommitThenDrop(),
        CutBody(),
        Latency(400.0),
        Latency(3_000.0),
        Latency(12_000.0, late_probability=1.0),
    ]
)


class LayerMachine(RuleBasedStateMachine):
    """Chat, disk, network, humans and crashes take their steps in any order."""

    @initialize(stored=st.booleans(), commit_s=COMMITS_S)
    def start(self, stored: bool, commit_s: float | None) -> None:
        self.world = LayerWorld(stored=stored)
        self.world.disk_conduct(commit_s)

    @rule(index=INDEX, amount=st.integers(1, 5), says=st.booleans())
    def change(self, index: int, amount: int, says: bool) -> None:
        self.world.change(index, amount, says=says)

    @rule(seconds=PAUSES_S)
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(index=INDEX, seconds=PAUSES_S)
    def change_after_a_while(self, index: int, seconds: float) -> None:
        self.world.pass_time(seconds)
        self.world.change(index, 1, says=True)

    @rule(commit_s=COMMITS_S)
    def crash(self, commit_s: float | None) -> None:
        self.world.crash(commit_s)

    @rule()
    def stop(self) -> None:
        self.world.stop()

    @rule(commit_s=COMMITS_S)
    def disk_conduct(self, commit_s: float | None) -> None:
        self.world.disk_conduct(commit_s)

    @precondition(lambda self: self.world.disk.waits)
    @rule()
    def disk_writes(self) -> None:
        self.world.disk.store.write()

    @precondition(lambda self: self.world.disk.waits)
    @rule(commits=st.integers(1, 3))
    def disk_acknowledges(self, commits: int) -> None:
        for _ in range(commits):
            self.world.disk_acknowledges()

    @precondition(lambda self: self.world.disk.waits)
    @rule(index=INDEX)
    def change_during_a_commit(self, index: int) -> None:
        self.world.change(index, 1, says=True)
        self.world.disk_acknowledges()

    @precondition(lambda self: self.world.disk.waits)
    @rule()
    def disk_fails(self) -> None:
        self.world.disk_fails()

    @precondition(lambda self: self.world.disk.waits)
    @rule(written=st.booleans())
    def disk_leaves_in_doubt(self, written: bool) -> None:
        self.world.disk_leaves_in_doubt(written=written)

    @rule(fault=FAULTS)
    def database(self, fault: Fault | None) -> None:
        self.world.database(fault)

    @precondition(lambda self: self.world.saves)
    @rule(index=INDEX)
    def repeat_save(self, index: int) -> None:
        self.world.repeat_save(index)

    @rule(index=INDEX)
    def human_edit(self, index: int) -> None:
        self.world.human_edit(index)

    @rule()
    def another_takes_over(self) -> None:
        self.world.another_takes_over()

    @rule()
    def back_up(self) -> None:
        self.world.back_up()

    @precondition(lambda self: self.world.backups)
    @rule(index=INDEX)
    def restore(self, index: int) -> None:
        self.world.restore(index)

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.converge()
                self.world.check_end()
            finally:
                self.world.close()


def walk(machine: type[LayerMachine], searched: settings) -> None:
    """Let Hypothesis walk; the collector looks at what the walks make, and only then."""
    with garbage_held():
        run_state_machine_as_test(machine, settings=searched)  # type: ignore[no-untyped-call]


def test_any_interleaving_ends_with_what_viewers_were_told_of() -> None:
    """Whatever the order of steps: exactly once, newest wins, a human's edit is kept, and nothing is left waiting."""
    walk(LayerMachine, settings(max_examples=20, stateful_step_count=40))


def test_what_an_earlier_process_saved_is_not_counted_twice_after_a_death_on_a_broken_disk() -> None:
    """The journal still has as pending what the database was found to have: no newer save leaves before it knows.

    Found by the walks above, and shortened.
    """
    world = LayerWorld(stored=True)
    try:
        world.disk_conduct(None)
        world.stop()
        for index in (1, 2):
            world.change(index, 1, says=True)
            world.disk_acknowledges()
        world.stop()
        world.change(1, 1, says=True)
        world.stop()
        world.check()
        world.converge()
        world.check_end()
    finally:
        world.close()


def killed_after_a_save_on_a_held_disk(world: LayerWorld) -> None:
    """One process leaves a change in the journal; the disk is held while the next one saves, or would, and dies."""
    try:
        world.change(0, 1, says=True)
        world.pass_time(0.003)
        world.crash(None)
        world.pass_time(0.3)
        world.check()
        world.crash()
        world.check()
        world.converge()
        world.check_end()
    finally:
        world.close()


def test_a_save_waits_for_the_journal() -> None:
    """What the database has under a new stamp the next process finds under that stamp: it counts once."""
    killed_after_a_save_on_a_held_disk(LayerWorld(stored=False))


def test_the_world_shows_a_save_that_does_not_wait_for_the_journal() -> None:
    """Without the wait the change counts twice, and the model says so."""
    with pytest.raises(AssertionError, match="counted more than once"):
        killed_after_a_save_on_a_held_disk(LayerWorld(stored=False, journal_class=HastyJournal))
