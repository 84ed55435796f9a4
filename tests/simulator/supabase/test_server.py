"""The project around the tables: keys, routes, records, and a human at the dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from simulator.faults import HumanEdit, MissingFunction, MissingGrant, ReadOnly
from simulator.loop import run
from simulator.supabase.errors import ApiError
from simulator.supabase.server import LOG_MAX, FakeSupabase, RequestRecord
from simulator.supabase.wire import Request
from tests.simulator.supabase.project import (
    BOT_SCHEMA,
    UNIX_START_S,
    Clock,
    answer,
    ask,
    closing,
    header,
    project,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeSupabase]:
    with closing(project(clock=clock)) as fake:
        yield fake


def test_the_seeds_of_the_schema_are_there(fake: FakeSupabase) -> None:
    """The sentinel row comes back with a right key."""
    rows = answer(ask(fake, "GET", "channels_config?select=login,enabled&order=login.asc&limit=1000"))
    assert rows == [{"login": ".sentinel", "enabled": False}]
    assert [row["epoch"] for row in fake.rows("bot_writer")] == [0]


def test_keys(fake: FakeSupabase) -> None:
    """No key and a wrong key are the gateway's 401; the publishable key is anon, which has no grant."""
    assert fake.execute(Request("GET", "/rest/v1/channels_config")).status == 401
    response = ask(fake, "GET", "channels_config", key="sb_secret_wrong")
    assert (response.status, answer(response)["message"]) == (401, "Invalid API key")
    response = ask(fake, "GET", "channels_config", key=fake.publishable_key)
    assert (response.status, answer(response)["code"]) == (401, "42501")
    assert fake.execute(Request("GET", "/rest/v1/channels_config", f"apikey={fake.secret_key}")).status == 200


def test_the_bearer_token_decides_the_role(fake: FakeSupabase) -> None:
    """As behind the gateway: apikey opens the door, Authorization says who comes in."""
    both = {"authorization": f"Bearer {fake.secret_key}"}
    assert ask(fake, "GET", "channels_config", key=fake.publishable_key, **both).status == 200
    response = ask(fake, "GET", "channels_config", authorization="Bearer rubbish")
    assert answer(response)["message"] == "Expected 3 parts in JWT; got 1"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/auth/v1/token", 404, None),
        ("/rest/v1/rest/v1/channels_config", 404, "PGRST125"),
        ("/rest/v1/channels", 404, "PGRST205"),
        ("/rest/v1/", 200, None),
        ("/rest/v1/channels%5Fconfig", 200, None),
    ],
)
def test_routes(fake: FakeSupabase, path: str, status: int, code: str | None) -> None:
    """Only the REST address exists; a doubled one is a wrong path."""
    response = fake.execute(Request("GET", path, headers={"apikey": fake.secret_key}))
    assert response.status == status
    if status != 200:
        assert answer(response).get("code") == code


def test_other_schemas_and_methods_are_refused(fake: FakeSupabase) -> None:
    """PGRST106, PGRST117, and PUT honestly not modelled."""
    assert answer(ask(fake, "GET", "bot_events", accept_profile="private"))["code"] == "PGRST106"
    assert answer(ask(fake, "TRACE", "bot_events"))["code"] == "PGRST117"
    assert answer(ask(fake, "PUT", "bot_events", {}))["code"] == "PGRST127"


def test_a_body_that_is_no_json(fake: FakeSupabase) -> None:
    """PGRST102 in PostgREST's words."""
    response = ask(fake, "POST", "bot_events", raw=b"{")
    assert (response.status, answer(response)["message"]) == (400, "Empty or invalid json")


def test_head_has_headers_and_no_body(fake: FakeSupabase) -> None:
    """A count without rows; an error too says its code in a header."""
    response = ask(fake, "HEAD", "channels_config", prefer="count=exact")
    assert (response.status, response.body, header(response, "content-range")) == (200, b"", "0-0/1")
    response = ask(fake, "HEAD", "nowhere")
    assert (response.body, header(response, "proxy-status")) == (b"", "PostgREST; error=PGRST205")


