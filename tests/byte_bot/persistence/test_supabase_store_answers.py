"""The store on Supabase, on answers that no Supabase gives, or only its gateway: canned ones, from httpx's mock transport."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from byte_bot.errors import DatabasePaused, DatabaseUnavailable, RequestRefused
from simulator.faults import (
    Hang,
)
from simulator.loop import in_virtual_time, run
from tests.byte_bot.persistence.nesting import BOTTOMLESS, nested
from tests.byte_bot.persistence.store_calls import (
    CALLS,
    answered,
    save_request,
    state_row,
    store_and_fake,
    store_on,
)

HTML = "<html><body>Hello</body></html>"


def error_body(code: str | None, message: str = "words") -> str:
    """PostgREST's form of an error."""
    return json.dumps({"code": code, "message": message, "details": None, "hint": None})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, HTML, DatabaseUnavailable),
        (200, '{"truncated": ', DatabaseUnavailable),
        (200, '"a string"', DatabaseUnavailable),
        (200, "{}", DatabaseUnavailable),
        (200, "null", DatabaseUnavailable),
        (200, "", DatabaseUnavailable),
        (204, "", DatabaseUnavailable),
        (302, HTML, DatabasePaused),
        (308, "", DatabasePaused),
        (401, '{"message":"Invalid API key"}', DatabasePaused),
        (402, HTML, DatabasePaused),
        (403, HTML, DatabasePaused),
        (404, HTML, DatabasePaused),
        (405, "", DatabasePaused),
        (400, "The plain HTTP request was sent to HTTPS port", DatabasePaused),
        (408, "", DatabaseUnavailable),
        (429, HTML, DatabaseUnavailable),
        (500, HTML, DatabaseUnavailable),
        (500, error_body("57014", "canceling statement due to statement timeout"), DatabaseUnavailable),
        (500, error_body("40P01", "deadlock detected"), DatabaseUnavailable),
        (503, error_body("53300", "too many connections"), DatabaseUnavailable),
        (504, error_body("PGRST003"), DatabaseUnavailable),
        (521, HTML, DatabaseUnavailable),
        (540, '{"message":"project paused"}', DatabasePaused),
        (404, error_body("42P01"), DatabasePaused),
        (400, error_body("42703"), DatabasePaused),
        (404, error_body("42883"), DatabasePaused),
        (400, error_body("42804"), DatabasePaused),
        (403, error_body("42501"), DatabasePaused),
        (405, error_body("25006"), DatabasePaused),
        (404, error_body("PGRST202"), DatabasePaused),
        (400, error_body("3F000", 'schema "byte_bot_private" does not exist'), DatabasePaused),
        (406, error_body("PGRST106", "Invalid schema: public"), DatabasePaused),
        (400, error_body("PGRST100"), DatabasePaused),
        (405, error_body("PGRST101"), DatabasePaused),
        (415, error_body("PGRST107"), DatabasePaused),
        (400, error_body("PGRST122"), DatabasePaused),
        (400, error_body("0A000", "cached plan must not change result type"), DatabasePaused),
        (400, error_body("26000", "prepared statement does not exist"), DatabasePaused),
        (400, error_body("3D000"), DatabasePaused),
        (400, error_body("72000"), DatabasePaused),
        (500, error_body("P0002"), DatabaseUnavailable),
        (500, error_body("53400"), DatabaseUnavailable),
        (200, "[" * BOTTOMLESS + "]" * BOTTOMLESS, DatabaseUnavailable),
        (200, '{"a":' * BOTTOMLESS + "1" + "}" * BOTTOMLESS, DatabaseUnavailable),
        (500, "[" * BOTTOMLESS + "]" * BOTTOMLESS, DatabaseUnavailable),
        (401, error_body("PGRST301"), DatabasePaused),
        (500, error_body("PGRST300"), DatabasePaused),
        (402, '{"message":"restricted"}', DatabasePaused),
        (540, HTML, DatabasePaused),
    ],
)
@pytest.mark.parametrize("name", CALLS)
def test_answers_are_classified_alike_for_every_call(name: str, status: int, body: str, kind: type) -> None:
    """Whatever was asked, an answer that is none never looks like an empty one."""
    error = answered(CALLS[name], status, body, headers={"content-type": "application/json"})
    assert type(error) is kind, repr(error)
    assert not getattr(error, "surely_not_executed", False)


