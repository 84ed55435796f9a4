"""What was done to a row, as data: operations, and the one pure function that puts them on a base.

Theory of operation
-------------------
A row in RAM is never "the value". It is ``rebase(base, operations)``: the last thing the database said, and what
was done here since. The same function serves the late load, the replay after a crash, a human's edit in the table
editor and a refused save, so all of them agree:

* ``set field value``       the local value stays; it also discards every earlier ``add`` of the field; of a whole mapping
                          (all notes were cleared before it was known which there are) it drops all other keys
* ``add field delta``       adds add up, whatever the base turns out to be (fields declared ``Add``); a sum beyond the
                            largest float is the largest float (:func:`added_up`)
* ``put``/``drop`` of a key in a mapping; ``add`` of a key in a mapping of counters
* ``append field items``    the newest ``cap`` items of a list stay (fields declared ``Recent``)

Everything else comes from the base.

Each operation carries a *stamp* ``(epoch, revision)``. It is **already contained** in a base iff the epochs are
equal and its stamp is not newer: then the base was saved by this very process after the operation was made. A base
of any other epoch was written before this process took its epoch, so it cannot contain the operation.

A ``drop``, or the ``set`` of a whole mapping, leaves *tombstones* in the row: ``{field: {key: [epoch, revision, unix_s]}}``. A ``put`` or ``add`` that
is older than the tombstone (a journal replayed by a machine that was away) loses against it: a late write cannot
bring a deleted command back. Tombstones are purged after :data:`TOMBSTONE_AGE_S`, and each field keeps at most
:data:`TOMBSTONES_MAX`, the newest. An operation whose epoch is 0 was made before any epoch was known, and counts as
newer than every tombstone.

Pending operations are kept coalesced (:mod:`byte_bot.persistence.coalescing`), so they are as few as the row has parts.

Left out: text merging, reordering of lists, and conflict flags; "newest wins" is the rule for everything not ``Add``.

All values are plain data (dict, list, str, int, float, bool, None), as ``msgspec.to_builtins`` makes them.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from byte_bot.errors import StateError

#: Seconds a tombstone lives; 30 days, DESIGN section 3: longer than any journal lies about unreplayed.
TOMBSTONE_AGE_S = 30 * 24 * 3600
#: Tombstones a field keeps; chosen as 5 x the largest cap of a mapping (200), so that P5 holds under add/delete churn.
TOMBSTONES_MAX = 1000
#: The ``cap`` of a set that is about a whole mapping, told by it from the set of a struct: only a mapping's keys leave tombstones.
WHOLE_MAPPING = -1

#: The highest epoch of a stored row that is believed; a process takes one at its start, so beyond lies only what was typed or
#: broken. The database counts on from what it is told (to bigint's end, 2**63 - 1): one such row must not use that up. The trigger in
#: ``schema/`` lets 2**53 be typed at most, so what bots count on from there is believed too.
EPOCH_BELIEVED_MAX = 2**54
#: The same for a revision, which every change of a row raises by one; the journal's file and the database count to 2**63 - 1.
REVISION_BELIEVED_MAX = 2**62
#: The highest revision of an earlier epoch that is counted on from. Far below what is believed: what the bot writes itself, however many
#: changes later, must say when it is read again which changes it contains.
REVISION_COUNTED_MAX = 2**52

#: The largest float, some 1.8e308: what is added up, integers too, stays within it. JSON has no sign for what lies beyond, and of
#: an integer with more than 4,300 digits Python makes no text.
SUM_MAX: Final = sys.float_info.max

Tombstones = dict[str, dict[str, list[int]]]


class RowKey(NamedTuple):
    """Which row: table, channel id (login for ``channels_config``) and component key ('' where there is none)."""

    table: str
    channel_id: str
    key: str = ""

    @property
    def name(self) -> str:
        """How people write it: ``component_state/141981764/counters``; ``channel_state/141981764``."""
        return "/".join(part for part in self if part)


class Stamp(NamedTuple):
    """When an operation was made, comparable across processes: the writer's epoch, then the row's revision."""

    epoch: int = 0
    revision: int = 0


NO_STAMP = Stamp()


class Kind(enum.StrEnum):
    """What an operation does."""

    SET = "set"
    ADD = "add"
    PUT = "put"
    DROP = "drop"
    APPEND = "append"


class Merge(enum.StrEnum):
    """How a field of a state class meets a base that arrives late."""

    NEWEST = "newest"  #: scalar, list or struct: the local value stays
    ADD = "add"  #: number: deltas add up
    MAPPING = "mapping"  #: dict: key by key, newest wins
    ADD_MAPPING = "add_mapping"  #: dict of numbers: deltas add up key by key
    RECENT = "recent"  #: list: what was appended here follows what was stored, newest ``cap`` stay


class FieldRule(NamedTuple):
    """The merge rule of one field; ``cap`` is the length of a ``RECENT`` list."""

    merge: Merge
    cap: int = 0


class Operation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One change of one field.

    ``key`` is set for mappings only. ``value`` is the new value (set, put), the delta (add), the list of new items
    (append) or None (drop). ``at_s`` is wall time in whole seconds, for the age of a tombstone. ``cap`` is the
    length at which an append cuts, or :data:`WHOLE_MAPPING`. ``version`` is the state class's, for a row that must be saved while no component
    that knows its class is loaded.

    Plain data cannot hold what holds it, so the garbage collector need not look at it.
    """

    kind: Kind
    field: str
    key: str | None
    value: Any
    stamp: Stamp
    op_id: str = ""
    at_s: int = 0
    cap: int = 0
    version: int = 1


