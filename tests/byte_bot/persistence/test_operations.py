"""Operations: rebase, containment, coalescing and differences, against simple models."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.operations import (
    ABSENT,
    NO_STAMP,
    TOMBSTONE_AGE_S,
    TOMBSTONES_MAX,
    Base,
    FieldRule,
    Kind,
    Merge,
    Operation,
    Stamp,
    coalesce,
    diff,
    is_contained,
    is_older,
    rebase,
)

CAP = 3
RULES = {
    "last": FieldRule(Merge.NEWEST),
    "total": FieldRule(Merge.ADD),
    "names": FieldRule(Merge.MAPPING),
    "counts": FieldRule(Merge.ADD_MAPPING),
    "lines": FieldRule(Merge.RECENT, CAP),
}
KEYS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(-5, 5)
WORDS = st.sampled_from(["x", "y", "z"])
VALUES = st.fixed_dictionaries(
    {
        "last": WORDS,
        "total": NUMBERS,
        "names": st.dictionaries(KEYS, WORDS),
        "counts": st.dictionaries(KEYS, NUMBERS),
        "lines": st.lists(WORDS, max_size=CAP),
    }
)
#: What a commit can record, as (kind, field, key, value, cap).
CHANGES = st.one_of(
    st.tuples(st.just(Kind.SET), st.just("last"), st.none(), WORDS, st.just(0)),
    st.tuples(st.sampled_from([Kind.ADD, Kind.SET]), st.just("total"), st.none(), NUMBERS, st.just(0)),
    st.tuples(st.just(Kind.PUT), st.just("names"), KEYS, WORDS, st.just(0)),
    st.tuples(st.sampled_from([Kind.ADD, Kind.PUT]), st.just("counts"), KEYS, NUMBERS, st.just(0)),
    st.tuples(st.just(Kind.DROP), st.sampled_from(["names", "counts"]), KEYS, st.none(), st.just(0)),
    st.tuples(st.just(Kind.APPEND), st.just("lines"), st.none(), st.lists(WORDS, min_size=1, max_size=4), st.just(CAP)),
    st.tuples(st.just(Kind.SET), st.just("lines"), st.none(), st.lists(WORDS, max_size=CAP), st.just(0)),
)  # fmt: skip
EPOCH = 4


def numbered(changes: list[tuple[Any, ...]], epoch: int = EPOCH, first: int = 1) -> list[Operation]:
    """Operations of one process, in the order of their revisions."""
    return [
        Operation(kind, field, key, value, Stamp(epoch, first + n), f"op-{n}", 100 + n, cap)
        for n, (kind, field, key, value, cap) in enumerate(changes)
    ]


def by_hand(data: dict[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """The plain meaning of operations on a value without tombstones."""
    value = copy.deepcopy(data)
    for operation in operations:
        field, key, item = operation.field, operation.key, operation.value
        if operation.kind is Kind.DROP:
            value[field].pop(key, None)
        elif operation.kind is Kind.APPEND:
            value[field] = [*value[field], *item][-operation.cap :]
        elif key is not None:
            value[field][key] = value[field].get(key, 0) + item if operation.kind is Kind.ADD else item
        else:
            value[field] = value[field] + item if operation.kind is Kind.ADD else item
    return value


def coalesced(operations: list[Operation], boundary: Stamp = NO_STAMP) -> list[Operation]:
    """What stays pending after all of them were recorded, a save up to ``boundary`` having been sent in between."""
    pending: list[Operation] = []
    for operation in operations:
        coalesce(pending, operation, boundary=boundary)
    return pending


def graves_before(epoch: int) -> st.SearchStrategy[dict[str, dict[str, list[int]]]]:
    """Tombstones that earlier epochs left."""
    grave = st.tuples(st.integers(1, epoch - 1), st.integers(1, 20), st.integers(1, 50)).map(list)
    return st.fixed_dictionaries(
        {}, optional={"names": st.dictionaries(KEYS, grave), "counts": st.dictionaries(KEYS, grave)}
    )


@given(VALUES, st.lists(CHANGES, max_size=12))
def test_rebase_means_what_the_operations_say(data: dict[str, Any], changes: list[tuple[Any, ...]]) -> None:
    """Without tombstones, rebase is each operation done by hand, one after the other."""
    operations = numbered(changes)
    before = copy.deepcopy(data)
    rebased = rebase(data, {}, operations)
    assert rebased.data == by_hand(data, operations)
    assert rebased.surviving == operations
    assert data == before


@given(VALUES, VALUES, st.lists(NUMBERS, max_size=6))
def test_adds_commute_with_the_base(one: dict[str, Any], other: dict[str, Any], deltas: list[int]) -> None:
    """The same adds change every base by the same amount, in any order."""
    changes = [(Kind.ADD, "total", None, delta, 0) for delta in deltas]
    for data in (one, other):
        for operations in (numbered(changes), numbered(changes[::-1])):
            assert rebase(data, {}, operations).data["total"] == data["total"] + sum(deltas)


@given(VALUES, st.lists(NUMBERS), NUMBERS, st.lists(NUMBERS))
def test_a_set_discards_earlier_adds(
    data: dict[str, Any], earlier: list[int], value: int, later: list[int]
) -> None:
    """``=n`` counts from n: what was added before it is gone, what is added after it counts."""
    changes = [(Kind.ADD, "total", None, delta, 0) for delta in earlier]
    changes += [(Kind.SET, "total", None, value, 0)]
    changes += [(Kind.ADD, "total", None, delta, 0) for delta in later]
    for operations in (numbered(changes), coalesced(numbered(changes))):
        assert rebase(data, {}, operations).data["total"] == value + sum(later)


@given(VALUES, VALUES)
def test_diff_and_rebase_are_a_round_trip(before: dict[str, Any], after: dict[str, Any]) -> None:
    """The changes from one value to another, put on the first, make the second."""
    operations = [change.stamped(Stamp(1, 1), "op", 1) for change in diff(RULES, before, after)]
    assert rebase(before, {}, operations).data == after


@given(VALUES)
def test_no_difference_is_no_change(value: dict[str, Any]) -> None:
    """A handler that changed nothing records nothing."""
    assert diff(RULES, value, copy.deepcopy(value)) == []


@given(VALUES, graves_before(EPOCH), st.lists(CHANGES, max_size=12))
def test_coalescing_never_changes_the_result(
    data: dict[str, Any], graves: dict[str, Any], changes: list[tuple[Any, ...]]
) -> None:
    """On every base, what stays after coalescing has the effect of everything that was recorded."""
    operations = numbered(changes)
    whole, short = rebase(data, graves, operations), rebase(data, graves, coalesced(operations))
    assert short.data == whole.data
    assert {field: sorted(keys) for field, keys in short.tombstones.items()} == {
        field: sorted(keys) for field, keys in whole.tombstones.items()
    }


@given(VALUES, st.lists(CHANGES, max_size=8), st.lists(CHANGES, max_size=8), st.lists(CHANGES, max_size=4))
def test_coalescing_never_reaches_over_the_boundary(
    data: dict[str, Any],
    sent: list[tuple[Any, ...]],
    later: list[tuple[Any, ...]],
    latest: list[tuple[Any, ...]],
) -> None:
    """A base that contains exactly what was sent, and one that contains nothing, both end at the same value."""
    first = numbered(sent)
    boundary = Stamp(EPOCH, len(first))
    rest = numbered([*later, *latest], first=len(first) + 1)
    pending = coalesced(first)
    for operation in rest:
        coalesce(pending, operation, boundary=boundary)
    nothing = rebase(data, {}, pending)
    assert nothing.data == by_hand(data, [*first, *rest])
    saved = rebase(data, {}, first)
    base = Base(b"", {}, 1, EPOCH, len(first), 0)
    contained = [operation for operation in pending if not is_contained(operation, base)]
    assert rebase(saved.data, saved.tombstones, contained).data == by_hand(data, [*first, *rest])


@given(VALUES, st.lists(CHANGES, max_size=8), st.lists(CHANGES, max_size=8), st.integers(0, 8))
def test_operations_of_two_epochs_are_not_combined(
    data: dict[str, Any], replayed: list[tuple[Any, ...]], new: list[tuple[Any, ...]], saved: int
) -> None:
    """An earlier process may have saved what was replayed, up to any revision: the new operations count all the same."""
    old = numbered(replayed, epoch=1)
    saved = min(saved, len(old))
    pending = list(old)
    fresh = numbered(new, epoch=0, first=len(old) + 1)
    for operation in fresh:
        coalesce(pending, operation)
    base = rebase(data, {}, old[:saved])
    stored = Base(b"", {}, 1, 1, saved, 0)
    left = [operation for operation in pending if not is_contained(operation, stored)]
    assert rebase(base.data, base.tombstones, left).data == by_hand(data, [*old, *fresh])


@given(st.lists(CHANGES, max_size=60))
def test_pending_operations_are_as_few_as_the_row_has_parts(changes: list[tuple[Any, ...]]) -> None:
    """However much was done, at most two operations a part stay: a deletion, and what came after it."""
    parts = {(operation[1], operation[2]) for operation in changes}
    assert len(coalesced(numbered(changes))) <= 2 * len(parts)


def test_an_add_does_not_reach_over_a_deletion() -> None:
    """What was counted before a deletion stays gone, however the operations are stored."""
    pending = numbered([(Kind.ADD, "counts", "a", 2, 0), (Kind.DROP, "counts", "a", None, 0)])
    coalesce(pending, Operation(Kind.ADD, "counts", "a", 5, Stamp(EPOCH, 3)))
    assert rebase({"counts": {"a": 2}}, {}, pending).data == {"counts": {"a": 5}}


@pytest.mark.parametrize("kind", [Kind.PUT, Kind.ADD])
def test_a_late_write_loses_against_a_newer_tombstone(kind: Kind) -> None:
    """A put or add that is older than the tombstone is dropped; a newer one, or one without an epoch, counts."""
    graves = {"counts": {"a": [3, 5, 1_000]}}
    late = Operation(kind, "counts", "a", 2, Stamp(2, 9))
    assert rebase({"counts": {}}, graves, [late]) == ({"counts": {}}, graves, [])
    for stamp in (Stamp(3, 6), Stamp(4, 1), Stamp(0, 1)):
        newer = Operation(kind, "counts", "a", 2, stamp)
        assert rebase({"counts": {}}, graves, [newer]) == ({"counts": {"a": 2}}, {}, [newer])


def test_a_late_deletion_does_not_lower_a_newer_tombstone() -> None:
    """An old journal that deletes and puts again loses with both."""
    graves = {"names": {"a": [5, 1, 1_000]}}
    late = [
        Operation(Kind.DROP, "names", "a", None, Stamp(3, 1), "", 900),
        Operation(Kind.PUT, "names", "a", "old", Stamp(3, 2)),
    ]
    assert rebase({"names": {}}, graves, late) == ({"names": {}}, graves, [])


def test_a_deletion_leaves_a_tombstone_with_stamp_and_time() -> None:
    """The tombstone says when the key was deleted: epoch, revision, unix seconds."""
    drop = Operation(Kind.DROP, "names", "a", None, Stamp(3, 7), "", 1_234)
    assert rebase({"names": {"a": "x"}}, {}, [drop]).tombstones == {"names": {"a": [3, 7, 1_234]}}


def test_tombstones_are_purged_after_their_age() -> None:
    """A tombstone lives for 30 days; without a time nothing is purged."""
    graves = {"names": {"old": [1, 1, 1_000], "young": [1, 2, 1_001]}}
    assert rebase({}, graves, [], now_s=1_000 + TOMBSTONE_AGE_S).tombstones == {
        "names": {"young": [1, 2, 1_001]}
    }
    assert rebase({}, graves, [], now_s=1_001 + TOMBSTONE_AGE_S).tombstones == {}
    assert rebase({}, graves, []).tombstones == graves


def test_a_field_keeps_its_newest_tombstones_only() -> None:
    """Beyond the bound the oldest tombstones go, by stamp."""
    graves = {"names": {f"k{n:05}": [1, n, 1_000] for n in range(TOMBSTONES_MAX + 2)}}
    kept = rebase({}, graves, []).tombstones["names"]
    assert len(kept) == TOMBSTONES_MAX
    assert min(kept) == "k00002"


def test_containment_needs_the_same_epoch() -> None:
    """Only a save of the operation's own epoch, at or after its revision, contains it."""
    operation = Operation(Kind.ADD, "total", None, 1, Stamp(2, 5))
    contained = {
        (epoch, revision): is_contained(operation, Base(b"", {}, 1, epoch, revision, 0))
        for epoch in (1, 2, 3)
        for revision in (4, 5, 6)
    }
    assert [stamp for stamp, inside in contained.items() if inside] == [(2, 5), (2, 6)]


