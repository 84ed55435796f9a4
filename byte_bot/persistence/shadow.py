"""What a typed value was at its last commit, kept so that a difference is found without encoding what did not change.

How it works. Every chat line looks at each field of the rows it used, and nearly all of them are as they were. So a
field is remembered in the cheapest form that a look can be sure of, chosen once from its type:

* *flat*: what cannot change inside (numbers, strings, frozen structs, tuples of such): the object itself;
* *items*: a list of flat items: a copy of the list, the items shared;
* *entries*: a dict with flat values: a copy of the dict, the values shared;
* *deep*: anything else: its JSON.

The same objects at the same places mean "as it was"; in a list equal ones do too (1, 1.0 and True are), since to compare two
lists of fifty takes Python a sixth of the time of a look at each pair. Only what is not obviously so is turned into plain data and
checked against its type: of a list that was appended to the new items, of a dict the entries that differ. What
:meth:`Shadow.changes` says is what :func:`byte_bot.persistence.operations.diff` would say of the complete values; the
commonest fields (a string, a number, an added-up counter, a list that grew) are not even handed to it.

Pure, and the single place where a value of a component is turned into plain data before it is recorded, whoever changed it
(a handler, deferred work, another thread): what cannot be stored is found here, and texts that the database has no place for
are cleaned here (:mod:`byte_bot.persistence.storable`), in the value too. What is accepted reads back from the journal as it was:
no infinity and nothing that is no number, in the value or in its difference to the one before; nothing nested so deep that a
start, whose stack is another, could not read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from byte_bot.errors import StateError
from byte_bot.persistence.operations import SUM_MAX, Change, Kind, Merge, delta_of, diff
from byte_bot.persistence.state import ChannelState, FieldPlan, Kept, StateSpec
from byte_bot.persistence.storable import decoded_with_room, is_finite, storable_data

#: How JSON writes NUL.
_NUL: Final = b"\\u0000"
_SCALARS: Final = (str, int, float, bool, type(None))
#: Told apart from every value, None included.
_MISSING: Final = object()
#: Most mappings of most channels are empty: they share this one.
_NO_ENTRIES: Final[Mapping[str, Any]] = MappingProxyType({})
_NOT_FINITE: Final = "a number that is infinite, or none (inf, nan)"
_TOO_DEEP: Final = "lists or objects within each other, more levels than a start could read"
#: Integers up to here are the same number in JSON, PostgreSQL and msgspec; a larger one is looked at closely.
_INT_MAX: Final = 2**53

# Looked up once: an attribute of an enumeration costs as much as the rest of a look at a field.
_FLAT, _ITEMS, _ENTRIES, _DEEP = Kept.FLAT, Kept.ITEMS, Kept.ENTRIES, Kept.DEEP
_ADD, _RECENT, _ADD_MAPPING = Merge.ADD, Merge.RECENT, Merge.ADD_MAPPING
_SET_KIND, _ADD_KIND, _PUT_KIND, _APPEND_KIND = Kind.SET, Kind.ADD, Kind.PUT, Kind.APPEND


class Shadow:
    """See the module's docstring.

    Args:
        spec: what is known of the class.
        state: the value as it is now; it is remembered.
    """

    __slots__ = ("_kept",)

    def __init__(self, spec: StateSpec, state: ChannelState) -> None:
        self._kept = [_remembered(spec, plan, getattr(state, plan.name)) for plan in spec.plans]

    def changes(
        self, spec: StateSpec, state: ChannelState, assigned: Sequence[tuple[str, str | None]] = ()
    ) -> dict[str, list[Change]]:
        """What differs from what is remembered, by field, in the order of the fields; ``Recent`` lists are cut to their cap,
        texts are cleaned.

        A field may be told without a change: it is to be remembered anew all the same.

        Args:
            assigned: fields (and keys of them) to be told in any case: they were given an absolute value.

        Raises:
            StateError: a value cannot be stored: not JSON, or not of the field's type.
        """
        found: dict[str, list[Change]] = {}
        for plan, before, value in zip(spec.plans, self._kept, astuple(state), strict=True):
            # Of what is not flat a copy is remembered, but of most mappings that there is nothing in them.
            if (value is before or (before is _NO_ENTRIES and value == before)) and not assigned:
                continue
            if plan.cap and type(value) is list and len(value) > plan.cap:
                del value[: len(value) - plan.cap]
            absolute = [key for name, key in assigned if name == plan.name] if assigned else None
            try:
                changes = _changes(spec, plan, before, value, absolute)
            except _UnstorableText:
                # In the value itself: what chat is shown is what is stored.
                value = _cleaned(spec, plan.name, value)
                setattr(state, plan.name, value)
                changes = _changes(spec, plan, before, value, absolute)
            if changes:
                found[plan.name] = changes
        return found

    def keep(self, spec: StateSpec, state: ChannelState, names: Iterable[str]) -> None:
        """Remember these fields as they are now."""
        for name in names:
            position = spec.positions[name]
            self._kept[position] = _remembered(spec, spec.plans[position], getattr(state, name))

    def restore(self, spec: StateSpec, state: ChannelState) -> None:
        """Put every field back to what is remembered, in the same object."""
        for plan, value in zip(spec.plans, self._kept, strict=True):
            setattr(state, plan.name, _revived(spec, plan, value))


class _UnstorableText(StateError):
    """A text with NUL or half of a surrogate pair: :func:`_cleaned` makes it one that can be stored."""


def encoded(spec: StateSpec, name: str, value: Any) -> bytes:
    """The field's value as JSON with sorted keys; raises :class:`StateError` if it cannot be stored."""
    try:
        data = msgspec.json.encode(value, order="deterministic")
        finite = name not in spec.loose or is_finite(value, data)
        # Also found where a backslash stands before it; cleaning then changes nothing.
        clean = _NUL not in data or storable_data(plain := msgspec.json.decode(data)) == plain
    except UnicodeEncodeError as error:
        raise _UnstorableText(_not_stored(spec, name, error)) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise StateError(_not_stored(spec, name, error)) from None
    except RecursionError:
        raise StateError(_not_stored(spec, name, _TOO_DEEP)) from None
    if not finite:
        raise StateError(_not_stored(spec, name, _NOT_FINITE))
    if not clean:
        raise _UnstorableText(_not_stored(spec, name, "a text with NUL in it"))
    return data


