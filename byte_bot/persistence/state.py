"""Typed durable state: the class a component declares, and how its value becomes a row.

A component author writes ::

    class Deaths(ChannelState, key="deaths"):
        total: Annotated[int, Add] = 0
        last: str = ""

and gets one value per channel, in RAM, typed, with the promises of the persistence layer. ``key`` names the row in
``component_state``; it must be unique among all components of a bot and must never change (rename the class freely).
Every field needs a default: a channel that nobody has used yet has no row.

How a field meets a base that arrives late (see :mod:`byte_bot.persistence.operations`):

====================================  ==========================================
``x: int``, ``str``, struct, list     newest wins
``Annotated[int, Add]``, ``float``    changes add up
``dict[str, T]``                      key by key, newest wins, deletions stay deleted
``Annotated[dict[str, int], Add]``    changes add up key by key
``Annotated[list[T], Recent(50)]``    what was appended here follows what was stored
====================================  ==========================================

An author may refuse values: ``__post_init__`` of the class, or of a struct within it, runs on whatever is read, and may raise what
it likes. A row that it refuses does not fit the class, as a human's typo does not: it is that row's business, and no other's.

When the shape changes, raise ``version`` and give ``upgrade(data, version)``, which turns the plain data of an older
row into today's. Fields that a row has and the class has not are kept as they are: an older program does not delete
what a newer one wrote. A row whose ``version`` is newer than the class's is refused (:class:`StateError`).
"""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import msgspec
import msgspec.inspect

from byte_bot.errors import StateError
from byte_bot.persistence.operations import Base, FieldRule, Merge
from byte_bot.persistence.storable import is_finite

COMPONENT_TABLE = "component_state"

#: Bytes up to which a stored object is taken to be readable without a look at all of it. What Python cannot hold takes 311 at least, as
#: PostgreSQL writes it: a number with 309 digits before its point; chosen a little lower.
HARMLESS_BYTES = 300

#: Types whose values cannot change inside.
_FLAT_TYPES = (
    msgspec.inspect.NoneType,
    msgspec.inspect.BoolType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.StrType,
    msgspec.inspect.EnumType,
    msgspec.inspect.LiteralType,
)

#: Scalar types and what they are in Python; an ``int`` in a field of floats is not among them, it is checked.
_UNCONSTRAINED: Mapping[type, type] = {
    msgspec.inspect.NoneType: type(None),
    msgspec.inspect.BoolType: bool,
    msgspec.inspect.IntType: int,
    msgspec.inspect.FloatType: float,
    msgspec.inspect.StrType: str,
}


class _AddMark:
    """Type of :data:`Add`."""

    def __repr__(self) -> str:
        return "Add"


#: Marks a number, or a dict of numbers, whose changes add up over a base that arrives late.
Add = _AddMark()


class Recent:
    """Marks a list that keeps its newest ``cap`` items and is only ever appended to."""

    def __init__(self, cap: int) -> None:
        if cap < 1:
            raise StateError(f"Recent({cap}): the cap must be at least 1")
        self.cap = cap

    def __repr__(self) -> str:
        return f"Recent({self.cap})"


if TYPE_CHECKING:

    class _StateBase(msgspec.Struct):
        """What type checkers see: class arguments ``key``, ``version`` and ``table`` beside msgspec's own."""

        def __init_subclass__(
            cls, *, key: str = "", version: int = 1, table: str = COMPONENT_TABLE, **config: Any
        ) -> None: ...

else:

    class _StateMeta(msgspec.StructMeta):
        """Takes ``key``, ``version`` and ``table`` out of the class arguments before msgspec sees the rest."""

        def __new__(mcls, name, bases, namespace, *, key="", version=1, table=COMPONENT_TABLE, **config):
            return super().__new__(mcls, name, bases, namespace, **config)

        def __init__(cls, name, bases, namespace, *, key="", version=1, table=COMPONENT_TABLE, **config):  # noqa: N805  # a metaclass
            super().__init__(name, bases, namespace)
            cls.__state_key__ = key
            cls.__state_version__ = version
            cls.__state_table__ = table

    class _StateBase(msgspec.Struct, metaclass=_StateMeta):
        """See the typed twin above."""


