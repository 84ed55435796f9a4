"""State classes: what may be declared, and how a row becomes a value."""

from __future__ import annotations

import gc
import weakref
from typing import Annotated, Any, Literal

import msgspec
import pytest

from byte_bot.errors import StateError
from byte_bot.persistence.operations import ABSENT, Base, FieldRule, Merge
from byte_bot.persistence.state import Add, ChannelState, Recent, StateSpec, assign, spec_of, state_classes


class Line(msgspec.Struct):
    """An item of a list."""

    text: str = ""


class Node(msgspec.Struct):
    """Holds its own kind."""

    text: str = ""
    inner: Node | None = None


class Pair(msgspec.Struct, frozen=True):
    """Holds two of one type, which is not to hold its own."""

    here: Line | None = None
    there: Line | None = None
    share: float = 0.0


class Everything(ChannelState, key="test-everything", version=2):
    """A field of each kind."""

    last: str = ""
    line: Line = msgspec.field(default_factory=Line)
    total: Annotated[int, Add] = 0
    share: Annotated[float, Add] = 0.0
    names: dict[str, str] = {}
    counts: Annotated[dict[str, int], Add] = {}
    lines: Annotated[list[Line], Recent(3)] = []

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 called the field ``latest``."""
        assert version == 1
        return {("last" if name == "latest" else name): value for name, value in data.items()}


def base(data: dict[str, Any], version: int = 2) -> Base:
    """A stored row."""
    return Base(msgspec.json.encode(data), {}, version, 1, 1, 0)


def test_merge_rules_follow_the_declaration() -> None:
    """Marks decide how a field meets a late base; a dict merges by key, everything else is newest wins."""
    assert StateSpec(Everything).rules == {
        "last": FieldRule(Merge.NEWEST),
        "line": FieldRule(Merge.NEWEST),
        "total": FieldRule(Merge.ADD),
        "share": FieldRule(Merge.ADD),
        "names": FieldRule(Merge.MAPPING),
        "counts": FieldRule(Merge.ADD_MAPPING),
        "lines": FieldRule(Merge.RECENT, 3),
    }


def test_a_class_is_looked_at_once_and_keeps_what_was_found() -> None:
    """Each class for itself: what was found of the one it builds on says nothing of its own table, key and fields."""

    class Ground(ChannelState, key="spec-ground"):
        total: Annotated[int, Add] = 0

    class Derived(Ground, key="spec-derived"):
        last: str = ""

    assert spec_of(Ground) is spec_of(Ground)
    assert (spec_of(Ground).key, tuple(spec_of(Ground).rules)) == ("spec-ground", ("total",))
    assert (spec_of(Derived).key, tuple(spec_of(Derived).rules)) == ("spec-derived", ("total", "last"))
    gone = weakref.ref(Derived)
    del Derived
    gc.collect()
    assert gone() is None, "nothing but the class itself keeps it"


def test_a_channel_without_a_row_has_defaults_of_its_own() -> None:
    """No row means the defaults, and no two channels share a mutable one."""
    spec = StateSpec(Everything)
    one, other = spec.complete(ABSENT), spec.complete(ABSENT)
    assert one == msgspec.to_builtins(Everything())
    one["names"]["a"] = "x"
    assert other["names"] == {}


def test_missing_fields_are_filled_and_unknown_ones_kept() -> None:
    """A row of an older or newer program is completed, and loses nothing."""
    data = StateSpec(Everything).complete(base({"total": 4, "invented_later": 1}))
    assert (data["total"], data["last"], data["invented_later"]) == (4, "", 1)


def test_an_older_row_is_upgraded() -> None:
    """The upgrade turns the plain data of an older version into today's shape."""
    assert StateSpec(Everything).complete(base({"latest": "x"}, version=1))["last"] == "x"


def test_an_upgrade_that_fails_is_a_state_error() -> None:
    """Data of an unexpected shape must not bring the loader down: the row is unreadable, and the error says why."""

    class Picky(ChannelState, key="test-picky", version=3):
        last: str = ""

        @classmethod
        def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
            return {"last": data["gone"]}

    with pytest.raises(
        StateError, match=r"Picky\.upgrade cannot read a row of version 2: KeyError\('gone'\)"
    ):
        StateSpec(Picky).complete(base({}, version=2))


def test_a_newer_row_is_refused() -> None:
    """A program must not write over what a newer one wrote."""
    with pytest.raises(StateError, match="stored row has version 3, this program knows 2"):
        StateSpec(Everything).complete(base({}, version=3))


@pytest.mark.parametrize(
    "data", [{"total": "four"}, {"counts": {"a": "x"}}, {"lines": [1]}, {"total": True}, {"total": None}]
)
def test_a_row_that_does_not_fit_is_a_state_error_that_names_the_field(data: dict[str, Any]) -> None:
    """A human's typo is said with the field's name."""
    with pytest.raises(StateError, match=next(iter(data))):
        StateSpec(Everything).complete(base(data))


def test_a_value_is_checked_field_by_field() -> None:
    """What a component put into a field is checked against its annotation."""
    spec = StateSpec(Everything)
    spec.check_field("counts", b'{"a": 1}')
    with pytest.raises(StateError, match=r"Everything\.counts"):
        spec.check_field("counts", b'{"a": "1"}')


def test_a_component_state_needs_a_key() -> None:
    """Without a key there is no row to put it in."""

    class Nameless(ChannelState):
        total: int = 0

    with pytest.raises(StateError, match="Nameless needs a key"):
        StateSpec(Nameless)


def test_every_field_needs_a_default() -> None:
    """A channel that nobody has used has no row."""

    class Bare(ChannelState, key="test-bare"):
        total: int

    with pytest.raises(StateError, match="every field needs a default"):
        StateSpec(Bare)


