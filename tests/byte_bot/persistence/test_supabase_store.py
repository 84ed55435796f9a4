"""The store on Supabase: what each answer, and each way of not answering, is taken for.

The fake's faults answer in PostgREST's and the gateway's own words; answers that no Supabase gives come from httpx's
mock transport.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from byte_bot.errors import DatabaseError, DatabasePaused, DatabaseUnavailable, RequestRefused
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from byte_bot.persistence.supabase_store import SENTINEL_LOGIN, SupabaseStore
from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Hang,
    Html520,
    HtmlOk,
    MissingFunction,
    MissingGrant,
    ReadOnly,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.loop import in_virtual_time, run
from simulator.supabase.faces import SupabaseTransport
from simulator.supabase.server import FakeSupabase
from tests.byte_bot.persistence.rig import fake_supabase

Call = Callable[[SupabaseStore], Awaitable[Any]]
URL = "http://project.supabase.test"


def save_request(*rows: dict[str, Any], epoch: int = 1, **parts: Any) -> SaveRequest:
    """A save."""
    return SaveRequest(
        epoch, list(rows), parts.get("patches", []), parts.get("history", []), parts.get("events", [])
    )


def state_row(channel_id: str = "1", **fields: Any) -> dict[str, Any]:
    """A row as the writer sends it."""
    return {
        "table": "channel_state",
        "channel_id": channel_id,
        "key": "",
        "version": 1,
        "data": {"vibe": "calm"},
        "tombstones": {},
        "revision": 1,
        "edit_no": None,
    } | fields


CALLS: dict[str, Call] = {
    "take_epoch": lambda store: store.take_epoch("test", 0),
    "save": lambda store: store.save(save_request(state_row())),
    "load_states": lambda store: store.load_states(["1"]),
    "list_channels": lambda store: store.list_channels(),
}


@contextlib.asynccontextmanager
async def store_on(
    transport: httpx.AsyncBaseTransport, *, key: str = "sb_secret_test", timeout_s: float = 5.0
) -> AsyncIterator[SupabaseStore]:
    """The store as the composition root builds it."""
    async with httpx.AsyncClient(transport=transport, follow_redirects=False, timeout=timeout_s) as http:
        yield SupabaseStore(URL, key, http, timeout_s=timeout_s)


@contextlib.asynccontextmanager
async def store_and_fake(*faults: Fault, **options: Any) -> AsyncIterator[tuple[SupabaseStore, FakeSupabase]]:
    """The store on the fake."""
    fake = fake_supabase(*faults, **options)
    async with store_on(SupabaseTransport(fake), key=fake.secret_key) as store:
        yield store, fake
    fake.close()


def outcome(call: Call, *faults: Fault, prepare: Callable[[FakeSupabase], object] = lambda fake: None) -> Any:
    """What a call on the fake ends with: its answer or our error; and in how much time."""

    async def story() -> Any:
        async with store_and_fake() as (store, fake):
            await store.take_epoch("test", 0)
            prepare(fake)
            for number, fault in enumerate(faults):
                fake.faults.set(f"{number}", fault)
            try:
                return await call(store)
            except DatabaseError as error:
                assert asyncio.get_running_loop().time() <= 5.0
                return error

    return run(story())


def answered(call: Call, status: int, content: bytes | str, *, headers: dict[str, str] | None = None) -> Any:
    """What a call ends with if every request is answered like this."""

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers=headers)

    async def story() -> Any:
        async with store_on(httpx.MockTransport(handler)) as store:
            try:
                return await call(store)
            except DatabaseError as error:
                return error

    return run(story())


# ── what works ───────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time()
async def test_rows_come_back_as_they_were_saved() -> None:
    """A save and a load are a round trip, with stamps, tombstones and the count of human edits."""
    async with store_and_fake() as (store, fake):
        epoch = await store.take_epoch("test", 4)
        assert epoch == 5
        component = state_row(table="component_state", key="deaths", data={"total": 1}, revision=7)
        component["tombstones"] = {"names": {"a": [1, 2, 3]}}
        answer = await store.save(save_request(state_row(), component, epoch=epoch))
        assert answer == SaveAnswer("ok", 5, [])
        fake.human_update("channel_state", {"channel_id": "1"}, {"data": {"vibe": "wild"}})
        assert await store.load_states(["1", "2"]) == {
            RowKey("channel_state", "1"): Base(b'{"vibe":"wild"}', {}, 1, 5, 1, 1),
            RowKey("component_state", "1", "deaths"): Base(
                b'{"total":1}', {"names": {"a": [1, 2, 3]}}, 1, 5, 7, 0
            ),
        }


@in_virtual_time()
async def test_a_patch_changes_single_columns_of_the_configuration() -> None:
    """Configuration comes back without bookkeeping, without the sentinel, and without columns that are null."""
    async with store_and_fake() as (store, fake):
        epoch = await store.take_epoch("test", 0)
        fake.human_insert("channels_config", {"login": "anna", "prefix": "?"})
        patch = {"login": "anna", "columns": {"paused": True}, "revision": 3, "edit_no": 1}
        assert (await store.save(save_request(epoch=epoch, patches=[patch]))).refused == []
        (base,) = (await store.list_channels()).values()
        assert json.loads(base.data or b"") == {
            "enabled": True,
            "paused": True,
            "language": "en",
            "prefix": "?",
        }
        assert (base.stamp, base.edit_no) == ((1, 3), 1)


@in_virtual_time()
async def test_refusals_bring_the_row_as_it_stands() -> None:
    """Edited, deleted, stale and invalid rows are named, with what is stored or the server's words."""
    async with store_and_fake() as (store, fake):
        epoch = await store.take_epoch("test", 0)
        for channel_id in "123":
            await store.save(save_request(state_row(channel_id, revision=5), epoch=epoch))
        fake.human_update("channel_state", {"channel_id": "1"}, {"data": {}})
        fake.human_delete("channel_state", {"channel_id": "2"})
        answer = await store.save(
            save_request(
                state_row("1", edit_no=0, revision=6),
                state_row("2", edit_no=0, revision=6),
                state_row("3", edit_no=0, revision=4),
                state_row("4", version="one"),
                epoch=epoch,
            )
        )
        refused = {refusal.key.channel_id: refusal for refusal in answer.refused}
        assert {channel_id: refusal.reason for channel_id, refusal in refused.items()} == {
            "1": "edited",
            "2": "edited",
            "3": "stale",
            "4": "invalid",
        }
        assert refused["1"].stored == Base(b"{}", {}, 1, 1, 5, 1)
        assert refused["2"].stored == ABSENT
        assert refused["3"].stored.revision == 5
        assert refused["4"].sqlstate == "22023"
        assert "version" in refused["4"].message


