"""The schema on a real PostgreSQL: it applies, again too, lets in the bot alone, and counts human edits."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from byte_bot.persistence.schema import SCHEMA_DIR, read_schema, schema_files
from tests.byte_bot.persistence.schema.database import Database, component, patch, state

TABLES = (
    "bot_events", "bot_writer", "channel_history", "channel_state", "channels_config", "component_state",
)  # fmt: skip
CALLS = (
    "select public.byte_bot_take_epoch('intruder', 0)",
    "select public.byte_bot_save(1, '[]', '[]', '[]', '[]')",
    "select byte_bot_private.save_channel_state(1, '{}')",
)
COUNTED = ("channels_config", "channel_state", "component_state")


def test_files_come_in_the_order_of_their_numbers() -> None:
    """The files are tables, functions, security: each needs what the one before made."""
    assert [path.name for path in schema_files()] == [
        "001_tables.sql",
        "002_functions.sql",
        "003_security.sql",
    ]
    assert all(path.parent == SCHEMA_DIR for path in schema_files())
    assert [text in read_schema() for text in ("001_tables", "byte_bot_save", "grant")] == [True] * 3


def test_schema_applies_to_an_empty_project(make_database: Callable[..., Database]) -> None:
    """Pasted once, the six tables, the sentinel and the writer's row are there."""
    database = make_database("applied_once")
    found = database.all("select tablename from pg_tables where schemaname = 'public' order by tablename")
    assert [row["tablename"] for row in found] == list(TABLES)
    assert database.one("select login, enabled, edit_no from channels_config") == {
        "login": ".sentinel", "enabled": False, "edit_no": 0,
    }  # fmt: skip
    assert database.one("select id, epoch, holder from bot_writer") == {"id": 1, "epoch": 0, "holder": None}


def test_schema_applied_again_changes_nothing(make_database: Callable[..., Database]) -> None:
    """Pasting the files a second time keeps every row, the epoch and the sentinel."""
    database = make_database("applied_twice")
    epoch = database.take_epoch()
    database.save(epoch, rows=[state("1", data={"game": "chess"})], patches=[patch("alice", paused=True)])
    before = [database.all(f"select * from {table} order by 1") for table in TABLES]
    database.edit(read_schema())
    assert [database.all(f"select * from {table} order by 1") for table in TABLES] == before
    assert database.save(epoch, rows=[state("1", revision=2, edit_no=0)])["saved"] == 1


def test_files_can_be_pasted_one_by_one(make_database: Callable[..., Database]) -> None:
    """Each file is one paste into the SQL editor, in order."""
    database = make_database("one_by_one", schema="")
    for path in schema_files():
        database.edit(path.read_text(encoding="utf-8"))
    assert database.take_epoch() == 1


@pytest.mark.parametrize("project", ["new_database", "legacy_database"])
@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("sql", [*(f"select * from {table}" for table in TABLES), *CALLS])
def test_strangers_can_do_nothing(project: str, role: str, sql: str, request: pytest.FixtureRequest) -> None:
    """anon and authenticated get 42501 from every table and function, in new and in older projects."""
    database: Database = request.getfixturevalue(project)
    with database.connect(role) as stranger, pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(sql.encode())


def test_strangers_granted_by_mistake_still_see_nothing(make_database: Callable[..., Database]) -> None:
    """Row security stands behind the grants: with a grant anon reads no row and inserts none."""
    database = make_database("granted_by_mistake")
    database.edit("grant all on all tables in schema public to anon")
    stranger = database.connect("anon")
    assert stranger.execute("select * from channels_config").fetchall() == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        stranger.execute("insert into channels_config (login) values ('mallory')")


@pytest.mark.parametrize("project", ["new_database", "legacy_database"])
def test_service_role_may_do_what_the_bot_does(project: str, request: pytest.FixtureRequest) -> None:
    """With the grants of 003 the bot takes an epoch, saves and reads in new and in older projects."""
    database: Database = request.getfixturevalue(project)
    epoch = database.take_epoch()
    answer = database.save(epoch, rows=[component("7", "deaths", data={"total": 1})])
    assert (answer["saved"], answer["refused"]) == (1, [])
    assert database.one("select data from component_state where channel_id = '7'")["data"] == {"total": 1}


def test_missing_grant_fails_the_whole_save(make_database: Callable[..., Database]) -> None:
    """A missing grant is not a row's fault: the request fails with 42501 and nothing of it is written."""
    database = make_database("missing_grant")
    epoch = database.take_epoch()
    database.edit("revoke insert on component_state from service_role")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.save(epoch, rows=[state("1"), component("1")])
    assert database.all("select * from channel_state") == []


def test_missing_column_fails_the_whole_save(make_database: Callable[..., Database]) -> None:
    """A schema older than the bot fails the request with 42703: no row is refused for it."""
    database = make_database("missing_column")
    epoch = database.take_epoch()
    database.edit("alter table channel_state drop column tombstones")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        database.save(epoch, rows=[state("1")])


def test_read_only_database_fails_the_whole_save(database: Database) -> None:
    """A read-only database answers 25006 before anything is looked at."""
    epoch = database.take_epoch()
    connection = database.connect("service_role")
    connection.execute("set default_transaction_read_only = on")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        database.save(epoch, connection, rows=[state("1")])


