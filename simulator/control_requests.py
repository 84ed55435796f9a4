"""What a request at the control address says: its JSON, its fields and its query, each checked, each mistake in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request


class BadRequest(ValueError):
    """A request that cannot be carried out; the message is the answer."""


async def body_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; raises `BadRequest`."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body must be a JSON object, got {type(body).__name__}")
    return body


def only(body: Mapping[str, Any], *names: str) -> None:
    """Raise `BadRequest` if the object has any other field."""
    if unknown := sorted(body.keys() - dict.fromkeys(names).keys()):
        raise BadRequest(f"unknown field {unknown[0]!r}; allowed: {', '.join(names)}")


def text_field(body: Mapping[str, Any], name: str) -> str:
    """A text that is there and not empty; raises `BadRequest`."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name} must be a text that is not empty, got {value!r}")
    return value


def choice_field(body: Mapping[str, Any], name: str, allowed: Iterable[str]) -> str:
    """One of these texts; raises `BadRequest`."""
    value, choices = body.get(name), tuple(allowed)
    if not isinstance(value, str) or value not in choices:
        raise BadRequest(f"{name} is {value!r}; allowed: {', '.join(choices)}")
    return value


def whole_parameter(request: Request, name: str, default: int, largest: int | None) -> int:
    """A whole number of the query, not negative; raises `BadRequest`."""
    given = request.query_params.get(name, str(default))
    if not given.isdecimal() or (largest is not None and int(given) > largest):
        allowed = "a whole number" + (f" up to {largest}" if largest is not None else "")
        raise BadRequest(f"{name} must be {allowed}, got {given!r}")
    return int(given)
