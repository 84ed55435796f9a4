"""What a request at the control address says, and the words for what it must not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from simulator.control_requests import (
    BadRequest,
    body_object,
    choice_field,
    only,
    text_field,
    whole_parameter,
)


def request(body: bytes = b"", query: str = "") -> Request:
    """A request with this body and query."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": query.encode()}
    return Request(scope, receive)


@pytest.mark.parametrize(
    ("body", "words"), [(b"{x", "the body is no JSON"), (b"[]", "must be a JSON object, got list")]
)
def test_the_body_is_an_object_or_refused(body: bytes, words: str) -> None:
    """In words, whatever came."""
    with pytest.raises(BadRequest, match=words):
        asyncio.run(body_object(request(body)))
    assert asyncio.run(body_object(request(b'{"a": 1}'))) == {"a": 1}


def test_fields_are_checked_by_name() -> None:
    """Unknown, missing, empty, not among the choices."""
    only({"a": 1}, "a", "b")
    with pytest.raises(BadRequest, match="unknown field 'c'; allowed: a, b"):
        only({"a": 1, "c": 2}, "a", "b")
    assert text_field({"a": "x"}, "a") == "x"
    with pytest.raises(BadRequest, match="a must be a text that is not empty, got ''"):
        text_field({"a": ""}, "a")
    assert choice_field({"a": "x"}, "a", ("x", "y")) == "x"
    with pytest.raises(BadRequest, match="a is None; allowed: x, y"):
        choice_field({}, "a", ("x", "y"))


def test_numbers_of_the_query_have_bounds() -> None:
    """Not negative, up to the largest, with a default."""
    assert whole_parameter(request(), "n", 20, 100) == 20
    assert whole_parameter(request(query="n=100"), "n", 20, 100) == 100
    with pytest.raises(BadRequest, match="n must be a whole number up to 100, got '101'"):
        whole_parameter(request(query="n=101"), "n", 20, 100)
    with pytest.raises(BadRequest, match="n must be a whole number, got '-1'"):
        whole_parameter(request(query="n=-1"), "n", 20, None)
