"""Error answers. Statuses are those of PostgREST's Error.hs, bodies those of its specs and of users' reports."""

from __future__ import annotations

import json

import pytest

from simulator.supabase import errors
from simulator.supabase.errors import ApiError, PgError


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [
        ("08006", 503), ("53300", 503), ("53400", 500), ("57P01", 503), ("57014", 500), ("23503", 409),
        ("23505", 409), ("23502", 400), ("23514", 400), ("25006", 405), ("25001", 500), ("42P01", 404),
        ("42883", 404), ("42703", 400), ("42P17", 500), ("40001", 500), ("40P01", 500), ("54000", 500),
        ("55P03", 500), ("XX000", 500), ("P0001", 400), ("P0002", 500), ("22P02", 400), ("28000", 403),
        ("0L000", 403), ("58000", 500),
    ],
)  # fmt: skip
def test_sqlstates_have_postgrests_statuses(sqlstate: str, status: int) -> None:
    """The table of mapSQLtoHTTP."""
    assert errors.status_of(sqlstate) == status


def test_missing_privilege_is_401_for_anon_and_403_for_others() -> None:
    """Who is anonymous is asked to log in."""
    assert errors.status_of("42501", anonymous=True) == 401
    assert errors.status_of("42501") == 403


def test_a_missing_where_is_the_clients_fault() -> None:
    """21000 is 500, but for pg-safeupdate's words."""
    assert errors.status_of("21000", "UPDATE requires a WHERE clause") == 400
    assert errors.status_of("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time") == 500


def test_a_postgresql_error_goes_out_as_postgrests_json() -> None:
    """Four keys, the code in a header too, and a challenge with 401."""
    answer = errors.answer_for(PgError("42501", "permission denied for table t"), anonymous=True)
    assert answer.status == 401
    assert (
        answer.body
        == b'{"code":"42501","details":null,"hint":null,"message":"permission denied for table t"}'
    )
    assert dict(answer.headers) == {
        "content-type": "application/json; charset=utf-8",
        "proxy-status": "PostgREST; error=42501",
        "www-authenticate": "Bearer",
    }


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            errors.invalid_api_key(),
            401,
            {
                "message": "Invalid API key",
                "hint": "Double check your Supabase `anon` or `service_role` API key.",
            },
        ),
        (
            errors.no_api_key(),
            401,
            {
                "message": "No API key found in request",
                "hint": "No `apikey` request header or url param was found.",
            },
        ),
    ],
)
def test_the_gateways_errors_have_no_code(error: ApiError, status: int, body: dict[str, str]) -> None:
    """Kong's JSON is not PostgREST's: a client sees APIError(code=None)."""
    answer = errors.answer_for(error, anonymous=False)
    assert (answer.status, json.loads(answer.body)) == (status, body)
    assert "proxy-status" not in dict(answer.headers)


def test_a_missing_function_names_what_was_searched() -> None:
    """PGRST202 with message, details and a hint at the function of that name."""
    body = errors.no_function("f", ["b", "a"], {"f": ("z", "a")}).body
    assert body == {
        "code": "PGRST202",
        "message": "Could not find the function public.f(a, b) in the schema cache",
        "details": "Searched for the function public.f with parameters a, b or with a single unnamed json/jsonb "
        "parameter, but no matches were found in the schema cache.",
        "hint": "Perhaps you meant to call the function public.f(a, z)",
    }
    body = errors.no_function("f", [], {}).body
    assert body["message"] == "Could not find the function public.f without parameters in the schema cache"
    assert body["hint"] is None


def test_a_misspelt_table_gets_a_hint() -> None:
    """PGRST205 suggests a name that is close enough, and none otherwise."""
    assert errors.no_table("chanels", ["channels", "other"]).body["hint"] == (
        "Perhaps you meant the table 'public.channels'"
    )
    assert errors.no_table("xyz", ["channels"]).body["hint"] is None
    assert errors.closest("same", ["same"]) is None
