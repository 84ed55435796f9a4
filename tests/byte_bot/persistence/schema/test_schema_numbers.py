"""Numbers that Python cannot hold, on a real PostgreSQL: it takes them, prints them, and compares revisions at bigint's end.

What a request to PostgREST would answer is made here by the query that PostgREST makes of it (``json_agg`` of the rows), and read by the
bot's own decoder; what the simulator prints for the same row is compared with it.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import tuple_row

from byte_bot.errors import StateError
from byte_bot.persistence.answers import SavedBody, StateRow, decoded, state_row
from byte_bot.persistence.state import holds_object, stored_object
from simulator.supabase import jsonb
from simulator.supabase.jsonb import Digits
from tests.byte_bot.persistence.schema.database import Database, component
from tests.simulator.supabase.project import ask, closing, project

LONG = "1" + "0" * 5_000
#: What a human types, and what jsonb makes of it.
TYPED = {
    "1e5000": LONG,
    "-1E+5000": f"-{LONG}",
    "123e2": "12300",
    LONG: LONG,
    "1e400": "1" + "0" * 400,
}


def enter(database: Database, number: str, **columns: Any) -> None:
    """A human enters a row with this number, as text, as the table editor sends it."""
    names = "".join(f", {name}" for name in columns)
    values = ", %s" * len(columns)
    database.human.execute(
        f"insert into public.component_state (channel_id, key, data{names}) values ('1', 'k', %s::jsonb{values})".encode(),
        [f'{{"a": {number}, "b": "text"}}', *columns.values()],
    )


def text_of(database: Database, sql: str, *values: object) -> bytes:
    """The only value of a query, as text: as it goes over the wire, not as psycopg reads it."""
    with psycopg.connect(database.uri("postgres"), row_factory=tuple_row) as connection:
        found = connection.execute(sql.encode(), values).fetchone()
    assert found is not None
    return str(found[0]).encode()


PAGE = "select json_agg(s)::text from public.component_state s"


@pytest.mark.parametrize("number", TYPED, ids=lambda number: number[:9])
def test_a_page_with_a_long_number_is_read_row_by_row(database: Database, number: str) -> None:
    """The other row is whole, and of this one every digit is there; whether Python can hold it is this row's business."""
    enter(database, number)
    database.human.execute(
        b"insert into public.component_state (channel_id, key, data) values ('2', 'k', '{}')"
    )
    rows = {row.channel_id: row for row in decoded(text_of(database, PAGE), list[StateRow])}
    assert rows["2"].base.data == b"{}"
    base = rows["1"].base
    assert base.data == f'{{"a":{TYPED[number]},"b":"text"}}'.encode()
    if len(TYPED[number]) > 4_300:
        assert not holds_object(base)
        with pytest.raises(StateError, match="cannot be read"):
            stored_object(base)
    else:
        assert stored_object(base) == {"a": int(TYPED[number]), "b": "text"}


def test_a_refused_row_with_a_long_number_is_read(database: Database) -> None:
    """byte_bot_save gives the row as it stands; the number is in the answer, and the answer is read past it."""
    epoch = database.take_epoch()
    enter(database, "1e5000")
    call = """select public.byte_bot_save(%s, jsonb_build_array(jsonb_build_object('table', 'component_state', 'channel_id', '1',
        'key', 'k', 'version', 1, 'data', '{}'::jsonb, 'tombstones', '{}'::jsonb, 'revision', 1, 'edit_no', 0)))::text"""
    (item,) = decoded(text_of(database, call, epoch), SavedBody, level=4).refused
    assert item.reason == "edited"
    assert LONG.encode() in (state_row(item.row).base.data or b"")


@pytest.mark.parametrize("number", TYPED, ids=lambda number: number[:9])
def test_the_simulator_prints_the_number_as_postgresql_does(database: Database, number: str) -> None:
    """To the last digit, in the row and in what ``->>`` and a cast make of it."""
    enter(database, number)
    with closing(project()) as fake:
        data = {"a": Digits(number), "b": "text"}
        fake.human_insert("component_state", {"channel_id": "1", "key": "k", "data": data})
        shown = ask(fake, "GET", "component_state?select=data,text:data->>a")
    real = text_of(
        database, "select json_agg(s)::text from (select data, data->>'a' as text from component_state) s"
    )
    assert jsonb.loads(shown.body) == jsonb.loads(real)
    assert TYPED[number].encode() in shown.body


@pytest.mark.parametrize("stored", [2**63 - 1, 2**53 + 1])
def test_a_revision_at_bigints_end_is_overtaken_by_a_later_epoch_only(
    database: Database, stored: int
) -> None:
    """Under the row's own epoch it is stale for ever, under the next one every revision is newer."""
    epoch = database.take_epoch()
    enter(database, "1", epoch=epoch, revision=stored)
    edit_no = database.one("select edit_no from component_state")["edit_no"]

    def save(under: int) -> Any:
        return database.save(under, rows=[component("1", "k", data={}, revision=3, edit_no=edit_no)])

    answer = save(epoch)
    assert [item["reason"] for item in answer["refused"]] == ["stale"]
    assert save(database.take_epoch())["refused"] == []
    assert database.one("select revision from component_state")["revision"] == 3
