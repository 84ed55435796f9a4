"""Requests and responses as the fake sees them, and the headers around a result. Pure: no tables, no network.

Status, Content-Range and bodies follow PostgREST's ``Response.hs`` and ``RangeQuery.hs`` (2026-08). Header
names are in lower case; there is no Date header, since a replay must give the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.supabase import errors, jsonb
from simulator.supabase.engine import Result, Row
from simulator.supabase.prefer import Prefer, parse_prefer
from simulator.supabase.query import Query

_OBJECT = "application/vnd.pgrst.object+json"
_ARRAY = "application/vnd.pgrst.array+json"
_SERVED = ("*/*", "application/*", "application/json", _OBJECT, _ARRAY, "text/csv")


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """One HTTP response; Content-Length is the face's business."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Shape:
    """In which form the Accept header wants the rows."""

    single: bool = False
    without_nulls: bool = False
    csv: bool = False

    @property
    def content_type(self) -> str:
        """The Content-Type of a success."""
        if self.csv:
            return "text/csv; charset=utf-8"
        nulls = ";nulls=stripped" if self.without_nulls else ""
        if self.single:
            return f"{_OBJECT}{nulls}; charset=utf-8"
        return f"{_ARRAY}{nulls}; charset=utf-8" if nulls else errors.JSON_TYPE


def shape_of(request: Request) -> Shape:
    """Read the Accept header; raises ApiError PGRST107 when nothing it names can be served."""
    accept = request.headers.get("accept", "*/*")
    for part in accept.split(","):
        name, _, rest = part.strip().partition(";")
        if name.strip() in _SERVED:
            return Shape(name.strip() == _OBJECT, "nulls=stripped" in rest, name.strip() == "text/csv")
    raise errors.no_media_type(accept)


def preferences_of(request: Request) -> Prefer:
    """Read the Prefer header; raises ApiError PGRST122 for an unknown preference under handling=strict."""
    prefer = parse_prefer([request.headers.get("prefer", "")])
    if prefer.strict and prefer.unknown:
        raise errors.invalid_preferences(prefer.unknown)
    return prefer


def ranged(query: Query, request: Request) -> Query:
    """Combine limit and offset with a Range header; raises ApiError PGRST103 for a negative limit."""
    if query.limit is not None and query.limit < 0:
        raise errors.range_not_satisfiable("Limit should be greater than or equal to zero.")
    wanted = re.fullmatch(r"([0-9]+)-([0-9]*)", request.headers.get("range", ""))
    if wanted is None:
        return query
    lower = int(wanted[1])
    if wanted[2] and int(wanted[2]) < lower:
        details = "The lower boundary must be lower than or equal to the upper boundary in the Range header."
        raise errors.range_not_satisfiable(details)
    limit = int(wanted[2]) - lower + 1 if wanted[2] else None
    limits = [one for one in (limit, query.limit) if one is not None]
    return replace(query, offset=max(lower, query.offset), limit=min(limits, default=None))


def read_response(result: Result, query: Query, prefer: Prefer, shape: Shape) -> Response:
    """The answer to a select: 200, 206 for a counted part, 416 past the counted end."""
    if shape.single and len(result.rows) != 1:
        raise errors.not_one_row(len(result.rows))
    total = result.total
    if total is not None and query.offset > total:
        details = f"An offset of {query.offset} was requested, but there are only {total} rows."
        raise errors.range_not_satisfiable(details)
    partial = total is not None and len(result.rows) < total
    extent = f"{query.offset}-{query.offset + len(result.rows) - 1}" if result.rows else "*"
    headers = (
        ("content-type", shape.content_type),
        ("content-range", f"{extent}/{'*' if total is None else total}"),
        *_applied(prefer),
    )
    return Response(206 if partial else 200, headers, encode_rows(result.rows, shape))


def write_response(result: Result, prefer: Prefer, shape: Shape, status: int, extent: str) -> Response:
    """The answer to an insert, update or delete; without a representation an update or delete has no body (204)."""
    total = str(result.affected) if prefer.count else "*"
    headers: list[tuple[str, str]] = [("content-range", f"{extent}/{total}"), *_applied(prefer)]
    if prefer.representation != "representation":
        return Response(204 if status == 200 else status, tuple(headers))
    headers.insert(0, ("content-type", shape.content_type))
    return Response(status, tuple(headers), encode_rows(result.rows, shape))


def call_response(answer: Any, prefer: Prefer) -> Response:
    """The answer of a function that returns one value."""
    headers = (("content-type", errors.JSON_TYPE), ("content-range", "0-0/*"), *_applied(prefer))
    return Response(200, headers, encode(answer))


def encode_rows(rows: list[Row], shape: Shape) -> bytes:
    """The rows as the body of a success."""
    if shape.csv:
        return _csv(rows)
    if shape.without_nulls:
        rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return encode(rows[0] if shape.single else rows)


def encode(value: Any) -> bytes:
    """JSON in UTF-8, compact."""
    return jsonb.dumps(value, allow_nan=True).encode()


def _csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow(
            "" if value is None else value if isinstance(value, str) else json.dumps(value)
            for value in row.values()
        )
    return text.getvalue().rstrip("\n").encode()


def _applied(prefer: Prefer) -> tuple[tuple[str, str], ...]:
    return (("preference-applied", ", ".join(prefer.applied)),) if prefer.applied else ()
