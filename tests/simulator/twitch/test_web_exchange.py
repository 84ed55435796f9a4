"""Reading requests and writing answers, over ASGI."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.twitch.web_exchange import BODY_BYTES_MAX, Answer, Refused, read, write


async def echo(request: Request) -> Response:
    try:
        asked = await read(request, "/a/b/")
    except Refused as refused:
        return JSONResponse([refused.status, refused.error, refused.message], 400)
    parameter = asked.parameter("x")
    return JSONResponse([asked.method, asked.path, asked.query, asked.form, asked.json, parameter])


async def ask(path: str = "/", **given: object) -> list[object]:
    transport = httpx.ASGITransport(app=Starlette(routes=[Route("/", echo, methods=["POST"])]))
    async with httpx.AsyncClient(transport=transport, base_url="http://twitch.test") as client:
        heard: list[object] = (await client.post(path, **given)).json()  # type: ignore[arg-type]
        return heard


async def test_query_form_and_json_are_kept_apart_and_a_form_wins_as_a_parameter() -> None:
    """id.twitch.tv takes its parameters from both."""
    assert await ask("/?x=1&y=2&y=3", data={"x": "4"}) == [
        "POST",
        "a/b",
        {"x": ["1"], "y": ["2", "3"]},
        {"x": ["4"]},
        {},
        "4",
    ]
    assert await ask("/?x=1", json={"x": 5}) == ["POST", "a/b", {"x": ["1"]}, {}, {"x": 5}, "1"]


async def test_a_body_that_is_no_json_object_is_refused() -> None:
    """With what is wrong; a header without a body is fine, as clients send it."""
    headers = {"Content-Type": "application/json"}
    assert (await ask(content=b"{", headers=headers))[:2] == [400, "Bad Request"]
    assert "must be a JSON object, got list" in str(await ask(content=b"[]", headers=headers))
    assert (await ask(content=b"[" * 60_000, headers=headers))[0] == 400
    assert await ask(content=b"", headers=headers) == ["POST", "a/b", {}, {}, {}, ""]


async def test_a_body_is_bounded() -> None:
    """One byte more than allowed is refused."""
    assert (await ask(content=b"x" * BODY_BYTES_MAX))[0] == "POST"
    assert (await ask(content=b"x" * (BODY_BYTES_MAX + 1)))[0] == 413


def test_an_answer_is_json_a_page_or_nothing() -> None:
    """204 has no body."""
    assert write(Answer(body={"a": 1})).body == b'{"a":1}'
    assert write(Answer(html="<p>")).headers["content-type"] == "text/html; charset=utf-8"
    nothing = write(Answer(204, headers={"x": "y"}))
    assert (nothing.status_code, nothing.body, nothing.headers["x"]) == (204, b"", "y")
