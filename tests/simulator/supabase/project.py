"""A small project of its own for tests: every modelled type and constraint, and requests in one line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from supabase import AsyncClient
from supabase.lib.client_options import AsyncClientOptions

from simulator.faults import Fault, FaultBoard
from simulator.supabase.server import FakeSupabase
from simulator.supabase.wire import Request, Response

BOT_SCHEMA = Path(__file__).parents[3] / "byte_bot" / "persistence" / "schema"
UNIX_START_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z

SAMPLE_SQL = """
-- A comment; with a semicolon.
create table if not exists public.items (
  id bigint primary key,
  name text not null default 'nameless' check (char_length(name) between 1 and 10),
  tag text constraint items_tag_known check (tag in ('red', 'blue') or tag is null),
  small smallint not null default 3,
  ratio double precision,
  active boolean not null default true,
  data jsonb not null default '{}'::jsonb check (jsonb_typeof(data) = 'object'),
  made_at timestamptz not null default now(),
  code uuid,
  unique (name, tag),
  check (small < 100)
);
create table public.counted (
  login text primary key check (login = lower(login)),
  paused boolean not null default false,
  epoch bigint not null default 0,
  revision bigint not null default 0,
  edit_no bigint not null default 0,
  updated_at timestamptz not null default now()
);
create table public.pairs (a text, b text, n int, primary key (a, b));
create or replace function public.count_edit() returns trigger language plpgsql as $body$
begin
  new.edit_no := old.edit_no + 1; -- not run here
  return new;
end
$body$;
insert into public.counted (login) values ('.sentinel') on conflict (login) do nothing;
create trigger edits before insert or update on public.counted for each row execute function count_edit();
alter table public.items enable row level security;
alter table public.counted enable row level security;
comment on table public.items is 'A comment with a ; inside.';
create index items_name on public.items (name);
revoke all on all tables in schema public from anon, authenticated;
grant select, insert, update, delete on public.items, public.counted, public.pairs to service_role;
"""


class Clock:
    """A time source which the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def sample_directory(directory: Path) -> Path:
    """Write the sample schema into a directory."""
    (directory / "001_sample.sql").write_text(SAMPLE_SQL, encoding="utf-8")
    return directory


def project(
    schema: Path | None = BOT_SCHEMA,
    *,
    clock: Callable[[], float] | None = None,
    faults: tuple[Fault, ...] = (),
    seed: int = 1,
    rows_max: int = 1000,
) -> FakeSupabase:
    """A fresh project; by default on the bot's own schema."""
    time_source = clock or Clock()
    rng = random.Random(seed)
    board = FaultBoard(time_source, rng, faults)
    return FakeSupabase(
        schema, time_source=time_source, unix_start=UNIX_START_S, rng=rng, faults=board, rows_max=rows_max
    )


def ask(
    fake: FakeSupabase,
    method: str,
    target: str,
    body: Any = None,
    *,
    key: str | None = None,
    raw: bytes | None = None,
    **headers: str,
) -> Response:
    """One request on the REST address, ``target`` being what follows ``/rest/v1/``."""
    path, _, query = target.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    secret = fake.secret_key if key is None else key
    return fake.execute(Request(method, f"/rest/v1/{path}", query, {"apikey": secret} | named, content))


def answer(response: Response) -> Any:
    """The JSON of a response."""
    return json.loads(response.body)


def header(response: Response, name: str) -> str | None:
    """One header of a response."""
    return dict(response.headers).get(name)


@contextmanager
def closing(fake: FakeSupabase) -> Iterator[FakeSupabase]:
    """Close the project's database at the end."""
    try:
        yield fake
    finally:
        fake.close()


def stock_client(url: str, key: str, http: httpx.AsyncClient) -> AsyncClient:
    """The stock supabase client, with nothing but its documented option for the httpx client."""
    return AsyncClient(url, key, AsyncClientOptions(httpx_client=http))
