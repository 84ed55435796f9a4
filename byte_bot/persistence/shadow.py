"""What a typed value was at its last commit, kept so that a difference is found without encoding what did not change.

How it works. Every chat line looks at each field of the rows it used, and nearly all of them are as they were. So a
field is remembered in the cheapest form that a look can be sure of, chosen once from its type:

* *flat*: what cannot change inside (numbers, strings, frozen structs, tuples of such): the object itself;
* *items*: a list of flat items: a copy of the list, the items shared;
* *entries*: a dict with flat values: a copy of the dict, the values shared;
* *deep*: anything else: its JSON.

Equal objects at equal places mean "as it was". Only what is not obviously so is encoded, checked against its type and
compared as plain data: of a list that was appended to the new items, of a dict the entries that differ.
:meth:`Shadow.deltas` returns these as pairs of before and after, which :func:`byte_bot.persistence.operations.diff` reads.

Pure, and the single place where a value of a component is turned into plain data before it is recorded, whoever changed it
(a handler, deferred work, another thread): what cannot be stored is found here, and texts that the database has no place for
are cleaned here (:mod:`byte_bot.persistence.storable`), in the value too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import is_
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from byte_bot.errors import StateError
from byte_bot.persistence.state import ChannelState, Kept, StateSpec
from byte_bot.persistence.storable import storable_data

#: How JSON writes NUL.
_NUL: Final = b"\\u0000"
_SCALARS: Final = (str, int, float, bool, type(None))
#: Told apart from every value, None included.
_MISSING: Final = object()
#: Most mappings of most channels are empty: they share this one.
_NO_ENTRIES: Final[Mapping[str, Any]] = MappingProxyType({})


class Delta(NamedTuple):
    """A field before and after, as plain data: of a mapping only the entries that differ, of a list only the new end."""

    before: Any
    after: Any


class Shadow:
    """See the module's docstring.

    Args:
        spec: what is known of the class.
        state: the value as it is now; it is remembered.
    """

    __slots__ = ("_kept",)

    def __init__(self, spec: StateSpec, state: ChannelState) -> None:
        self._kept = [_remembered(spec, name, kept, getattr(state, name)) for name, kept, _ in spec.fields]

    def deltas(
        self, spec: StateSpec, state: ChannelState, assigned: Sequence[tuple[str, str | None]] = ()
    ) -> dict[str, Delta]:
        """What differs from what is remembered, by field; ``Recent`` lists are cut to their cap, texts are cleaned.

        Args:
            assigned: fields (and keys of them) to be told in any case: they were given an absolute value.

        Raises:
            StateError: a value cannot be stored: not JSON, or not of the field's type.
        """
        found: dict[str, Delta] = {}
        for (name, kept, cap), before in zip(spec.fields, self._kept, strict=True):
            value = getattr(state, name)
            if value is before:
                continue
            if cap and isinstance(value, list) and len(value) > cap:
                del value[: len(value) - cap]
            if _unchanged(kept, before, value):
                continue
            try:
                delta = _difference(spec, name, kept, cap, before, value)
            except _UnstorableText:
                # In the value itself: what chat is shown is what is stored.
                value = _cleaned(spec, name, value)
                setattr(state, name, value)
                delta = _difference(spec, name, kept, cap, before, value)
            if delta is not None:
                found[name] = delta
        for name, key in assigned:
            found[name] = _with_assigned(found.get(name), getattr(state, name), key)
        return found

    def keep(self, spec: StateSpec, state: ChannelState, names: Iterable[str]) -> None:
        """Remember these fields as they are now."""
        for name in names:
            position = spec.positions[name]
            self._kept[position] = _remembered(spec, name, spec.fields[position][1], getattr(state, name))

    def restore(self, spec: StateSpec, state: ChannelState) -> None:
        """Put every field back to what is remembered, in the same object."""
        for (name, kept, _), value in zip(spec.fields, self._kept, strict=True):
            setattr(state, name, _revived(spec, name, kept, value))


class _UnstorableText(StateError):
    """A text with NUL or half of a surrogate pair: :func:`_cleaned` makes it one that can be stored."""


def encoded(spec: StateSpec, name: str, value: Any) -> bytes:
    """The field's value as JSON with sorted keys; raises :class:`StateError` if it cannot be stored."""
    try:
        data = msgspec.json.encode(value, order="deterministic")
    except UnicodeEncodeError as error:
        raise _UnstorableText(_not_stored(spec, name, error)) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise StateError(_not_stored(spec, name, error)) from None
    # Also found where a backslash stands before it; cleaning then changes nothing.
    if _NUL in data and storable_data(plain := msgspec.json.decode(data)) != plain:
        raise _UnstorableText(_not_stored(spec, name, "a text with NUL in it"))
    return data


