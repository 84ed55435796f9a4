"""Pending operations combined: as few as the row has parts, however much was done to it; pure.

Coalescing keeps the list of pending operations as small as the row itself, however long an outage lasts (P5): a
newer operation absorbs an older one of the same field and key. Two things are never combined, since a base could
contain the result by half: operations on both sides of the *boundary*, the stamp up to which a save was sent, and
operations of two epochs (one replayed from the journal of an earlier process, which may have saved it, and a new one).

Nor are an operation about a whole field and one about a key of it, unless the former takes the place of all that was there: an
author can make a number of a mapping while the operations of an earlier release still wait, and what came of both would be neither.

Nor are two additions whose sum is no number that JSON can hold: they stay as two. What was counted in one process lies within
twice the largest float, so that there are never more than a few of them.

Two ways, one result, which the tests compare: :func:`coalesce` looks through the list from its end, which is the
quickest for the few operations that wait in a row of a healthy bot, and for one. :class:`Coalescing` keeps an index by field
and key: for a row that takes in one operation after the other, and has more parts than :data:`INDEXED_MIN` (a channel has up
to 200 counters).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from byte_bot.persistence.operations import NO_STAMP, Kind, Operation, Stamp, as_number

#: Operations from which on an index is worth its making; measured: below it the look through the list is the quicker.
INDEXED_MIN: Final = 8

# Looked up once, for the code that every chat line runs through.
_SET, _ADD, _PUT, _DROP, _APPEND = Kind.SET, Kind.ADD, Kind.PUT, Kind.DROP, Kind.APPEND


def coalesce(operations: list[Operation], newer: Operation, boundary: Stamp = NO_STAMP) -> None:
    """Add ``newer`` to the pending ``operations`` in place, absorbing what it makes superfluous.

    Operations with a stamp at or below ``boundary`` in the boundary's epoch are left alone: a save that contained
    them was sent, and a base may contain them.
    """
    merged, field, key, kind = newer, newer.field, newer.key, newer.kind
    replaces = kind is _SET or kind is _PUT or kind is _DROP
    # As long as no save has left (nearly all that a replay reads) no stamp need be looked at.
    first = _first_movable(operations, boundary) if boundary[1] else 0
    for position in range(len(operations) - 1, first - 1, -1):
        older = operations[position]
        if older.field == field:
            if older.key != key:
                if key is not None and older.key is not None:
                    continue  # another key
                if not replaces or key is not None:
                    break  # it stays, so nothing from before it may move behind it
            elif not replaces:
                combined = _absorb(older, merged)
                if combined is None:
                    break  # it stays too
                merged = combined
            del operations[position]
    operations.append(merged)


def _first_movable(operations: list[Operation], boundary: Stamp) -> int:
    """The position behind the last operation that is frozen."""
    epoch, revision = boundary
    for position in range(len(operations) - 1, -1, -1):
        stamp = operations[position].stamp
        if stamp[0] == epoch and stamp[1] <= revision:
            return position + 1
    return 0


class Coalescing:
    """Pending operations that take in one more after the other, each finding the one before it by field and key.

    Args:
        operations: oldest first, coalesced already; taken over, and nobody else changes the list.
        boundary: as in :func:`coalesce`.
    """

    __slots__ = ("_boundary", "_frozen", "_next", "_serials", "_stacks", "operations")

    def __init__(self, operations: list[Operation], boundary: Stamp = NO_STAMP) -> None:
        self.operations = operations
        self._boundary = boundary
        #: A number for each operation, rising: by it an operation is found in the list after others have left it.
        self._serials = list(range(len(operations)))
        self._next = len(operations)
        #: Of the last operation at or below the boundary: nothing moves from before it to behind it.
        self._frozen = -1
        #: The serials by field and key, rising.
        self._stacks: dict[str, dict[str | None, list[int]]] = {}
        for serial, operation in enumerate(operations):
            self._stacks.setdefault(operation.field, {}).setdefault(operation.key, []).append(serial)
            if self._is_frozen(operation.stamp):
                self._frozen = serial

    def add(self, newer: Operation) -> None:
        """Take in one more, absorbing what it makes superfluous."""
        merged, field, key = newer, newer.field, newer.key
        stacks = self._stacks.setdefault(field, {})
        own = stacks.setdefault(key, [])
        while True:
            latest = own
            if key is None:
                # It is about the whole field, so about every key of it.
                latest = max(stacks.values(), key=_top)
            elif (whole := stacks.get(None)) and _top(whole) > _top(own):
                break  # what was done to the whole field stays
            serial = _top(latest)
            if serial <= self._frozen:
                break
            if latest is not own and (newer.kind is _ADD or newer.kind is _APPEND):
                break  # what was done to a key stays: only what takes the place of the whole field absorbs it
            position = bisect_left(self._serials, serial)
            older = self.operations[position]
            combined = _absorb(older, merged)
            if combined is None:
                break  # it stays, so nothing from before it may move behind it
            merged = combined
            del self.operations[position], self._serials[position]
            latest.pop()
            if not latest and latest is not own:
                del stacks[older.key]
        self.operations.append(merged)
        self._serials.append(self._next)
        own.append(self._next)
        if self._is_frozen(merged.stamp):
            self._frozen = self._next
        self._next += 1

    def _is_frozen(self, stamp: Stamp) -> bool:
        return stamp[0] == self._boundary[0] and stamp[1] <= self._boundary[1]


def _top(serials: list[int]) -> int:
    return serials[-1] if serials else -1


def coalesced(operations: Iterable[Operation], *, boundary: Stamp = NO_STAMP) -> list[Operation]:
    """The operations, oldest first, combined anew: for when a boundary has been lowered."""
    combined: list[Operation] = []
    rest = iter(operations)
    for operation in rest:
        coalesce(combined, operation, boundary)
        if len(combined) >= INDEXED_MIN:
            break
    coalescing = Coalescing(combined, boundary)
    for operation in rest:
        coalescing.add(operation)
    return combined


def _absorb(older: Operation, newer: Operation) -> Operation | None:
    """One operation with the effect of both, stamped like the newer; None if they must both stay."""
    kind, before = newer.kind, older.kind
    if kind is _SET or kind is _PUT or kind is _DROP:
        return newer
    if newer.stamp[0] != older.stamp[0]:
        return None
    if kind is _ADD:
        if before is _ADD or before is _SET or before is _PUT:
            try:
                value, cap = as_number(older.value) + newer.value, newer.cap
            except OverflowError:  # an integer beyond every float, and a float
                return None
            if type(value) is float and not isfinite(value):
                return None
        else:
            return None
    elif before is _APPEND:
        value, cap = _newest(older.value, newer), newer.cap
    elif before is _SET and isinstance(older.value, list):
        value, cap = _newest(older.value, newer), 0
    else:
        return None
    # Written out: ``structs.replace`` takes three times as long.
    return Operation(
        before, newer.field, newer.key, value, newer.stamp, newer.op_id, newer.at_s, cap, newer.version
    )


def _newest(lines: list[Any], newer: Operation) -> list[Any]:
    """``lines`` and those that ``newer`` appends, cut to its cap; each is copied once, and none that is cut off."""
    kept = newer.cap - len(newer.value)
    newest = lines[-kept:] if kept > 0 else []
    newest += newer.value[-newer.cap :]
    return newest
