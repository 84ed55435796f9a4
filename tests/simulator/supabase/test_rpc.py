"""Calls of SQL functions. What the functions themselves do is tested in test_functions.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simulator.supabase.server import FakeSupabase
from tests.simulator.supabase.project import answer, ask, closing, project

ROW = {
    "table": "channel_state", "channel_id": "1", "key": "", "version": 1, "data": {"a": 1}, "tombstones": {},
    "revision": 1, "edit_no": None,
}  # fmt: skip


@pytest.fixture
def fake() -> Iterator[FakeSupabase]:
    with closing(project()) as fake:
        yield fake


def call(
    fake: FakeSupabase, name: str, arguments: Any, method: str = "POST", **options: str
) -> tuple[int, Any]:
    response = ask(fake, method, f"rpc/{name}", arguments, **options)
    return response.status, answer(response)


def test_a_function_answers_with_its_value(fake: FakeSupabase) -> None:
    """The body is the bare JSON of the result."""
    assert call(fake, "byte_bot_take_epoch", {"p_holder": "me", "p_seen": 4}) == (200, 5)
    status, saved = call(fake, "byte_bot_save", {"p_epoch": 5, "p_rows": [ROW]})
    assert (status, saved["status"], saved["saved"], saved["refused"]) == (200, "ok", 1, [])
    assert fake.rows("channel_state")[0]["data"] == {"a": 1}
    assert fake.rows("bot_writer")[0]["holder"] == "me"


def test_parameters_with_a_default_may_be_left_out(fake: FakeSupabase) -> None:
    """PostgREST looks for a function that takes exactly the named arguments, defaults filling the rest."""
    assert call(fake, "byte_bot_take_epoch", {"p_holder": "me"}) == (200, 1)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("byte_bot_take_epochs", {"p_holder": "x"}),
        ("byte_bot_take_epoch", {"p_seen": 1}),
        ("byte_bot_take_epoch", {"p_holder": "x", "p_other": 1}),
        ("count_edit", {}),
    ],
)
def test_an_unknown_function_or_argument_is_404(fake: FakeSupabase, name: str, arguments: Any) -> None:
    """PGRST202."""
    status, error = call(fake, name, arguments)
    assert (status, error["code"]) == (404, "PGRST202")


def test_get_calls_with_arguments_in_the_query(fake: FakeSupabase) -> None:
    """Texts are cast to the parameters' types; other methods are refused."""
    assert call(fake, "byte_bot_take_epoch?p_holder=me&p_seen=7", None, "GET") == (200, 8)
    assert call(fake, "byte_bot_take_epoch", {}, "PATCH")[1]["code"] == "PGRST101"


def test_arguments_are_cast_before_the_call(fake: FakeSupabase) -> None:
    """One bad value fails the whole call, as json_to_record does: U+0000 anywhere in a document, letters as a number."""
    poisoned = ROW | {"data": {"text": "a\x00b"}}
    status, error = call(fake, "byte_bot_save", {"p_epoch": 1, "p_rows": [ROW, poisoned]})
    assert (status, error["code"]) == (400, "22P05")
    status, error = call(fake, "byte_bot_save", {"p_epoch": "many"})
    assert (status, error["message"]) == (400, 'invalid input syntax for type bigint: "many"')
    assert fake.rows("channel_state") == []


def test_anon_may_not_execute(fake: FakeSupabase) -> None:
    """EXECUTE was revoked from everybody and granted to the service role alone."""
    arguments = {"p_holder": "me"}
    status, error = call(fake, "byte_bot_take_epoch", arguments, key=fake.publishable_key)
    assert (status, error["message"]) == (401, "permission denied for function byte_bot_take_epoch")


@pytest.mark.parametrize(
    ("table", "arguments"),
    [
        ("bot_writer", {"p_epoch": 1}),
        ("channel_state", {"p_epoch": 1, "p_rows": [ROW]}),
        ("channels_config", {"p_epoch": 1, "p_patches": [{"login": "a", "columns": {}, "revision": 1}]}),
        ("channel_history", {"p_epoch": 1, "p_history": [{"id": "1"}]}),
        ("bot_events", {"p_epoch": 1, "p_events": [{"id": "1"}]}),
    ],
)
def test_the_body_runs_with_the_callers_grants(fake: FakeSupabase, table: str, arguments: Any) -> None:
    """A privilege missing on a table that the call touches fails the call; a table it does not touch does not matter."""
    call(fake, "byte_bot_take_epoch", {"p_holder": "me"})
    fake.revoke(table)
    status, error = call(fake, "byte_bot_save", arguments)
    assert (status, error["message"]) == (403, f"permission denied for table {table}")
    fake.grant(table)
    assert call(fake, "byte_bot_save", arguments)[0] == 200


def test_a_read_only_database_refuses_the_first_write(fake: FakeSupabase) -> None:
    """25006 with the words of the statement that comes first."""
    fake.read_only = True
    status, error = call(fake, "byte_bot_save", {"p_epoch": 1})
    assert (status, error["message"]) == (405, "cannot execute SELECT FOR SHARE in a read-only transaction")
    status, error = call(fake, "byte_bot_take_epoch", {"p_holder": "me"})
    assert (status, error["message"]) == (405, "cannot execute INSERT in a read-only transaction")


def test_an_error_of_the_function_is_postgresqls(fake: FakeSupabase) -> None:
    """What the stand-in raises goes out with its SQLSTATE."""
    status, error = call(fake, "byte_bot_save", {"p_epoch": 1, "p_rows": {"not": "a list"}})
    call(fake, "byte_bot_take_epoch", {"p_holder": "me"})
    status, error = call(fake, "byte_bot_save", {"p_epoch": 1, "p_rows": {"not": "a list"}})
    assert (status, error["code"]) == (400, "22023")
