"""Rows, one step each: what a commit records, what a save carries, what a base that arrives changes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.errors import StateError
from byte_bot.persistence.operations import ABSENT, Base, Kind, Operation, RowKey, Stamp, rebase
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.state import Add, ChannelState, StateSpec, assign
from tests.byte_bot.persistence.nesting import BOTTOMLESS, nested
from tests.byte_bot.persistence.operation_draws import (
    CHANGES,
    PARTIAL_CHANGES,
    VALUES,
    WHOLE_CHANGES,
    graves_before,
    numbered,
)
from tests.byte_bot.persistence.row_world import KEY, SPEC, Sample


def loaded_row(base: Base = ABSENT, epoch: int = 1) -> tuple[Row, Sample]:
    """A row with its base loaded, and its value."""
    row = Row(KEY)
    assert row.accept(base, epoch, 1)
    return row, row.typed(SPEC, Sample)


def stored(epoch: int = 1, revision: int = 1, edit_no: int = 0, **fields: object) -> Base:
    """A base as a load would show it."""
    return Base(msgspec.json.encode(fields), {}, 1, epoch, revision, edit_no)


def test_a_row_without_a_base_is_never_sent() -> None:
    """Before its base has arrived a row may be changed, and is not sendable."""
    row = Row(KEY)
    row.typed(SPEC, Sample).total = 1
    assert row.commit(1, "a", 0)
    assert row.dirty
    assert not row.sendable
    with pytest.raises(AssertionError, match="without a base"):
        row.freeze(1, 0)
    row.accept(ABSENT, 1, 1)
    assert row.sendable


def test_a_snapshot_is_shown_and_does_not_make_a_row_sendable() -> None:
    """A base of epoch 0 (the local snapshot) fills RAM and is never sent over."""
    row = Row(KEY)
    state = row.typed(SPEC, Sample)
    row.accept(stored(total=7), 0, 0)
    state.total += 1
    row.commit(0, "a", 0)
    assert state.total == 8
    assert not row.sendable


def test_the_value_is_the_same_object_as_long_as_the_row_lives() -> None:
    """What a component holds changes in place when a base arrives or a transaction is rolled back."""
    row, state = loaded_row()
    row.accept(stored(total=3), 1, 2)
    assert row.view(SPEC) is state
    assert state.total == 3
    state.total = 9
    row.rollback()
    assert row.view(SPEC) is state
    assert state.total == 3


def test_commit_records_differences_with_one_stamp() -> None:
    """All operations of a commit carry the next revision, the epoch, the op_id and the wall time."""
    row, state = loaded_row(stored(epoch=1, revision=4, total=3))
    state.total += 2
    state.last = "x"
    operations = row.commit(1, "message", 99)
    assert operations == [
        Operation(Kind.ADD, "total", None, 2, Stamp(1, 5), "message", 99),
        Operation(Kind.SET, "last", None, "x", Stamp(1, 5), "message", 99),
    ]
    assert row.commit(1, "again", 100) == []


def test_changes_before_the_load_carry_no_epoch() -> None:
    """What was changed before the base arrived is not taken for contained in it, whatever its revision."""
    row = Row(KEY)
    state = row.typed(SPEC, Sample)
    state.total += 1
    assert [operation.stamp for operation in row.commit(5, "a", 0)] == [Stamp(0, 1)]
    row.accept(stored(epoch=5, revision=40, total=10), 5, 1)
    assert state.total == 11
    assert [operation.stamp for operation in row.pending] == [Stamp(5, 41)]


def test_a_late_load_keeps_what_was_done_meanwhile() -> None:
    """Adds add up with the late base, a field set here stays, the rest comes from the database."""
    row = Row(KEY)
    state = row.typed(SPEC, Sample)
    state.total += 1
    state.last = "here"
    row.commit(0, "a", 0)
    row.accept(stored(total=41, last="there", note="human"), 1, 1)
    assert (state.total, state.last, state.note) == (42, "here", "human")


def test_an_assigned_number_discards_earlier_adds() -> None:
    """``=n`` counts from n, whatever the late base says, also if RAM held n already."""
    row = Row(KEY)
    state = row.typed(SPEC, Sample)
    row.assigned.append(assign(state, "total", 0))
    row.commit(0, "a", 0)
    row.accept(stored(total=41), 1, 1)
    assert state.total == 0


def test_a_load_asked_before_the_base_changed_is_ignored() -> None:
    """A load that was asked before the last change of the base says nothing new."""
    row, state = loaded_row(stored(revision=2, total=2))
    row.serial = 10
    assert not row.accept(stored(revision=9, total=9), 1, 9)
    assert state.total == 2


def test_a_load_older_than_the_base_is_ignored() -> None:
    """An answer that was overtaken never takes a row back, however late it was asked."""
    row, state = loaded_row(stored(revision=5, total=5))
    assert not row.accept(stored(revision=4, total=4), 1, 99)
    assert not row.accept(stored(epoch=0, revision=0, edit_no=1), 1, 0)
    assert state.total == 5


def test_a_row_that_a_human_made_anew_counts() -> None:
    """Deleted and made again in the table editor, a row starts from zero, and is not taken for an old one."""
    row, state = loaded_row(stored(revision=5, total=5))
    assert row.accept(stored(epoch=0, revision=0, edit_no=1, total=1), 1, 99)
    assert state.total == 1


def test_a_save_without_an_answer_is_sent_again_as_it_was() -> None:
    """Until somebody says what became of it, the same revision and content are sent."""
    row, state = loaded_row()
    state.total += 1
    row.commit(1, "a", 0)
    first = row.freeze(1, 0)
    row.unanswered()
    state.total += 1
    row.commit(1, "b", 0)
    assert row.freeze(1, 0) is first
    assert first.payload["data"]["total"] == 1


def test_a_refused_connection_after_a_lost_answer_does_not_unfreeze() -> None:
    """The second try surely never left, the first one may have: a load in between must not double the change."""
    row, state = loaded_row()
    state.total += 1
    row.commit(1, "a", 0)
    sent = row.freeze(1, 0)
    row.unanswered()
    assert row.freeze(1, 0) is sent
    row.unfreeze()
    state.total += 1
    row.commit(1, "b", 0)
    row.accept(sent.base, 1, 2)
    assert state.total == 2


def test_a_refused_connection_lets_the_next_save_carry_newer_changes() -> None:
    """What surely never left is replaced by the newest state, and newer operations absorb it again."""
    row, state = loaded_row()
    for number in range(5):
        state.total += 1
        row.commit(1, f"{number}", 0)
        assert row.freeze(1, 0).payload["data"]["total"] == number + 1
        row.unfreeze()
    assert [operation.value for operation in row.pending] == [5]


def test_a_load_that_shows_the_save_settles_it_before_its_answer() -> None:
    """The answer of a save that a load has shown already changes nothing, not even a human's later edit."""
    row, state = loaded_row()
    state.total += 1
    row.commit(1, "a", 0)
    sent = row.freeze(1, 0)
    seen = msgspec.structs.replace(sent.base, edit_no=1, data=b'{"total":1,"note":"edited"}')
    assert row.accept(seen, 1, 2)
    assert not row.acknowledged(sent, 3)
    assert (row.base, state.note, row.dirty) == (seen, "edited", False)