REFUSALS = [
    (400, error_body("22P05", "unsupported Unicode escape sequence")),
    (400, error_body("21000")),
    (500, error_body("21000")),
    (409, error_body("23505")),
    (400, error_body("PGRST102", "Empty or invalid json")),
    (400, error_body("P0001")),
    (400, error_body("44000")),
    (400, error_body("54001")),
    (400, error_body("MY001", "a trigger of the owner's")),
    (418, error_body("PT418", "a trigger of the owner's")),
    (413, HTML),
    (413, error_body("54000")),
    (414, ""),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_a_save_that_is_refused_for_its_data_or_size_says_so(status: int, body: str) -> None:
    """Trying the same again cannot help, half of it may."""
    error = answered(CALLS["save"], status, body)
    assert isinstance(error, RequestRefused), repr(error)
    assert error.code


@pytest.mark.parametrize(("status", "body"), REFUSALS)
@pytest.mark.parametrize("name", ["take_epoch", "load_states", "list_channels"])
def test_what_carries_no_data_of_ours_is_never_refused_for_it(name: str, status: int, body: str) -> None:
    """Epochs and loads that are refused for good pause the database: else their loops would spin."""
    assert isinstance(answered(CALLS[name], status, body), DatabasePaused)


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("²", None),
        ("1e400", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_no_word(header: str, expected_s: float | None) -> None:
    """Only plain seconds count; whatever else stands there does no harm."""
    error = answered(
        CALLS["save"],
        429,
        "{}",
        headers={"retry-after": header.encode("latin-1")},  # type: ignore[dict-item]
    )
    assert isinstance(error, DatabaseUnavailable)
    assert error.retry_after_s == expected_s


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("take_epoch", "true"),
        ("take_epoch", "1.5"),
        ("take_epoch", "[1]"),
        ("save", '{"status":"maybe","epoch":1}'),
        ("save", '{"status":"ok","epoch":"1"}'),
        ("save", '{"status":"ok","epoch":1,"refused":[{"table":"channel_state","reason":"edited"}]}'),
        (
            "save",
            '{"status":"ok","epoch":1,"refused":[{"table":"t","channel_id":"1","reason":"because"}]}',
        ),
        ("list_channels", '[{"no_login": 1}]'),
        ("list_channels", "[1]"),
        ("list_channels", '[{"login": ".sentinel", "epoch": "0"}]'),
    ],
)
def test_answers_of_the_wrong_shape_are_unavailable(name: str, body: str) -> None:
    """JSON that is not what the function or table returns says nothing about the data."""
    error = answered(CALLS[name], 200, body)
    assert isinstance(error, DatabaseUnavailable), repr(error)


def test_a_page_without_a_count_is_no_page() -> None:
    """A proxy that takes Content-Range away must not make cut pages look whole, and missing rows deleted."""
    row = {"channel_id": "1", "version": 1, "data": {}, "epoch": 0, "revision": 0, "edit_no": 1}
    error = answered(CALLS["load_states"], 200, json.dumps([row]))
    assert isinstance(error, DatabaseUnavailable)
    assert "Content-Range" in str(error)


def test_a_body_that_cannot_be_unpacked_is_unavailable() -> None:
    """A broken compression is the network's fault, and must not end the writer."""
    error = answered(CALLS["save"], 200, b"this is not gzip", headers={"content-encoding": "gzip"})
    assert isinstance(error, DatabaseUnavailable), repr(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), nested(BOTTOMLESS)])
def test_what_json_cannot_hold_is_refused_before_anything_is_sent(value: object) -> None:
    """An argument that cannot be encoded is the request's own fault."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing must be sent")

    async def story() -> None:
        async with store_on(httpx.MockTransport(handler)) as store:
            with pytest.raises(RequestRefused, match="unencodable"):
                await store.save(save_request(state_row(data={"x": value})))

    run(story())


@pytest.mark.parametrize(
    ("error", "surely"),
    [
        (httpx.ConnectError("refused"), True),
        (httpx.ConnectTimeout("slow"), True),
        (httpx.PoolTimeout("busy"), True),
        (httpx.ReadTimeout("slow"), False),
        (httpx.WriteError("broken pipe"), False),
        (httpx.RemoteProtocolError("disconnected"), False),
        (httpx.UnsupportedProtocol("ftp"), False),
    ],
)
def test_transport_errors_say_whether_the_request_can_have_arrived(error: Exception, surely: bool) -> None:
    """Only what failed before a connection was there surely did not reach the database."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    async def story() -> None:
        async with store_on(httpx.MockTransport(handler)) as store:
            with pytest.raises(DatabaseUnavailable) as caught:
                await store.save(save_request(state_row()))
            assert caught.value.surely_not_executed is surely

    run(story())


def test_calls_that_overlap_do_not_mix_up_their_answers() -> None:
    """Status and Retry-After belong to the call that got them, also when another is answered in between."""

    async def handler(request: httpx.Request) -> httpx.Response:
        if "byte_bot_save" in request.url.path:
            await asyncio.sleep(1)
            return httpx.Response(429, headers={"retry-after": "9"}, content="{}")
        await asyncio.sleep(0.5)
        return httpx.Response(401, content="{}")

    async def story() -> None:
        async with store_on(httpx.MockTransport(handler)) as store:
            slow, fast = await asyncio.gather(
                CALLS["save"](store), CALLS["take_epoch"](store), return_exceptions=True
            )
        assert isinstance(slow, DatabaseUnavailable)
        assert slow.retry_after_s == 9.0
        assert isinstance(fast, DatabasePaused)

    run(story())


@in_virtual_time()
async def test_cancelling_a_call_is_not_an_error_of_the_database() -> None:
    """A caller that is cancelled hears of it as cancellation, at once."""
    async with store_and_fake(Hang()) as (store, _):
        call = asyncio.get_running_loop().create_task(store.take_epoch("test", 0))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
