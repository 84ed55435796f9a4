"""``byte-bot migrate`` on a real PostgreSQL: what it applies, recognises, refuses, and what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from byte_bot.errors import MigrationError, SettingsError
from byte_bot.persistence.schema import SchemaVersion, read_schema, schema_versions
from byte_bot.persistence.schema.migrate import Migration, Step, address_of, error_as_json, migrate, plan
from tests.byte_bot.persistence.schema.database import Database, state

FILES = schema_versions()
NAMES = [one.name for one in FILES]
LEDGER = "select version, name, checksum from byte_bot_private.schema_versions order by version"
PASSWORD = "correct horse"
EMPTY = """
drop schema if exists byte_bot_private cascade;
drop schema public cascade;
create schema public;
grant usage on schema public to public;
"""


def done(migration: Migration) -> list[str]:
    """The names of the files that were run."""
    return [one.file.name for one in migration.pending]


def recorded(database: Database) -> list[tuple[int, str, str]]:
    """What is written down in the database."""
    return [tuple(row.values()) for row in database.human.execute(LEDGER.encode()).fetchall()]  # type: ignore[misc]


@pytest.fixture(scope="module")
def blank(make_database: Callable[..., Database]) -> Database:
    """A database without a schema."""
    return make_database("migrated", schema="")


@pytest.fixture
def empty(blank: Database) -> Iterator[Database]:
    """The same, emptied again after each test."""
    yield blank
    blank.close_others()
    blank.edit(EMPTY)


def test_an_empty_database_gets_every_file(empty: Database) -> None:
    """Applied once, the bot can work, and each file is written down with its checksum."""
    migration = migrate(empty.uri("postgres"))
    assert done(migration) == NAMES
    assert not migration.by_hand
    assert recorded(empty) == [(one.version, one.name, one.checksum) for one in FILES]
    assert empty.save(empty.take_epoch(), rows=[state()])["saved"] == 1


def test_a_second_run_has_nothing_to_do(empty: Database) -> None:
    """Nothing is run again, and no row changes."""
    migrate(empty.uri("postgres"))
    empty.save(empty.take_epoch(), rows=[state(data={"n": 1})])
    before = empty.all("select * from channel_state")
    migration = migrate(empty.uri("postgres"))
    assert [one.step for one in migration.steps] == [Step.CURRENT] * len(FILES)
    assert "is up to date." in migration.as_text()
    assert empty.all("select * from channel_state") == before


def test_what_was_pasted_into_the_editor_is_recognised(empty: Database) -> None:
    """The printed SQL writes down what the command would: nothing is left to do."""
    empty.edit(read_schema())
    assert done(migrate(empty.uri("postgres"))) == []
    empty.edit(read_schema())
    assert recorded(empty) == [(one.version, one.name, one.checksum) for one in FILES]


def test_tables_without_a_version_are_taken_over(empty: Database) -> None:
    """The bare files were pasted: they are run again, written down, and every row stays."""
    for one in FILES:
        empty.edit(one.sql)
    epoch = empty.take_epoch()
    empty.save(epoch, rows=[state(data={"n": 1})])
    before = empty.all("select * from channel_state")
    migration = migrate(empty.uri("postgres"))
    assert (migration.by_hand, done(migration)) == (True, NAMES)
    assert "made by hand" in migration.as_text()
    assert empty.all("select * from channel_state") == before
    assert empty.save(epoch, rows=[state(revision=2, edit_no=0)])["saved"] == 1
    assert done(migrate(empty.uri("postgres"))) == []


def test_check_changes_nothing(empty: Database) -> None:
    """It says what would be applied."""
    migration = migrate(empty.uri("postgres"), dry_run=True)
    assert done(migration) == NAMES
    assert "would be applied" in migration.as_text()
    assert empty.human.execute("select 1 from pg_tables where schemaname = 'public'").fetchall() == []


def test_again_brings_back_what_was_taken_away(empty: Database) -> None:
    """A dropped function and a revoked grant come back, though the files are written down as run."""
    migrate(empty.uri("postgres"))
    empty.edit("drop function byte_bot_take_epoch; revoke all on channel_state from service_role")
    assert done(migrate(empty.uri("postgres"))) == []
    assert done(migrate(empty.uri("postgres"), again=True)) == NAMES
    assert empty.save(empty.take_epoch(), rows=[state()])["saved"] == 1


def test_all_or_nothing(empty: Database) -> None:
    """A file that fails undoes the ones before it."""
    broken = SchemaVersion(99, "099_broken", "create table public.half_done (a int); select 1 / 0;")
    with pytest.raises(MigrationError, match=r"was not changed.*22012"):
        migrate(empty.uri("postgres"), files=[*FILES, broken])
    assert empty.human.execute("select 1 from pg_tables where schemaname = 'public'").fetchall() == []
    assert (
        empty.human.execute("select 1 from pg_namespace where nspname = 'byte_bot_private'").fetchall() == []
    )


def test_a_newer_schema_is_refused_both_ways(empty: Database) -> None:
    """An old program neither applies nor pastes its functions over those of a newer one."""
    migrate(empty.uri("postgres"), files=[*FILES, SchemaVersion(99, "099_later", "select 1;")])
    with pytest.raises(MigrationError, match=r"is version 99, this program knows 3.*newest byte-bot"):
        migrate(empty.uri("postgres"))
    with pytest.raises(Exception, match="newer schema than the program that printed this"):
        empty.edit(read_schema())


def test_from_the_first_file_that_differs_all_are_run() -> None:
    """A later file may change what an earlier one made, so it has the last word again."""
    one, two, three = (SchemaVersion(number, f"00{number}", f"select {number};") for number in (1, 2, 3))
    stored = {1: one.checksum, 2: two.checksum, 3: three.checksum}
    changed = replace(two, sql="select 22;")
    assert [step.step for step in plan(stored, [one, changed, three])] == [
        Step.CURRENT, Step.APPLY_AGAIN, Step.APPLY_AGAIN,
    ]  # fmt: skip
    assert [step.step for step in plan({1: one.checksum}, [one, two])] == [Step.CURRENT, Step.APPLY]


def test_two_at_once_run_one_after_the_other(empty: Database) -> None:
    """Eight start together: one applies, the others find it done."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        counts = [len(done(one)) for one in pool.map(migrate, [empty.uri("postgres")] * 8)]
    assert sorted(counts) == [0] * 7 + [len(FILES)]


