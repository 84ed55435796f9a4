"""The store's pages and deadlines: reading to the end whatever a server returns, and ending when it must.

Beside the fake Supabase there is ``httpx.MockTransport``, for servers that page in ways no PostgREST does: a cache that
ignores the filter, a proxy that swallows a body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

from byte_bot.errors import DatabaseError, DatabasePaused, DatabaseUnavailable
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.store import SaveRequest
from byte_bot.persistence.supabase_store import SupabaseStore
from simulator.faults import Drip, Latency, Status503
from simulator.loop import current_loop, in_virtual_time, run
from tests.byte_bot.persistence.supabase import nothing, project, state_row, store_on

Call = Callable[[SupabaseStore], Awaitable[Any]]

SENTINEL: Mapping[str, Any] = {"login": ".sentinel", "epoch": 0, "revision": 0, "edit_no": 0}
ROW: Mapping[str, Any] = {
    "channel_id": "1001",
    "key": "deaths",
    "version": 1,
    "data": {},
    "tombstones": {},
    "epoch": 1,
    "revision": 1,
    "edit_no": 0,
}


def load(store: SupabaseStore) -> Awaitable[Any]:
    """A load of one channel."""
    return store.load_states(["1001"])


def channels(store: SupabaseStore) -> Awaitable[Any]:
    """The list of channels."""
    return store.list_channels()


def ask(call: Call, *answers: httpx.Response) -> Any:
    """What a call returns when the server gives these answers in turn, the last one for ever."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        given = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(given.status_code, headers=given.headers, content=given.content)

    async def story() -> Any:
        async with store_on(httpx.MockTransport(answer)) as store:
            return await call(store)

    return run(story())


def failure(call: Call, *answers: httpx.Response) -> DatabaseError:
    """The error that a call raises when the server answers so."""
    with pytest.raises(DatabaseError) as caught:
        ask(call, *answers)
    return caught.value


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows_max", [1, 2, 3, 1000])
def test_everything_is_read_however_few_rows_come_at_a_time(rows_max: int) -> None:
    """A project's "Max rows" may be smaller than ours: no channel and no row is missing for it."""

    @in_virtual_time()
    async def story() -> None:
        async with project(rows_max=rows_max) as fake, store_on(fake) as store:
            epoch = await store.take_epoch("test", 0)
            logins = [f"channel_{number}" for number in range(7)]
            for login in logins:
                fake.human_insert("channels_config", {"login": login})
            rows = [
                state_row(str(channel), key, data={"n": 1}) for channel in range(3) for key in ("", "a", "b")
            ]
            await store.save(SaveRequest(epoch, rows, [], [], []))
            assert list(await store.list_channels()) == logins
            expected = [RowKey(row["table"], row["channel_id"], row["key"]) for row in rows]
            assert sorted(await store.load_states(["0", "1", "2", "9"])) == sorted(expected)

    story()


@in_virtual_time()
async def test_channels_without_rows_cost_one_request_a_table() -> None:
    """The count says that there is nothing more to ask for."""
    async with project() as fake, store_on(fake) as store:
        assert await store.load_states(["1001", "1002"]) == {}
        assert fake.requests_by_path == {"channel_state": 1, "component_state": 1}


@pytest.mark.parametrize("body", ["", "<html></html>", "{}", "null"])
def test_a_list_whose_second_page_is_missing_is_no_list(body: str) -> None:
    """Nothing is not the empty page at the end: the channels behind it would be parted."""
    first = httpx.Response(200, json=[SENTINEL])
    assert isinstance(failure(channels, first, httpx.Response(200, text=body)), DatabaseUnavailable)
    assert ask(channels, first, httpx.Response(200, text="[]")) == {}


def test_a_list_that_repeats_itself_is_no_list() -> None:
    """A cache that ignores the filter answers every page with the first: asking on would never end."""
    assert isinstance(failure(channels, httpx.Response(200, json=[SENTINEL])), DatabaseUnavailable)


def test_a_page_that_stays_empty_ends_the_load() -> None:
    """A count that promises more than ever comes must not ask for ever."""
    assert ask(load, httpx.Response(206, headers={"content-range": "*/3"}, json=[])) == {}


@pytest.mark.parametrize("content_range", [None, "0-0/*", "nonsense", "*/*"])
def test_a_page_that_does_not_say_how_many_there_are_is_no_answer(content_range: str | None) -> None:
    """Without the count a page cut by "Max rows" looks like the whole."""
    headers = {"content-range": content_range} if content_range else {}
    assert isinstance(failure(load, httpx.Response(200, headers=headers, json=[])), DatabaseUnavailable)