def test_add_is_for_numbers() -> None:
    """Add on a text or a dict of texts is refused when the class is looked at."""

    class Text(ChannelState, key="test-text"):
        total: Annotated[str, Add] = ""

    class Texts(ChannelState, key="test-texts"):
        total: Annotated[dict[str, str], Add] = {}

    for cls in (Text, Texts):
        with pytest.raises(StateError, match="Add is for int, float"):
            StateSpec(cls)


def test_recent_is_for_lists_with_a_cap() -> None:
    """A Recent needs a list and at least one item."""

    class Recently(ChannelState, key="test-recently"):
        total: Annotated[int, Recent(3)] = 0

    with pytest.raises(StateError, match="Recent is for lists"):
        StateSpec(Recently)
    with pytest.raises(StateError, match="at least 1"):
        Recent(0)


def test_fields_cannot_be_renamed() -> None:
    """The row's keys are the field names, so that humans find them in the table editor."""

    class Renamed(ChannelState, key="test-renamed", rename="camel"):
        some_total: int = 0

    with pytest.raises(StateError, match="cannot be renamed"):
        StateSpec(Renamed)


def test_assign_sets_a_field_or_one_key() -> None:
    """An absolute value is written at once, and what was assigned is told to the transaction."""
    state = Everything()
    assert assign(state, "total", 5) == ("total", None)
    assert assign(state, "counts", 7, "a") == ("counts", "a")
    assert (state.total, state.counts) == (5, {"a": 7})


def test_imported_state_classes_can_be_found() -> None:
    """A replayed row finds its class before anybody asks for its value."""
    assert Everything in list(state_classes())
    assert ChannelState not in list(state_classes())


def test_marks_print_as_they_are_written() -> None:
    """Errors about annotations show the author's own words."""
    assert (repr(Add), repr(Recent(3))) == ("Add", "Recent(3)")


def test_a_forgotten_return_in_an_upgrade_is_a_state_error() -> None:
    """An author's slip makes the row unreadable and says what is missing; it must not end the program."""

    class Forgetful(ChannelState, key="test-forgetful", version=2):
        last: str = ""

        @classmethod
        def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
            data["last"] = "x"
            return None  # type: ignore[return-value]

    with pytest.raises(StateError, match="is a `return` missing"):
        StateSpec(Forgetful).complete(base({}, version=1))


@pytest.mark.parametrize("cell", [b"[]", b'"x"', b"null", b"7"])
def test_a_cell_that_holds_no_object_is_a_state_error(cell: bytes) -> None:
    """What a human types into the table editor is JSON, and not always an object."""
    with pytest.raises(StateError, match="where an object"):
        StateSpec(Everything).complete(Base(cell, {}, 2, 1, 1, 0))


class Loose(ChannelState, key="test-loose"):
    """Fields whose type lets null stand for a number, or values nest without end."""

    anything: Any = None
    plain: list = []  # type: ignore[type-arg]  # as an author may write it
    share: float | None = None
    shares: list[float | None] = []
    marked: float | Literal[None, "none"] = None
    node: Node | None = None
    pairs: list[Pair] = []


class Tight(ChannelState, key="test-tight"):
    """Fields whose type does neither."""

    share: float = 0.0
    shares: dict[str, list[float]] = {}
    text: str | None = None
    lines: tuple[Line, Line] | None = None


def test_fields_that_a_closer_look_is_for_are_known() -> None:
    """A null in place of a number, or lists within lists, are refused by the others' types."""
    assert StateSpec(Loose).loose == set(Loose.__struct_fields__)
    assert StateSpec(Tight).loose == set()


def test_a_default_that_is_no_number_is_refused() -> None:
    """No row could ever be made of it."""

    class Best(ChannelState, key="test-best"):
        seconds: float = float("inf")

    with pytest.raises(StateError, match="Best: a default is infinite or no number"):
        StateSpec(Best)


class Stern(msgspec.Struct):
    """Takes no negative number, and does not say so in msgspec's words."""

    number: int = 0

    def __post_init__(self) -> None:
        if self.number < 0:
            raise KeyError("negative")


class Strict(ChannelState, key="test-strict"):
    """The same, in itself and within."""

    number: int = 0
    within: Stern = msgspec.field(default_factory=Stern)

    def __post_init__(self) -> None:
        assert self.number >= 0, "negative"


def test_whatever_an_author_raises_about_a_value_is_a_state_error() -> None:
    """Only that is caught where rows are read: anything else would end the bot."""
    spec = StateSpec(Strict)
    with pytest.raises(StateError, match=r"Strict refuses it: AssertionError\('negative"):
        spec.instance({"number": -1})
    with pytest.raises(StateError, match=r"Strict refuses it: KeyError\('negative'\)"):
        spec.complete(base({"within": {"number": -1}}, version=1))
    with pytest.raises(StateError, match=r"Strict\.within refuses it: KeyError\('negative'\)"):
        spec.check_field("within", b'{"number":-1}')
    with pytest.raises(StateError, match=r"Strict\.within refuses it: KeyError\('negative'\)"):
        spec.field_from("within", {"number": -1})


def test_a_class_that_refuses_its_own_defaults_is_declared_wrongly() -> None:
    """They are what is shown in place of a row that cannot be read."""

    class Empty(ChannelState, key="test-empty"):
        words: list[str] = []

        def __post_init__(self) -> None:
            assert self.words, "no words"

    class Unset(ChannelState, key="test-unset"):
        total: int = None  # type: ignore[assignment]  # an author's slip

    with pytest.raises(StateError, match=r"Empty refuses its own defaults: AssertionError\('no words"):
        StateSpec(Empty)
    with pytest.raises(StateError, match=r"Unset: the defaults do not fit the class: .*total"):
        StateSpec(Unset)
