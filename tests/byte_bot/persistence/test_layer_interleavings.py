"""Layer, writer, journal and database under any interleaving of chat, disk, network, humans and crashes: ``layer_world.py``.

``test_row_interleavings.py`` walks over one row and a writer of its own, fast and in depth; here the shipped layer and writer take
their steps, with several rows on their way at once. Whatever the walk, in the end the database has every change that a viewer
was told of exactly once.
"""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from byte_bot.persistence.journal import Journal
from simulator.faults import CommitThenDrop, CutBody, Fault, Hang, Latency, Refused, Status503
from simulator.garbage import garbage_held
from simulator.supabase.functions import StandIn, save
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

    journal_class: type[Journal] = Journal
    save_function: StandIn | None = None

    @initialize(stored=st.booleans(), commit_s=COMMITS_S)
    def start(self, stored: bool, commit_s: float | None) -> None:
        self.world = LayerWorld(stored=stored, journal_class=self.journal_class, save=self.save_function)
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


class HastyMachine(LayerMachine):
    """A save does not wait for the journal."""

    journal_class = HastyJournal


class UnfencedMachine(LayerMachine):
    """The database saves for whoever holds an older epoch."""

    save_function = staticmethod(partial(save, epoch_fence=False))


class RowGuardlessMachine(LayerMachine):
    """The database lets an old save overwrite a newer row."""

    save_function = staticmethod(partial(save, row_guard=False))


class EditGuardlessMachine(LayerMachine):
    """The database lets a save overwrite what a human has edited meanwhile."""

    save_function = staticmethod(partial(save, edit_guard=False))


@pytest.mark.parametrize(
    "machine", [HastyMachine, UnfencedMachine, RowGuardlessMachine, EditGuardlessMachine]
)
def test_the_search_finds_a_safeguard_that_is_switched_off(machine: type[LayerMachine]) -> None:
    """A machine that finds nothing anywhere would prove nothing."""
    searched = settings(
        max_examples=300,
        stateful_step_count=40,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError):
        walk(machine, searched)
