"""The error answers of PostgREST and of Supabase's gateway, word for word.

Two exceptions are raised inside the fake. `PgError` is an error of PostgreSQL: it has a SQLSTATE, and its
HTTP status follows from it and from whether the caller is anonymous. `ApiError` is an error of PostgREST
itself (``PGRST...``) or of the gateway in front of it, with its status given.

Sources: PostgREST's ``src/library/PostgREST/Error.hs`` (2026-08) for bodies, codes and the status table;
PostgreSQL's own messages; Kong's and Cloudflare's answers as users of Supabase quote them. Keys of a body are
in the order in which PostgREST's encoder writes them: alphabetical.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# PostgREST shows a hint only from this similarity upwards (getFuzzyHint).
HINT_SCORE_MIN = 0.75

JSON_TYPE = "application/json; charset=utf-8"


class PgError(Exception):
    """An error of PostgreSQL, as PostgREST hands it on."""

    def __init__(
        self, sqlstate: str, message: str, details: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(f"{sqlstate}: {message}")
        self.sqlstate = sqlstate
        self.message = message
        self.details = details
        self.hint = hint


class ApiError(Exception):
    """An answer other than success that comes from PostgREST or the gateway; ``body`` is its JSON."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status}: {body.get('message')}")
        self.status = status
        self.body = dict(body)
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class ErrorAnswer:
    """An error ready to be sent."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def answer_for(error: PgError | ApiError, *, anonymous: bool) -> ErrorAnswer:
    """What goes over the wire for this error; the role decides between 401 and 403 for 42501."""
    if isinstance(error, PgError):
        status = status_of(error.sqlstate, error.message, anonymous=anonymous)
        body = error_body(error.sqlstate, error.message, error.details, error.hint)
        extra: Mapping[str, str] = {}
    else:
        status, body, extra = error.status, error.body, error.headers
    headers = [("content-type", JSON_TYPE), *extra.items()]
    if "code" in body:
        # PostgREST names the code in a header too: a HEAD request has no body to read it from.
        headers.append(("proxy-status", f"PostgREST; error={body['code']}"))
        if status == 401:
            headers.append(("www-authenticate", "Bearer"))
    return ErrorAnswer(
        status, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), tuple(headers)
    )


def error_body(code: str, message: str, details: Any = None, hint: str | None = None) -> dict[str, Any]:
    """PostgREST's error object."""
    return {"code": code, "details": details, "hint": hint, "message": message}


# mapSQLtoHTTP in Error.hs: whole codes first, then classes by their first two characters.
STATUS_BY_CODE: Mapping[str, int] = {
    "23503": 409, "23505": 409, "25006": 405, "53400": 500, "57P01": 503, "P0001": 400,
    "42883": 404, "42P01": 404, "42P17": 500,
}  # fmt: skip
STATUS_BY_CLASS: Mapping[str, int] = {
    "08": 503, "09": 500, "0L": 403, "0P": 403, "25": 500, "28": 403, "2D": 500, "38": 500, "39": 500, "3B": 500,
    "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "F0": 500, "HV": 500, "P0": 500, "XX": 500,
}  # fmt: skip


def status_of(sqlstate: str, message: str = "", *, anonymous: bool = False) -> int:
    """The HTTP status that PostgREST gives an error of PostgreSQL."""
    if sqlstate == "42501":
        return 401 if anonymous else 403
    if sqlstate == "21000":
        # pg-safeupdate's complaint is the client's fault; any other cardinality violation is the server's.
        return 400 if message.endswith("requires a WHERE clause") else 500
    if sqlstate in STATUS_BY_CODE:
        return STATUS_BY_CODE[sqlstate]
    return STATUS_BY_CLASS.get(sqlstate[:2], 400)


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate PostgREST would suggest for a name it does not know, if any comes close enough."""
    scored = [
        (difflib.SequenceMatcher(None, name, other).ratio(), other) for other in candidates if other != name
    ]
    best = max(scored, default=(0.0, ""))
    return best[1] if best[0] >= HINT_SCORE_MIN else None


# --- the gateway (Kong), before PostgREST
# -----------------------------------------------------------------------


def no_api_key() -> ApiError:
    """No key in the request."""
    return ApiError(401, {
        "message": "No API key found in request",
        "hint": "No `apikey` request header or url param was found.",
    })  # fmt: skip


def invalid_api_key() -> ApiError:
    """A key that is not this project's."""
    return ApiError(401, {
        "message": "Invalid API key",
        "hint": "Double check your Supabase `anon` or `service_role` API key.",
    })  # fmt: skip