def _not_stored(spec: StateSpec, name: str, why: object) -> str:
    return f"{spec.cls.__qualname__}.{name} holds what cannot be stored: {why}"


def _cleaned(spec: StateSpec, name: str, value: Any) -> Any:
    """The field's value with every text in it as it can be stored."""
    try:
        plain = storable_data(msgspec.to_builtins(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise StateError(_not_stored(spec, name, error)) from None
    spec.check_field(name, plain)
    return spec.field_from(name, plain)


def _remembered(spec: StateSpec, name: str, kept: Kept, value: Any) -> Any:
    if kept is Kept.FLAT:
        return value
    if kept is Kept.ITEMS:
        return tuple(value)
    if kept is Kept.ENTRIES:
        return dict(value) if value else _NO_ENTRIES
    return encoded(spec, name, value)


def _revived(spec: StateSpec, name: str, kept: Kept, value: Any) -> Any:
    if kept is Kept.FLAT:
        return value
    if kept is Kept.ITEMS:
        return list(value)
    if kept is Kept.ENTRIES:
        return dict(value)
    return spec.field_from(name, msgspec.json.decode(value))


def _unchanged(kept: Kept, before: Any, value: Any) -> bool:
    """True if ``value`` is surely what is remembered; False where only encoding it can tell."""
    if kept is Kept.FLAT:
        return type(value) is type(before) and isinstance(value, _SCALARS) and bool(value == before)
    if kept is Kept.ITEMS:
        return type(value) is list and len(value) == len(before) and all(map(is_, value, before))
    if kept is Kept.ENTRIES:
        return (
            type(value) is dict
            and len(value) == len(before)
            and all(map(is_, value, before))
            and all(map(is_, value.values(), before.values()))
        )
    return False


def _difference(spec: StateSpec, name: str, kept: Kept, cap: int, before: Any, value: Any) -> Delta | None:
    """The difference as plain data, checked; of a ``Recent`` list (``cap`` above 0) what was appended, if that is all."""
    added = _added(before, value, cap) if cap and type(value) is list and kept is Kept.ITEMS else None
    if added is not None:
        # As if the list had been empty: what is recorded is what was appended.
        return Delta([], _checked(spec, name, added))
    return _delta(spec, name, kept, before, value)


def _delta(spec: StateSpec, name: str, kept: Kept, before: Any, value: Any) -> Delta | None:
    """The difference as plain data, checked; None if there is none after all."""
    if kept is Kept.ENTRIES and type(value) is dict:
        changed = {key: item for key, item in value.items() if before.get(key, _MISSING) is not item}
        # Sorted, as the encoding of what is new is: the order of the operations must not depend on history.
        told = sorted(key for key in before if key in changed or key not in value)
        old = {key: _plain(before[key]) for key in told}
        new = _checked(spec, name, changed) if changed else {}
    elif kept is Kept.DEEP:
        data = encoded(spec, name, value)
        if data == before:
            return None
        old, new = msgspec.json.decode(before), msgspec.json.decode(data)
        spec.check_field(name, new)
    else:
        old = _plain(dict(before) if kept is Kept.ENTRIES else before)
        new = _checked(spec, name, value)
    return None if old == new else Delta(old, new)


def _added(before: tuple[Any, ...], value: list[Any], cap: int) -> list[Any] | None:
    """The items that, appended to what is remembered and cut to ``cap``, make ``value``; None if there are none such."""
    if not before:
        return value or None
    newest = before[-1]
    for position in range(len(value) - 1, -1, -1):
        if value[position] is newest:
            same = position + 1
            fits = same == min(len(before), cap - (len(value) - same)) and same < len(value)
            return value[same:] if fits and all(map(is_, value, before[len(before) - same :])) else None
    return None


def _plain(value: Any) -> Any:
    """A remembered value as plain data; it was encoded before, so it can be."""
    return value if isinstance(value, _SCALARS) else msgspec.json.decode(msgspec.json.encode(value))


def _checked(spec: StateSpec, name: str, value: Any) -> Any:
    """``value`` as plain data that fits the field's type."""
    plain = msgspec.json.decode(encoded(spec, name, value))
    spec.check_field(name, plain)
    return plain


def _with_assigned(delta: Delta | None, value: Any, key: str | None) -> Delta:
    if key is None:
        return delta if delta is not None else Delta(value, value)
    before, after = ({}, {}) if delta is None else (dict(delta.before), dict(delta.after))
    if key not in after and key in value:
        before[key] = after[key] = value[key]
    return Delta(before, after)