class Base(msgspec.Struct, frozen=True, gc=False):
    """A row as the database last showed it.

    It holds plain data and nothing that could hold it, so the garbage collector need not look at it: there are some for
    every channel. ``data`` is the JSON of the stored object, None if there is no row. ``edit_no`` counts edits made by humans;
    None if there is no row.
    """

    data: bytes | None = None
    tombstones: Tombstones = {}
    version: int = 1
    epoch: int = 0
    revision: int = 0
    edit_no: int | None = None

    @property
    def stamp(self) -> Stamp:
        """The stamp of the save that wrote it; ``(0, 0)`` for a row a human made or no row at all."""
        return Stamp(self.epoch, self.revision)


ABSENT = Base()
#: Most rows have none: they share this one. A base's tombstones are never changed in place (see :func:`rebase`).
NO_TOMBSTONES = ABSENT.tombstones


class Rebased(NamedTuple):
    """What :func:`rebase` returns: the value, its tombstones, and the operations that took effect."""

    data: dict[str, Any]
    tombstones: Tombstones
    surviving: list[Operation]


def believed_revision(revision: int) -> int:
    """The revision if a process can have come to it, else 0: what was typed counts as no stamp at all."""
    return revision if 0 <= revision <= REVISION_BELIEVED_MAX else 0


def counted_revision(base: Base, epoch: int) -> int:
    """What the row's next revision under ``epoch`` is counted on from: 0, so that it begins anew, after one that was typed.

    Under its own epoch there is no choice: a lower revision would pass for one that the row contains.
    """
    revision = believed_revision(base.revision)
    return revision if revision <= REVISION_COUNTED_MAX or 0 < epoch == base.epoch else 0


def is_contained(operation: Operation, base: Base) -> bool:
    """True if ``base`` was saved by the operation's own epoch, at or after its revision.

    Never before there is one: nothing is saved under epoch 0, and a row of it that has a revision was entered so.
    """
    return 0 < operation.stamp.epoch == base.epoch and operation.stamp.revision <= base.revision


def is_older(load: Base, known: Base) -> bool:
    """True if ``load`` is an older sight of the row than ``known`` (an answer that was overtaken).

    Never for a row that no bot has saved: humans delete rows and make them anew, and such a row starts from zero, or from a revision
    that is not believed.
    """
    if load.epoch == 0 or load.revision == 0:
        return False
    return (load.epoch, load.revision, load.edit_no or 0) < (known.epoch, known.revision, known.edit_no or 0)


