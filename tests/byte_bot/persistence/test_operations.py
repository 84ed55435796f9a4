"""Operations: rebase, containment and differences, against simple models."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.errors import StateError
from byte_bot.persistence.coalescing import coalesced
from byte_bot.persistence.operations import (
    ABSENT,
    SUM_MAX,
    TOMBSTONE_AGE_S,
    TOMBSTONES_MAX,
    WHOLE_MAPPING,
    Base,
    Kind,
    Operation,
    Stamp,
    added_up,
    delta_of,
    diff,
    is_contained,
    is_older,
    rebase,
)
from tests.byte_bot.persistence.operation_draws import CHANGES, NUMBERS, RULES, VALUES, by_hand, numbered


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


def test_a_whole_mapping_leaves_a_tombstone_for_each_key_it_drops() -> None:
    """Cleared before it was known what there is: what the base turns out to have is buried, and an older put of it loses."""
    clear = Operation(Kind.SET, "names", None, {"new": "z"}, Stamp(3, 7), "", 1_234, WHOLE_MAPPING)
    data, graves, _ = rebase({"names": {"a": "x", "new": "y"}}, {"names": {"b": [1, 1, 9]}}, [clear])
    assert data == {"names": {"new": "z"}}
    assert graves == {"names": {"a": [3, 7, 1_234], "b": [1, 1, 9]}}
    late = Operation(Kind.PUT, "names", "a", "x", Stamp(2, 9))
    assert rebase(data, graves, [late]) == (data, graves, [])
    assert rebase({"names": 3}, {}, [clear]).data == {"names": {"new": "z"}}
    assert rebase({}, {"names": {"new": [2, 9, 1]}}, [clear]) == ({"names": {"new": "z"}}, {}, [clear])
    assert rebase({}, {"names": {"new": [4, 1, 1]}}, [clear]).data == {"names": {}}


def test_a_whole_mapping_is_not_changed_by_what_follows_it() -> None:
    """It may be put on another base yet."""
    clear = Operation(Kind.SET, "names", None, {}, Stamp(3, 7), "", 1_234, WHOLE_MAPPING)
    put = Operation(Kind.PUT, "names", "a", "x", Stamp(3, 8))
    assert rebase({"names": {"b": "y"}}, {}, [clear, put]).data == {"names": {"a": "x"}}
    assert clear.value == {}


def test_of_a_whole_mapping_survives_what_no_newer_tombstone_beats() -> None:
    """The rest is gone from the operation too: under a new stamp it would bring the deleted key back."""
    graves = {"names": {"gone": [4, 9, 1_000]}}
    whole = Operation(
        Kind.SET, "names", None, {"gone": "x", "left": "y"}, Stamp(3, 7), "op", 900, WHOLE_MAPPING
    )
    put = Operation(Kind.PUT, "names", "new", "z", Stamp(3, 8))
    data, kept, surviving = rebase({}, graves, [whole, put])
    assert (data, kept) == ({"names": {"left": "y", "new": "z"}}, graves)
    assert surviving == [msgspec.structs.replace(whole, value={"left": "y"}), put]
    assert whole.value == {"gone": "x", "left": "y"}


def test_a_whole_mapping_does_not_lower_a_newer_tombstone() -> None:
    """A human entered the key again under it: an old journal that clears all and puts the key loses with the put."""
    graves = {"names": {"a": [5, 1, 1_000]}}
    late = [
        Operation(Kind.SET, "names", None, {}, Stamp(3, 1), "", 900, WHOLE_MAPPING),
        Operation(Kind.PUT, "names", "a", "old", Stamp(3, 2)),
    ]
    assert rebase({"names": {"a": "human"}}, graves, late) == ({"names": {}}, graves, late[:1])


def test_the_set_of_a_struct_buries_nothing() -> None:
    """Its fields are no keys that somebody might put."""
    whole = Operation(Kind.SET, "last", None, {"text": "x"}, Stamp(3, 7), "", 1_234)
    assert rebase({"last": {"text": "a", "old": 1}}, {}, [whole]).tombstones == {}


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


def test_what_is_assigned_is_told_of_every_kind_of_field() -> None:
    """Where a row is not loaded the base may have what RAM does not show: it is set, put, or dropped all the same."""
    value = {"last": "", "total": 0, "names": {"b": "x"}, "counts": {}, "lines": ["a"]}
    assigned: list[tuple[str, str | None]] = [
        ("last", None),
        ("names", "b"),
        ("names", "gone"),
        ("names", "gone"),
        ("counts", None),
        ("lines", None),
    ]
    changes = diff(RULES, value, value, assigned)
    assert [(change.kind, change.field, change.key, change.value, change.cap) for change in changes] == [
        (Kind.SET, "last", None, "", 0),
        (Kind.DROP, "names", "gone", None, 0),
        (Kind.PUT, "names", "b", "x", 0),
        (Kind.SET, "counts", None, {}, WHOLE_MAPPING),
        (Kind.SET, "lines", None, ["a"], 0),
    ]
    longer = value | {"lines": ["a", "b"]}
    (change,) = diff(RULES, value, longer, [("lines", None)])
    assert (change.kind, change.value) == (Kind.SET, ["a", "b"])


def test_odd_values_in_the_base_count_as_nothing() -> None:
    """An add on what is no number starts from zero; a mapping that is none starts empty."""
    add = Operation(Kind.ADD, "total", None, 2, Stamp(1, 1))
    put = Operation(Kind.PUT, "names", "a", "x", Stamp(1, 1))
    assert rebase({"total": "x", "names": 3}, {}, [add, put]).data == {"total": 2, "names": {"a": "x"}}
    assert rebase({"total": True}, {}, [add]).data == {"total": 2}


#: Numbers around the largest float, and integers beyond it.
ODD_NUMBERS = st.sampled_from(
    [SUM_MAX, -SUM_MAX, 1e308, -1e308, 0.5, 0, 1, 10**308, -(10**400), 10**400]
) | st.floats(allow_nan=False, allow_infinity=False)


@given(ODD_NUMBERS, ODD_NUMBERS)
def test_a_sum_beyond_the_largest_float_is_the_largest_float(number: float, delta: float) -> None:
    """A late base and what was counted before it came: neither can be refused any more, and JSON has no infinity."""
    total = added_up(number, delta)
    assert -SUM_MAX <= total <= SUM_MAX
    exact = int(number) + int(delta)
    if abs(exact) > 2 * 10**308:
        assert total == (SUM_MAX if exact > 0 else -SUM_MAX)
    elif abs(exact) < 10**308:
        assert total == number + delta
    assert isinstance(total, float) or (isinstance(number, int) or isinstance(delta, int))


def test_a_rebase_makes_no_infinity() -> None:
    """In a field and in a mapping, whatever a human wrote into the base."""
    operations = [
        Operation(Kind.ADD, "total", None, 1.7e308, Stamp(1, 1)),
        Operation(Kind.ADD, "counts", "a", -1.7e308, Stamp(1, 1)),
        Operation(Kind.ADD, "counts", "b", 0.5, Stamp(1, 1)),
    ]
    value = rebase({"total": 1.7e308, "counts": {"a": -1.7e308, "b": 10**400}}, {}, operations).data
    assert value == {"total": SUM_MAX, "counts": {"a": -SUM_MAX, "b": SUM_MAX}}
    assert rebase({"total": 10**400}, {}, numbered([(Kind.ADD, "total", None, 1, 0)])).data == {
        "total": int(SUM_MAX)
    }


def test_a_difference_that_nothing_can_hold_is_refused() -> None:
    """Of numbers that can be held themselves, also where an integer is beyond every float."""
    assert delta_of("total", -1.0, SUM_MAX) == SUM_MAX
    assert delta_of("total", 10**308, 10**308 + 1) == 1
    for old, new in ((-1.7e308, 1.7e308), (-(10**308), 10**308), (10**400, 0.5), (0, float("nan"))):
        with pytest.raises(StateError, match=r"the field 'total'.* is beyond 1\.8e\+308"):
            delta_of("total", old, new)


@pytest.mark.parametrize("field", ["total", "counts"])
def test_no_difference_is_infinite(field: str) -> None:
    """As whole values are compared too."""
    before, after = ({"total": value, "counts": {"a": value, "b": 1}} for value in (-1.7e308, 1.7e308))
    with pytest.raises(StateError, match=f"the field '{field}'"):
        diff({field: RULES[field]}, before, after)
