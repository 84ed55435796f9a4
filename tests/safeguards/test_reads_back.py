"""Safeguard: the door. What is recorded can be read again by the next start, or it is refused where viewers are told so."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import pytest

from byte_bot.errors import JournalRefused, StateError
from byte_bot.persistence import coalescing, shadow
from byte_bot.persistence.fresh_stack import on_fresh_stack
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Rebased, Recorded
from byte_bot.persistence.journal_opening import connect, open_and_read
from byte_bot.persistence.journal_reading import StoredJournal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.operations import ABSENT, Base, Kind, Operation, RowKey, Stamp
from byte_bot.persistence.row import Row
from byte_bot.persistence.shadow import Shadow
from byte_bot.persistence.state import Add, ChannelState, StateSpec
from tests.byte_bot.persistence.journal_files import LOGIN, sample
from tests.byte_bot.persistence.journal_in_memory import add
from tests.byte_bot.persistence.nesting import deepest, nested
from tests.safeguards.altered import altered
from tests.safeguards.variants import become

OWNER = Owner(LOGIN, "here")
KEY = RowKey("component_state", "7", "purse")
LARGE = 1.7e308


class Purse(ChannelState, key="test-purse"):
    """A number that can be large, one that can be missing, and anything."""

    money: Annotated[float, Add] = 0.0
    share: float | None = None
    tree: Any = None


SPEC = StateSpec(Purse)


def functions_of(module: types.ModuleType, **names: object) -> dict[str, object]:
    """The module's functions, for which these names mean something else."""
    scope = {**vars(module), **names}
    for name, found in list(vars(module).items()):
        if (
            isinstance(found, types.FunctionType)
            and found.__module__ == module.__name__
            and name not in names
        ):
            scope[name] = types.FunctionType(found.__code__, scope, name, found.__defaults__)
            cast(types.FunctionType, scope[name]).__kwdefaults__ = found.__kwdefaults__
    return scope


def row_on(**names: object) -> type[Row]:
    """A row that finds changes where these names of the module mean something else."""
    door = altered(Shadow, functions_of(shadow, **names), changes=None, keep=None)
    return altered(Row, {"Shadow": door}, _show=None)


AnyDifference = row_on(delta_of=lambda field, old, new: new - old)
AnyNumber = row_on(is_finite=lambda value, data: True)
AnyDepth = row_on(decoded_with_room=msgspec.json.decode)
AnySum = altered(Row, functions_of(coalescing, isfinite=lambda value: True), commit=None)


def committed(row: Row, **fields: Any) -> list[Operation]:
    """One transaction; nothing if it is refused, and undone."""
    state = row.typed(SPEC, Purse)
    for name, value in fields.items():
        setattr(state, name, value)
    try:
        return row.commit(1, "op", 1)
    except StateError:
        row.rollback()
        return []


def after_a_start(
    folder: Path, *operations: list[Operation], pending: list[Operation] | None = None
) -> list[Operation] | None:
    """What the next start finds of the row in a journal with others in it; None if all of it was set aside."""
    path = sample(folder)
    journal = SqliteJournal(connect(path))
    for told in operations:
        journal.apply([Recorded(KEY, told), add(1)], journal.commits + 1)
    if pending is not None:
        journal.apply([Rebased(KEY, ABSENT, pending)], journal.commits + 1)
    journal.close()
    connection, image = open_and_read(path, OWNER, durability="process", now_s=0.0)
    connection.close()
    set_aside = bool(list(folder.glob("*.damaged-*")))
    assert set_aside is not bool(image.rows)
    return None if set_aside else image.rows[KEY].pending


@pytest.mark.parametrize("door", [Row, AnyDifference], ids=["with it", "without it"])
def test_a_difference_beyond_every_number_does_not_cost_the_journal(tmp_path: Path, door: type[Row]) -> None:
    """Without it null is written where a number belongs, and the start calls that damage: the rows of all channels are gone."""
    row = door(KEY)
    told = [committed(row, money=money) for money in (-LARGE, LARGE)]
    found = after_a_start(tmp_path, *told)
    assert found == (told[0] if door is Row else None)


@pytest.mark.parametrize("door", [Row, AnySum], ids=["with it", "without it"])
def test_a_sum_beyond_every_number_does_not_cost_the_journal(tmp_path: Path, door: type[Row]) -> None:
    """The same where two differences that are numbers are combined, as a restart journals them."""
    row = door(KEY)
    # A snapshot's base from before, so that twice as much lies between the first number and the last.
    row.accept(Base(msgspec.json.encode({"money": -LARGE})), 0, 0)
    told = [committed(row, money=money) for money in (0.0, LARGE)]
    assert [operation.value for (operation,) in told] == [LARGE, LARGE]
    found = after_a_start(tmp_path, pending=row.pending)
    assert found == (None if door is AnySum else [*told[0], *told[1]])


@pytest.mark.parametrize("door", [Row, AnyNumber], ids=["with it", "without it"])
def test_what_is_no_number_is_not_confirmed(tmp_path: Path, door: type[Row]) -> None:
    """Without it RAM shows infinity, and the next start nothing."""
    row = door(KEY)
    assert committed(row, share=1.0)
    told = committed(row, share=float("inf"))
    shown = row.typed(SPEC, Purse).share
    if door is Row:
        assert (told, shown) == ([], 1.0)
    else:
        found = after_a_start(tmp_path, told)
        assert found is not None
        assert shown == float("inf") and found[0].value is None


@pytest.mark.parametrize("door", [Row, AnyDepth], ids=["with it", "without it"])
def test_what_is_confirmed_leaves_room_for_its_save(door: type[Row]) -> None:
    """Without it a value is confirmed that no save will ever carry."""
    row = door(KEY)
    told = committed(row, tree=nested(deepest() - 50))
    assert bool(told) is (door is AnyDepth)
    if told:
        row.accept(ABSENT, 1, 1)
        with pytest.raises(RecursionError):
            row.freeze(1, 0)


def _no_stack(call: Callable[[Any], Any], argument: Any) -> Any:
    return call(argument)


HereOnly = altered(StoredJournal, {"on_fresh_stack": _no_stack}, _decode_writes=None)


@pytest.mark.parametrize("elsewhere", [True, False], ids=["with it", "without it"])
def test_a_line_that_cannot_be_read_from_here_is_read_elsewhere(tmp_path: Path, elsewhere: bool) -> None:
    """An earlier release recorded what is nested so deep; without it no start with that journal succeeds."""
    path = sample(tmp_path)
    deep = Operation(
        Kind.SET, "tree", None, nested(on_fresh_stack(lambda _: deepest(), None) - 20), Stamp(1, 1)
    )

    def written(_: None) -> None:
        journal = SqliteJournal(connect(path))
        journal.apply([Recorded(KEY, [deep]), add(1)], journal.commits + 1)
        journal.close()

    on_fresh_stack(written, None)
    connection = connect(path, read_only=True)
    journal = StoredJournal(connection)
    if elsewhere:
        assert KEY in journal.read().rows
    else:
        become(journal, HereOnly)
        with pytest.raises(JournalRefused, match="nested deeper"):
            journal.read()
    connection.close()