def test_no_answer_is_longer_than_the_projects_limit() -> None:
    """Supabase cuts at 1,000 rows without saying so, unless the client counts."""
    with closing(project(rows_max=3)) as fake:
        ask(
            fake,
            "POST",
            "bot_events",
            [{"id": str(n), "at": "2026-01-01T00:00:00Z", "kind": "x"} for n in range(5)],
        )
        response = ask(fake, "GET", "bot_events?order=id&limit=100")
        assert (response.status, len(answer(response))) == (200, 3)
        response = ask(fake, "GET", "bot_events?order=id&limit=100", prefer="count=exact")
        assert (response.status, header(response, "content-range")) == (206, "0-2/5")


def test_a_humans_edits_are_counted(fake: FakeSupabase, clock: Clock) -> None:
    """As the schema's trigger does: an insert gets the microseconds of its time, an update one more."""
    clock.now_s = 1.5
    inserted = fake.human_insert("channels_config", {"login": "somebody"})
    assert inserted["edit_no"] == round((UNIX_START_S + 1.5) * 1e6)
    clock.now_s = 2.0
    (updated,) = fake.human_update("channels_config", {"login": "somebody"}, {"paused": True})
    assert (updated["edit_no"], updated["paused"]) == (inserted["edit_no"] + 1, True)
    assert updated["updated_at"] == "2026-01-01T00:00:02+00:00"
    assert [row["login"] for row in fake.human_delete("channels_config", {"login": "somebody"})] == [
        "somebody"
    ]
    assert fake.human_update("channels_config", {"channel_id": None}, {"enabled": True})[0]["edit_no"] == 1


def counters_of(fake: FakeSupabase, **values: int) -> None:
    """A row of counters for each channel that is named, with another one in it and a text beside them."""
    for channel_id, value in values.items():
        data = {"values": {"deaths": value}, "note": "hello"}
        fake.human_insert(
            "component_state", {"channel_id": channel_id, "key": "counters", "version": 1, "data": data}
        )


def test_a_human_changes_part_of_a_cell(fake: FakeSupabase) -> None:
    """Of every row that is meant, as it stands; null takes a key away (RFC 7396, section 2), and the edit counts as any other."""
    counters_of(fake, a=1, b=2)
    before = {row["channel_id"]: row["edit_no"] for row in fake.rows("component_state")}
    patch = {"values": {"falls": 7}, "note": None, "more": {"x": None, "y": [None]}}
    changed = fake.human_update("component_state", {"key": "counters"}, {"version": 2}, patch)
    assert [(row["channel_id"], row["version"], row["data"]) for row in changed] == [
        ("a", 2, {"values": {"deaths": 1, "falls": 7}, "more": {"y": [None]}}),
        ("b", 2, {"values": {"deaths": 2, "falls": 7}, "more": {"y": [None]}}),
    ]
    assert fake.rows("component_state") == changed
    assert {row["channel_id"]: row["edit_no"] - 1 for row in changed} == before
    assert fake.human_update("component_state", {"channel_id": "c"}, {}, patch) == []


@pytest.mark.parametrize(
    ("patch", "merged"),
    [
        ({"a": "c"}, {"a": "c", "b": {"c": 1}}),
        ({"b": [1]}, {"a": "b", "b": [1]}),
        ({"a": {"d": 1}}, {"a": {"d": 1}, "b": {"c": 1}}),
        ({"b": {"c": None}}, {"a": "b", "b": {}}),
        ({"e": {"f": None}}, {"a": "b", "b": {"c": 1}, "e": {}}),
    ],
)
def test_a_patch_does_what_its_rfc_says(
    fake: FakeSupabase, patch: Mapping[str, object], merged: Mapping[str, object]
) -> None:
    """Cases of RFC 7396, appendix A, on an object."""
    row = {"channel_id": "a", "key": "k", "version": 1, "data": {"a": "b", "b": {"c": 1}}}
    fake.human_insert("component_state", row)
    assert fake.human_update("component_state", {"channel_id": "a"}, {}, patch)[0]["data"] == merged