def _not_stored(spec: StateSpec, name: str, why: object) -> str:
    return f"{spec.cls.__qualname__}.{name} holds what cannot be stored: {why}"


def _cleaned(spec: StateSpec, name: str, value: Any) -> Any:
    """The field's value with every text in it as it can be stored."""
    try:
        plain = storable_data(msgspec.to_builtins(value))
        spec.check_field(name, encoded(spec, name, plain))
    except (TypeError, ValueError) as error:
        raise StateError(_not_stored(spec, name, error)) from None
    except RecursionError:
        raise StateError(_not_stored(spec, name, _TOO_DEEP)) from None
    return spec.field_from(name, plain)


def _remembered(spec: StateSpec, plan: FieldPlan, value: Any) -> Any:
    kept = plan.kept
    if kept is _FLAT:
        return value
    if kept is _ITEMS:
        return list(value)
    if kept is _ENTRIES:
        return dict(value) if value else _NO_ENTRIES
    return encoded(spec, plan.name, value)


def _revived(spec: StateSpec, plan: FieldPlan, value: Any) -> Any:
    kept = plan.kept
    if kept is _FLAT:
        return value
    if kept is _ITEMS:
        return list(value)
    if kept is _ENTRIES:
        return dict(value)
    return spec.field_from(plan.name, msgspec.json.decode(value))


def _changes(
    spec: StateSpec, plan: FieldPlan, before: Any, value: Any, absolute: Sequence[str | None] | None
) -> list[Change]:
    """The changes of one field, its new value checked; empty if it surely is as it was, or turns out to be.

    ``absolute`` keys of it (None: the whole field) are told in any case: they were given a value.
    """
    name, kept = plan.name, plan.kept
    if absolute:
        return _assigned(spec, plan, before, value, absolute)
    if kept is _FLAT:
        new = value if _is_plain(plan, value) else _checked(spec, name, value)
        old = before if type(before) in plan.scalars else _plain(before)
        if old == new and type(old) is type(new):
            return []
        if plan.merge is _ADD:
            delta = new - old
            if not -_INT_MAX <= delta <= _INT_MAX:
                delta = delta_of(name, old, new)
            return [Change(_ADD_KIND, name, None, delta)]
        return [Change(_SET_KIND, name, None, new)]
    if kept is _ENTRIES and type(value) is dict:
        return _entry_changes(spec, plan, before, value)
    if kept is _ITEMS and type(value) is list:
        if value == before:
            return []
        if plan.merge is _RECENT and (added := _added(before, value, plan.cap)) is not None:
            return [Change(_APPEND_KIND, name, None, _checked(spec, name, added), plan.cap)]
    if kept is _DEEP:
        data = encoded(spec, name, value)
        if data == before:
            return []
        old, new = msgspec.json.decode(before), _read(spec, name, value, data)
    else:
        # Checked first: a value of another kind than what is remembered ends here.
        new = _checked(spec, name, value)
        old = _plain(dict(before) if kept is _ENTRIES else before)
    return diff({name: spec.rules[name]}, {name: old}, {name: new})