def test_human_update_moves_edit_no_and_keeps_the_stamp(database: Database) -> None:
    """Whatever a human types into the stamp's columns, edit_no moves by one and epoch and revision stay."""
    epoch = database.take_epoch()
    database.save(epoch, rows=[state("1", revision=5)])
    database.edit(
        'update channel_state set data = \'{"game": "go"}\', epoch = 99, revision = 99, edit_no = 0'
    )
    database.edit("update channel_state set version = 2")
    row = database.one("select data, version, epoch, revision, edit_no from channel_state")
    assert row == {"data": {"game": "go"}, "version": 2, "epoch": epoch, "revision": 5, "edit_no": 2}


@pytest.mark.parametrize("table", COUNTED)
def test_row_entered_again_never_repeats_an_edit_no(database: Database, table: str) -> None:
    """A human deletes a row and enters it again: it cannot be taken for what it was at any time before."""
    key = {"channels_config": "login", "channel_state": "channel_id", "component_state": "channel_id, key"}[
        table
    ]
    values = "'x', 'k'" if table == "component_state" else "'x'"
    seen = set()
    for _ in range(5):
        database.edit(f"insert into {table} ({key}, edit_no) values ({values}, 1)")
        seen.add(database.one(f"select edit_no from {table}")["edit_no"])
        database.edit(f"update {table} set updated_at = now()")
        seen.add(database.one(f"select edit_no from {table}")["edit_no"])
        database.edit(f"delete from {table}")
    assert len(seen) == 10
    assert 0 < max(seen) < 2**53


@pytest.mark.parametrize("table", COUNTED)
@pytest.mark.parametrize(
    ("entered", "stored"), [(2**53, (2**53, 9)), (2**53 + 1, (0, 0)), (2**63 - 1, (0, 0))]
)
def test_an_impossible_epoch_is_not_entered(
    database: Database, table: str, entered: int, stored: tuple[int, int]
) -> None:
    """An imported row keeps its stamp; one under which no bot could ever save it does not."""
    names, values = {
        "channels_config": ("login", "'x'"),
        "channel_state": ("channel_id", "'x'"),
        "component_state": ("channel_id, key", "'x', 'k'"),
    }[table]
    database.edit(f"insert into {table} ({names}, epoch, revision) values ({values}, %s, 9)", entered)
    row = database.one(f"select epoch, revision from {table}")
    assert (row["epoch"], row["revision"]) == stored


def test_service_role_does_not_count_as_a_human(database: Database) -> None:
    """A direct update with the secret key keeps edit_no, even where the statement names it."""
    database.edit("insert into channels_config (login) values ('alice')")
    edit_no = database.one("select edit_no from channels_config")["edit_no"]
    database.bot.execute("update channels_config set paused = true, edit_no = 7")
    assert database.one("select paused, edit_no from channels_config") == {"paused": True, "edit_no": edit_no}


@pytest.mark.parametrize(
    "sql",
    [
        "insert into channels_config (login) values ('Alice')",
        "insert into channels_config (login) values ('')",
        "insert into channels_config (login, language) values ('alice', 'fr')",
        "insert into channels_config (login, prefix) values ('alice', '')",
        "insert into channels_config (login, prefix) values ('alice', '!!!!!!')",
        "insert into component_state (channel_id, key) values ('1', '')",
        "insert into bot_writer (id) values (2)",
    ],
)
def test_wrong_values_are_refused_from_humans_too(database: Database, sql: str) -> None:
    """The checks answer 23514 to a typing error in the table editor."""
    with pytest.raises(psycopg.errors.CheckViolation):
        database.edit(sql)


def test_every_epoch_is_higher_than_the_last(database: Database) -> None:
    """Each call takes the next number and notes the holder and the time."""
    assert [database.take_epoch("a"), database.take_epoch("b")] == [1, 2]
    row = database.one("select epoch, holder, taken_at is not null as timed from bot_writer")
    assert row == {"epoch": 2, "holder": "b", "timed": True}


@pytest.mark.parametrize(
    ("stored", "seen", "taken"),
    [(3, 0, 4), (3, 3, 4), (3, 9, 10), (3, -5, 4), (3, None, 4), (3, 2**62, 2**62 + 1), (3, 2**62 + 1, 4), (3, 2**63 - 1, 4)],
)  # fmt: skip
def test_epoch_passes_what_the_caller_has_seen(
    database: Database, stored: int, seen: int | None, taken: int
) -> None:
    """After a backup was restored the epoch still moves past every number that was ever used."""
    database.edit("update bot_writer set epoch = %s", stored)
    assert database.one("select byte_bot_take_epoch('x', %s) as epoch", seen)["epoch"] == taken


def test_epoch_survives_a_deleted_writer_row(database: Database) -> None:
    """Without its row the writer's table is at epoch 0, and taking an epoch puts the row back."""
    database.edit("delete from bot_writer")
    assert database.save(5) == {"status": "unknown_epoch", "epoch": 0}
    assert database.take_epoch(seen=5) == 6
    assert database.save(6)["status"] == "ok"