class ChannelState(_StateBase):
    """Base of all durable state; see the module's docstring."""

    __state_key__: ClassVar[str]
    __state_version__: ClassVar[int]
    __state_table__: ClassVar[str]
    __state_spec__: ClassVar[Any]

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Turn the plain data of a row written with an older ``version`` into today's shape.

        Called once for a row with ``version`` < the class's; raise :class:`StateError` if it cannot be done.
        """
        return data


StateT = TypeVar("StateT", bound=ChannelState)


def state_classes(root: type[ChannelState] = ChannelState) -> Iterator[type[ChannelState]]:
    """Every state class that was imported."""
    for cls in root.__subclasses__():
        yield cls
        yield from state_classes(cls)


class Kept(enum.Enum):
    """How :mod:`byte_bot.persistence.shadow` remembers a field, by what can change inside its values."""

    FLAT = "flat"  #: nothing can, and what is equal holds the same
    ITEMS = "items"  #: a list, but not its items
    ENTRIES = "entries"  #: a dict by strings, but not its values
    DEEP = "deep"  #: anything


class FieldPlan(typing.NamedTuple):
    """What is known of a field's type: how it is remembered, and how it meets a late base.

    ``cap`` is the length of a ``Recent`` list, else 0. ``scalars`` are the Python types of which every value fits the field
    (of a dict: its values); a value of another type has to be looked at closely.
    """

    name: str
    kept: Kept
    cap: int
    merge: Merge
    scalars: frozenset[type]


class StateSpec:
    """What the layer knows of a state class: its table and key, its fields' merge rules, its defaults.

    Raises:
        StateError: no key, a field without a default, defaults that the class itself refuses, ``Add`` on something that is not a
            number, a ``Recent`` on something that is not a list.
    """

    def __init__(self, cls: type[ChannelState]) -> None:
        self.cls = cls
        self.table = cls.__state_table__
        self.key = cls.__state_key__
        self.version = cls.__state_version__
        if self.table == COMPONENT_TABLE and not self.key:
            raise StateError(f'{cls.__qualname__} needs a key: class {cls.__name__}(ChannelState, key="…")')
        self.types = {
            name: hint
            for name, hint in typing.get_type_hints(cls, include_extras=True).items()
            if name in cls.__struct_fields__
        }
        if cls.__struct_fields__ != cls.__struct_encode_fields__:
            raise StateError(
                f"{cls.__qualname__}: fields cannot be renamed; the row's keys are the field names"
            )
        self.rules = {name: _rule(cls, name, self.types[name]) for name in cls.__struct_fields__}
        #: In the order of declaration.
        self.plans = tuple(_plan(name, self.types[name], rule) for name, rule in self.rules.items())
        #: The fields that a closer look is for: null can stand in the JSON where a number was that is infinite or none, and their
        #: type takes it; or their type lets lists or objects stand within each other without end.
        self.loose = frozenset(name for name, hint in self.types.items() if _is_loose(hint))
        self._decoders = {name: msgspec.json.Decoder(hint) for name, hint in self.types.items()}
        self.positions = {name: position for position, name in enumerate(self.rules)}
        try:
            self.defaults: dict[str, Any] = msgspec.to_builtins(cls())
        except TypeError as error:
            raise StateError(f"{cls.__qualname__}: every field needs a default ({error})") from None
        except Exception as error:
            # Supervisor of an author's code, as everywhere below.
            raise StateError(f"{cls.__qualname__} refuses its own defaults: {error!r}") from error
        if not is_finite(self.defaults, msgspec.json.encode(self.defaults)):
            raise StateError(
                f"{cls.__qualname__}: a default is infinite or no number (inf, nan), which JSON cannot hold"
            )
        try:
            self.instance(self.defaults)  # what a row falls back on that cannot be read
        except StateError as error:
            raise StateError(f"{cls.__qualname__}: the defaults do not fit the class: {error}") from None

    def complete(self, base: Base) -> dict[str, Any]:
        """The base's fields as plain data, upgraded, with defaults for what is missing, checked against the types.

        Raises:
            StateError: the row was written by a newer version, or does not fit the types (a human's typo).
        """
        if base.data is None:
            return msgspec.json.decode(msgspec.json.encode(self.defaults), type=dict)
        if base.version > self.version:
            raise StateError(
                f"{self.cls.__qualname__}: the stored row has version {base.version}, this program knows "
                f"{self.version}: update the component before it can use this channel's state"
            )
        data = stored_object(base)
        if base.version < self.version:
            data = self._upgraded(data, base.version)
        data = {**msgspec.json.decode(msgspec.json.encode(self.defaults), type=dict), **data}
        self.instance(data)
        return data

    def _upgraded(self, data: dict[str, Any], version: int) -> dict[str, Any]:
        try:
            upgraded: object = self.cls.upgrade(data, version)
        except Exception as error:
            # Supervisor of an author's code; the row stays as it is until that is corrected.
            raise StateError(
                f"{self.cls.__qualname__}.upgrade cannot read a row of version {version}: {error!r}"
            ) from error
        if not isinstance(upgraded, dict) or not all(isinstance(name, str) for name in upgraded):
            raise StateError(
                f"{self.cls.__qualname__}.upgrade must return the upgraded fields as a dict, not "
                f"{type(upgraded).__name__}: is a `return` missing?"
            )
        return upgraded

    def check_field(self, name: str, data: bytes) -> None:
        """Find out whether a value, given as JSON, fits the field's type.

        Raises:
            StateError: it does not, or an author's code refuses it.
            RecursionError: it is nested too deeply to be read from here.
        """
        try:
            self._decoders[name].decode(data)
        except msgspec.ValidationError as error:
            raise StateError(f"{self.cls.__qualname__}.{name}: {error}") from None
        except RecursionError:
            raise
        except Exception as error:
            raise StateError(f"{self.cls.__qualname__}.{name} refuses it: {error!r}") from error

    def field_from(self, name: str, value: Any) -> Any:
        """One field's value from plain data that fits its type; raises :class:`StateError` if an author's code refuses it."""
        try:
            return msgspec.convert(value, self.types[name])
        except Exception as error:
            raise StateError(f"{self.cls.__qualname__}.{name} refuses it: {error!r}") from error

    def instance(self, data: Mapping[str, Any]) -> ChannelState:
        """A value of the class from plain data; raises :class:`StateError` naming the field that does not fit."""
        try:
            return msgspec.convert(data, self.cls)
        except msgspec.ValidationError as error:
            raise StateError(f"{self.cls.__qualname__}: {error}") from None
        except Exception as error:
            raise StateError(f"{self.cls.__qualname__} refuses it: {error!r}") from error


def spec_of(cls: type[ChannelState]) -> StateSpec:
    """The class's :class:`StateSpec`, worked out once; it is kept with the class, and goes with it."""
    spec = vars(cls).get("__state_spec__")
    if not isinstance(spec, StateSpec):
        spec = cls.__state_spec__ = StateSpec(cls)
    return spec


def stored_object(base: Base) -> dict[str, Any]:
    """The fields of a stored row as they stand; raises :class:`StateError` if a human made something else of them."""
    try:
        data = msgspec.json.decode(base.data or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
        # Python's own limits: 4,300 digits of an int, the reach of a float, the depth of its stack.
        raise StateError(f"the column data holds what cannot be read: {error}") from None
    if not isinstance(data, dict):
        shown = f" ({data[:60]!r})" if isinstance(data, str) else ""
        raise StateError(f"the column data holds {type(data).__name__}{shown} where an object {{…}} belongs")
    return data


def holds_object(base: Base) -> bool:
    """True if :func:`stored_object` can read the row.

    Told from its first byte as long as it is short: bases are JSON, and what no Python can hold takes more than
    :data:`HARMLESS_BYTES` to write.
    """
    if base.data is None:
        return True
    if not base.data.startswith(b"{"):
        return False
    if len(base.data) <= HARMLESS_BYTES:
        return True
    try:
        stored_object(base)
    except StateError:
        return False
    return True


def assign(state: ChannelState, field: str, value: Any, key: str | None = None) -> tuple[str, str | None]:
    """Give a field (or one key of it) a value that holds whatever is stored; returns what was assigned, for the transaction.

    ``deaths.total = 5`` would be recorded as a difference to what RAM held, and as nothing where RAM held 5 already;
    ``ctx.assign(deaths, "total", 5)`` discards earlier adds, and what a row has that has not been loaded yet.
    """
    if key is None:
        setattr(state, field, value)
    else:
        getattr(state, field)[key] = value
    return field, key


def _rule(cls: type[ChannelState], name: str, hint: Any) -> FieldRule:
    marks: tuple[Any, ...] = ()
    if typing.get_origin(hint) is Annotated:
        hint, *rest = typing.get_args(hint)
        marks = tuple(rest)
    origin = typing.get_origin(hint) or hint
    where = f"{cls.__qualname__}.{name}"
    for mark in marks:
        if isinstance(mark, Recent):
            if origin is not list:
                raise StateError(f"{where}: Recent is for lists")
            return FieldRule(Merge.RECENT, mark.cap)
        if mark is Add:
            return FieldRule(_add_rule(where, hint, origin))
    return FieldRule(Merge.MAPPING if origin is dict else Merge.NEWEST)


def _plan(name: str, hint: Any, rule: FieldRule) -> FieldPlan:
    info = msgspec.inspect.type_info(hint)
    kept = _kept(info)
    values = info.value_type if isinstance(info, msgspec.inspect.DictType) else info
    scalars = _scalars(values) if kept in (Kept.FLAT, Kept.ENTRIES) else frozenset()
    return FieldPlan(name, kept, rule.cap, rule.merge, scalars)


def _scalars(info: msgspec.inspect.Type) -> frozenset[type]:
    """The Python types of which every value fits; constraints (a length, a range) leave a type out."""
    if isinstance(info, msgspec.inspect.UnionType):
        return frozenset().union(*map(_scalars, info.types))
    python = _UNCONSTRAINED.get(type(info))
    return frozenset({python}) if python is not None and info == type(info)() else frozenset()


def _kept(info: msgspec.inspect.Type) -> Kept:
    if _is_flat(info):
        return Kept.FLAT
    if isinstance(info, msgspec.inspect.ListType) and _is_flat(info.item_type):
        return Kept.ITEMS
    if (
        isinstance(info, msgspec.inspect.DictType)
        and isinstance(info.key_type, msgspec.inspect.StrType)
        and _is_flat(info.value_type)
    ):
        return Kept.ENTRIES
    return Kept.DEEP


def _is_loose(hint: Any) -> bool:
    """See :attr:`StateSpec.loose`."""
    found: set[type] = set()
    return _nests(msgspec.inspect.type_info(hint), (), found) or (
        msgspec.inspect.FloatType in found and msgspec.inspect.NoneType in found
    )


def _nests(info: msgspec.inspect.Type, within: tuple[type, ...], found: set[type]) -> bool:
    """True if what is of the type can nest without end; ``within`` are the classes around it.

    Adds the types within it to ``found``, None in a literal as its own.
    """
    cls: type | None = getattr(info, "cls", None)
    if cls in within or isinstance(
        info, msgspec.inspect.AnyType | msgspec.inspect.RawType | msgspec.inspect.CustomType
    ):
        return True
    inner = within if cls is None else (*within, cls)
    found.add(type(info))
    if isinstance(info, msgspec.inspect.LiteralType) and None in info.values:
        found.add(msgspec.inspect.NoneType)
    parts: list[Any] = []
    for part in msgspec.structs.astuple(info):
        parts += part if isinstance(part, tuple) else [part]
    types = [part.type if isinstance(part, msgspec.inspect.Field) else part for part in parts]
    return any(_nests(part, inner, found) for part in types if isinstance(part, msgspec.inspect.Type))


def _is_flat(info: msgspec.inspect.Type, within: tuple[type, ...] = ()) -> bool:
    """True if no value of the type can change inside, and equal ones hold the same; ``within`` are the structs around it."""
    match info:
        case msgspec.inspect.StructType():
            # An equality of the author's own may pass over a field.
            fixed = info.cls.__struct_config__.frozen and info.cls.__eq__ is msgspec.Struct.__eq__
            # A struct inside itself adds nothing that was not looked at.
            return info.cls in within or (
                fixed and all(_is_flat(field.type, (*within, info.cls)) for field in info.fields)
            )
        case msgspec.inspect.UnionType():
            return all(_is_flat(member, within) for member in info.types)
        case msgspec.inspect.TupleType():
            return all(_is_flat(item, within) for item in info.item_types)
        case msgspec.inspect.VarTupleType():
            return _is_flat(info.item_type, within)
        case msgspec.inspect.Metadata():
            return _is_flat(info.type, within)
        case _:
            return isinstance(info, _FLAT_TYPES)


def _add_rule(where: str, hint: Any, origin: Any) -> Merge:
    if hint in (int, float):
        return Merge.ADD
    if origin is dict and typing.get_args(hint)[1] in (int, float):
        return Merge.ADD_MAPPING
    raise StateError(f"{where}: Add is for int, float, dict[str, int] and dict[str, float]")