def test_more_rows_are_changed_than_one_answer_has() -> None:
    """What limits the API does not limit a human."""
    with closing(project(rows_max=1)) as fake:
        counters_of(fake, a=1, b=2)
        assert (
            len(fake.human_update("component_state", {"key": "counters"}, {}, {"values": {"falls": 1}})) == 2
        )


def test_what_humans_do_to_rows_is_told(fake: FakeSupabase) -> None:
    """Made, changed, deleted, as it was and as it is; of the API's own writes and of rows that stay nothing is said."""
    seen: list[tuple[str, object, object]] = []

    def values(row: Mapping[str, Any] | None) -> object:
        return row and row["data"]["values"]

    counters_of(fake, a=1)
    stop = fake.observe_edits(lambda table, old, new: seen.append((table, values(old), values(new))))
    counters_of(fake, b=2)
    fake.human_update("component_state", {"key": "counters"}, {}, {"values": {"falls": 7}})
    fake.human_update("component_state", {"channel_id": "nobody"}, {"version": 2})
    fake.human_delete("component_state", {"channel_id": "a"})
    ask(fake, "PATCH", "component_state?channel_id=eq.b", {"version": 3})
    assert seen == [
        ("component_state", None, {"deaths": 2}),
        ("component_state", {"deaths": 1}, {"deaths": 1, "falls": 7}),
        ("component_state", {"deaths": 2}, {"deaths": 2, "falls": 7}),
        ("component_state", {"deaths": 1, "falls": 7}, None),
    ]
    stop()
    fake.human_delete("component_state", {"channel_id": "b"})
    assert len(seen) == 4


def test_a_planned_human_edit_is_carried_out_when_due(clock: Clock) -> None:
    """Whoever looks after its time sees it done, once."""
    edit = HumanEdit("channels_config", {"login": ".sentinel"}, {"paused": True}, start_s=5)
    with closing(project(clock=clock, faults=(edit,))) as fake:
        assert fake.rows("channels_config")[0]["paused"] is False
        clock.now_s = 5.0
        assert answer(ask(fake, "GET", "channels_config"))[0]["paused"] is True
        assert fake.rows("channels_config")[0]["edit_no"] == 1


def test_a_planned_edit_of_part_of_a_cell_meets_the_row_as_it_is_then(clock: Clock) -> None:
    """Whatever was saved between the plan and its moment stays."""
    edit = HumanEdit("component_state", {"key": "counters"}, merge={"values": {"falls": 7}}, start_s=5)
    with closing(project(clock=clock, faults=(edit,))) as fake:
        counters_of(fake, a=1)
        clock.now_s = 5.0
        assert fake.rows("component_state")[0]["data"]["values"] == {"deaths": 1, "falls": 7}


def test_faults_inside_the_database_come_and_go(fake: FakeSupabase) -> None:
    """Read-only, a missing grant and a missing function, and nothing of them afterwards."""
    fake.faults.set("a", ReadOnly())
    fake.faults.set("b", MissingGrant("channel_state"))
    fake.faults.set("c", MissingFunction("byte_bot_save"))
    response = ask(fake, "DELETE", "bot_events?id=eq.1")
    assert (response.status, answer(response)["code"]) == (405, "25006")
    assert ask(fake, "GET", "bot_events").status == 200
    assert ask(fake, "GET", "channel_state").status == 403
    assert answer(ask(fake, "POST", "rpc/byte_bot_save", {"p_epoch": 1}))["code"] == "PGRST202"
    fake.human_update("channels_config", {"login": ".sentinel"}, {"paused": True})
    fake.faults.clear_all()
    assert ask(fake, "GET", "channel_state").status == 200
    assert ask(fake, "DELETE", "bot_events?id=eq.1").status == 204
    assert ask(fake, "POST", "rpc/byte_bot_save", {"p_epoch": 1}).status == 200


