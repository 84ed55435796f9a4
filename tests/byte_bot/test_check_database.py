"""The database part of ``byte-bot check``: against the fake Supabase, and against answers as real servers give them."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from byte_bot.check_database import TABLES, check_database
from byte_bot.finding import Finding, Status
from byte_bot.persistence.schema import SCHEMA_DIR, read_schema
from byte_bot.settings import Settings
from simulator.faults import FaultBoard, Hang
from simulator.loop import START_UNIX_S, current_loop, run
from simulator.supabase.faces import SupabaseTransport
from simulator.supabase.jsonb import Digits
from simulator.supabase.server import FakeSupabase

NAMES = ["database", "schema", "functions", "grants", "sentinel row", "rows", "clock"]


class LoopClock:
    """Wall time from the running virtual loop, ahead of it by ``ahead_s`` seconds."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self._ahead_s = ahead_s

    def unix(self) -> float:
        """Seconds since 1970."""
        return START_UNIX_S + asyncio.get_running_loop().time() + self._ahead_s


def make_settings(**changes: Any) -> Settings:
    """Settings with a database at the fake's address."""
    values = {
        "twitch_login": "my_bot",
        "twitch_token": SecretStr("token"),
        "twitch_channel_logins": ("my_channel",),
        "supabase_url": "http://localhost:54321",
        "supabase_key": SecretStr("sb_secret_x"),
    }
    return Settings(**{**values, **changes})


def check_fake(
    prepare: Callable[[FakeSupabase], object] = lambda fake: None,
    *,
    examine: Callable[[FakeSupabase], None] = lambda fake: None,
    schema: bool = True,
    publishable: bool = False,
) -> dict[str, Finding]:
    """Check a fake project after ``prepare`` did something to it; what was found, by name."""

    async def story() -> tuple[list[Finding], FakeSupabase]:
        loop = current_loop()
        fake = FakeSupabase(
            SCHEMA_DIR if schema else None,
            time_source=loop.time,
            unix_start=START_UNIX_S,
            rng=random.Random(0),
        )
        prepare(fake)
        # An opaque key passes the settings although it is the publishable one: as a key of a proxy's would.
        key = fake.publishable_key if publishable else fake.secret_key
        settings = make_settings().model_copy(update={"supabase_key": SecretStr(key)})
        async with httpx.AsyncClient(transport=SupabaseTransport(fake)) as http:
            return await check_database(settings, http, LoopClock()), fake

    findings, fake = run(story())
    assert [finding.name for finding in findings] == NAMES
    examine(fake)
    fake.close()
    return {finding.name: finding for finding in findings}


def check_answers(
    answer: Callable[[httpx.Request], httpx.Response], *, clock: LoopClock | None = None
) -> dict[str, Finding]:
    """Check a server that answers as told."""

    async def story() -> list[Finding]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            return await check_database(make_settings(), http, clock or LoopClock())

    return {finding.name: finding for finding in run(story())}


def statuses(found: Mapping[str, Finding]) -> dict[str, str]:
    """Only how each thing stands."""
    return {name: finding.status.value for name, finding in found.items()}


def healthy(request: httpx.Request) -> httpx.Response:
    """PostgREST in front of a complete schema, as real ones answer."""
    headers = {"date": formatdate(START_UNIX_S, usegmt=True)}
    if request.url.path.endswith("rpc/byte_bot_save"):
        return httpx.Response(200, json={"status": "fenced", "epoch": 7}, headers=headers)
    if request.url.path.endswith("rpc/byte_bot_take_epoch"):
        words = 'invalid input syntax for type bigint: "only a check"'
        return httpx.Response(400, json=error("22P02", words), headers=headers)
    if request.method == "GET" and "login=" in str(request.url):
        return httpx.Response(200, json=[{"login": ".sentinel"}], headers=headers)
    return httpx.Response(200 if request.method == "GET" else 204, json=[], headers=headers)


def error(code: str, message: str) -> dict[str, Any]:
    """PostgREST's error object."""
    return {"code": code, "details": None, "hint": None, "message": message}


