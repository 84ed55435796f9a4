"""What a value was at its last commit: every difference is found, and only differences are."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.errors import StateError
from byte_bot.persistence.operations import Change, Kind, diff
from byte_bot.persistence.shadow import Shadow
from byte_bot.persistence.state import Add, ChannelState, Kept, Recent, StateSpec

CAP = 3


class Line(msgspec.Struct, frozen=True):
    """A flat item."""

    text: str
    at: float = 0.0


class Box(msgspec.Struct, frozen=True):
    """Frozen outside only."""

    content: list[int] = []


class Labelled(msgspec.Struct, frozen=True):
    """Frozen, but equal whatever its number."""

    label: str
    number: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Labelled) and self.label == other.label

    __hash__ = None  # type: ignore[assignment]  # nobody puts one into a set


class Node(msgspec.Struct, frozen=True):
    """Holds its own kind."""

    text: str
    inner: Node | None = None


class Everything(ChannelState, key="test-shadow"):
    """One field of each kind."""

    word: str = ""
    total: Annotated[int, Add] = 0
    ratio: float = 0.0
    last: Line = Line("")
    node: Node | None = None
    lines: Annotated[list[Line], Recent(CAP)] = []
    words: Annotated[list[str], Recent(CAP)] = []
    plain: list[int] = []
    counts: Annotated[dict[str, int], Add] = {}
    notes: dict[str, Line] = {}
    deep: dict[str, list[int]] = {}
    boxes: list[Box] = []
    labelled: list[Labelled] = []


SPEC = StateSpec(Everything)

_keys = st.sampled_from("abcd")
_numbers = st.integers(-3, 3)
_lines = st.builds(Line, st.sampled_from(["x", "y"]), st.sampled_from([0.0, 1.0]))
_edits: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("word"), st.sampled_from(["", "a", "b"])),
    st.tuples(st.just("total"), _numbers),
    st.tuples(st.just("ratio"), st.sampled_from([0.0, 0.5, 2.0])),
    st.tuples(st.just("last"), _lines),
    st.tuples(st.just("append line"), _lines),
    st.tuples(st.just("append word"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("lines"), st.lists(_lines, max_size=CAP)),
    st.tuples(st.just("drop first line"), st.none()),
    st.tuples(st.just("plain"), st.lists(_numbers, max_size=3)),
    st.tuples(st.just("append number"), _numbers),
    st.tuples(st.just("count"), st.tuples(_keys, _numbers)),
    st.tuples(st.just("forget count"), _keys),
    st.tuples(st.just("note"), st.tuples(_keys, _lines)),
    st.tuples(st.just("forget note"), _keys),
    st.tuples(st.just("notes"), st.dictionaries(_keys, _lines, max_size=3)),
    st.tuples(st.just("deep"), st.tuples(_keys, _numbers)),
    st.tuples(st.just("box"), _numbers),
)


def edit(state: Everything, what: str, value: Any) -> None:
    """Change the state as a component would, mostly in place."""
    match what:
        case "append line":
            state.lines.append(value)
        case "append word":
            state.words.append(value)
        case "drop first line":
            del state.lines[:1]
        case "append number":
            state.plain.append(value)
        case "count":
            state.counts[value[0]] = state.counts.get(value[0], 0) + value[1]
        case "forget count":
            state.counts.pop(value, None)
        case "note":
            state.notes[value[0]] = value[1]
        case "forget note":
            state.notes.pop(value, None)
        case "deep":
            state.deep.setdefault(value[0], []).append(value[1])
        case "box":
            (state.boxes[0].content if state.boxes else []).append(value)
            state.boxes = state.boxes or [Box([value])]
        case _:
            setattr(state, what, value)


def as_data(state: Everything) -> dict[str, Any]:
    """The whole value as plain data, independent of the state."""
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(state, order="deterministic"))
    return data


def told(changes: dict[str, list[Change]]) -> list[Change]:
    """The changes of all fields, one after the other."""
    return [change for of_field in changes.values() for change in of_field]


@given(st.lists(st.lists(_edits, max_size=5), max_size=6))
def test_the_changes_are_those_of_comparing_everything(transactions: list[list[tuple[str, Any]]]) -> None:
    """Commit by commit, the shadow's changes equal the difference of the complete values."""
    state = Everything()
    shadow = Shadow(SPEC, state)
    for edits in transactions:
        before = as_data(state)
        for what, value in edits:
            edit(state, what, value)
        for name in ("lines", "words"):
            del getattr(state, name)[:-CAP]
        after = as_data(state)
        expected = diff(SPEC.rules, before, after)
        changes = shadow.changes(SPEC, state)
        found = told(changes)
        # Lines that push their like out of a full list: comparing values sees fewer of them, and the value is the same.
        appended = [one for one in found if one.kind is Kind.APPEND]
        for one in appended:
            assert [*before[one.field], *one.value][-CAP:] == after[one.field]
        assert {one.field for one in expected if one.kind is Kind.APPEND} <= {one.field for one in appended}
        assert [one for one in found if one not in appended] == [
            one for one in expected if one.kind is not Kind.APPEND
        ]
        shadow.keep(SPEC, state, changes)
        assert shadow.changes(SPEC, state) == {}


