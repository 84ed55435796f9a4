"""Reading schema files."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from simulator.supabase import pgtypes
from simulator.supabase.schema import Schema, SchemaError, add_script, read_schema
from tests.simulator.supabase.project import BOT_SCHEMA, SAMPLE_SQL, sample_directory


def read(sql: str) -> Schema:
    schema = Schema()
    add_script(schema, sql, "test.sql")
    return schema


def test_tables_types_defaults_and_keys_are_read(tmp_path: Path) -> None:
    """A table's columns come with PostgreSQL's types, NOT NULL, defaults and keys."""
    items = read_schema(sample_directory(tmp_path)).tables["items"]
    assert {name: column.type for name, column in items.columns.items()} == {
        "id": pgtypes.BIGINT, "name": pgtypes.TEXT, "tag": pgtypes.TEXT, "small": pgtypes.SMALLINT,
        "ratio": pgtypes.DOUBLE, "active": pgtypes.BOOLEAN, "data": pgtypes.JSONB, "made_at": pgtypes.TIMESTAMPTZ,
        "code": pgtypes.UUID,
    }  # fmt: skip
    assert items.primary_key == ("id",)
    assert items.columns["id"].not_null
    assert items.columns["name"].default == "'nameless'"
    assert items.columns["made_at"].default is not None
    assert items.uniques == {"items_name_tag_key": ("name", "tag")}


def test_constraints_get_the_names_postgresql_gives_them() -> None:
    """An unnamed check is called table_column_check, numbered on a clash, or table_check without one column."""
    schema = read(
        "create table t (a int check (a > 0) check (a < 9), b int, check (a < b), constraint own check (b > 1));"
    )
    assert list(schema.tables["t"].checks) == ["t_a_check", "t_a_check1", "t_check", "own"]


def test_row_security_triggers_and_grants_are_read(tmp_path: Path) -> None:
    """Who may do what follows from GRANT, REVOKE and ROW LEVEL SECURITY, in their order."""
    schema = read_schema(sample_directory(tmp_path))
    assert schema.tables["items"].row_security
    assert not schema.tables["pairs"].row_security
    assert schema.tables["counted"].counts_edits
    assert schema.grants.allows("table", "items", "service_role", "delete")
    assert not schema.grants.allows("table", "items", "anon", "select")
    assert not schema.grants.allows("table", "items", "service_role", "truncate")


def test_revoking_takes_back_only_what_is_named() -> None:
    """REVOKE of one privilege leaves the others."""
    schema = read(
        "create table t (a int); grant all on table t to anon; revoke insert, update on t from anon;"
    )
    assert schema.grants.allows("table", "t", "anon", "select")
    assert not schema.grants.allows("table", "t", "anon", "insert")


def test_a_function_may_be_executed_by_everybody_until_that_is_revoked() -> None:
    """PostgreSQL grants EXECUTE on new functions to PUBLIC."""
    sql = "create function f(p_a text, p_b jsonb default '[]'::jsonb) returns int language sql as $$ select 1; $$;"
    schema = read(sql)
    assert schema.grants.allows("function", "f", "anon", "execute")
    assert [(one.name, one.type.name, one.optional) for one in schema.functions["f"].parameters] == [
        ("p_a", "text", False),
        ("p_b", "jsonb", True),
    ]
    schema = read(sql + "revoke all on function public.f(text, jsonb) from public;")
    assert not schema.grants.allows("function", "f", "anon", "execute")


def test_a_seed_before_the_trigger_is_not_counted_as_an_edit() -> None:
    """Statements act in the order of the file."""
    trigger = "create trigger x before insert or update on t for each row execute function f();"
    table = "create table t (login text primary key, edit_no bigint default 0);"
    seed = "insert into t (login) values ('a');"
    assert [one.counted for one in read(table + seed + trigger + seed).seeds] == [False, True]


def test_a_later_file_can_add_a_column() -> None:
    """ALTER TABLE ... ADD COLUMN changes the table that is there."""
    schema = read(
        "create table t (a int); alter table public.t add column if not exists b text not null default 'x';"
    )
    assert schema.tables["t"].columns["b"].not_null


def test_a_unique_index_is_a_unique_constraint() -> None:
    """What a unique index forbids, the fake forbids."""
    schema = read("create table t (a int, b int); create unique index only_once on public.t (a, b);")
    assert schema.tables["t"].uniques == {"only_once": ("a", "b")}


@pytest.mark.parametrize(
    "sql",
    [
        "create view v as select 1;",
        "create table t (a money);",
        "create table t (a int references u (b));",
        "create table t (a bigint generated always as identity);",
        "alter table nowhere enable row level security;",
        "create policy p on t using (true);",
        "create table t (a int); create trigger x after insert on t for each row execute function f();",
        "insert into nowhere (a) values (1);",
    ],
)
def test_what_the_fake_cannot_honour_is_refused_by_name(sql: str) -> None:
    """A statement is never skipped in silence: the error names the file."""
    with pytest.raises(SchemaError, match=r"test\.sql"):
        read(sql)


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    """No schema at all is never taken for an empty one."""
    with pytest.raises(SchemaError, match=r"no \*\.sql file"):
        read_schema(tmp_path)


def test_reading_twice_gives_the_same_schema(tmp_path: Path) -> None:
    """Order and contents do not depend on anything but the text."""
    assert read(SAMPLE_SQL) == read(SAMPLE_SQL)
    assert list(read(SAMPLE_SQL).tables) == ["items", "counted", "pairs"]


def test_the_bots_own_schema_is_read_whole() -> None:
    """The files the bot ships are understood without an exception to the rules."""
    schema = read_schema(BOT_SCHEMA)
    assert {"channels_config", "channel_state", "component_state", "bot_writer"} <= schema.tables.keys()
    assert schema.functions.keys() == {"byte_bot_take_epoch", "byte_bot_save"}
    assert [seed.table for seed in schema.seeds] == ["bot_writer", "channels_config"]


def test_each_reading_is_a_schema_of_its_own(tmp_path: Path) -> None:
    """What one project changes in its schema is in no other one's, although the files are parsed once."""
    directory = sample_directory(tmp_path)
    first = read_schema(directory)
    wanted = copy.deepcopy(first)
    table = next(iter(first.tables.values()))
    table.columns.clear()
    table.uniques["planted"] = ("planted",)
    table.checks["planted"] = "1"
    first.functions.clear()
    first.seeds.clear()
    first.grants.tables.setdefault(table.name, {}).setdefault("anon", {})["planted"] = None
    first.grants.functions.clear()
    del first.tables[table.name]
    assert read_schema(directory) == wanted


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    """The text counts, not the file's name."""
    directory = sample_directory(tmp_path)
    before = read_schema(directory)
    (directory / "zz.sql").write_text("create table late (id bigint primary key);", encoding="utf-8")
    assert "late" not in before.tables
    assert "late" in read_schema(directory).tables
    (directory / "zz.sql").write_text("create table later (id bigint primary key);", encoding="utf-8")
    assert "later" in read_schema(directory).tables