def test_a_migration_waits_for_the_lock_and_gives_up(empty: Database) -> None:
    """Whoever holds it for too long is spoken of, and nothing was changed."""
    key = int.from_bytes(b"byte-bot")
    with empty.connect("postgres").transaction() as held:
        held.connection.execute("select pg_advisory_xact_lock(%s)", [key])
        with pytest.raises(MigrationError, match=r"was not changed: another migration.*55P03"):
            migrate(empty.uri("postgres"), lock_timeout_s=0.05)


def test_strangers_cannot_read_what_is_written_down(empty: Database) -> None:
    """Row security is on and nobody but the owner holds a grant, not even the bot."""
    migrate(empty.uri("postgres"))
    for role in ("anon", "authenticated", "service_role"):
        with pytest.raises(Exception, match="permission denied"):
            empty.connect(role).execute(LEDGER.encode())
    row = empty.human.execute(
        "select relrowsecurity from pg_class where oid = 'byte_bot_private.schema_versions'::regclass"
    ).fetchone()
    assert row == {"relrowsecurity": True}


def test_a_user_without_the_right_is_told_whom_to_be(empty: Database) -> None:
    """42501 with the way out."""
    with pytest.raises(MigrationError, match=r"connect as the user postgres.*42501"):
        migrate(empty.uri("authenticator"))


def test_a_server_without_supabase_s_roles_is_named(empty: Database) -> None:
    """42704: the role is missing, so it is no Supabase."""
    other = [SchemaVersion(1, "001_roles", "grant select on pg_class to no_such_role;")]
    with pytest.raises(MigrationError, match="this is no Supabase database"):
        migrate(empty.uri("postgres"), files=other)