def over_quota() -> ApiError:
    """The whole organization is restricted; the words as users quote them in Supabase's issues (2026)."""
    return ApiError(402, {
        "message": "Service for this project is restricted due to the following violations: exceed_db_size_quota. "
        "The project owner must upgrade their plan or remove spend caps to restore service.",
    })  # fmt: skip


def project_paused() -> ApiError:
    """The status is documented (supabase.com/docs, HTTP status codes), the words are ours."""
    return ApiError(540, {"message": "Project paused"})


def no_route() -> ApiError:
    """A path outside /rest/v1: the other services of Supabase are not modelled."""
    return ApiError(404, {"message": "no Route matched with those values"})


# --- PostgREST itself
# -------------------------------------------------------------------------------------------


def parse_error(what: str, text: str, column: int, details: str) -> ApiError:
    """A parameter that PostgREST's parser refuses at ``column`` (from 1)."""
    message = f'"failed to parse {what} ({text})" (line 1, column {column})'
    return ApiError(400, error_body("PGRST100", message, details))


def rpc_method(method: str) -> ApiError:
    """A function called with a method other than GET, HEAD or POST."""
    return ApiError(405, error_body("PGRST101", f"Cannot use the {method} method on RPC"))


def invalid_body(message: str) -> ApiError:
    """A body that is not usable JSON."""
    return ApiError(400, error_body("PGRST102", message))


def range_not_satisfiable(details: str) -> ApiError:
    """An offset past the end, or a limit below zero."""
    return ApiError(416, error_body("PGRST103", "Requested range not satisfiable", details))


def invalid_schema(schema: str) -> ApiError:
    """A profile header that names a schema which is not exposed."""
    hint = "Only the following schemas are exposed: public, graphql_public"
    return ApiError(406, error_body("PGRST106", f"Invalid schema: {schema}", None, hint))


def no_media_type(accept: str) -> ApiError:
    """An Accept header that cannot be served."""
    return ApiError(406, error_body("PGRST107", f"None of these media types are available: {accept}"))


def not_one_row(count: int) -> ApiError:
    """A single object was asked for and the result has another number of rows."""
    details = f"The result contains {count} rows"
    return ApiError(406, error_body("PGRST116", "Cannot coerce the result to a single JSON object", details))


def unsupported_method(method: str) -> ApiError:
    """A method that PostgREST does not know for tables."""
    return ApiError(405, error_body("PGRST117", f"Unsupported HTTP method: {method}"))


def invalid_preferences(names: Iterable[str]) -> ApiError:
    """Unknown preferences together with handling=strict."""
    details = f"Invalid preferences: {', '.join(names)}"
    return ApiError(400, error_body("PGRST122", "Invalid preferences given with handling=strict", details))


def max_affected(count: int) -> ApiError:
    """More rows than max-affected allows; the transaction is rolled back."""
    message = "Query result exceeds max-affected preference constraint"
    return ApiError(400, error_body("PGRST124", message, f"The query affects {count} rows"))


def invalid_path() -> ApiError:
    """A path of more parts than a table's name."""
    return ApiError(404, error_body("PGRST125", "Invalid path specified in request URL"))


def not_modelled(what: str) -> ApiError:
    """Something the real PostgREST can do and this fake cannot: said loudly, never answered wrongly."""
    details = f"The simulator does not model {what}"
    return ApiError(400, error_body("PGRST127", "Feature not implemented", details))


def no_relationship(table: str, other: str) -> ApiError:
    """An embedded resource; the fake knows no foreign keys."""
    details = (
        f"Searched for a foreign key relationship between '{table}' and '{other}' in the schema 'public', "
        "but no matches were found."
    )
    message = f"Could not find a relationship between '{table}' and '{other}' in the schema cache"
    return ApiError(400, error_body("PGRST200", message, details))