def test_rows_deleted_between_two_pages_are_no_matter_for_a_human() -> None:
    """PostgREST refuses an offset past the end (416, PGRST103): the load is made again, nothing is paused."""
    first = httpx.Response(206, headers={"content-range": "0-0/2"}, json=[ROW])
    body = {"code": "PGRST103", "message": "Requested range not satisfiable", "details": None, "hint": None}
    assert isinstance(failure(load, first, httpx.Response(416, json=body)), DatabaseUnavailable)


@pytest.mark.parametrize(
    "change",
    [
        {"tombstones": {}, "epoch": None},
        {"version": "1"},
        {"revision": None},
        {"edit_no": True},
        {"channel_id": 7},
    ],
    ids=str,
)
def test_a_row_of_another_shape_is_no_answer(change: dict[str, Any]) -> None:
    """A row that cannot be read must not look like a row that is not there."""
    counted = {"content-range": "0-0/1"}
    assert len(ask(load, httpx.Response(200, headers=counted, json=[ROW]))) == 2
    answer = httpx.Response(200, headers=counted, json=[{**ROW, **change}])
    assert isinstance(failure(load, answer), DatabaseUnavailable)


# --- statuses with bodies that are not PostgREST's ------------------------------------------------------------------


@pytest.mark.parametrize("body", ["", "[]", "null", '"text"', '{"code":500}', "<html></html>"])
def test_an_error_without_a_code_goes_by_its_status(body: str) -> None:
    """A page, somebody else's JSON or nothing at all: the status is all there is to go by."""
    for status, error in ((502, DatabaseUnavailable), (540, DatabasePaused)):
        assert type(failure(channels, httpx.Response(status, text=body))) is error


def test_a_redirect_is_not_followed() -> None:
    """A redirected POST would become a GET that "succeeds"."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(302, headers={"location": "https://elsewhere.test/"})

    async def story() -> None:
        async with store_on(httpx.MockTransport(answer)) as store:
            await store.save(nothing(1))

    with pytest.raises(DatabasePaused, match="redirects"):
        run(story())
    assert asked == ["POST /rest/v1/rpc/byte_bot_save"]


# --- deadlines ------------------------------------------------------------------------------------------------------


@in_virtual_time()
async def test_a_slow_answer_within_the_deadline_counts() -> None:
    """4.9 s is slow, not lost."""
    async with project() as fake, store_on(fake, timeout_s=5.0) as store:
        fake.faults.set("x", Latency(ms=4900))
        assert await store.take_epoch("test", 0) == 1
        assert current_loop().time() == pytest.approx(4.9)


@pytest.mark.parametrize(
    ("fault", "http_timeout_s"), [(Latency(ms=5100), 60.0), (Drip(bytes_per_s=5), 5.0)], ids=["late", "drip"]
)
def test_the_deadline_ends_what_httpx_would_wait_for(fault: Latency | Drip, http_timeout_s: float) -> None:
    """Nothing ever takes longer than the outer deadline, which the words name."""

    @in_virtual_time()
    async def story() -> None:
        async with project() as fake, store_on(fake, timeout_s=5.0, http_timeout_s=http_timeout_s) as store:
            fake.faults.set("x", fault)
            with pytest.raises(DatabaseUnavailable, match="no answer within 5 s"):
                await store.list_channels()
            assert current_loop().time() == pytest.approx(5.0)

    story()


@in_virtual_time()
async def test_each_page_has_a_deadline_of_its_own() -> None:
    """A long list on a slow database is read to the end: it is the answer that is waited for, not the list."""
    async with project(rows_max=1) as fake, store_on(fake, timeout_s=5.0) as store:
        for login in ("anna", "bert"):
            fake.human_insert("channels_config", {"login": login})
        fake.faults.set("x", Latency(ms=4000))
        assert list(await store.list_channels()) == ["anna", "bert"]
        assert current_loop().time() == pytest.approx(16.0)


@in_virtual_time()
async def test_the_client_does_not_retry_on_its_own() -> None:
    """Retries belong to the breaker; the library's own would multiply the load on a database that is down."""
    async with project() as fake, store_on(fake) as store:
        fake.faults.set("x", Status503())
        with pytest.raises(DatabaseUnavailable):
            await store.list_channels()
        assert fake.requests_total == 1
        assert current_loop().time() == 0.0