@given(st.lists(_edits, max_size=6), st.lists(_edits, max_size=6))
def test_a_restored_value_is_that_of_the_last_commit(
    kept: list[tuple[str, Any]], undone: list[tuple[str, Any]]
) -> None:
    """Whatever was done since is gone, and what is done to the restored value is seen again."""
    state = Everything()
    for what, value in kept:
        edit(state, what, value)
    shadow = Shadow(SPEC, state)
    shadow.keep(SPEC, state, shadow.changes(SPEC, state))
    before = as_data(state)
    for what, value in undone:
        edit(state, what, value)
    shadow.restore(SPEC, state)
    assert as_data(state) == before
    state.counts["new"] = 7
    assert shadow.changes(SPEC, state) == {"counts": [Change(Kind.ADD, "counts", "new", 7)]}


def test_fields_are_remembered_by_what_can_change_inside() -> None:
    """Frozen through and through is flat; a frozen struct around a list is not."""
    kinds = {plan.name: plan.kept for plan in SPEC.plans}
    assert kinds["last"] is kinds["node"] is kinds["word"] is Kept.FLAT
    assert kinds["lines"] is kinds["plain"] is Kept.ITEMS
    assert kinds["counts"] is kinds["notes"] is Kept.ENTRIES
    assert kinds["deep"] is kinds["boxes"] is kinds["labelled"] is Kept.DEEP


def test_an_equality_that_passes_over_a_field_hides_no_change() -> None:
    """Items that an author calls equal are told apart by what is stored of them."""
    state = Everything(labelled=[Labelled("a", 1)])
    shadow = Shadow(SPEC, state)
    state.labelled[0] = Labelled("a", 2)
    assert shadow.changes(SPEC, state) == {
        "labelled": [Change(Kind.SET, "labelled", None, [{"label": "a", "number": 2}])]
    }


def test_an_item_that_was_exchanged_is_found_in_the_midst_of_a_list_that_grew() -> None:
    """Then the new line alone would not do: all of them are told."""
    state = Everything(lines=[Line("a"), Line("b")])
    shadow = Shadow(SPEC, state)
    state.lines[0] = Line("other")
    state.lines.append(Line("c"))
    lines = [{"text": text, "at": 0.0} for text in ("other", "b", "c")]
    assert shadow.changes(SPEC, state) == {"lines": [Change(Kind.APPEND, "lines", None, lines, CAP)]}


def test_an_appended_line_is_told_alone() -> None:
    """Of fifty remembered lines the forty-nine that did not change are neither encoded nor compared as data."""
    state = Everything(lines=[Line("a"), Line("b"), Line("c")])
    shadow = Shadow(SPEC, state)
    state.lines.append(Line("d"))
    assert shadow.changes(SPEC, state) == {
        "lines": [Change(Kind.APPEND, "lines", None, [{"text": "d", "at": 0.0}], CAP)]
    }
    assert [line.text for line in state.lines] == ["b", "c", "d"]


def test_an_assigned_key_is_told_even_if_its_value_is_the_same() -> None:
    """An absolute value discards earlier adds, so it counts where nothing changed; a key that is gone is dropped."""
    state = Everything(counts={"a": 1, "b": 2}, total=4)
    shadow = Shadow(SPEC, state)
    state.counts["b"] = 5
    changes = shadow.changes(SPEC, state, [("counts", "a"), ("counts", "gone"), ("total", None)])
    assert changes == {
        "total": [Change(Kind.SET, "total", None, 4)],
        "counts": [
            Change(Kind.DROP, "counts", "gone", None),
            Change(Kind.PUT, "counts", "a", 1),
            Change(Kind.ADD, "counts", "b", 3),
        ],
    }