def test_an_acknowledged_save_is_the_new_base() -> None:
    """What was sent is contained, what was done since stays pending."""
    row, state = loaded_row()
    state.total += 1
    row.commit(1, "a", 0)
    sent = row.freeze(1, 0)
    state.total += 1
    row.commit(1, "b", 0)
    assert row.acknowledged(sent, 2)
    assert [operation.op_id for operation in row.pending] == ["b"]
    assert row.freeze(1, 0).payload | {"data": None} == {
        "table": "component_state",
        "channel_id": "1",
        "key": "row-world",
        "version": 1,
        "data": None,
        "tombstones": {},
        "revision": 2,
        "edit_no": 0,
    }


def test_a_dead_letter_is_left_out_until_a_newer_revision() -> None:
    """What the server cannot store is not sent again; a newer change of the row is."""
    row, state = loaded_row()
    state.last = "bad"
    row.commit(1, "a", 0)
    row.refuse(row.freeze(1, 0))
    assert row.dirty
    assert not row.sendable
    state.last = "good"
    row.commit(1, "b", 0)
    assert row.sendable
    assert len(row.pending) == 1


def test_a_dead_letter_stays_one_under_a_new_epoch() -> None:
    """Its operations get new numbers, and say nothing new."""
    row, state = loaded_row()
    state.last = "bad"
    row.commit(1, "a", 0)
    row.refuse()
    assert row.is_refused
    row.forget_base()
    row.accept(row.base, 2, 5)
    assert row.pending[0].stamp == Stamp(2, row.revision)
    assert row.is_refused
    assert not row.sendable