def test_a_project_without_a_schema_gets_one_by_pasting_it() -> None:
    """Everything is missing, then everything is there."""
    with closing(project(None)) as fake:
        assert answer(ask(fake, "GET", "channels_config"))["code"] == "PGRST205"
        assert answer(ask(fake, "POST", "rpc/byte_bot_take_epoch", {"p_holder": "x"}))["code"] == "PGRST202"
        fake.apply_schema(BOT_SCHEMA)
        assert ask(fake, "POST", "rpc/byte_bot_take_epoch", {"p_holder": "x"}).status == 200


def test_what_a_human_dropped_comes_back_with_the_schema(fake: FakeSupabase) -> None:
    """Pasting the files again restores tables and functions and keeps the rows that are there."""
    fake.human_update("channels_config", {"login": ".sentinel"}, {"paused": True})
    fake.drop_function("byte_bot_save")
    fake.drop_table("channel_state")
    assert ask(fake, "GET", "channel_state").status == 404
    assert ask(fake, "POST", "rpc/byte_bot_save", {"p_epoch": 0}).status == 404
    fake.apply_schema(BOT_SCHEMA)
    assert ask(fake, "GET", "channel_state").status == 200
    assert ask(fake, "POST", "rpc/byte_bot_save", {"p_epoch": 0}).status == 200
    assert fake.rows("channels_config")[0]["paused"] is True
    with pytest.raises(ApiError):
        fake.drop_table("nowhere")


def test_requests_are_recorded_and_observed(fake: FakeSupabase, clock: Clock) -> None:
    """Time, path, role, status and code; the log is bounded, the counters go on."""
    seen: list[RequestRecord] = []
    leave = fake.observe(seen.append)
    clock.now_s = 3.0
    ask(fake, "GET", "channels_config?select=login")
    ask(fake, "GET", "nowhere")
    leave()
    assert seen == [
        RequestRecord(3.0, "GET", "/rest/v1/channels_config", "select=login", "service_role", 200),
        RequestRecord(3.0, "GET", "/rest/v1/nowhere", "", "service_role", 404, "PGRST205"),
    ]
    for _ in range(LOG_MAX):
        ask(fake, "GET", "bot_writer?select=")
    assert (len(fake.requests), fake.requests_total) == (LOG_MAX, LOG_MAX + 2)
    assert fake.requests_by_path == {"channels_config": 1, "nowhere": 1, "bot_writer": LOG_MAX}


def test_saves_are_recorded(fake: FakeSupabase) -> None:
    """What a save carried and what became of it."""
    ask(fake, "POST", "rpc/byte_bot_take_epoch", {"p_holder": "me"})
    row = {"table": "channel_state", "channel_id": "1", "key": "", "version": 1, "data": {}, "tombstones": {},
           "revision": 1, "edit_no": 3}  # fmt: skip
    ask(fake, "POST", "rpc/byte_bot_save", {"p_epoch": 1, "p_rows": [row], "p_history": []})
    ask(fake, "POST", "rpc/byte_bot_save", {"p_epoch": 0})
    first, second = fake.saves
    assert (first.epoch, first.rows, first.status, first.saved, first.refused) == (1, 1, "ok", 0, 1)
    assert (second.status, second.saved) == ("fenced", 0)
    assert fake.saves_total == 2


def test_privileges_can_be_granted_one_by_one(fake: FakeSupabase) -> None:
    """To any role of the API."""
    fake.grant("channels_config", "anon", "select")
    response = ask(fake, "GET", "channels_config", key=fake.publishable_key)
    assert (response.status, answer(response)) == (200, [])
    fake.revoke("channels_config", "anon", "select")
    assert ask(fake, "GET", "channels_config", key=fake.publishable_key).status == 401


def test_handle_is_execute_for_those_who_await(fake: FakeSupabase) -> None:
    """The same answer."""
    request = Request("GET", "/rest/v1/bot_events", headers={"apikey": fake.secret_key})
    assert run(fake.handle(request)) == fake.execute(request)