@in_virtual_time()
async def test_a_superseded_epoch_and_an_unknown_one_are_told_apart() -> None:
    """A higher epoch in the database fences, a lower one is a restored backup; nothing is written."""
    async with store_and_fake() as (store, fake):
        assert await store.take_epoch("one", 0) == 1
        assert await store.take_epoch("two", 0) == 2
        assert await store.save(save_request(state_row(), epoch=1)) == SaveAnswer("fenced", 2, [])
        assert await store.save(save_request(state_row(), epoch=9)) == SaveAnswer("unknown_epoch", 2, [])
        assert fake.rows("channel_state") == []


@in_virtual_time()
async def test_pages_are_read_to_the_end_whatever_the_server_returns_at_a_time() -> None:
    """A project whose "Max rows" is lower than what is asked for hides nothing."""
    async with store_and_fake(rows_max=7) as (store, fake):
        for number in range(40):
            fake.human_insert("channels_config", {"login": f"channel{number:02}"})
            for key in ("a", "b"):
                fake.human_insert("component_state", {"channel_id": f"{number}", "key": key, "version": 1})
        assert len(await store.list_channels()) == 40
        found = await store.load_states([f"{number}" for number in range(40)])
        assert len(found) == 80
        assert set(found) == {
            RowKey("component_state", f"{number}", key) for number in range(40) for key in ("a", "b")
        }


