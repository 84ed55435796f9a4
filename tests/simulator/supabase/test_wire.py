"""Headers around results."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.supabase import wire
from simulator.supabase.engine import Result
from simulator.supabase.errors import ApiError
from simulator.supabase.prefer import Prefer
from simulator.supabase.query import Query
from simulator.supabase.wire import Request, Shape


def read(rows: int, query: Query, total: int | None, shape: Shape | None = None) -> wire.Response:
    result = Result([{"n": number} for number in range(rows)], total=total)
    return wire.read_response(result, query, Prefer(), shape or Shape())


def header(response: wire.Response, name: str) -> str:
    return dict(response.headers)[name]


@pytest.mark.parametrize(
    ("rows", "offset", "total", "status", "extent"),
    [
        (3, 0, None, 200, "0-2/*"),
        (0, 0, None, 200, "*/*"),
        (2, 4, None, 200, "4-5/*"),
        (3, 0, 3, 200, "0-2/3"),
        (2, 0, 3, 206, "0-1/3"),
        (1, 2, 3, 206, "2-2/3"),
        (0, 0, 0, 200, "*/0"),
        (0, 3, 3, 206, "*/3"),
    ],
)
def test_content_range_and_partial_content(
    rows: int, offset: int, total: int | None, status: int, extent: str
) -> None:
    """206 needs a count; the range counts from the offset."""
    response = read(rows, Query(offset=offset), total)
    assert (response.status, header(response, "content-range")) == (status, extent)


def test_an_offset_past_the_counted_end_is_416() -> None:
    """PGRST103 says how many rows there are."""
    with pytest.raises(ApiError) as caught:
        read(0, Query(offset=9), 3)
    assert caught.value.status == 416
    assert caught.value.body["details"] == "An offset of 9 was requested, but there are only 3 rows."


@pytest.mark.parametrize(
    ("query", "range_header", "limit", "offset"),
    [
        (Query(), "0-9", 10, 0),
        (Query(), "5-", None, 5),
        (Query(limit=3), "0-9", 3, 0),
        (Query(offset=7), "5-9", 5, 7),
        (Query(limit=2, offset=1), "bytes=0-9", 2, 1),
    ],
)
def test_a_range_header_narrows_the_request(
    query: Query, range_header: str, limit: int | None, offset: int
) -> None:
    """Limit, offset and Range together; what is no range is ignored."""
    ranged = wire.ranged(query, Request("GET", "/", headers={"range": range_header}))
    assert (ranged.limit, ranged.offset) == (limit, offset)


def test_a_backward_range_is_refused() -> None:
    """The lower boundary must not be above the upper."""
    with pytest.raises(ApiError, match="Requested range not satisfiable"):
        wire.ranged(Query(), Request("GET", "/", headers={"range": "9-5"}))


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        ("*/*", "application/json; charset=utf-8", b'[{"n":0}]'),
        ("application/vnd.pgrst.object+json", "application/vnd.pgrst.object+json; charset=utf-8", b'{"n":0}'),
        ("text/csv", "text/csv; charset=utf-8", b"n\n0"),
        (
            "application/vnd.pgrst.array+json;nulls=stripped",
            "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8",
            b'[{"n":0}]',
        ),
    ],
)
def test_the_accept_header_chooses_the_form(accept: str, content_type: str, body: bytes) -> None:
    """Array, object, CSV."""
    shape = wire.shape_of(Request("GET", "/", headers={"accept": accept}))
    response = read(1, Query(), None, shape)
    assert (header(response, "content-type"), response.body) == (content_type, body)


def test_nulls_can_be_stripped() -> None:
    """Only at the level of columns."""
    rows: list[dict[str, Any]] = [{"a": None, "b": {"c": None}}]
    assert wire.encode_rows(rows, Shape(without_nulls=True)) == b'[{"b":{"c":null}}]'


def test_csv_quotes_what_needs_it() -> None:
    """NULL is empty, documents are JSON, and no row means no header."""
    rows: list[dict[str, Any]] = [{"a": 'x,"y"', "b": None, "c": {"d": 1}, "e": True}]
    assert wire.encode_rows(rows, Shape(csv=True)) == b'a,b,c,e\n"x,""y""",,"{""d"": 1}",true'
    assert wire.encode_rows([], Shape(csv=True)) == b""


def test_a_plan_cannot_be_served() -> None:
    """explain() is refused honestly."""
    with pytest.raises(ApiError) as caught:
        wire.shape_of(
            Request("GET", "/", headers={"accept": "application/vnd.pgrst.plan+text; options=analyze"})
        )
    assert (caught.value.status, caught.value.body["code"]) == (406, "PGRST107")


def test_unknown_preferences_count_only_when_strict() -> None:
    """PGRST122 names them."""
    assert wire.preferences_of(Request("GET", "/", headers={"prefer": "colour=red"})).unknown == (
        "colour=red",
    )
    with pytest.raises(ApiError) as caught:
        wire.preferences_of(Request("GET", "/", headers={"prefer": "handling=strict, colour=red"}))
    assert caught.value.body["details"] == "Invalid preferences: colour=red"


def test_applied_preferences_are_named() -> None:
    """Preference-Applied lists what was honoured."""
    prefer = Prefer(representation="minimal", applied=("return=minimal",))
    response = wire.write_response(Result(affected=1), prefer, Shape(), 201, "*")
    assert dict(response.headers) == {"content-range": "*/*", "preference-applied": "return=minimal"}
    assert response.body == b""


def test_a_write_without_representation_has_no_content() -> None:
    """204 for updates and deletes, 201 for inserts."""
    assert wire.write_response(Result(), Prefer(), Shape(), 200, "*").status == 204
    assert wire.write_response(Result(), Prefer(), Shape(), 201, "*").status == 201
    assert wire.call_response({"a": 1}, Prefer()).body == b'{"a":1}'