def _entry_changes(
    spec: StateSpec, plan: FieldPlan, before: Mapping[str, Any], value: dict[str, Any]
) -> list[Change]:
    """The changes of a dict with flat values: only the entries that differ are looked at."""
    changed = {key: item for key, item in value.items() if before.get(key, _MISSING) is not item}
    if not changed and len(value) == len(before):
        return []
    if len(changed) == 1:
        ((key, item),) = changed.items()
        old = before.get(key, _MISSING)
        none_gone = len(value) == len(before) + (old is _MISSING)
        if none_gone and type(key) is str and _is_encodable(key) and _is_plain(plan, item):
            # By far the commonest: one entry is new or has another value.
            if old == item:
                return []
            if plan.merge is _ADD_MAPPING:
                delta = item if old is _MISSING else item - old
                if not -_INT_MAX <= delta <= _INT_MAX:
                    delta = delta_of(plan.name, 0 if old is _MISSING else old, item)
                return [Change(_ADD_KIND, plan.name, key, delta)]
            return [Change(_PUT_KIND, plan.name, key, item)]
    # Sorted, as the encoding of what is new is: the order of the operations must not depend on history.
    told = sorted(key for key in before if key in changed or key not in value)
    old_entries = {key: _plain(before[key]) for key in told}
    new_entries = _checked(spec, plan.name, changed) if changed else {}
    return diff({plan.name: spec.rules[plan.name]}, {plan.name: old_entries}, {plan.name: new_entries})


def _added(before: list[Any], value: list[Any], cap: int) -> list[Any] | None:
    """The items that, appended to what is remembered and cut to ``cap``, make ``value``; None if there are none such."""
    if not before:
        return value or None
    newest = before[-1]
    for position in range(len(value) - 1, -1, -1):
        if value[position] is newest:
            same = position + 1
            fits = same == min(len(before), cap - (len(value) - same)) and same < len(value)
            return value[same:] if fits and value[:same] == before[len(before) - same :] else None
    return None


def _assigned(
    spec: StateSpec, plan: FieldPlan, before: Any, value: Any, absolute: Sequence[str | None]
) -> list[Change]:
    """The changes of a field of which ``absolute`` keys (None: the whole field) were given a value, same or not."""
    name = plan.name
    if None in absolute:
        # As a whole, so what was there before does not matter; except of a number, which is set all the same.
        new = _checked(spec, name, value)
        return diff({name: spec.rules[name]}, {name: new}, {name: new}, [(name, None)])
    if plan.kept is _ENTRIES and type(value) is dict:
        changed = {
            key: item
            for key, item in value.items()
            if before.get(key, _MISSING) is not item or key in absolute
        }
        told = sorted(key for key in before if key in changed or key not in value)
        old, new = {key: _plain(before[key]) for key in told}, _checked(spec, name, changed)
    else:
        new = _checked(spec, name, value)
        old = msgspec.json.decode(before) if plan.kept is Kept.DEEP else _plain(before)
    return diff({name: spec.rules[name]}, {name: old}, {name: new}, [(name, key) for key in absolute])


def _plain(value: Any) -> Any:
    """A remembered value as plain data; it was encoded before, so it can be."""
    return value if isinstance(value, _SCALARS) else msgspec.json.decode(msgspec.json.encode(value))


def _is_plain(plan: FieldPlan, value: Any) -> bool:
    """True if a value is surely plain data of the field's type and can be stored; False where only encoding it can tell."""
    kind = type(value)
    if kind not in plan.scalars:
        return False
    if kind is str:
        # As _is_encodable() says, which would be one more call for the commonest of all values.
        return value.isprintable() or (value.isascii() and "\0" not in value)
    if kind is int:
        return bool(-_INT_MAX <= value <= _INT_MAX)
    return kind is not float or isfinite(value)


def _is_encodable(text: str) -> bool:
    """False if NUL or a lone surrogate may be in it."""
    return text.isprintable() or (text.isascii() and "\0" not in text)


def _checked(spec: StateSpec, name: str, value: Any) -> Any:
    """``value`` as plain data that fits the field's type."""
    return _read(spec, name, value, encoded(spec, name, value))


def _read(spec: StateSpec, name: str, value: Any, data: bytes) -> Any:
    """``value`` as its JSON will be read from the journal, checked against the field's type."""
    try:
        spec.check_field(name, data)
        new = decoded_with_room(data) if name in spec.loose else msgspec.json.decode(data)
    except StateError:
        if is_finite(value, data):
            raise
        raise StateError(_not_stored(spec, name, _NOT_FINITE)) from None
    except RecursionError:
        raise StateError(_not_stored(spec, name, _TOO_DEEP)) from None
    except msgspec.DecodeError as error:
        raise StateError(_not_stored(spec, name, error)) from None
    merge = spec.rules[name].merge
    if merge is _ADD or merge is _ADD_MAPPING:
        for number in new.values() if isinstance(new, dict) else (new,):
            if not -SUM_MAX <= number <= SUM_MAX:
                raise StateError(
                    _not_stored(spec, name, f"a number beyond {SUM_MAX:.2g}, to which nothing can be added")
                )
    return new
