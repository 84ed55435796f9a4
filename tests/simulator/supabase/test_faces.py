"""The fake as httpx sees it, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import create_async_client
from supabase.lib.client_options import AsyncClientOptions

from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Flapping,
    Hang,
    Html520,
    HtmlOk,
    Latency,
    MissingFunction,
    MissingGrant,
    OverQuota,
    ProjectPaused,
    ReadOnly,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.loop import VirtualLoop, current_loop, in_virtual_time, run
from simulator.supabase.faces import SupabaseTransport, respx_router
from simulator.supabase.server import FakeSupabase
from tests.simulator.supabase.project import project, stock_client
from tests.simulator.supabase.stock_client_body import exercise

EVENT = {"id": "1", "at": "2026-01-01T00:00:00Z", "kind": "x"}


def loop_time() -> float:
    return current_loop().time()


@asynccontextmanager
async def world(
    *faults: Fault, read_s: float | None = 5.0
) -> AsyncIterator[tuple[FakeSupabase, httpx.AsyncClient]]:
    """A project under faults, and an httpx client whose requests carry the secret key."""
    fake = project(clock=loop_time, faults=faults)
    async with httpx.AsyncClient(
        transport=SupabaseTransport(fake),
        base_url=f"{fake.url}/rest/v1",
        headers={"apikey": fake.secret_key},
        timeout=httpx.Timeout(read_s),
    ) as client:
        yield fake, client
    fake.close()


def stored(fake: FakeSupabase) -> int:
    return len(fake.engine.rows("bot_events"))


@in_virtual_time()
async def test_the_stock_client_works_on_the_transport() -> None:
    """Every operation of supabase-py the bot uses, and more."""
    fake = project(clock=loop_time)
    async with httpx.AsyncClient(transport=SupabaseTransport(fake)) as http:
        await exercise(stock_client(fake.url, fake.secret_key, http))
    fake.close()


@in_virtual_time()
async def test_the_stock_client_works_on_the_respx_router() -> None:
    """The same, and the test sees what was requested."""
    fake = project(clock=loop_time)
    with respx_router(fake) as router:
        async with httpx.AsyncClient() as http:
            await exercise(
                await create_async_client(fake.url, fake.secret_key, AsyncClientOptions(httpx_client=http))
            )
        assert router["rpc/byte_bot_save"].call_count == 2
        assert router["channels_config"].called
        assert router["other"].call_count == 1
        request = router["rpc/byte_bot_take_epoch"].calls.last.request
        assert request.content == b'{"p_holder":"test","p_seen":0}'
    fake.close()


@in_virtual_time()
async def test_faults_act_on_the_respx_router_too() -> None:
    """Both faces of httpx carry them out alike."""
    fake = project(clock=loop_time, faults=(Refused(),))
    with respx_router(fake):
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(f"{fake.url}/rest/v1/bot_events")
    fake.close()


@in_virtual_time()
async def test_a_healthy_answer_takes_no_time() -> None:
    """And the request is executed at the instant it is sent."""
    async with world() as (fake, client):
        response = await client.get("/bot_writer")
        assert (response.status_code, response.json()[0]["id"], loop_time()) == (200, 1, 0.0)
        assert response.headers["content-length"] == str(len(response.content))
        assert (fake.attempts_total, fake.requests_total) == (1, 1)


@in_virtual_time()
async def test_latency_delays_the_answer_and_executes_half_way() -> None:
    """One second: executed after half of it."""
    async with world(Latency(1000)) as (fake, client):
        await client.post("/bot_events", json=EVENT)
        assert loop_time() == 1.0
        assert fake.requests[0].at_s == 0.5


@in_virtual_time()
async def test_latency_beyond_the_read_timeout_is_a_timeout_at_that_instant() -> None:
    """httpx would never fire it under a custom transport: the transport does."""
    async with world(Latency(8000), read_s=5.0) as (fake, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/bot_events", json=EVENT)
        assert loop_time() == 5.0
        assert stored(fake) == 1


@pytest.mark.parametrize(("probability", "rows"), [(0.0, 0), (1.0, 1)])
def test_a_request_given_up_on_its_way_may_still_arrive(probability: float, rows: int) -> None:
    """Cancelled before the execution: lost, or executed late at its time."""

    async def main() -> None:
        async with world(Latency(20_000, late_probability=probability), read_s=2.0) as (fake, client):
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/bot_events", json=EVENT)
            assert stored(fake) == 0
            await asyncio.sleep(30)
            assert stored(fake) == rows
            assert [record.at_s for record in fake.requests] == [10.0] * rows

    run(main())


@in_virtual_time()
async def test_a_request_cancelled_after_its_execution_stays_committed() -> None:
    """What the facts measured: the server had already received it."""
    async with world(Latency(2000)) as (fake, client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await client.post("/bot_events", json=EVENT)
        assert stored(fake) == 1


@in_virtual_time()
async def test_a_crashed_clients_request_is_carried_out() -> None:
    """The network does not know that the sender died."""
    loop = current_loop()
    assert isinstance(loop, VirtualLoop)
    async with world(Latency(2000)) as (fake, client):
        loop.spawn("bot", client.post("/bot_events", json=EVENT))
        await asyncio.sleep(0.5)
        loop.kill_process("bot")
        await asyncio.sleep(5)
        assert stored(fake) == 1


@in_virtual_time()
async def test_refused_is_a_connect_error_at_once() -> None:
    """Nothing reaches the database."""
    async with world(Refused(duration_s=10)) as (fake, client):
        with pytest.raises(httpx.ConnectError):
            await client.get("/bot_events")
        assert (loop_time(), fake.attempts_total, fake.requests_total) == (0.0, 1, 0)
        await asyncio.sleep(10)
        assert (await client.get("/bot_events")).status_code == 200


@in_virtual_time()
async def test_hang_lasts_until_the_clients_own_timeout() -> None:
    """Healing in the meantime does not answer a request that already hangs, nor execute it."""
    async with world(Hang(duration_s=2), read_s=5.0) as (fake, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/bot_events", json=EVENT)
        assert loop_time() == 5.0
        assert stored(fake) == 0


@in_virtual_time()
async def test_without_a_timeout_a_hang_is_endless() -> None:
    """Only an outer deadline ends it: the bot must have one."""
    async with world(Hang(), read_s=None) as (_, client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await client.get("/bot_events")


@in_virtual_time()
async def test_reset_is_a_read_error_and_nothing_was_executed() -> None:
    """After the delay that acts beside it."""
    async with world(Reset(), Latency(100)) as (fake, client):
        with pytest.raises(httpx.ReadError):
            await client.post("/bot_events", json=EVENT)
        assert (loop_time(), stored(fake)) == (0.1, 0)


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        (Status503(), 503, "application/json; charset=utf-8"),
        (Html520(), 520, "text/html; charset=UTF-8"),
        (TooManyRequests(3), 429, "application/json; charset=utf-8"),
        (HtmlOk(), 200, "text/html; charset=UTF-8"),
        (Unauthorized(), 401, "application/json; charset=utf-8"),
        (OverQuota(), 402, "application/json; charset=utf-8"),
        (ProjectPaused(), 540, "application/json; charset=utf-8"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_canned_answers_keep_the_request_from_the_database(
    fault: Fault, status: int, content_type: str
) -> None:
    """They are answers all the same, and recorded as such."""

    async def main() -> None:
        async with world(fault) as (fake, client):
            response = await client.post("/bot_events", json=EVENT)
            assert (response.status_code, response.headers["content-type"]) == (status, content_type)
            assert response.headers.get("retry-after") == ("3" if status == 429 else None)
            assert stored(fake) == 0
            assert fake.requests[-1].status == status

    run(main())


@in_virtual_time()
async def test_a_cut_body_ends_in_the_middle() -> None:
    """RemoteProtocolError, though the write is committed."""
    async with world(CutBody()) as (fake, client):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            await client.post("/bot_events", json=EVENT, headers={"prefer": "return=representation"})
        assert stored(fake) == 1


@in_virtual_time()
async def test_commit_then_drop_leaves_the_client_in_doubt() -> None:
    """Committed, and no answer."""
    async with world(CommitThenDrop()) as (fake, client):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await client.post("/bot_events", json=EVENT)
        assert stored(fake) == 1


@in_virtual_time()
async def test_a_drip_outlasts_any_timeout_per_read() -> None:
    """The trap of the facts: seconds per read are no deadline."""
    async with world(Drip(10), read_s=1.0) as (_, client):
        response = await client.get("/bot_writer")
        assert response.status_code == 200
        assert loop_time() == pytest.approx(len(response.content) / 10)


@in_virtual_time()
async def test_a_drip_slower_than_the_read_timeout_fires_it() -> None:
    """A byte every two seconds, one second of patience."""
    async with world(Drip(0.5), read_s=1.0) as (_, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/bot_writer")
        assert loop_time() == 1.0


@in_virtual_time()
async def test_flapping_refuses_and_answers_in_turns() -> None:
    """Down one second, up two."""
    async with world(Flapping(up_s=2, down_s=1)) as (_, client):
        answered = []
        for _ in range(6):
            try:
                answered.append((await client.get("/bot_events")).status_code)
            except httpx.ConnectError:
                answered.append(0)
            await asyncio.sleep(1)
        assert answered == [0, 200, 200, 0, 200, 200]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (ReadOnly(), 405, "25006"),
        (MissingGrant("bot_writer"), 403, "42501"),
        (MissingFunction("byte_bot_take_epoch"), 404, "PGRST202"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_faults_inside_the_database_answer_as_postgrest(fault: Fault, status: int, code: str) -> None:
    """And heal without a trace."""

    async def main() -> None:
        async with world(fault) as (fake, client):
            response = await client.post("/rpc/byte_bot_take_epoch", json={"p_holder": "me"})
            assert (response.status_code, response.json()["code"]) == (status, code)
            fake.faults.clear_all()
            assert (await client.post("/rpc/byte_bot_take_epoch", json={"p_holder": "me"})).json() == 1

    run(main())


@pytest.mark.parametrize(
    ("fault", "raised", "code"),
    [
        (Refused(), httpx.ConnectError, None),
        (Hang(), httpx.ReadTimeout, None),
        (Reset(), httpx.ReadError, None),
        (CommitThenDrop(), httpx.RemoteProtocolError, None),
        (CutBody(), httpx.RemoteProtocolError, None),
        (Status503(), APIError, "PGRST002"),
        (Html520(), APIError, "520"),
        (TooManyRequests(1), APIError, None),
        (Unauthorized(), APIError, None),
        (OverQuota(), APIError, None),
        (ProjectPaused(), APIError, None),
        (MissingGrant("bot_writer"), APIError, "42501"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_the_stock_client_raises_what_it_raises_in_production(
    fault: Fault, raised: type[Exception], code: str | None
) -> None:
    """The table of the facts: what surfaces under each condition."""

    async def main() -> None:
        fake = project(clock=loop_time, faults=(fault,))
        async with httpx.AsyncClient(transport=SupabaseTransport(fake), timeout=5) as http:
            client = stock_client(fake.url, fake.secret_key, http)
            with pytest.raises(raised) as caught:
                await client.table("bot_writer").select("*").retry(False).execute()
        if isinstance(caught.value, APIError):
            assert caught.value.code == code
        fake.close()

    run(main())


@in_virtual_time()
async def test_html_with_200_is_no_exception_in_the_stock_client() -> None:
    """The data is then a text: the bot must look."""
    fake = project(clock=loop_time, faults=(HtmlOk(),))
    async with httpx.AsyncClient(transport=SupabaseTransport(fake)) as http:
        response = (
            await stock_client(fake.url, fake.secret_key, http).table("bot_writer").select("*").execute()
        )
        assert isinstance(response.data, str)
    fake.close()


def test_a_seed_gives_the_same_story_again() -> None:
    """Probabilities, jitter and late arrivals come from the seed alone."""

    async def story(log: Callable[[Any], None]) -> None:
        faults = (Latency(300, 200, spike_ms=4000, spike_probability=0.2), Refused(probability=0.3))
        async with world(*faults, read_s=1.0) as (fake, client):
            for number in range(40):
                try:
                    response = await client.post("/bot_events", json=EVENT | {"id": str(number)})
                    log((number, loop_time(), response.status_code))
                except httpx.TransportError as error:
                    log((number, loop_time(), type(error).__name__))
            await asyncio.sleep(10)
            log([record.at_s for record in fake.requests])

    logs: list[list[Any]] = [[], []]
    for log in logs:
        run(story(log.append))
    assert logs[0] == logs[1]
    assert len({entry[2] for entry in logs[0][:-1]}) == 3
