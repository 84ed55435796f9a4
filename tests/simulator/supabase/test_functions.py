"""The stand-ins of the SQL functions, on SQLite alone.

That they do what PostgreSQL does is shown with the schema's own tests, on a real server. Here: each answer once, the
form of what is stored, and that a call leaves the transaction to its caller.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from simulator.supabase import sqlite_functions
from simulator.supabase.functions import FUNCTIONS, FunctionError, save, take_epoch
from simulator.supabase.schema import read_schema

NOW = "2026-11-23T12:00:00.5+00:00"
SCHEMA_DIR = Path(__file__).parents[3] / "byte_bot" / "persistence" / "schema"


@pytest.fixture
def database() -> sqlite3.Connection:
    """The bot's tables in SQLite, with epoch 3 taken."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    sqlite_functions.register(connection, lambda: NOW, lambda: "")
    for table in read_schema(SCHEMA_DIR).tables.values():
        connection.execute(table.ddl())
    connection.execute("insert into bot_writer (id, epoch) values (1, 3)")
    return connection


def row(
    channel_id: str = "1", *, revision: int = 1, edit_no: int | None = None, **values: Any
) -> dict[str, Any]:
    """An item of p_rows."""
    return {
        "table": "channel_state", "channel_id": channel_id, "key": "", "version": 1, "data": {}, "tombstones": {},
        "revision": revision, "edit_no": edit_no, **values,
    }  # fmt: skip