def test_a_wrong_password_says_what_to_do_and_not_the_password(empty: Database) -> None:
    """Whatever the server quotes: neither as it is nor as it stands in the URL."""
    hba = empty.human.execute(
        "select pg_read_file('pg_hba.conf') as old, current_setting('hba_file') as path"
    ).fetchone()
    assert hba is not None
    empty.edit("drop role if exists locked; create role locked login password 'right'")
    # The server of the tests lets everybody in; this role must give its password.
    Path(hba["path"]).write_text(f"local all locked scram-sha-256\n{hba['old']}", encoding="utf-8")
    empty.edit("select pg_reload_conf()")
    url = empty.uri("locked").replace("locked:", f"locked:{quote(PASSWORD)}", 1)
    with pytest.raises(MigrationError, match="check the password") as refused:
        migrate(url)
    assert "horse" not in str(refused.value)
    assert "locked@" in str(refused.value)


def test_the_servers_words_are_shown_without_the_password(empty: Database) -> None:
    """Should it ever stand in them."""
    url = empty.uri("postgres").replace("postgres:", f"postgres:{quote(PASSWORD)}", 1)
    quoting = SchemaVersion(1, "001_quoting", f"do $$ begin raise exception 'said {PASSWORD} aloud'; end $$;")
    with pytest.raises(MigrationError, match=r"P0001: said \[redacted\] aloud"):
        migrate(url, files=[quoting])


def test_a_user_or_database_that_is_not_there_is_named(empty: Database) -> None:
    """The URL is to be copied anew."""
    with pytest.raises(MigrationError, match=r"check user and database: copy the URL anew.*nobody_here"):
        migrate(empty.uri("nobody_here"))


def test_an_unreachable_host_is_named_without_the_password() -> None:
    """A port where nobody listens: address, advice, and no password."""
    with pytest.raises(
        MigrationError, match=r"bot@127\.0\.0\.1:1/postgres cannot be reached: check host and port"
    ) as refused:
        migrate(f"postgresql://bot:{quote(PASSWORD)}@127.0.0.1:1/postgres")
    assert "horse" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://PROJECT.supabase.co", "must look like this"),
        ("host=x password=hunter2", "must look like this"),
        ("postgresql://postgres:[YOUR-PASSWORD]@db.x.supabase.co:5432/postgres", "YOUR-PASSWORD"),
        ("postgresql://u:hunter2@2@host:5432/postgres", "percent-encoded"),
        ("postgresql://u:hunter2/2@host:5432/postgres", "percent-encoded"),
        ("postgresql://u:hunter2#2@host:5432/postgres", "percent-encoded"),
        ("postgresql://u:hunter2?2@host:5432/postgres", "percent-encoded"),
        ("postgresql://u:hunter2%zz@host:5432/postgres", "% as %25"),
        ("postgresql://u:hunter2%@host:5432/postgres", "% as %25"),
        ("postgresql://u:hunter2%00@host:5432/postgres", "percent-encoded"),
        ("postgresql://u:hunter2@host:5432/postgres?sslmod=require", "sslmode"),
        ("postgresql://u@host:5432/postgres?password=hunter2&sslmod=require", "sslmode"),
        ("postgresql://u:hunter2\udcff@host:5432/postgres", "percent-encoded"),
        ("postgresql://u:p@host:port/postgres", "a number"),
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_quoting_it(url: str, words: str) -> None:
    """Before libpq takes a part of the password for a host and says so."""
    with pytest.raises(SettingsError, match=words) as refused:
        migrate(url)
    assert "hunter2" not in str(refused.value)


def test_an_address_is_everything_but_the_password() -> None:
    """User, host, port, database."""
    assert address_of("postgres://me:secret@db.example:6543/postgres") == "me@db.example:6543/postgres"


def test_without_a_driver_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """psycopg is an extra."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MigrationError, match=r"pip install 'psycopg\[binary\].*migrate --print"):
        migrate("postgresql://u@host/postgres")


def test_json_has_the_same(empty: Database) -> None:
    """Of what is done, of what would be, and of what failed."""
    found = json.loads(migrate(empty.uri("postgres"), dry_run=True).as_json())
    assert (found["ok"], found["dry_run"], found["pending"]) == (True, True, NAMES)
    found = json.loads(migrate(empty.uri("postgres")).as_json())
    assert (found["ok"], found["by_hand"], found["applied"]) == (True, False, NAMES)
    assert found["files"][0] == {"version": 1, "name": "001_tables", "step": "apply"}
    assert json.loads(error_as_json(MigrationError("words"))) == {"ok": False, "error": "words"}