def test_a_complete_project_passes_and_stays_untouched() -> None:
    """Everything works; no row, no epoch changed; the fake sends no Date, so the clock is not judged."""

    def examine(fake: FakeSupabase) -> None:
        assert fake.rows("bot_writer")[0]["epoch"] == 0
        assert [row["login"] for row in fake.rows("channels_config")] == [".sentinel"]
        assert all(not fake.rows(table) for table in TABLES if table not in {"bot_writer", "channels_config"})

    found = check_fake(examine=examine)
    assert statuses(found) == {**dict.fromkeys(NAMES, "ok"), "clock": "skipped"}


def test_the_running_bot_is_not_disturbed() -> None:
    """Only byte_bot_take_epoch fences; the check makes it fail before it begins."""

    def examine(fake: FakeSupabase) -> None:
        calls = [record for record in fake.requests if "/rpc/" in record.path]
        codes = {record.path.rpartition("/")[2]: record.code for record in calls}
        assert codes == {"byte_bot_save": "", "byte_bot_take_epoch": "22P02"}
        assert [save.status for save in fake.saves] == ["fenced"]

    check_fake(examine=examine)


def test_an_empty_project_is_told_to_apply_the_schema() -> None:
    """The first run of everybody: tables and functions are missing, and the words say what to paste where."""
    found = check_fake(schema=False)
    assert statuses(found) == {
        "database": "ok",
        "schema": "failed",
        "functions": "failed",
        "grants": "ok",
        "sentinel row": "skipped",
        "rows": "skipped",
        "clock": "skipped",
    }
    assert all(table in found["schema"].words for table in TABLES)
    assert found["schema"].advice == (
        "paste the output of `byte-bot migrate --print` into the SQL editor of the Supabase dashboard and run it"
    )
    assert found["functions"].words == "missing or too old: byte_bot_save, byte_bot_take_epoch"


def test_one_missing_function_is_named() -> None:
    """PGRST202, for a schema that was pasted in part."""
    found = check_fake(lambda fake: fake.drop_function("byte_bot_save"))
    assert found["functions"].status is Status.FAILED
    assert found["functions"].words == "missing or too old: byte_bot_save"
    assert found["schema"].status is Status.OK


def test_missing_grants_are_named() -> None:
    """42501 for reading and for changing; the schema files grant, so they are the way out."""

    def prepare(fake: FakeSupabase) -> None:
        fake.revoke("bot_events")
        fake.revoke("component_state", "service_role", "update")

    found = check_fake(prepare)
    assert found["grants"].status is Status.FAILED
    assert found["grants"].words == "the key may not use bot_events, component_state (to change it)"
    assert "byte-bot migrate --print" in found["grants"].advice
    assert found["schema"].status is Status.OK


def test_the_publishable_key_is_found_out() -> None:
    """Where the settings could not tell: the tables deny it, or show nothing."""
    found = check_fake(publishable=True)
    assert found["database"].status is Status.OK
    assert found["grants"].status is Status.FAILED
    assert found["grants"].advice.startswith("set SUPABASE_KEY to the project's secret key")


def test_a_read_only_database_is_found_out() -> None:
    """25006: a full disk at Supabase."""

    def prepare(fake: FakeSupabase) -> None:
        fake.read_only = True

    found = check_fake(prepare)
    assert found["functions"].status is Status.FAILED
    assert found["functions"].words == "the database is read-only"


def test_a_lost_sentinel_row_is_found_out() -> None:
    """200 and an empty list is what a wrong key gets on a project without our grants."""
    found = check_fake(lambda fake: fake.human_delete("channels_config", {"login": ".sentinel"}))
    assert found["sentinel row"].status is Status.FAILED
    assert "looks empty to this key" in found["sentinel row"].words


def state(number: int, data: Any) -> dict[str, Any]:
    """A row of channel_state."""
    return {"channel_id": f"{number}", "data": data}