def no_function(name: str, arguments: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> ApiError:
    """A function that is not there, or not with these parameters; ``known`` maps functions to their parameters."""
    names = sorted(arguments)
    short = f"({', '.join(names)})" if names else " without parameters"
    plural = "s" if len(names) > 1 else ""
    long = f" with parameter{plural} {', '.join(names)}" if names else " without parameters"
    if name in known:
        hint: str | None = (
            f"Perhaps you meant to call the function public.{name}({', '.join(sorted(known[name]))})"
        )
    else:
        near = closest(name, known)
        hint = f"Perhaps you meant to call the function public.{near}" if near else None
    details = (
        f"Searched for the function public.{name}{long} or with a single unnamed json/jsonb parameter, "
        "but no matches were found in the schema cache."
    )
    message = f"Could not find the function public.{name}{short} in the schema cache"
    return ApiError(404, error_body("PGRST202", message, details, hint))


def no_column(table: str, column: str) -> ApiError:
    """A column in a body or in ``columns=`` that the table does not have."""
    message = f"Could not find the '{column}' column of '{table}' in the schema cache"
    return ApiError(400, error_body("PGRST204", message))


def no_table(table: str, known: Iterable[str]) -> ApiError:
    """A table that is not there."""
    near = closest(table, known)
    hint = f"Perhaps you meant the table 'public.{near}'" if near else None
    message = f"Could not find the table 'public.{table}' in the schema cache"
    return ApiError(404, error_body("PGRST205", message, None, hint))


def bad_jwt(parts: int) -> ApiError:
    """A bearer token that is neither a key of the project nor a JWT."""
    return ApiError(401, error_body("PGRST301", f"Expected 3 parts in JWT; got {parts}"))


# --- PostgreSQL
# -------------------------------------------------------------------------------------------------


def permission_denied(kind: str, name: str) -> PgError:
    """The role holds no privilege on a table or function."""
    return PgError("42501", f"permission denied for {kind} {name}")


def row_security(table: str) -> PgError:
    """RLS is on, and no policy lets this role write the row."""
    return PgError("42501", f'new row violates row-level security policy for table "{table}"')


def read_only(command: str) -> PgError:
    """A write while the database is read-only."""
    return PgError("25006", f"cannot execute {command} in a read-only transaction")


def undefined_column(table: str, column: str) -> PgError:
    """A column in select, filter or order that the table does not have."""
    return PgError("42703", f"column {table}.{column} does not exist")


def needs_where(command: str) -> PgError:
    """pg-safeupdate, which Supabase loads for the API: no UPDATE or DELETE without a filter."""
    return PgError("21000", f"{command} requires a WHERE clause")


def same_row_twice() -> PgError:
    """A merging upsert that names one key twice."""
    return PgError(
        "21000",
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
        None,
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )


def no_conflict_target() -> PgError:
    """on_conflict names columns without a unique constraint."""
    return PgError(
        "42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification"
    )


def not_null(table: str, column: str, row: str) -> PgError:
    """NULL in a column that forbids it; ``row`` is PostgreSQL's rendering of the whole row."""
    message = f'null value in column "{column}" of relation "{table}" violates not-null constraint'
    return PgError("23502", message, f"Failing row contains {row}.")


def check_violation(table: str, constraint: str, row: str) -> PgError:
    """A row that a CHECK refuses."""
    message = f'new row for relation "{table}" violates check constraint "{constraint}"'
    return PgError("23514", message, f"Failing row contains {row}.")


def unique_violation(constraint: str, columns: Iterable[str], values: Iterable[str]) -> PgError:
    """A second row with the same key."""
    message = f'duplicate key value violates unique constraint "{constraint}"'
    return PgError("23505", message, f"Key ({', '.join(columns)})=({', '.join(values)}) already exists.")


def invalid_input(type_name: str, text: str) -> PgError:
    """A text that is not a value of the type."""
    sqlstate = "22007" if type_name.startswith("timestamp") else "22P02"
    return PgError(sqlstate, f'invalid input syntax for type {type_name}: "{text}"')


def out_of_range(type_name: str, text: str) -> PgError:
    """A number too large for its type."""
    return PgError("22003", f'value "{text}" is out of range for type {type_name}')


def nul_character() -> PgError:
    """U+0000, which PostgreSQL can store neither in text nor in jsonb."""
    return PgError("22P05", "unsupported Unicode escape sequence", "\\u0000 cannot be converted to text.")


def no_operator(type_name: str, operator: str) -> PgError:
    """An operator that the type does not have."""
    hint = "No operator matches the given name and argument types. You might need to add explicit type casts."
    return PgError("42883", f"operator does not exist: {type_name} {operator} unknown", None, hint)
