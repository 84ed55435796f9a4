"""Coalescing: what stays has the effect of everything, on every base; the index finds what looking through the list finds."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.coalescing import INDEXED_MIN, Coalescing, coalesce, coalesced
from byte_bot.persistence.journal_image import RowImage
from byte_bot.persistence.journal_line import line_of, row_of
from byte_bot.persistence.operations import Base, Kind, Operation, Stamp, is_contained, rebase
from tests.byte_bot.persistence.operation_draws import (
    CAP,
    CHANGES,
    EPOCH,
    KEYS,
    NUMBERS,
    PARTIAL_CHANGES,
    TURNED_CHANGES,
    VALUES,
    WORDS,
    by_hand,
    graves_before,
    numbered,
)


@given(VALUES, graves_before(EPOCH), st.lists(PARTIAL_CHANGES, max_size=12))
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


@given(VALUES, graves_before(EPOCH), st.lists(CHANGES, max_size=12))
def test_a_whole_mapping_buries_what_the_base_has(
    data: dict[str, Any], graves: dict[str, Any], changes: list[tuple[Any, ...]]
) -> None:
    """What was put and cleared before anybody else could see it needs no tombstone; whatever was stored and is gone has one."""
    operations = numbered(changes)
    whole, short = rebase(data, graves, operations), rebase(data, graves, coalesced(operations))
    assert short.data == whole.data
    for field in ("names", "counts"):
        found, buried = short.data[field], short.tombstones.get(field, {})
        assert set(buried) <= set(whole.tombstones.get(field, {}))
        assert {*data[field], *graves.get(field, {})} <= {*found, *buried}
        assert not {*found} & {*buried} - {*graves.get(field, {})}


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
        coalesce(pending, operation, boundary)
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


@given(
    NUMBERS | st.dictionaries(KEYS, NUMBERS) | st.lists(WORDS, max_size=CAP),
    st.lists(TURNED_CHANGES, max_size=INDEXED_MIN * 2),
)
def test_a_field_that_has_become_another_stays_readable(value: Any, changes: list[tuple[Any, ...]]) -> None:
    """An author made a number of a mapping, or the other way round, while operations waited: what is combined is what was done,
    and a journal that holds it can be read."""
    operations = numbered(changes)
    pending = coalesced(operations)
    assert rebase({"turned": value}, {}, pending).data == rebase({"turned": value}, {}, operations).data
    indexed = Coalescing([])
    for operation in operations:
        indexed.add(operation)
    assert indexed.operations == pending
    assert row_of(*line_of(RowImage(pending=pending))).pending == pending


#: Anything that could be written: of several processes, in any order of stamps, about keys and about whole fields.
OPERATIONS = st.builds(
    lambda kind, field, key, value, epoch, revision: Operation(
        kind,
        field,
        key,
        [value] if kind is Kind.APPEND else value,
        Stamp(epoch, revision),
        f"op-{revision}",
        1,
        3,
    ),
    st.sampled_from(Kind),
    st.sampled_from(["counts", "names"]),
    st.one_of(st.none(), st.sampled_from("abc")),
    st.integers(-5, 5) | st.sampled_from([1.7e308, -1.7e308, 10**400]),
    st.integers(0, 2),
    st.integers(1, 9),
)
BOUNDARIES = st.builds(Stamp, st.integers(0, 2), st.integers(0, 9))


@given(st.lists(OPERATIONS, max_size=6), st.lists(OPERATIONS, max_size=25), BOUNDARIES)
def test_the_index_finds_what_looking_through_the_list_finds(
    there: list[Operation], added: list[Operation], boundary: Stamp
) -> None:
    """One after the other, whatever was there before, both lists are the same at every moment."""
    plain, coalescing = list(there), Coalescing(list(there), boundary)
    for operation in added:
        coalesce(plain, operation, boundary)
        coalescing.add(operation)
        assert coalescing.operations == plain


@given(st.lists(OPERATIONS, max_size=60), BOUNDARIES)
def test_combining_anew_is_to_add_one_after_the_other(operations: list[Operation], boundary: Stamp) -> None:
    """With an index from some length on, or without."""
    plain: list[Operation] = []
    for operation in operations:
        coalesce(plain, operation, boundary)
    assert coalesced(operations, boundary=boundary) == plain


def test_the_index_does_not_grow_with_what_is_done() -> None:
    """P5: a row with many keys, each changed again and again, is as large as its keys."""
    coalescing = Coalescing([])
    for turn in range(50):
        for key in range(INDEXED_MIN * 2):
            coalescing.add(Operation(Kind.ADD, "counts", f"k{key}", 1, Stamp(1, turn * 100 + key + 1)))
    assert [operation.value for operation in coalescing.operations] == [50] * INDEXED_MIN * 2


def test_a_whole_field_takes_the_place_of_its_keys() -> None:
    """A field whose class has become another one is set as a whole: what was done to its keys is gone with it."""
    coalescing = Coalescing([])
    for revision, key in enumerate("abcab", start=1):
        coalescing.add(Operation(Kind.PUT, "names", key, "x", Stamp(1, revision)))
    whole = Operation(Kind.SET, "names", None, "all", Stamp(1, 6))
    coalescing.add(whole)
    assert coalescing.operations == [whole]


def test_a_sum_that_json_cannot_hold_stays_in_two() -> None:
    """It would be written as null; both ways, and what comes after goes on being combined."""
    first, second, third = (
        Operation(Kind.ADD, "total", None, value, Stamp(1, revision))
        for revision, value in enumerate((1.7e308, 1.7e308, -1e308), start=1)
    )
    assert coalesced([first, second]) == [first, second]
    coalescing = Coalescing([first])
    for operation in (second, third):
        coalescing.add(operation)
    assert [operation.value for operation in coalescing.operations] == [1.7e308, 1.7e308 - 1e308]
    assert coalesced([first, second, third]) == coalescing.operations


@given(st.lists(st.floats(-1.7976931348623157e308, 1.7976931348623157e308), max_size=60))
def test_numbers_of_any_size_stay_a_few_operations(values: list[float]) -> None:
    """P5: a field that is given one finite number after the other, whatever their differences."""
    pending: list[Operation] = []
    now = 0.0
    for revision, value in enumerate(values, start=1):
        if math.isfinite(value - now):
            coalesce(pending, Operation(Kind.ADD, "total", None, value - now, Stamp(1, revision)))
            now = value
    assert len(pending) <= 4
    assert all(math.isfinite(operation.value) for operation in pending)