def test_rows_that_cannot_be_read_are_named() -> None:
    """A number of more digits than Python holds, however many other rows there are; the check itself goes on."""

    def prepare(fake: FakeSupabase) -> None:
        for number in range(1, 9):
            fake.human_insert("channel_state", state(number, {"vibe": "x" * 400}))
        fake.human_insert("channel_state", state(9, {"a": Digits("1e5000")}))
        row = {"channel_id": "7", "key": "counters", "data": {"values": {"deaths": Digits("-1e5000")}}}
        fake.human_insert("component_state", row)

    found = check_fake(prepare)
    assert statuses(found) == {**dict.fromkeys(NAMES, "ok"), "rows": "warning", "clock": "skipped"}
    words = found["rows"].words
    assert "channel_state/9 (the column data holds what cannot be read" in words
    assert "component_state/7/counters" in words
    assert "channel_state/1" not in words
    assert "table editor" in found["rows"].advice


def test_of_many_rows_that_cannot_be_read_a_few_are_named() -> None:
    """The others are counted."""

    def prepare(fake: FakeSupabase) -> None:
        for number in range(1, 10):
            fake.human_insert("channel_state", state(number, {"a": Digits("1e5000")}))

    words = check_fake(prepare)["rows"].words
    assert words.count("channel_state/") == 5
    assert words.endswith("; and 4 more")


def test_a_table_that_is_none_is_found_out() -> None:
    """Somebody else's page with status 200."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("component_state") and request.method == "GET":
            return httpx.Response(200, text="<html></html>")
        return healthy(request)

    finding = check_answers(answer)["rows"]
    assert finding.status is Status.FAILED
    assert "component_state answers oddly" in finding.words


def test_a_database_that_hangs_is_given_up() -> None:
    """After the deadline of the settings, in virtual time; nothing else is asked."""

    async def story() -> None:
        loop = current_loop()
        rng = random.Random(0)
        board = FaultBoard(loop.time, rng)
        board.set("hang", Hang())
        fake = FakeSupabase(SCHEMA_DIR, time_source=loop.time, unix_start=START_UNIX_S, rng=rng, faults=board)
        async with httpx.AsyncClient(transport=SupabaseTransport(fake), timeout=None) as http:
            findings = await check_database(make_settings(database_timeout_s=3.0), http, LoopClock())
        assert loop.time() == pytest.approx(3.0)
        assert findings[0].words == "http://localhost:54321: no answer within 3 s"
        assert [finding.status for finding in findings] == [Status.FAILED, *[Status.SKIPPED] * 6]
        fake.close()

    run(story())


def test_without_supabase_nothing_is_asked() -> None:
    """It is a way to run the bot, so nothing failed."""

    async def story() -> list[Finding]:
        settings = make_settings(supabase_url="", supabase_key=SecretStr(""))
        async with httpx.AsyncClient(transport=httpx.MockTransport(healthy)) as http:
            return await check_database(settings, http, LoopClock())

    (finding,) = run(story())
    assert finding.status is Status.SKIPPED
    assert "the bot runs, and forgets everything when it ends" in finding.words


def test_requests_carry_the_key_and_columns() -> None:
    """Both headers, as Supabase's gateway wants them, and every column by name."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return healthy(request)

    assert set(statuses(check_answers(answer)).values()) == {"ok"}
    assert {request.headers["apikey"] for request in seen} == {"sb_secret_x"}
    assert {request.headers["authorization"] for request in seen} == {"Bearer sb_secret_x"}
    assert (
        str(seen[0].url) == "http://localhost:54321/rest/v1/channels_config?select=login&login=eq..sentinel"
    )
    selects = {request.url.path.rpartition("/")[2]: request.url.params["select"] for request in seen[1:7]}
    assert selects == dict(TABLES)