def rebase(
    data: Mapping[str, Any], tombstones: Tombstones, operations: Iterable[Operation], *, now_s: int = 0
) -> Rebased:
    """Put ``operations``, oldest first, on a base's data.

    Args:
        data: the base's fields, complete with defaults; not modified.
        tombstones: the base's tombstones; not modified.
        operations: those not contained in the base.
        now_s: wall time in seconds; tombstones older than :data:`TOMBSTONE_AGE_S` are purged. 0 purges nothing.
    """
    value = {name: _copy(item) for name, item in data.items()}
    graves = {name: dict(keys) for name, keys in tombstones.items()}
    surviving = [left for operation in operations if (left := _apply(value, graves, operation)) is not None]
    return Rebased(value, _purged(graves, now_s), surviving)


def _copy(value: Any) -> Any:
    return type(value)(value) if isinstance(value, (dict, list)) else value


def _apply(data: dict[str, Any], graves: Tombstones, operation: Operation) -> Operation | None:
    """Apply one operation in place; what of it no newer tombstone beats, None if that is nothing."""
    field, key = operation.field, operation.key
    if key is None:
        if operation.cap == WHOLE_MAPPING:
            return _apply_to_mapping(data, graves, operation)
        _apply_to_field(data, operation)
        return operation
    mapping = data.get(field)
    if not isinstance(mapping, dict):
        mapping = data[field] = {}
    buried = graves.get(field, {})
    if _is_buried(key, buried, operation.stamp):
        return None
    if operation.kind is Kind.DROP:
        mapping.pop(key, None)
        graves.setdefault(field, {})[key] = [*operation.stamp, operation.at_s]
        return operation
    buried.pop(key, None)
    if operation.kind is Kind.ADD:
        mapping[key] = added_up(as_number(mapping.get(key, 0)), operation.value)
    else:
        mapping[key] = operation.value
    return operation


def _is_buried(key: str, buried: Mapping[str, list[int]], stamp: Stamp) -> bool:
    """True if there is a tombstone of the key that is newer than ``stamp``."""
    return key in buried and stamp.epoch > 0 and stamp < Stamp(*buried[key][:2])


def _apply_to_mapping(data: dict[str, Any], graves: Tombstones, operation: Operation) -> Operation:
    """Set a whole mapping: as if all that was there were dropped, and all that shall be there put.

    Returns:
        The operation without the keys that are deleted since: under a new stamp it would bring them back.
    """
    field, stamp = operation.field, operation.stamp
    before, buried = data.get(field), graves.setdefault(field, {})
    mapping = data[field] = {
        key: item for key, item in operation.value.items() if not _is_buried(key, buried, stamp)
    }
    if len(mapping) < len(operation.value):
        operation = msgspec.structs.replace(operation, value=dict(mapping))
    for key in before if isinstance(before, dict) else ():
        if key not in mapping and not _is_buried(key, buried, stamp):
            buried[key] = [*stamp, operation.at_s]
    for key in mapping:
        buried.pop(key, None)
    return operation


def _apply_to_field(data: dict[str, Any], operation: Operation) -> None:
    field = operation.field
    if operation.kind is Kind.ADD:
        data[field] = added_up(as_number(data.get(field, 0)), operation.value)
    elif operation.kind is Kind.APPEND:
        before = data.get(field)
        items = [*(before if isinstance(before, list) else ()), *operation.value]
        data[field] = items[-operation.cap :]
    else:
        data[field] = operation.value


