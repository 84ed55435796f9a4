"""byte_bot_save with many items: all at once while all is well, in halves when something is not.

The tests of single items are in test_schema_save.py; what holds there holds among many. Here a batch is large enough to be
saved at once, and the server's own count of function calls tells which way it went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.byte_bot.persistence.schema.database import Database, Row, component, event, line, patch, state

MANY = 500


@pytest.fixture
def epoch(database: Database) -> int:
    """An epoch of the test's own."""
    return database.take_epoch()


def rows(count: int = MANY, **values: object) -> list[Row]:
    """Rows of component_state in the order of their keys."""
    return [component("1", f"k{number:03}", data={"n": number}, **values) for number in range(count)]  # type: ignore[arg-type]


def calls(database: Database, epoch: int, **lists: object) -> tuple[Row, dict[str, int]]:
    """The answer, and how often each part of byte_bot_save was called for it."""
    database.edit("alter role authenticator set track_functions = 'all'")
    with database.connect("service_role").transaction() as transaction:
        answer = database.save(epoch, transaction.connection, **lists)
        found = transaction.connection.execute(
            b"select funcname, calls from pg_stat_xact_user_functions"
        ).fetchall()
    return answer, {row["funcname"]: row["calls"] for row in found}


def test_all_is_saved_at_once(database: Database, epoch: int) -> None:
    """A flush of each kind is one statement, new or known; no row is looked at by itself."""
    lists: Row = {
        "rows": [*rows(), *(state(f"{number:03}") for number in range(MANY))],
        "history": [line(f"{number:03}") for number in range(MANY)],
        "events": [event(f"{number:03}") for number in range(MANY)],
    }
    for answer, called in (calls(database, epoch, **lists), calls(database, epoch, **lists)):
        assert (answer["saved"], answer["refused"]) == (2 * MANY, [])
        assert (called["save_component_states"], called["save_channel_states"], called["append_all"]) == (
            1,
            1,
            2,
        )
        assert "save_one" not in called
    assert database.one("select count(*), max(edit_no) as edit_no from component_state") == {
        "count": MANY,
        "edit_no": 0,
    }


@pytest.mark.parametrize("place", [0, 1, 249, 250, MANY - 1])
def test_one_bad_row_costs_a_few_statements(database: Database, epoch: int, place: int) -> None:
    """It is found by halving: the others are saved, and only the bad one is judged by itself."""
    batch = rows()
    batch[place]["version"] = 2**31
    answer, called = calls(database, epoch, rows=batch)
    assert answer["saved"] == MANY - 1
    (refusal,) = answer["refused"]
    assert (refusal["key"], refusal["sqlstate"]) == (f"k{place:03}", "22003")
    assert called["save_component_states"] <= 20
    assert called["save_one"] <= 3


def test_bad_line_and_bad_event_are_found_by_halving_too(database: Database, epoch: int) -> None:
    """What is only appended is isolated in the same way."""
    history, events = ([build(f"{n:03}") for n in range(MANY)] for build in (line, event))
    history[100]["at"] = "yesterday-ish"
    events[400]["kind"] = None
    answer, called = calls(database, epoch, history=history, events=events)
    assert [(one["table"], one["channel_id"], one["sqlstate"]) for one in answer["refused"]] == [
        ("channel_history", "100", "22007"), ("bot_events", "400", "22023"),
    ]  # fmt: skip
    assert called["save_one"] <= 6
    assert database.one("select count(*) from channel_history")["count"] == MANY - 1
    assert database.one("select count(*) from bot_events")["count"] == MANY - 1


def test_every_bad_row_is_named_in_the_order_of_the_keys(database: Database, epoch: int) -> None:
    """However many there are and wherever they stand."""
    batch = rows(100)
    bad = [0, 1, 2, 40, 41, 63, 64, 99]
    for place in bad:
        batch[place]["tombstones"] = None
    answer = database.save(epoch, rows=batch[::-1])
    assert [one["key"] for one in answer["refused"]] == [f"k{place:03}" for place in bad]
    assert answer["saved"] == 100 - len(bad)