@given(
    st.lists(_edits, max_size=6),
    st.lists(
        st.tuples(st.sampled_from(["counts", "notes", "deep"]), st.none() | _keys)
        | st.tuples(st.sampled_from(["total", "word", "last", "node", "lines", "plain", "boxes"]), st.none())
    ),
)
def test_assigned_fields_are_those_of_comparing_everything(
    edits: list[tuple[str, Any]], assigned: list[tuple[str, str | None]]
) -> None:
    """With absolute values too the changes are those of the complete values, as sets: keys may come in another order."""
    state = Everything(counts={"a": 1, "b": 2}, total=4)
    shadow = Shadow(SPEC, state)
    before = as_data(state)
    for what, value in edits:
        edit(state, what, value)
    for name in ("lines", "words"):
        del getattr(state, name)[:-CAP]
    expected = diff(SPEC.rules, before, as_data(state), assigned)
    assert sorted(map(repr, told(shadow.changes(SPEC, state, assigned)))) == sorted(map(repr, expected))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("word", 5),
        ("counts", {"a": 1, "b": 1.5}),
        ("total", True),
        ("ratio", float("nan")),
        ("counts", {"a": True}),
        ("counts", {"a": object()}),
        ("words", ["fine", object()]),
        ("plain", ["no number"]),
        ("deep", {"a": ["no number"]}),
        ("notes", None),
    ],
)
def test_what_cannot_be_stored_is_refused(name: str, value: Any) -> None:
    """No JSON, or not of the field's type: the error names the field."""
    state = Everything(counts={"a": 1})
    shadow = Shadow(SPEC, state)
    setattr(state, name, value)
    with pytest.raises(StateError, match=f"Everything.{name}"):
        shadow.changes(SPEC, state)


@pytest.mark.parametrize(
    ("name", "value", "cleaned"),
    [
        ("word", "a\ud800\x00b", "a\ufffdb"),
        ("word", "a backslash and \\u0000", "a backslash and \\u0000"),
        ("last", Line("x\x00"), Line("x")),
        ("node", Node("a", Node("\udfff")), Node("a", Node("\ufffd"))),
        ("lines", [Line("\ud800"), Line("b")], [Line("\ufffd"), Line("b")]),
        ("words", ["a\x00", "\x00b", "c"], ["a", "b", "c"]),
        ("counts", {"a": 1, "n\x00ul": 2}, {"a": 1, "nul": 2}),
        ("notes", {"\ud800": Line("a\x00")}, {"\ufffd": Line("a")}),
        ("deep", {"\x00": [1]}, {"": [1]}),
    ],
)
def test_texts_are_cleaned_in_the_value_and_in_what_is_told(name: str, value: Any, cleaned: Any) -> None:
    """Keys and items too: RAM and the database have the same, and a rollback goes back to it."""
    state = Everything(counts={"a": 1})
    shadow = Shadow(SPEC, state)
    setattr(state, name, value)
    changes = shadow.changes(SPEC, state)
    assert getattr(state, name) == cleaned
    assert "\\u0000" not in msgspec.json.encode(changes[name]).decode().replace("\\\\u0000", "")
    shadow.keep(SPEC, state, changes)
    assert shadow.changes(SPEC, state) == {}
    setattr(state, name, None)
    shadow.restore(SPEC, state)
    assert getattr(state, name) == cleaned


class Endless(msgspec.Struct):
    """Its author's code never comes back from a text without NUL."""

    text: str = "\x00"

    def __post_init__(self) -> None:
        if "\x00" not in self.text:
            self.__post_init__()


class Holder(ChannelState, key="test-shadow-endless"):
    """One of it."""

    held: Endless | None = None


def test_a_text_whose_cleaned_form_the_author_refuses_cannot_be_stored() -> None:
    """With whatever error, also that of a code without end."""
    spec, state = StateSpec(Holder), Holder()
    shadow = Shadow(spec, state)
    state.held = Endless("a\x00")
    with pytest.raises(StateError, match=r"Holder\.held holds what cannot be stored"):
        shadow.changes(spec, state)