@pytest.mark.parametrize(
    ("status", "body", "words", "advice"),
    [
        (401, {"message": "Invalid API key", "hint": "Double check"}, "refuses the key", "secret key"),
        (401, error("PGRST301", "JWSError JWSInvalidSignature"), "refuses the key", "secret key"),
        (402, {"message": "exceeded quota"}, "over its quota", "billing"),
        (404, {"error": "requested path is invalid"}, "not as Supabase", "check SUPABASE_URL"),
        (429, {"message": "Too many requests"}, "too many requests", "in a minute"),
        (503, error("PGRST001", "no connection"), "is in trouble", "wait a little"),
        (540, {"message": "Project is paused"}, "the project is paused", "restore the project"),
        (302, None, "redirects elsewhere", "check SUPABASE_URL"),
    ],
)
def test_the_gateway_s_refusals_say_what_to_do(status: int, body: Any, words: str, advice: str) -> None:
    """Each with its status and words; the rest is not asked."""
    found = check_answers(lambda request: httpx.Response(status, json=body))
    assert found["database"].status is Status.FAILED
    assert words in found["database"].words
    assert f"HTTP {status}" in found["database"].words
    assert advice in found["database"].advice
    assert {finding.status for name, finding in found.items() if name != "database"} == {Status.SKIPPED}


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>Welcome to my shop</html>"),
        httpx.Response(200, content=b'[{"login":'),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, json={"not": "a list"}),
        httpx.Response(204),
        httpx.Response(404, text="nginx"),
    ],
)
def test_an_address_that_is_not_supabase_is_told_apart(response: httpx.Response) -> None:
    """A 200 of somebody else's is no success."""
    found = check_answers(lambda request: response)
    assert found["database"].status is Status.FAILED
    assert "answers, but not as Supabase" in found["database"].words


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError(""),
        httpx.RemoteProtocolError("cut"),
        httpx.ReadTimeout(""),
    ],
)
def test_no_answer_is_a_finding_and_no_traceback(failure: httpx.HTTPError) -> None:
    """Also when it is the fifth request that gets lost."""
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        if len(calls) == 5:
            raise failure
        return healthy(request)

    found = check_answers(answer)
    assert found["database"].status is Status.FAILED
    assert type(failure).__name__ in found["database"].words
    assert len(calls) == 5


def test_an_older_schema_is_found_out() -> None:
    """A column that is not there (42703) is a schema to run again."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("channel_state") and request.method == "GET":
            return httpx.Response(400, json=error("42703", "column channel_state.tombstones does not exist"))
        return healthy(request)

    finding = check_answers(answer)["schema"]
    assert finding.status is Status.FAILED
    assert (
        finding.words == "missing or too old: channel_state (column channel_state.tombstones does not exist)"
    )


@pytest.mark.parametrize("body", [None, [], {"status": "ok"}, "fenced"])
def test_an_odd_answer_of_the_save_function_is_a_failure(body: Any) -> None:
    """Only a refusal of the epoch -1 is right."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=body) if "byte_bot_save" in request.url.path else healthy(request)

    assert "byte_bot_save answers oddly" in check_answers(answer)["functions"].words


@pytest.mark.parametrize(
    ("ahead_s", "status"), [(0.0, "ok"), (4.0, "ok"), (-4.0, "ok"), (6.0, "warning"), (-60.0, "warning")]
)
def test_a_wrong_clock_is_a_warning(ahead_s: float, status: str) -> None:
    """More than 5 s from the server's Date header, either way."""
    finding = check_answers(healthy, clock=LoopClock(ahead_s))["clock"]
    assert finding.status.value == status
    if status == "warning":
        assert finding.words.endswith(
            f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the server's"
        )


def test_the_columns_are_those_of_the_schema_files() -> None:
    """What the check asks for is what the tables have, no more and no less."""
    for table, columns in TABLES.items():
        body = re.search(
            rf"create table if not exists public\.{table} \((.*?)\n\);", read_schema(), re.DOTALL
        )
        assert body is not None
        declared = re.findall(
            r"^  (\w+) (?:text|bigint|boolean|integer|smallint|jsonb|timestamptz)", body[1], re.MULTILINE
        )
        assert columns.split(",") == declared