def test_edited_rows_among_many_are_returned_and_kept(database: Database, epoch: int) -> None:
    """A human's edits cost nothing extra: refused in the same statement, with the rows as they stand."""
    database.save(epoch, rows=rows())
    database.edit("""update component_state set data = '{"by": "hand"}' where key in ('k007', 'k300')""")
    answer, called = calls(database, epoch, rows=rows(revision=2, edit_no=0))
    assert answer["saved"] == MANY - 2
    assert [(one["key"], one["reason"], one["row"]["data"]) for one in answer["refused"]] == [
        ("k007", "edited", {"by": "hand"}), ("k300", "edited", {"by": "hand"}),
    ]  # fmt: skip
    assert called["save_component_states"] == 1
    assert "save_one" not in called


def test_deleted_row_among_many_is_not_brought_back(database: Database, epoch: int) -> None:
    """What a human deleted stays deleted, also when the batch would have inserted it."""
    batch = [*rows(), *(state(f"{number:03}") for number in range(MANY))]
    database.save(epoch, rows=batch)
    database.edit(
        "delete from component_state where key = 'k123'; delete from channel_state where channel_id = '321'"
    )
    answer = database.save(epoch, rows=[{**row, "revision": 2, "edit_no": 0} for row in batch])
    assert answer["saved"] == 2 * MANY - 2
    assert [(one["channel_id"], one["key"], one["reason"], one["row"]) for one in answer["refused"]] == [
        ("321", "", "edited", None), ("1", "k123", "edited", None),
    ]  # fmt: skip
    assert database.one("select count(*), min(edit_no) as edit_no from component_state") == {
        "count": MANY - 1, "edit_no": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("revisions", "saved", "reasons", "stored"),
    [((2, 3), 2, [], 3), ((3, 2), 1, ["stale"], 3), ((2, 2), 2, [], 2), ((0, 4), 1, ["stale"], 4)],
)
def test_key_that_stands_twice_is_saved_twice_in_turn(
    database: Database, epoch: int, revisions: tuple[int, int], saved: int, reasons: list[str], stored: int
) -> None:
    """Each item is judged against what the one before it left."""
    database.save(epoch, rows=rows(20, revision=1))
    twice = [component("1", "k010", revision=revision, edit_no=0) for revision in revisions]
    batch = [row for row in rows(20, revision=2, edit_no=0) if row["key"] != "k010"]
    answer = database.save(epoch, rows=[*batch, *twice])
    assert (answer["saved"], [one["reason"] for one in answer["refused"]]) == (19 + saved, reasons)
    assert database.one("select revision from component_state where key = 'k010'")["revision"] == stored


def test_refused_twin_is_told_what_stood_there_at_its_turn(database: Database, epoch: int) -> None:
    """The row in a refusal is the one that the item met, not what its twin made of it later."""
    database.save(epoch, rows=[state("1", data={"n": 1}), state("2")])
    answer = database.save(
        epoch,
        rows=[
            state("1", revision=2, edit_no=7),
            state("1", revision=2, edit_no=0, data={"n": 2}),
            state("2"),
        ],
    )
    (refusal,) = answer["refused"]
    assert (refusal["reason"], refusal["row"]["data"]) == ("edited", {"n": 1})


def test_missing_grant_fails_many_too(make_database: Callable[..., Database]) -> None:
    """What is not an item's fault is not looked for in halves."""
    database = make_database("missing_grant_many")
    epoch = database.take_epoch()
    database.edit("revoke update on component_state from service_role")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.save(epoch, rows=rows(10))


def test_without_the_private_schema_every_save_fails(make_database: Callable[..., Database]) -> None:
    """A dump of `public` alone was restored: 3F000, which the store takes for a pause."""
    database = make_database("half_restored")
    epoch = database.take_epoch()
    database.edit("drop schema byte_bot_private cascade")
    with pytest.raises(psycopg.errors.InvalidSchemaName) as refused:
        database.save(epoch, rows=[state("1"), component("1", "deaths")])
    assert refused.value.sqlstate == "3F000"


