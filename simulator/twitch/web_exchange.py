"""One HTTP request as the faces of id.twitch.tv and api.twitch.tv see it, and the answer they give.

The faces are plain functions from a `WebRequest` to an `Answer`: nothing in them awaits, so one request is one step of the state. A
refusal is the exception `Refused`, which each face writes in its own form: `{"status", "message"}` at id.twitch.tv,
`{"error", "status", "message"}` at api.twitch.tv (documented and recorded).

Clients put the same parameters in the query, in a form or in JSON; `read` keeps all three. Bodies are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

BODY_BYTES_MAX = (
    65_536  # chosen: the largest body a modelled endpoint takes is an announcement of a few kilobytes
)


class Refused(Exception):
    """A request is not carried out: HTTP `status` and Twitch's `message`."""

    def __init__(self, status: int, message: str, *, error: str = "") -> None:
        """`error` is the short name of the status unless given."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = error or HTTPStatus(status).phrase


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What a request says. Header names are lower case; `path` has no prefix of the face and no slash at its ends."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    form: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)

    def parameter(self, name: str) -> str:
        """Return a parameter of the form or else of the query, "" when there is none: id.twitch.tv takes both."""
        values = self.form.get(name) or self.query.get(name) or ("",)
        return values[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a JSON `body` (None: nothing), or a page of `html`."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    html: str = ""


async def read(request: Request, path: str) -> WebRequest:
    """Read a request whole; raises `Refused` when its body is too large or says it is JSON and is not."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Refused(413, f"the body is larger than {BODY_BYTES_MAX} bytes")
    form: Mapping[str, tuple[str, ...]] = {}
    parsed: Mapping[str, Any] = {}
    if "json" in request.headers.get("content-type", ""):
        parsed = _object(bytes(body))
    elif body:
        form = _multi(bytes(body).decode("utf-8", "replace"))
    return WebRequest(
        request.method,
        path.strip("/"),
        {name.lower(): value for name, value in request.headers.items()},
        _multi(request.url.query),
        form,
        parsed,
    )


def write(answer: Answer) -> Response:
    """Make the response that Starlette sends."""
    headers = dict(answer.headers)
    if answer.html:
        return HTMLResponse(answer.html, answer.status, headers)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return JSONResponse(answer.body, answer.status, headers)


def _object(body: bytes) -> Mapping[str, Any]:
    if not body:
        return {}  # a client may set the header and send nothing
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the request body is not valid JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Refused(400, f"the request body must be a JSON object, got {type(parsed).__name__}")
    return parsed


def _multi(text: str) -> dict[str, tuple[str, ...]]:
    values: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values[name] = (*values.get(name, ()), value)
    return values