def as_number(value: Any) -> Any:
    """What deltas are added to: the value itself, 0 if it is none that can be counted with."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def added_up(number: Any, delta: Any) -> Any:
    """Their sum, which stays within :data:`SUM_MAX`: there is nobody here who could be told that it does not fit.

    Both were accepted one by one, and viewers saw it confirmed (a late base and what was counted before it came). The nearest
    number that can be stored loses less than to give up the row.
    """
    try:
        total = number + delta
    except OverflowError:  # an integer beyond every float, and a float
        total = int(number) + int(delta)
    if -SUM_MAX <= total <= SUM_MAX:
        return total
    nearest = SUM_MAX if total > 0 else -SUM_MAX
    return nearest if type(total) is float else int(nearest)


def delta_of(field: str, old: Any, new: Any) -> Any:
    """What, added to ``old``, makes ``new``.

    Raises:
        StateError: it is beyond :data:`SUM_MAX`, so that neither the journal nor the database can hold it.
    """
    try:
        delta = new - old
    except OverflowError:  # an integer beyond every float, and a float
        delta = SUM_MAX * 2
    if -SUM_MAX <= delta <= SUM_MAX:
        return delta
    raise StateError(
        f"the field {field!r}: the difference to what it was is beyond {SUM_MAX:.2g}, the largest that can be added up; go there in "
        "smaller steps, or use ctx.assign"
    )


def _purged(graves: Tombstones, now_s: int) -> Tombstones:
    kept: Tombstones = {}
    for field, keys in graves.items():
        young = {key: grave for key, grave in keys.items() if not now_s or now_s - grave[2] < TOMBSTONE_AGE_S}
        if len(young) > TOMBSTONES_MAX:
            newest = sorted(young, key=lambda key: (young[key], key))[-TOMBSTONES_MAX:]
            young = {key: young[key] for key in sorted(newest)}
        if young:
            kept[field] = young
    return kept or NO_TOMBSTONES


class Change(msgspec.Struct, frozen=True, gc=False):
    """A difference between two values of a row, not yet stamped; plain data as an :class:`Operation` is."""

    kind: Kind
    field: str
    key: str | None
    value: Any
    cap: int = 0

    def stamped(self, stamp: Stamp, op_id: str, at_s: int, version: int = 1) -> Operation:
        """The operation that makes this change at ``stamp``."""
        return Operation(self.kind, self.field, self.key, self.value, stamp, op_id, at_s, self.cap, version)


def diff(
    rules: Mapping[str, FieldRule],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    assigned: Sequence[tuple[str, str | None]] = (),
) -> list[Change]:
    """The changes that turn ``before`` into ``after``, in the order of ``rules``.

    Args:
        rules: merge rule per field.
        before, after: complete values, as plain data.
        assigned: ``(field, key)`` pairs that are told even where nothing changed (``!count x =5`` must discard earlier adds;
            ``!game -`` must hold when the stored game arrives): a set of the field, a put of the key, or, of a key that is
            not there, a drop.
    """
    changes: list[Change] = []
    for field, rule in rules.items():
        old, new = before[field], after[field]
        absolute = [key for name, key in assigned if name == field]
        if old == new and not absolute and type(old) is type(new):
            continue
        changes.extend(_field_changes(field, rule, old, new, absolute))
    return changes


def _field_changes(
    field: str, rule: FieldRule, old: Any, new: Any, absolute: Sequence[str | None]
) -> Iterable[Change]:
    match rule.merge:
        case Merge.ADD if not absolute:
            yield Change(Kind.ADD, field, None, delta_of(field, old, new))
        case Merge.MAPPING | Merge.ADD_MAPPING:
            yield from _mapping_changes(field, rule, old, new, absolute)
        case Merge.RECENT if not absolute and (added := _appended(old, new, rule.cap)) is not None:
            yield Change(Kind.APPEND, field, None, added, rule.cap)
        case _:
            yield Change(Kind.SET, field, None, new)


def _mapping_changes(
    field: str, rule: FieldRule, old: dict[str, Any], new: dict[str, Any], absolute: Sequence[str | None]
) -> Iterable[Change]:
    if None in absolute:
        yield Change(Kind.SET, field, None, new, WHOLE_MAPPING)
        return
    for key in dict.fromkeys((*old, *absolute)):
        if key not in new:  # also one that was never seen: the base may have it
            yield Change(Kind.DROP, field, key, None)
    for key, value in new.items():
        if key in absolute:
            yield Change(Kind.PUT, field, key, value)
        elif key in old and old[key] == value:
            continue
        elif rule.merge is Merge.ADD_MAPPING:
            yield Change(Kind.ADD, field, key, delta_of(field, old.get(key, 0), value))
        else:
            yield Change(Kind.PUT, field, key, value)


def _appended(old: list[Any], new: list[Any], cap: int) -> list[Any] | None:
    """The items that, appended to ``old`` and cut to the newest ``cap``, make ``new``; None if there are none such."""
    for added in range(1, len(new) + 1):
        if [*old, *new[len(new) - added :]][-cap:] == new:
            return new[len(new) - added :]
    return None