def test_a_human_s_edit_has_a_dead_letter_tried_again() -> None:
    """What was refused may fit the row as it is now; a base without an edit changes nothing."""
    row, state = loaded_row()
    state.last = "bad"
    row.commit(1, "a", 0)
    row.refuse()
    row.accept(row.base, 1, 5)
    assert not row.sendable
    row.accept(msgspec.structs.replace(row.base, edit_no=(row.base.edit_no or 0) + 1), 1, 6)
    assert row.sendable


def test_a_new_epoch_stamps_pending_operations_anew() -> None:
    """Replayed operations are put on the loaded base once and carry the new process's stamps from then on."""
    row = Row(KEY)
    row.replayed([Operation(Kind.ADD, "total", None, 2, Stamp(1, 7))])
    row.accept(stored(epoch=1, revision=6, total=1), 2, 1)
    assert row.typed(SPEC, Sample).total == 3
    assert [operation.stamp for operation in row.pending] == [Stamp(2, 8)]


def test_a_replayed_operation_that_was_saved_before_the_crash_counts_once() -> None:
    """An operation of the journal that the stored row contains is dropped, and a new one beside it is not."""
    row = Row(KEY)
    row.replayed([Operation(Kind.ADD, "total", None, 1, Stamp(1, 5))])
    state = row.typed(SPEC, Sample)
    state.total += 1
    row.commit(0, "after the restart", 0)
    row.accept(stored(epoch=1, revision=5, total=1), 2, 1)
    assert state.total == 2


def test_a_deletion_beats_a_put_from_an_old_journal() -> None:
    """A put that is older than the base's tombstone is dropped: the command stays deleted."""
    row = Row(KEY)
    row.replayed([Operation(Kind.PUT, "names", "a", "old", Stamp(1, 5))])
    state = row.typed(SPEC, Sample)
    base = Base(b"{}", {"names": {"a": [2, 3, 1_000]}}, 1, 2, 4, 0)
    row.accept(base, 3, 1)
    assert state.names == {}
    assert not row.dirty


@given(
    VALUES,
    graves_before(7),
    st.lists(PARTIAL_CHANGES, max_size=4),
    WHOLE_CHANGES,
    st.lists(CHANGES, max_size=4),
)
def test_a_new_stamp_brings_nothing_back(
    data: dict[str, Any],
    graves: dict[str, Any],
    before: list[tuple[Any, ...]],
    whole: tuple[Any, ...],
    after: list[tuple[Any, ...]],
) -> None:
    """What an old journal's operations come to, keys deleted since left out, is what is saved under the new epoch."""
    operations = numbered([*before, whole, *after])
    row = Row(KEY)
    row.replayed(operations)
    row.accept(Base(msgspec.json.encode(data), graves, 1, 6, 20, 0), 7, 1)
    expected = rebase(data, graves, operations)
    saved = row.freeze(7, 0).base if row.sendable else row.base
    assert msgspec.json.decode(saved.data or b"") == expected.data
    assert {field: {*keys} for field, keys in saved.tombstones.items() if keys} == {
        field: {*keys} for field, keys in expected.tombstones.items()
    }


def test_rollback_forgets_changes_and_assignments() -> None:
    """After a rollback there is nothing to commit."""
    row, state = loaded_row()
    state.names["a"] = "x"
    row.assigned.append(assign(state, "total", 5))
    row.rollback()
    assert (state.names, state.total) == ({}, 0)
    assert row.commit(1, "a", 0) == []


def test_what_cannot_be_stored_is_said_before_the_commit() -> None:
    """A value of the wrong type, or that JSON cannot hold, raises in prepare, naming class and field."""
    row, state = loaded_row()
    state.total = "many"  # type: ignore[assignment]
    with pytest.raises(StateError, match=r"Sample\.total"):
        row.prepare()
    row.rollback()
    state.last = object()  # type: ignore[assignment]
    with pytest.raises(StateError, match=r"Sample\.last"):
        row.prepare()
    row.rollback()
    assert not row.changed()