def test_older_means_epoch_then_revision_then_edits() -> None:
    """A load is older if any of the three is, in this order; a row that no bot has saved is never older."""
    known = Base(b"", {}, 1, 2, 5, 1)
    older = [(1, 9, 9), (2, 4, 9), (2, 5, 0)]
    not_older = [(2, 5, 1), (2, 5, 2), (2, 6, 0), (3, 0, 0), (0, 0, 1)]
    assert all(is_older(Base(b"", {}, 1, *stamp), known) for stamp in older)
    assert not any(is_older(Base(b"", {}, 1, *stamp), known) for stamp in not_older)
    assert not is_older(ABSENT, known)


def test_recent_items_follow_what_was_stored() -> None:
    """Appending keeps the newest items, those of the base first."""
    append = Operation(Kind.APPEND, "lines", None, ["c", "d"], Stamp(1, 1), "", 0, 3)
    assert rebase({"lines": ["a", "b"]}, {}, [append]).data == {"lines": ["b", "c", "d"]}


def test_replacing_a_recent_list_is_not_appending_to_it() -> None:
    """A list that was cleared or rewritten is set as a whole; only real appends are recorded as such."""
    rules = {"lines": RULES["lines"]}

    def changed(old: list[str], new: list[str]) -> tuple[Kind, Any]:
        (change,) = diff(rules, {"lines": old}, {"lines": new})
        return change.kind, change.value

    assert changed(["a", "b"], ["x"]) == (Kind.SET, ["x"])
    assert changed(["a", "b"], []) == (Kind.SET, [])
    assert changed(["a", "b"], ["b"]) == (Kind.SET, ["b"])
    assert changed(["a"], ["a", "x"]) == (Kind.APPEND, ["x"])
    assert changed(["a", "b", "c"], ["b", "c", "x"]) == (Kind.APPEND, ["x"])
    assert changed(["a", "b", "c"], ["x", "y", "z"]) == (Kind.APPEND, ["x", "y", "z"])


def test_an_assignment_is_recorded_even_if_nothing_changed() -> None:
    """``=n`` where RAM held n already must still discard the adds of a row that is not loaded."""
    rules = {"total": RULES["total"], "counts": RULES["counts"]}
    value = {"total": 5, "counts": {"a": 1, "b": 2}}
    changes = diff(rules, value, value, [("total", None), ("counts", "a")])
    assert [(change.kind, change.field, change.key, change.value) for change in changes] == [
        (Kind.SET, "total", None, 5),
        (Kind.PUT, "counts", "a", 1),
    ]


def test_odd_values_in_the_base_count_as_nothing() -> None:
    """An add on what is no number starts from zero; a mapping that is none starts empty."""
    add = Operation(Kind.ADD, "total", None, 2, Stamp(1, 1))
    put = Operation(Kind.PUT, "names", "a", "x", Stamp(1, 1))
    assert rebase({"total": "x", "names": 3}, {}, [add, put]).data == {"total": 2, "names": {"a": "x"}}
    assert rebase({"total": True}, {}, [add]).data == {"total": 2}
