"""A fake Supabase project for one test of somebody's program: on a loopback port, as an httpx transport, or behind respx.

    @pytest.fixture
    def sim_schema():
        return Path("supabase/migrations")              # your *.sql files; without any, a project without tables

    async def test_points(fake_supabase, sim_faults):
        bot = MyBot(fake_supabase.url, fake_supabase.key)
        fake_supabase.insert("points", login="ana", points=3)
        with sim_faults.begin(Hang()):                  # no answer, for as long as the block takes
            ...
        assert fake_supabase.rows("points") == [{"login": "ana", "points": 3}]

It speaks PostgREST (`simulator/supabase/`), with your tables, keys, constraints and grants; what it does not know it refuses aloud. Insert,
update and delete here are a human's, in the table editor: they need no key and meet no fault.

In a test that also uses `sim_world` this is the world's project, with Byte Bot's tables. `url` needs sockets: in a test marked
`virtual_time(sockets=False)` take `transport` or `http`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from simulator.loop import START_UNIX_S
from simulator.recording import record_answers
from simulator.supabase.faces import SupabaseServer, SupabaseTransport, respx_router
from simulator.supabase.server import FakeSupabase, RequestRecord
from simulator.testing.errors import NotHere, NotYet
from simulator.testing.ground import Ground

if TYPE_CHECKING:
    import respx


class FakeProject:
    """The fixture `fake_supabase`; see the module's docstring."""

    order = 2
    sockets = True

    def __init__(self, schema: Path | None = None) -> None:
        """`schema` is a folder of `*.sql` files."""
        self._schema = schema
        self._ground: Ground | None = None
        self._url = ""

    @asynccontextmanager
    async def standing(self, ground: Ground) -> AsyncIterator[None]:
        """Answer while entered."""
        async with AsyncExitStack() as stack:
            if ground.supabase is None:
                ground.supabase = FakeSupabase(
                    self._schema,
                    time_source=ground.loop.time,
                    unix_start=START_UNIX_S,
                    rng=ground.seeds.stream("supabase"),
                    faults=ground.board,
                )
                stack.callback(ground.supabase.close)
                record_answers(ground.trace, ground.supabase)
                if ground.loop.hybrid:
                    self._url = (await stack.enter_async_context(SupabaseServer(ground.supabase))).url
            self._ground = ground
            try:
                yield
            finally:
                self._ground = None

    async def judged(self) -> None:
        """Nothing."""

    @property
    def project(self) -> FakeSupabase:
        """The project behind every face: `revoke`, `drop_table`, `read_only`, and everything else that a human does."""
        if self._ground is None:
            raise NotYet("fake_supabase can be used while the test runs, and by its asynchronous fixtures")
        assert self._ground.supabase is not None, "stands"
        return self._ground.supabase

    # ── ways in ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """What goes into SUPABASE_URL; raises `NotHere` in a test without sockets."""
        _ = self.project
        if not self._url:
            raise NotHere(
                "fake_supabase has no address in this test (it is marked sockets=False, or uses sim_world): take "
                "fake_supabase.transport for httpx, or fake_supabase.http()"
            )
        return self._url

    @property
    def key(self) -> str:
        """The secret key (service_role): what goes into SUPABASE_KEY."""
        return self.project.secret_key

    @property
    def publishable_key(self) -> str:
        """The key of the role anon."""
        return self.project.publishable_key

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """For ``httpx.AsyncClient(transport=…)``: any host leads here, without a socket."""
        return SupabaseTransport(self.project)

    def http(self, *, key: str = "", timeout_s: float = 5.0) -> httpx.AsyncClient:
        """A client on `/rest/v1`, with the secret key unless another is given; enter it, as any client."""
        chosen = key or self.key
        return httpx.AsyncClient(
            transport=self.transport,
            base_url=f"{self.project.url}/rest/v1",
            headers={"apikey": chosen, "Authorization": f"Bearer {chosen}"},
            timeout=timeout_s,
        )

    def respx(self) -> respx.MockRouter:
        """A respx router with a route for every table: to assert on requests, or for programs that make their own client."""
        return respx_router(self.project)

    # ── what is in it ────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table, in the order of its primary key."""
        return [dict(row) for row in self.project.rows(table)]

    def insert(self, table: str, **values: Any) -> dict[str, Any]:
        """A human adds a row; as it is stored."""
        return dict(self.project.human_insert(table, values))

    def update(self, table: str, where: Mapping[str, Any], **values: Any) -> int:
        """A human changes the rows in which each of these columns is equal; how many."""
        return len(self.project.human_update(table, where, values))

    def delete(self, table: str, **where: Any) -> int:
        """A human deletes the rows in which each of these columns is equal; how many."""
        return len(self.project.human_delete(table, where))

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """The last thousand requests that reached the database, oldest first."""
        return tuple(self.project.requests)