def test_a_row_that_does_not_fit_its_class_is_not_written_until_it_does() -> None:
    """A human's typo keeps RAM and the stored row as they are; the correction brings both together."""
    row, state = loaded_row(stored(revision=1, total=1))
    assert not row.accept(Base(b'{"total":"one"}', {}, 1, 1, 1, 1), 1, 2)
    assert "total" in row.unreadable
    state.total += 1
    row.commit(1, "a", 0)
    assert not row.sendable
    assert row.accept(stored(revision=1, edit_no=2, total=10), 1, 3)
    assert (state.total, row.sendable, row.unreadable) == (11, True, "")


def test_an_unreadable_row_that_is_used_late_shows_defaults_and_is_not_sent() -> None:
    """A base that came before the class was known is checked when the value is first asked for."""
    row = Row(KEY)
    row.accept(Base(b'{"total":"one"}', {}, 1, 1, 1, 1), 1, 1)
    assert row.typed(SPEC, Sample).total == 0
    assert row.unreadable
    assert not row.loaded


class Lives(ChannelState, key="lives"):
    """A number that must not be negative."""

    left: Annotated[int, Add, msgspec.Meta(ge=0)] = 3


def test_local_changes_that_do_not_fit_the_late_base_keep_the_row_back() -> None:
    """Two lives lost here and a stored row with one left: said, not sent, and nothing falls over."""
    spec = StateSpec(Lives)
    row = Row(RowKey("component_state", "1", "lives"))
    state = row.typed(spec, Lives)
    state.left -= 2
    row.commit(0, "a", 0)
    assert not row.accept(stored(left=1), 1, 1)
    assert "left" in row.unreadable
    assert not row.sendable
    row = Row(RowKey("component_state", "1", "lives"))
    row.replayed([Operation(Kind.ADD, "left", None, -9, Stamp(0, 1))])
    assert row.typed(spec, Lives).left == 3


def test_two_classes_with_one_key_are_refused() -> None:
    """A second class that asks for the row is told which one has it."""

    class Other(ChannelState, key="row-world"):
        total: int = 0

    row, _ = loaded_row()
    with pytest.raises(StateError, match="share the key 'row-world'"):
        row.typed(StateSpec(Other), Other)


class Columns(ChannelState, key="", table=CONFIG_TABLE):
    """Part of channels_config."""

    paused: bool = False
    prefix: str = ""


def test_a_configuration_row_sends_only_the_columns_that_were_changed() -> None:
    """``channels_config`` belongs to humans: the bot's save names single columns."""
    spec = StateSpec(Columns)
    row = Row(RowKey(CONFIG_TABLE, "anna"))
    state = row.typed(spec, Columns)
    row.accept(stored(epoch=0, revision=0, edit_no=3, prefix="?"), 1, 1)
    state.paused = True
    row.commit(1, "a", 0)
    assert row.freeze(1, 0).payload == {
        "login": "anna",
        "columns": {"paused": True},
        "revision": 1,
        "edit_no": 3,
    }


def test_unknown_fields_of_a_newer_program_are_kept() -> None:
    """What the class does not know travels through a save unharmed."""
    row, state = loaded_row(stored(total=1, invented_later=[1, 2]))
    state.total += 1
    row.commit(1, "a", 0)
    assert row.freeze(1, 0).payload["data"]["invented_later"] == [1, 2]


def test_a_new_epoch_asks_for_the_base_again() -> None:
    """After the epoch is gone nothing is sent until the row has been read under the new one."""
    row, state = loaded_row()
    state.total += 1
    row.commit(1, "a", 0)
    row.freeze(1, 0)
    row.forget_base()
    assert not row.sendable
    row.accept(ABSENT, 2, 2)
    assert row.freeze(2, 0).base.epoch == 2


def test_what_is_nested_too_deeply_to_be_read_makes_its_row_unreadable() -> None:
    """From the journal of an earlier release: the row is not sent, shows defaults, and keeps what it holds; no error goes up."""

    class Tree(ChannelState, key="test-deep"):
        tree: Any = None

    row = Row(KEY)
    deep = Operation(Kind.SET, "tree", None, nested(BOTTOMLESS), Stamp(1, 1))
    row.replayed([deep])
    state = row.typed(StateSpec(Tree), Tree)
    assert state.tree is None
    assert "within each other" in row.unreadable
    row.accept(ABSENT, 2, 1)
    assert row.unreadable
    assert not row.sendable
    assert row.pending[0].value is deep.value
