"""What may be done to a row, drawn: changes of every kind, as operations, and their plain meaning."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from byte_bot.persistence.operations import WHOLE_MAPPING, FieldRule, Kind, Merge, Operation, Stamp

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
#: What a commit can record, as (kind, field, key, value, cap); but for whole mappings.
PARTIAL_CHANGES = st.one_of(
    st.tuples(st.just(Kind.SET), st.just("last"), st.none(), WORDS, st.just(0)),
    st.tuples(st.sampled_from([Kind.ADD, Kind.SET]), st.just("total"), st.none(), NUMBERS, st.just(0)),
    st.tuples(st.just(Kind.PUT), st.just("names"), KEYS, WORDS, st.just(0)),
    st.tuples(st.sampled_from([Kind.ADD, Kind.PUT]), st.just("counts"), KEYS, NUMBERS, st.just(0)),
    st.tuples(st.just(Kind.DROP), st.sampled_from(["names", "counts"]), KEYS, st.none(), st.just(0)),
    st.tuples(st.just(Kind.APPEND), st.just("lines"), st.none(), st.lists(WORDS, min_size=1, max_size=4), st.just(CAP)),
    st.tuples(st.just(Kind.SET), st.just("lines"), st.none(), st.lists(WORDS, max_size=CAP), st.just(0)),
)  # fmt: skip
WHOLE_CHANGES = st.one_of(
    st.tuples(
        st.just(Kind.SET), st.just(field), st.none(), st.dictionaries(KEYS, values), st.just(WHOLE_MAPPING)
    )
    for field, values in (("names", WORDS), ("counts", NUMBERS))
)
CHANGES = PARTIAL_CHANGES | WHOLE_CHANGES
#: What two releases record of a field between which its class has become another: keys of a mapping, and all of it at once.
TURNED_CHANGES = st.one_of(
    st.tuples(st.sampled_from([Kind.ADD, Kind.PUT]), st.just("turned"), KEYS, NUMBERS, st.just(0)),
    st.tuples(st.just(Kind.DROP), st.just("turned"), KEYS, st.none(), st.just(0)),
    st.tuples(st.sampled_from([Kind.ADD, Kind.SET]), st.just("turned"), st.none(), NUMBERS, st.just(0)),
    st.tuples(st.just(Kind.APPEND), st.just("turned"), st.none(), st.lists(WORDS, min_size=1, max_size=4), st.just(CAP)),
    st.tuples(st.just(Kind.SET), st.just("turned"), st.none(), st.lists(WORDS, max_size=CAP), st.just(0)),
    st.tuples(st.just(Kind.SET), st.just("turned"), st.none(), st.dictionaries(KEYS, NUMBERS), st.just(WHOLE_MAPPING)),
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
            value[field] = value[field] + item if operation.kind is Kind.ADD else copy.copy(item)
    return value


def graves_before(epoch: int) -> st.SearchStrategy[dict[str, dict[str, list[int]]]]:
    """Tombstones that earlier epochs left."""
    grave = st.tuples(st.integers(1, epoch - 1), st.integers(1, 20), st.integers(1, 50)).map(list)
    return st.fixed_dictionaries(
        {}, optional={"names": st.dictionaries(KEYS, grave), "counts": st.dictionaries(KEYS, grave)}
    )