def test_owners_trigger_refuses_one_of_many(database: Database, epoch: int) -> None:
    """An exception of a trigger of the owner's is isolated like every other; one on insert never vetoes an update."""
    database.save(epoch, rows=rows(50))
    database.edit("""
        create function public.veto() returns trigger language plpgsql as $$
        begin
          if new.key in ('k010', 'k999') then raise exception 'not this one'; end if;
          return new;
        end $$;
        create trigger owners_veto before insert on component_state for each row execute function public.veto()
    """)
    try:
        answer = database.save(epoch, rows=[*rows(50, revision=2, edit_no=0), component("1", "k999")])
    finally:
        database.edit("drop function public.veto cascade")
    assert answer["saved"] == 50
    assert [(one["key"], one["sqlstate"]) for one in answer["refused"]] == [("k999", "P0001")]


def test_another_role_saves_one_by_one(database: Database, epoch: int) -> None:
    """The trigger counts what any other role does as an edit, which the way for many could not see through."""
    deleted = [state("1", edit_no=5), state("2", edit_no=5)]
    assert database.save(epoch, database.human, rows=deleted)["saved"] == 0
    answer = database.save(epoch, database.human, rows=[state("1"), state("2")])
    assert answer["saved"] == 2
    numbers = [row["edit_no"] for row in database.all("select edit_no from channel_state order by 1")]
    assert min(numbers) > 0
    again = [state("1", revision=2, edit_no=0), state("2", revision=2, edit_no=5)]
    assert database.save(epoch, database.human, rows=again)["saved"] == 0


def test_patches_stand_beside_many_rows(database: Database, epoch: int) -> None:
    """Patches are few and go one by one; what is counted is rows and patches together."""
    answer = database.save(
        epoch, rows=rows(10), patches=[patch("alice"), patch("bob", paused=None), patch("carol")]
    )
    assert answer["saved"] == 12
    assert [one["channel_id"] for one in answer["refused"]] == ["bob"]


@contextmanager
def swallowing(database: Database, table: str, kept: str) -> Iterator[None]:
    """While it lasts a trigger of the owner's writes only the rows for which the SQL ``kept`` is true, and says nothing."""
    database.edit(
        f"""
        create function public.swallow() returns trigger language plpgsql as
          'begin return case when {kept} then new end; end';
        create trigger swallow before insert or update on public.{table}
          for each row execute function public.swallow();
        """
    )
    try:
        yield
    finally:
        database.edit("drop function public.swallow() cascade")


@pytest.mark.parametrize("count", [1, MANY])
@pytest.mark.parametrize("when", ["insert", "update"])
def test_a_row_that_a_trigger_swallows_is_refused_not_saved(
    database: Database, epoch: int, count: int, when: str
) -> None:
    """What was kept back must stay with the bot; the others are saved."""
    edit_no = None
    if when == "update":
        database.save(epoch, rows=rows(count))
        edit_no = 0
    with swallowing(database, "component_state", "new.key <> ''k000''"):
        answer = database.save(epoch, rows=rows(count, revision=2, edit_no=edit_no))
    assert answer["saved"] == count - 1
    (refusal,) = answer["refused"]
    assert (refusal["key"], refusal["reason"], refusal["sqlstate"]) == ("k000", "invalid", "P0001")


@pytest.mark.parametrize("table", ["channel_state", "channels_config"])
def test_swallowed_rows_of_other_tables_are_refused_too(database: Database, epoch: int, table: str) -> None:
    """Each table's way of saving looks whether it was saved."""
    with swallowing(database, table, "false"):
        answer = database.save(epoch, rows=[state("1")], patches=[patch("ana", paused=True)])
    assert (answer["saved"], [refusal["table"] for refusal in answer["refused"]]) == (1, [table])