@in_virtual_time()
async def test_a_list_without_the_sentinel_row_is_no_list() -> None:
    """A key that row level security shows nothing is answered ``200 []``: that is a pause with advice, not an empty list."""
    async with store_and_fake() as (store, fake):
        assert SENTINEL_LOGIN not in await store.list_channels()
        fake.human_delete("channels_config", {"login": SENTINEL_LOGIN})
        fake.human_insert("channels_config", {"login": "anna"})
        with pytest.raises(DatabasePaused, match="secret key") as caught:
            await store.list_channels()
        assert caught.value.code == "no sentinel"


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "fault",
    [
        Refused(), Hang(), Reset(), Status503(), Html520(), TooManyRequests(7.0), HtmlOk(), CutBody(), CommitThenDrop(),
        Drip(bytes_per_s=2),
    ],
    ids=lambda fault: fault.kind,
)  # fmt: skip
def test_what_time_may_heal_is_unavailable(name: str, fault: Fault) -> None:
    """No connection, no answer in time, half an answer, a page of HTML, 429 and 5xx: try again later."""
    error = outcome(CALLS[name], fault)
    assert isinstance(error, DatabaseUnavailable), error
    assert error.surely_not_executed == isinstance(fault, Refused)
    assert error.retry_after_s == (7.0 if isinstance(fault, TooManyRequests) else None)


def test_the_outer_deadline_ends_what_drips() -> None:
    """A body that trickles outlives every timeout per read, and not the deadline round the call."""

    async def story() -> float:
        async with store_and_fake(Drip(bytes_per_s=2)) as (store, _):
            with pytest.raises(DatabaseUnavailable, match="no answer within 5 s"):
                await store.list_channels()
            return asyncio.get_running_loop().time()

    assert run(story()) == 5.0


@pytest.mark.parametrize(
    ("name", "prepare", "code", "advice"),
    [
        ("save", lambda fake: fake.drop_function("byte_bot_save"), "PGRST202", "byte-bot schema"),
        ("take_epoch", lambda fake: fake.drop_function("byte_bot_take_epoch"), "PGRST202", "byte-bot schema"),
        ("load_states", lambda fake: fake.drop_table("channel_state"), "PGRST205", "byte-bot schema"),
        ("list_channels", lambda fake: fake.revoke("channels_config"), "42501", "secret key"),
        ("save", lambda fake: setattr(fake, "read_only", True), "25006", "read-only"),
    ],
)
def test_what_only_a_human_can_heal_is_a_pause_with_advice(
    name: str, prepare: Callable[[FakeSupabase], object], code: str, advice: str
) -> None:
    """Missing schema, missing grant, read-only: the error carries the server's code and what to do."""
    error = outcome(CALLS[name], prepare=prepare)
    assert isinstance(error, DatabasePaused), error
    assert error.code == code
    assert advice in error.advice


@pytest.mark.parametrize("name", CALLS)
def test_a_refused_key_is_a_pause(name: str) -> None:
    """401 from the gateway: the key is wrong, for every call alike."""
    error = outcome(CALLS[name], Unauthorized())
    assert isinstance(error, DatabasePaused)
    assert "SUPABASE_KEY" in error.advice


def test_the_faults_of_the_board_are_pauses_too() -> None:
    """The same conditions set by hand during a run."""
    for name, fault in {
        "load_states": MissingGrant(table="component_state"),
        "save": ReadOnly(),
        "take_epoch": MissingFunction(name="byte_bot_take_epoch"),
    }.items():
        assert isinstance(outcome(CALLS[name], fault), DatabasePaused)


# ── answers that no Supabase gives, or only its gateway ──────────────────────────────────────────────────────────

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
        (401, error_body("PGRST301"), DatabasePaused),
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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
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