def stored(database: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """Every row as SQLite holds it."""
    return [dict(found) for found in database.execute(f"select * from {table} order by 1")]


def test_both_functions_are_found_by_their_sql_names() -> None:
    """The table of functions holds the names that the API is called with."""
    assert dict(FUNCTIONS) == {"byte_bot_take_epoch": take_epoch, "byte_bot_save": save}


@pytest.mark.parametrize(
    ("seen", "epoch"),
    [(0, 4), (None, 4), (9, 10), (-1, 4), (2**62, 2**62 + 1), (2**62 + 1, 4), (2**63 - 1, 4)],
)
def test_epoch_passes_stored_and_seen(database: sqlite3.Connection, seen: int | None, epoch: int) -> None:
    """The new epoch is higher than the stored one and than what the caller has seen."""
    assert take_epoch(database, {"p_holder": "me", "p_seen": seen}, NOW) == epoch
    assert stored(database, "bot_writer") == [{"id": 1, "epoch": epoch, "holder": "me", "taken_at": NOW}]


def test_epoch_without_a_writer_row_starts_at_one(database: sqlite3.Connection) -> None:
    """A deleted row counts as epoch 0 and is put back."""
    database.execute("delete from bot_writer")
    assert take_epoch(database, {"p_holder": "me", "p_seen": 0}, NOW) == 1
    assert save(database, {"p_epoch": 1}, NOW)["status"] == "ok"


def test_no_epoch_beyond_bigint(database: sqlite3.Connection) -> None:
    """Where PostgreSQL runs out of numbers the stand-in fails with its code."""
    database.execute("update bot_writer set epoch = ?", (2**63 - 1,))
    with pytest.raises(FunctionError, match="22003"):
        take_epoch(database, {"p_holder": "me", "p_seen": 0}, NOW)


def test_values_are_stored_in_the_fakes_form(database: sqlite3.Connection) -> None:
    """JSON is text, booleans are numbers, times are ISO 8601 in UTC."""
    answer = save(
        database,
        {
            "p_epoch": 3,
            "p_rows": [row(data={"game": "go"})],
            "p_patches": [{"login": "a", "columns": {"paused": True}, "revision": 2, "edit_no": None}],
            "p_history": [
                {"id": "m", "channel_id": "1", "at": "2026-11-23T14:00:00+02:00", "author": "v", "text": "hi"}
            ],
            "p_events": [{"id": "e", "at": "2026-11-23T12:00:00Z", "kind": "start", "data": {"n": 1}}],
        },
        NOW,
    )
    assert answer == {"status": "ok", "epoch": 3, "saved": 2, "refused": []}
    (state,) = stored(database, "channel_state")
    assert json.loads(state.pop("data")) == {"game": "go"}
    assert state == {
        "channel_id": "1", "version": 1, "tombstones": "{}", "epoch": 3, "revision": 1, "edit_no": 0, "updated_at": NOW,
    }  # fmt: skip
    (config,) = stored(database, "channels_config")
    assert (config["enabled"], config["paused"], config["prefix"], config["revision"]) == (1, 1, None, 2)
    assert stored(database, "channel_history")[0]["at"] == "2026-11-23T12:00:00+00:00"
    assert stored(database, "bot_events")[0]["data"] == '{"n":1}'


@pytest.mark.parametrize(("epoch", "status"), [(2, "fenced"), (4, "unknown_epoch")])
def test_other_epochs_write_nothing(database: sqlite3.Connection, epoch: int, status: str) -> None:
    """A lower epoch is fenced (by whom, it learns too), a higher one unknown; both learn the current one."""
    answer = save(database, {"p_epoch": epoch, "p_rows": [row()]}, NOW)
    assert answer == {"status": status, "epoch": 3, **({"holder": None} if status == "fenced" else {})}
    assert stored(database, "channel_state") == []


def test_refused_row_comes_back_as_json(database: sqlite3.Connection) -> None:
    """The stored row is in the answer as the API would show it, not as SQLite holds it."""
    database.execute("insert into channels_config (login, edit_no, updated_at) values ('a', 5, ?)", (NOW,))
    database.execute("insert into channel_state (channel_id, data, edit_no) values ('1', '{\"n\": 1}', 5)")
    patch = {"login": "a", "columns": {"paused": True}, "revision": 1, "edit_no": 4}
    answer = save(database, {"p_epoch": 3, "p_rows": [row(edit_no=4)], "p_patches": [patch]}, NOW)
    assert [refusal["reason"] for refusal in answer["refused"]] == ["edited", "edited"]
    assert answer["refused"][0]["row"]["data"] == {"n": 1}
    assert answer["refused"][1]["row"] == {
        "login": "a", "channel_id": None, "enabled": True, "paused": False, "language": None, "prefix": None,
        "epoch": 0, "revision": 0, "edit_no": 5, "updated_at": NOW,
    }  # fmt: skip


def test_older_revision_is_stale_and_equal_is_not(database: sqlite3.Connection) -> None:
    """A retry is saved; what comes late is refused."""
    save(database, {"p_epoch": 3, "p_rows": [row(revision=5)]}, NOW)
    assert save(database, {"p_epoch": 3, "p_rows": [row(revision=5)]}, NOW)["saved"] == 1
    (refusal,) = save(database, {"p_epoch": 3, "p_rows": [row(revision=4, edit_no=0)]}, NOW)["refused"]
    assert (refusal["reason"], refusal["row"]["revision"]) == ("stale", 5)


def test_deleted_row_is_not_brought_back(database: sqlite3.Connection) -> None:
    """A sender that knew a row which is gone is refused, with no row."""
    (refusal,) = save(database, {"p_epoch": 3, "p_rows": [row(edit_no=0)]}, NOW)["refused"]
    assert (refusal["reason"], refusal["row"]) == ("edited", None)


def test_bad_item_leaves_its_neighbours_alone(database: sqlite3.Connection) -> None:
    """One bad row and one bad patch are refused with PostgreSQL's code and words; nothing of them stays."""
    patch = {"login": "a", "columns": {"language": "fr"}, "revision": 1, "edit_no": None}
    rows = [row("1"), row("2", data=[]), row("3")]
    answer = save(database, {"p_epoch": 3, "p_rows": rows, "p_patches": [patch]}, NOW)
    assert answer["saved"] == 2
    assert [(refusal["sqlstate"], refusal["message"]) for refusal in answer["refused"]] == [
        ("22023", '"data" must be of the JSON type object, not array'),
        (
            "23514",
            'new row for relation "channels_config" violates check constraint "channels_config_language_check"',
        ),
    ]
    assert stored(database, "channels_config") == []


def test_line_sent_again_is_the_same_line(database: sqlite3.Connection) -> None:
    """The first stays, and nothing is refused."""
    for text in ("first", "again"):
        line = {"id": "m", "channel_id": "1", "at": NOW, "author": "v", "text": text, "reply": None}
        assert save(database, {"p_epoch": 3, "p_history": [line]}, NOW)["refused"] == []
    assert [line["text"] for line in stored(database, "channel_history")] == ["first"]


@pytest.mark.parametrize(
    ("arguments", "sqlstate"), [({"p_epoch": None}, "22004"), ({"p_epoch": 3, "p_events": {}}, "22023")]
)
def test_callers_mistake_fails_the_call(
    database: sqlite3.Connection, arguments: dict[str, Any], sqlstate: str
) -> None:
    """Without an epoch, or with an object for a list, the whole call fails."""
    with pytest.raises(FunctionError) as caught:
        save(database, arguments, NOW)
    assert caught.value.sqlstate == sqlstate


def test_caller_decides_about_the_transaction(database: sqlite3.Connection) -> None:
    """A call neither commits nor rolls back: commit-then-drop and crashes are the caller's to play."""
    database.execute("begin")
    assert save(database, {"p_epoch": 3, "p_rows": [row(), row("2", data=None)]}, NOW)["saved"] == 1
    assert database.in_transaction
    database.execute("rollback")
    assert stored(database, "channel_state") == []
