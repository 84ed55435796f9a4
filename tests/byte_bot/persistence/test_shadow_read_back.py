"""Whatever a commit accepts, and whatever it is combined into, reads back from the journal's file as it was."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from byte_bot.errors import StateError
from byte_bot.persistence.coalescing import coalesced
from byte_bot.persistence.journal_image import Rebased, Recorded
from byte_bot.persistence.operations import ABSENT, Base, Operation, RowKey, rebase
from byte_bot.persistence.row import Row
from byte_bot.persistence.shadow import Shadow
from byte_bot.persistence.state import Add, ChannelState, Recent, StateSpec
from byte_bot.persistence.storable import SPARE_LEVELS
from tests.byte_bot.persistence.journal_in_memory import in_memory
from tests.byte_bot.persistence.journal_writes import contents, image_of
from tests.byte_bot.persistence.nesting import BOTTOMLESS, deepest, nested

KEY = RowKey("component_state", "1", "odd")
LARGE = 1.7e308


class Odd(ChannelState, key="test-odd"):
    """Fields in which what JSON cannot hold may turn up."""

    total: Annotated[int, Add] = 0
    money: Annotated[float, Add] = 0.0
    purses: Annotated[dict[str, float], Add] = {}
    ratio: float | None = None
    anything: Any = None
    items: list[float | None] = []
    recent: Annotated[list[Any], Recent(3)] = []
    tree: dict[str, Any] = {}


SPEC = StateSpec(Odd)
LOW = Base(msgspec.json.encode({"money": -LARGE, "purses": {"a": -LARGE}}))
EXACT = [name for name in SPEC.rules if name not in ("money", "purses")]

LARGE_FLOATS = st.sampled_from([LARGE, -LARGE, 1e308, -1e308, 0.0])
FLOATS = LARGE_FLOATS | st.sampled_from([math.inf, -math.inf, math.nan]) | st.floats()
WHOLES = st.sampled_from([2**53 + 1, 2**64, -(2**70), 10**308, 10**400, 10**4299]) | st.integers()
LEAVES = st.none() | FLOATS | WHOLES | st.text(max_size=3)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
EDITS = st.one_of(
    st.tuples(st.just("total"), WHOLES | FLOATS),
    st.tuples(st.just("money"), LARGE_FLOATS),
    st.tuples(st.just("money"), FLOATS | WHOLES),
    st.tuples(st.just("purses"), st.dictionaries(st.sampled_from("ab"), LARGE_FLOATS, max_size=2)),
    st.tuples(st.just("purses"), st.dictionaries(st.sampled_from("ab"), FLOATS, max_size=2)),
    st.tuples(st.just("ratio"), st.none() | FLOATS),
    st.tuples(st.sampled_from(["anything", "recent +", "tree +"]), ANYTHING),
    st.tuples(st.just("items +"), st.none() | FLOATS),
    # Levels that are left of those that can just be written: Hypothesis allows more of them than Python does by itself.
    st.tuples(st.sampled_from(["nested", "nested tree"]), st.sampled_from([-10, 50, 150, 400])),
)


def edit(state: Odd, field: str, value: Any) -> None:
    """Change the state as a component would."""
    match field:
        case "recent +":
            state.recent.append(value)
        case "tree +":
            state.tree["k"] = value
        case "items +":
            state.items.append(value)
        case "nested":
            state.anything = nested(deepest() - value)
        case "nested tree":
            state.tree["k"] = {"deep": nested(deepest() - value)}
        case _:
            setattr(state, field, value)


@example([[("money", -LARGE)], [("money", LARGE)]], 1, False)
@example([[("money", 0.0)], [("money", LARGE)]], 1, True)
@example([[("ratio", math.inf)]], 1, False)
@example([[("nested", 150)]], 1, False)
@settings(max_examples=40)
@given(
    st.lists(st.lists(EDITS, min_size=1, max_size=2), min_size=2, max_size=8),
    st.integers(1, 4),
    st.booleans(),
)
def test_what_is_accepted_reads_back_as_it_was(
    transactions: list[list[tuple[str, Any]]], fold: int, low: bool
) -> None:
    """As it stands in the log, combined by a fold, and combined in RAM as a restart journals it."""
    row = Row(KEY)
    state = row.typed(SPEC, Odd)
    if low:
        # From there to the other end is twice what a number can be.
        row.accept(LOW, 0, 0)
    journal, connection = in_memory()
    writes: list[Recorded | Rebased] = []
    for number, edits in enumerate(transactions, start=1):
        for field, value in edits:
            edit(state, field, value)
        try:
            writes.append(Recorded(KEY, row.commit(1, f"op-{number}", number)))
        except StateError:
            row.rollback()
            continue
        journal.apply([writes[-1]], len(writes))
        if number % fold == 0:
            journal.fold()
        assert contents(journal.read()) == contents(image_of(*writes))
        # What chat was shown is what was recorded; how sums of floats are rounded depends on their order.
        value, shown = rebase(SPEC.complete(row.base), {}, row.pending).data, msgspec.to_builtins(state)
        assert [value[name] for name in EXACT] == [shown[name] for name in EXACT]
    writes.append(Rebased(KEY, ABSENT, row.pending))
    journal.apply([writes[-1]], len(writes))
    assert contents(journal.read()) == contents(image_of(*writes))
    assert journal.dropped == 0
    told = [operation for write in writes[:-1] for operation in write.operations]
    assert row.pending == coalesced(told)
    # What a save would make of it can be sent: no sum has become infinite on the way.
    row.accept(ABSENT, 1, 1)
    if row.sendable:
        data = row.freeze(1, 0).payload["data"]
        assert msgspec.json.decode(msgspec.json.encode(data)) == data
    connection.close()


REFUSED = [
    ("money", math.inf, "Odd.money holds what cannot be stored: a number that is infinite"),
    ("ratio", math.nan, "Odd.ratio holds what cannot be stored: a number that is infinite"),
    (
        "anything",
        {"a": [1, -math.inf]},
        "Odd.anything holds what cannot be stored: a number that is infinite",
    ),
    ("items +", math.nan, "Odd.items holds what cannot be stored: a number that is infinite"),
    ("recent +", math.inf, "Odd.recent holds what cannot be stored: a number that is infinite"),
    ("purses", {"a": math.inf}, "Odd.purses holds what cannot be stored: a number that is infinite"),
    ("total", 10**400, "a number beyond 1.8e.308"),
    ("money", -LARGE, "the field 'money': the difference .* use ctx.assign"),
    ("purses", {"mine": -LARGE}, "the field 'purses': the difference"),
    ("purses", {"mine": -LARGE, "yours": 1.0}, "the field 'purses': the difference"),
    (
        "anything",
        nested(BOTTOMLESS),
        "Odd.anything holds what cannot be stored: lists or objects within each other",
    ),
]


@pytest.mark.parametrize(("field", "value", "words"), REFUSED)
def test_what_would_not_read_back_is_refused_and_undone(field: str, value: Any, words: str) -> None:
    """The value can then be put back to what it was, and the next change is recorded."""
    state = Odd(money=LARGE, purses={"mine": LARGE})
    shadow = Shadow(SPEC, state)
    edit(state, field, value)
    with pytest.raises(StateError, match=words):
        shadow.changes(SPEC, state)
    shadow.restore(SPEC, state)
    assert state == Odd(money=LARGE, purses={"mine": LARGE})
    assert not shadow.changes(SPEC, state)


def test_infinity_in_place_of_none_is_no_silence() -> None:
    """JSON writes both alike, so the encodings are equal."""
    state = Odd(anything=[None])
    shadow = Shadow(SPEC, state)
    state.anything = [math.inf]
    with pytest.raises(StateError, match="infinite"):
        shadow.changes(SPEC, state)


def test_an_assigned_number_may_be_as_far_away_as_it_likes() -> None:
    """The way out that the refusal names."""
    state = Odd(money=-LARGE)
    shadow = Shadow(SPEC, state)
    state.money = LARGE
    ((change,),) = shadow.changes(SPEC, state, [("money", None)]).values()
    assert change.value == LARGE


def test_what_could_just_be_written_is_refused_since_a_start_could_not_read_it() -> None:
    """A start's stack is deeper, and a save's."""
    for depth in (deepest(), deepest() - SPARE_LEVELS):
        for field in ("anything", "recent +", "tree +"):
            state = Odd()
            shadow = Shadow(SPEC, state)
            edit(state, field, nested(depth))
            with pytest.raises(StateError, match="lists or objects within each other"):
                shadow.changes(SPEC, state)


def test_what_just_leaves_room_can_be_saved_some_calls_deeper() -> None:
    """What was confirmed must not become a dead letter."""
    row, depth = Row(KEY), deepest()
    state = row.typed(SPEC, Odd)
    operations: list[Operation] = []
    while not operations:
        depth -= 1
        state.tree["k"] = nested(depth)
        try:
            operations = row.commit(1, "op", 1)
        except StateError:
            row.rollback()
    row.accept(ABSENT, 1, 1)

    def deeper(calls: int) -> bool:
        return deeper(calls - 1) if calls else row.freeze(1, 0).base.data is not None

    assert depth > 500
    assert deeper(50)
